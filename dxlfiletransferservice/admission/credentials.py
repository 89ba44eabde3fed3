"""Finds out in whose name a session is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import Admission
from dxlfiletransferservice.admission.seams import Access, Peer
from dxlfiletransferservice.admission.unavailable import unavailable
from dxlfiletransferservice.control.principals import Principal

_RETRY_AFTER: Final = 1.0

_CODES: Final = {
    ErrorKind.BUSY: ErrorCode.BUSY,
    ErrorKind.INTERNAL: ErrorCode.INTERNAL,
    ErrorKind.INVALID: ErrorCode.INVALID,
    ErrorKind.NOT_FOUND: ErrorCode.NOT_FOUND,
}
"""What becomes of errors of the control plane; all others are ``DENIED``."""


def authenticated(access: Access, admission: Admission, peer: Peer) -> Principal | None:
    """Return in whose name a session is asked for; ``None`` if nothing is shown.

    Args:
        access: Checks what is shown.
        admission: What is shown: user and password, or a token, with its password if it has one.
        peer: Who shows it.

    Raises:
        RefusedError: ``DENIED`` if it is not good, ``INVALID`` if it is not clear what is meant,
            ``BUSY`` if it cannot be checked at the moment.
    """
    user, token, password = admission.user, admission.token, admission.password
    if user is not None and token is not None:
        raise RefusedError(ErrorCode.INVALID, "show a user or a token, and not both")
    with refusals_of_commands():
        if token is not None:
            return access.by_token(token, password, peer=peer.client_id)
        if user is not None:
            return access.by_password(user, password or "", peer=peer.client_id)
    if password is not None:
        raise RefusedError(ErrorCode.INVALID, "there is a password, but no user or token")
    return None


@contextmanager
def refusals_of_commands() -> Iterator[None]:
    """Turn errors of the control plane into refusals.

    Raises:
        RefusedError: Mostly ``DENIED``; ``BUSY`` if the database cannot be used at the moment.
    """
    try:
        yield
    except CommandError as error:
        code = _CODES.get(error.kind, ErrorCode.DENIED)
        retry_after = _RETRY_AFTER if code is ErrorCode.BUSY else None
        raise RefusedError(code, error.message, retry_after) from error
    except SQLAlchemyError as error:
        raise unavailable(error) from error

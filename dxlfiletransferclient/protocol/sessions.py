"""Messages about sessions: conversations whose parties have shown who they are.

A session begins with ``admit``, in which both sides agree on keys, and goes on with ``sealed``
requests, each of which carries a request of another verb. What is inside is for the two ends alone,
as far as the cipher of the session goes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.parcels import Payload

MAX_NUMBER: Final = 2**63 - 1
"""Highest number of a sealed request; no session lives that long."""

_SESSION: Final = re.compile(r"[0-9a-f]{32}")
_CALL_ID: Final = re.compile(r"[0-9a-f]{32}")


class Outcome(StrEnum):
    """How the sender of a transfer leaves."""

    COMPLETE = "complete"
    """Everything was stored."""

    ERROR = "error"
    """The transfer has failed."""

    PAUSED = "paused"
    """It may be gone on with in another session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitRequest:
    """Asks to begin a session. Answer: :class:`AdmitAnswer`.

    Attributes:
        payload: First message of the handshake.
    """

    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitAnswer:
    """Begins a session, or says why not.

    Attributes:
        payload: Second message of the handshake.
    """

    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRequest:
    """Carries a request within a session. Answer: :class:`SealedAnswer`.

    Attributes:
        session: Names the session; 32 hex digits.
        number: Counts the requests of the session from 1; none is taken twice.
        inner: What is readable of the request inside, where the cipher leaves it so: a JSON object.
        tag: Proves ``inner`` and the payload in hex, where the cipher only proves.
        payload: What is inside, sealed or not, as the cipher says.
    """

    session: str
    number: int
    inner: str | None = None
    tag: str | None = None
    payload: Payload = b""

    def __post_init__(self) -> None:
        check_session(self.session)
        _check_number(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAnswer:
    """Carries the answer to a sealed request, or the error that it is answered with.

    Attributes:
        number: The number of the request.
        inner: As in :class:`SealedRequest`.
        tag: As in :class:`SealedRequest`.
        payload: As in :class:`SealedRequest`.
    """

    number: int
    inner: str | None = None
    tag: str | None = None
    payload: Payload = b""

    def __post_init__(self) -> None:
        _check_number(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """Calls a command of the control API. Answer: :class:`CallAnswer`.

    Attributes:
        call_id: Made by the caller for each call, 32 hex digits: the same call that comes again,
            because an answer got lost, is carried out once.
        command: Name of the command.
        payload: Its arguments, a JSON object.
    """

    call_id: str
    command: str
    payload: Payload = b"{}"

    def __post_init__(self) -> None:
        if not _CALL_ID.fullmatch(self.call_id):
            raise ValueError("'call_id' must be 32 hex digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """What came of a call.

    Attributes:
        failed: Whether the payload is an error.
        payload: The result as JSON, or an object with ``kind`` and ``message`` of the error.
    """

    failed: bool = False
    payload: Payload = b"null"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRequest:
    """Ends a session. Answer: ``DoneAnswer``.

    Attributes:
        outcome: How it ends.
        text: Why, if not because all is done.
    """

    outcome: Outcome
    text: str = ""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_REASON_LENGTH:
            raise ValueError(f"'text' must have {MAX_REASON_LENGTH} characters at most")


def check_session(session: str) -> None:
    """Raise if a session cannot have this name.

    Raises:
        ValueError: It is not 32 hex digits.
    """
    if not _SESSION.fullmatch(session):
        raise ValueError("'session' must be 32 hex digits")


def _check_number(number: int) -> None:
    if not 1 <= number <= MAX_NUMBER:
        raise ValueError(f"'number' must be 1 to {MAX_NUMBER}")

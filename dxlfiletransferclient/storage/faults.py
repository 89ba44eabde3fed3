"""Errors of names and of the operating system, as refusals that may go to a remote client."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.rooted import ObstructedError

logger = logging.getLogger(__name__)

_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


@contextmanager
def refusals_of_storage(subject: str) -> Iterator[None]:
    """Turn every ``OSError`` of a block into a refusal that names no path of this machine.

    The whole error, with its path and traceback, goes to the log. Unsafe names become refusals too.

    Args:
        subject: What is being done, as the end of a sentence that begins with "cannot"; names from
            outside go through ``errors.brief`` first.

    Raises:
        RefusedError: ``STORAGE_FULL`` if the disk or the quota of the service's user is full,
            ``STORAGE_FAILED`` for every other error of the operating system. ``WRONG_KIND`` where
            a file or link is on the way to a name, ``UNSAFE_NAME`` for everything else that is
            wrong with a name.

    Example:
        >>> with refusals_of_storage("store 'a'"):
        ...     raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/srv/a")
        Traceback (most recent call last):
        dxlfiletransferclient.protocol.refusals.RefusedError: cannot store 'a': No such file ...
    """
    try:
        yield
    except (UnsafeNameError, OSError) as error:
        raise logged_refusal(error, subject) from error


def logged_refusal(error: UnsafeNameError | OSError, subject: str) -> RefusedError:
    """Return what :func:`refusals_of_storage` raises for an error.

    Args:
        error: The error, which goes to the log unless it is about a name.
        subject: What could not be done.
    """
    if isinstance(error, UnsafeNameError):
        return refusal_of_name(error)
    logger.error("Could not %s", subject, exc_info=error)
    return refusal_of(error, subject)


def refusal_of(error: OSError, subject: str) -> RefusedError:
    """Return what a client is told of an error of the operating system.

    Args:
        error: The error.
        subject: What could not be done (see :func:`refusals_of_storage`).
    """
    code = ErrorCode.STORAGE_FULL if error.errno in _FULL else ErrorCode.STORAGE_FAILED
    return RefusedError(code, f"cannot {subject}: {error.strerror or type(error).__name__}")


def refusal_of_name(error: UnsafeNameError) -> RefusedError:
    """Return what a client is told of a name that cannot be used."""
    other_kind = isinstance(error, ObstructedError) and not error.reserved
    return RefusedError(ErrorCode.WRONG_KIND if other_kind else ErrorCode.UNSAFE_NAME, str(error))

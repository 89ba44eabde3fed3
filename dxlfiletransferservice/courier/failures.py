"""Which errors concern a file, which the whole transfer, and which the connection."""

from typing import Final

from dxlfiletransferclient.errors import NoAnswerError, NotConnectedError
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

_FATAL: Final = (
    ErrorCode.STORAGE_FULL,
    ErrorCode.QUOTA,
    ErrorCode.NOT_ALLOWED,
    ErrorCode.STORAGE_FAILED,
    ErrorCode.CIPHER,
    ErrorCode.DENIED,
    ErrorCode.UNKNOWN_SENDER,
    ErrorCode.UNKNOWN_SESSION,
)


class StoppedError(Exception):
    """A transfer was stopped, to be gone on with or not; no failure of what it was sending."""


def interrupts(error: BaseException) -> bool:
    """Whether an error says nothing about what was sent: that can be gone on with later."""
    lost = (NoAnswerError, NotConnectedError, TransferCancelledError)
    return isinstance(error, lost) or not isinstance(error, Exception)


def fatal(error: BaseException, *, admitted: bool) -> bool:
    """Whether nothing else of the transfer can be sent either.

    Args:
        error: The error.
        admitted: Whether the receiver has let the transfer in; otherwise any refusal is about that.
    """
    if not isinstance(error, RefusedError):
        return False
    return not admitted or error.means(*_FATAL)


def not_let_in(error: BaseException) -> str:
    """Return why a transfer has failed that has not begun.

    Args:
        error: The error; where the receiver has refused it, whose user or token is meant is said.
    """
    if isinstance(error, RefusedError) and error.means(ErrorCode.DENIED):
        return f"not let in by the receiver: {error}"
    return str(error)


def unreachable(seconds: float, reason: str) -> str:
    """Return why a transfer has failed that was to wait only so long for a connection.

    Args:
        seconds: How long it was to wait.
        reason: Why there was no connection.
    """
    return f"there was no connection to the destination for {seconds:g} seconds: {reason}"

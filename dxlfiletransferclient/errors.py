"""What can go wrong in a file transfer, as exceptions."""

from typing import Final

from dxlclient.exceptions import DxlException, WaitTimeoutException

_SHOWN_CHARACTERS: Final = 80
"""Characters of a foreign value that a message shows: enough to recognise it by."""

_SHOWN_INTEGER: Final = 2**64
"""Integers from here on are described and not shown: their digits alone can take seconds."""


def brief(value: object) -> str:
    """Describe a value that came from outside, so that it is safe to put into a message.

    Args:
        value: Anything at all.

    Returns:
        The value in quotes with control characters escaped, shortened where it is long; for values
        other than text, bytes, small numbers and ``None`` only their type.
    """
    if isinstance(value, str | bytes):
        cut = value[:_SHOWN_CHARACTERS]
        return repr(cut) if len(cut) == len(value) else f"{cut!r}... ({len(value)} long)"
    if value is None or (isinstance(value, int) and abs(value) < _SHOWN_INTEGER):
        return repr(value)
    return f"a value of type {type(value).__name__}"


class FileTransferError(Exception):
    """Base of every error that this package raises by itself."""


class NotConnectedError(FileTransferError, DxlException):
    """The DXL client has no connection to the fabric."""


class ServiceError(FileTransferError):
    """The service, or a broker on the way to it, answered with an error.

    Args:
        message: Text of the error response.
        code: Code of the error response: 0 from a file transfer service, else set by the fabric.
        hint: What a person can do about it, if that is known.
    """

    def __init__(self, message: str, code: int, hint: str = "") -> None:
        super().__init__(message, code, hint)
        self.message = message
        self.code = code
        self.hint = hint

    def __str__(self) -> str:
        text = f"Error: {self.message} ({self.code})"
        return f"{text}: {self.hint}" if self.hint else text


class NoAnswerError(FileTransferError, WaitTimeoutException):
    """No answer came within the response time-out."""


class MalformedAnswerError(FileTransferError):
    """An answer that does not follow the protocol."""


class SourceChangedError(FileTransferError):
    """The file or stream is not what it was when sending began; nothing was stored."""


class InvalidRequestError(FileTransferError, ValueError):
    """A store request that cannot be carried out as it is."""


class UnknownFileError(InvalidRequestError):
    """A store request for a file that is not under way here."""


class UnsafeNameError(FileTransferError, ValueError):
    """A name under which no file may be stored.

    Args:
        name: The name as it was requested; the message shows it shortened.
        reason: What is wrong with it, as the end of a sentence that begins with the name.
    """

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"file name {brief(self.name)} {self.reason}"


class StorageError(FileTransferError, OSError):
    """The store could not write; the message names no path of the machine that stores.

    Args:
        number: The error number (a constant of :mod:`errno`).
        text: What could not be done, and why.
    """

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)

    def __str__(self) -> str:
        return str(self.strerror)


class StoreClosedError(FileTransferError):
    """The store was closed and takes no more requests."""


class WorkingDirectoryInUseError(FileTransferError):
    """Another store, in this or another process, uses the working directory."""

"""Every error that a service answers with, and what is worth doing about it."""

from enum import Enum, IntEnum, auto
from typing import Final

from dxlfiletransferclient.errors import ServiceError

_UNSIGNED: Final = 0xFFFFFFFF


class Remedy(Enum):
    """What a client may do about an error without asking anybody."""

    NONE = auto()
    """Nothing: the same request fails again."""

    REPEAT = auto()
    """Send the same request again, after ``retry_after`` seconds if the answer names them."""

    REOPEN = auto()
    """Look for the service again and open the file again; what is durable there is kept."""


class ErrorCode(IntEnum):
    """Error codes of version 2, as they are in the error response; with text and remedy."""

    INVALID = 100, "the request is malformed or breaks a limit", Remedy.NONE
    CORRUPT = 101, "the request was damaged on its way", Remedy.REPEAT
    INTERNAL = 102, "the service failed in a way it did not foresee", Remedy.NONE

    UNKNOWN_TRANSFER = 110, "no file with this id is under way", Remedy.REOPEN
    OTHER_METADATA = 111, "the id is in use for a file with other metadata", Remedy.NONE
    OTHER_BYTES = 112, "other bytes are held at this place", Remedy.NONE

    UNSAFE_NAME = 120, "no file may have this name", Remedy.NONE
    EXISTS = 121, "there is a file of this name, and it is to be kept", Remedy.NONE
    NOT_FOUND = 122, "there is nothing of this name", Remedy.NONE
    WRONG_KIND = 123, "what has this name is of another kind (file, directory, link)", Remedy.NONE
    NOT_EMPTY = 124, "the directory is not empty", Remedy.NONE
    CHANGED = 125, "the file is not the version that was asked for any more", Remedy.NONE
    NOT_ALLOWED = 126, "the service is not configured to do this", Remedy.NONE

    BUSY = 130, "the service cannot take this at the moment", Remedy.REPEAT
    CLOSING = 131, "the service is ending", Remedy.REOPEN
    STORAGE_FULL = 132, "the disk has no room for it", Remedy.NONE
    QUOTA = 133, "a configured limit on bytes is reached", Remedy.NONE
    STORAGE_FAILED = 134, "the disk or its file system failed", Remedy.NONE

    UNKNOWN_SESSION = 140, "the session is not known, or has ended", Remedy.NONE
    DENIED = 141, "who asks may not do this, or is not who they say", Remedy.NONE
    CIPHER = 142, "the encryption that is asked for cannot be given", Remedy.NONE
    UNKNOWN_SENDER = 143, "files are taken from listed senders only", Remedy.NONE

    NO_SERVICE = 0x80000001, "the broker knows nobody who serves this", Remedy.REOPEN

    meaning: str
    remedy: Remedy

    def __new__(cls, value: int, meaning: str, remedy: Remedy) -> "ErrorCode":
        """Make a member that compares as its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member

    @classmethod
    def of(cls, code: int) -> "ErrorCode | None":
        """Return the member for a code, which may be signed as Python's DXL client shows it."""
        return next((each for each in cls if each == code & _UNSIGNED), None)


class RefusedError(ServiceError):
    """A request of version 2 that the service, or a broker on the way, answered with an error.

    The same class is raised by stores, and travels to the client as it is.

    Args:
        code: Which error; a number that is no :class:`ErrorCode` comes from a newer service or from
            the fabric.
        text: What is wrong, as a sentence without a full stop that names the thing.
        retry_after: Seconds after which the same request may go through; ``None`` if that is not
            known.
    """

    def __init__(self, code: int, text: str, retry_after: float | None = None) -> None:
        super().__init__(text, code)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    @property
    def remedy(self) -> Remedy:
        """What may be done about it."""
        known = ErrorCode.of(self.code)
        return known.remedy if known else Remedy.NONE

    def means(self, *codes: ErrorCode) -> bool:
        """Whether it is one of some errors."""
        return ErrorCode.of(self.code) in codes

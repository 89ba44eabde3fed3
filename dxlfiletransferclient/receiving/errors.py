"""What can go wrong with the files of this machine while others are received."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dxlfiletransferclient.errors import FileTransferError, MalformedAnswerError, brief


class TargetError(FileTransferError, OSError):
    """A received file cannot be written where it belongs.

    Args:
        number: The error number (a constant of :mod:`errno`).
        text: What cannot be done where, and why.
    """

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)

    def __str__(self) -> str:
        return str(self.strerror)


class TargetExistsError(TargetError):
    """There is another file of that name, and it is to be kept."""


class TargetInUseError(TargetError):
    """The same file is being received to the same place by another process."""


class ContentChangingError(FileTransferError):
    """The file on the service changed again and again while it was received."""


class ContentDamagedError(FileTransferError):
    """What came is not what the service says that the file is; nothing of it was kept."""


def changing(name: str, times: int) -> ContentChangingError:
    """Return the error for a file that changed so many times while it was received."""
    return ContentChangingError(
        f"{brief(name)} keeps changing on the service: it did so {times} times while it was "
        "received; get it when nobody writes to it"
    )


def no_digest(name: str) -> MalformedAnswerError:
    """Return the error for a file whose SHA-256 a service does not tell though it was asked."""
    return MalformedAnswerError(
        f"the service tells no SHA-256 of {brief(name)}, so that nothing proves it right; the log "
        "of the service may say why"
    )


@contextmanager
def local_errors(what: str, path: Path) -> Iterator[None]:
    """Turn errors of the operating system into one that says what was tried with which file.

    Args:
        what: What is tried, as the word after "cannot".
        path: The file or directory.

    Raises:
        TargetError: For any ``OSError`` that is none yet.
    """
    try:
        yield
    except TargetError:
        raise
    except OSError as error:
        number = error.errno or 0
        # The text of the system's own error would repeat the path, and in another form.
        reason = error.strerror or (os.strerror(number) if number else str(error))
        raise TargetError(number, f"cannot {what} {path}: {reason}") from error

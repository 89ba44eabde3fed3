"""Makes and checks the two directories of a store: for whole files, and for files under way."""

import errno
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.storage.names import Parts

DEFAULT_WORKING_NAME: Final = ".workdir"
"""Name of the working directory in the storage directory, unless another one is given."""

_STORAGE_MODE: Final = 0o777
"""Permissions of a storage directory made here, before the umask takes its share."""

_WORKING_MODE: Final = 0o700
"""Permissions of a working directory made here: nobody else reads unfinished files."""

_REFUSALS: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a store keeps its files, as real paths.

    Attributes:
        storage: Directory for whole files.
        working: Directory for files under way.
    """

    storage: Path
    working: Path

    @property
    def reserved(self) -> tuple[Parts, ...]:
        """The working directory as parts below the storage directory, if it lies there."""
        if self.working.is_relative_to(self.storage):
            return (self.working.relative_to(self.storage).parts,)
        return ()


def prepare(storage: Path, working: Path | None) -> Layout:
    """Make the directories of a store where they are missing, and check them.

    Args:
        storage: Directory for whole files.
        working: Directory for files under way; in the storage directory by default.

    Raises:
        PermissionError: If one cannot be made or written to.
        NotADirectoryError: If one is, or lies below, a file.
        ValueError: If both are the same, or files cannot be moved between them in one step.
    """
    storage = _made(storage, "storage directory", _STORAGE_MODE)
    working = _made(working or storage / DEFAULT_WORKING_NAME, "working directory", _WORKING_MODE)
    here, there = storage.stat(), working.stat()
    if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
        msg = f"the working directory must not be the storage directory itself: {working}"
        raise ValueError(msg)
    if here.st_dev != there.st_dev:
        msg = (
            f"the working directory {working} is on another file system than the storage "
            f"directory {storage}, so files could not be moved there in one step: choose one on "
            f"the same file system, or none for {DEFAULT_WORKING_NAME!r} in the storage directory"
        )
        raise ValueError(msg)
    return Layout(storage, working)


def _made(path: Path, what: str, mode: int) -> Path:
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
        # Tried, not asked: permissions are only one of the things that keep a file from being made.
        with tempfile.TemporaryFile(dir=path):
            return path.resolve()
    except (FileExistsError, NotADirectoryError) as error:
        text = f"the {what} is, or lies below, a file"
        raise NotADirectoryError(errno.ENOTDIR, text, str(path)) from error
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        text = f"the {what} cannot be made or written to ({error.strerror})"
        raise PermissionError(errno.EACCES, text, str(path)) from error

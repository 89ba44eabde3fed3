"""Waits until files and names are safe on the disk; many of them at once where that is possible."""

import ctypes
import errno
import logging
import os
import platform
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import TracebackType
from typing import Final, Self

from dxlfiletransferclient.storage.directory import Directory

logger = logging.getLogger(__name__)

ALL_AT_ONCE: Final = 8
"""Files, or directories, from which on the whole file system is flushed and not each of them.

One flush of everything takes as long as those of some ten files, and takes along whatever other
programs have written: few files are not made to wait for that.
"""

FLUSH_THREADS: Final = 4
"""Threads that flush file by file, where not all can be flushed at once.

Disks take some flushes at a time faster than one after the other; more than a few change nothing.
"""

_FIRST_KERNEL: Final = (5, 8)
"""The first Linux whose ``syncfs`` tells that something could not be written."""

_NOT_OFFERED: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})

_SyncFs = Callable[[int], int]


class FileSystem:
    """What is known of the file system of a store: whether it can be flushed as a whole."""

    def __init__(self) -> None:
        self._syncfs = _syncfs()

    @property
    def flushes_whole(self) -> bool:
        """Whether :meth:`flush` may be tried."""
        return self._syncfs is not None

    def flush(self, descriptor: int) -> bool:
        """Wait until all that was written to the file system is safe, if that can be done.

        Args:
            descriptor: Anything open on it; what goes wrong from its opening on is told.

        Returns:
            Whether it was done.

        Raises:
            OSError: If something could not be written.
        """
        if self._syncfs is None:
            return False
        if self._syncfs(descriptor) == 0:
            return True
        number = ctypes.get_errno()
        if number in _NOT_OFFERED:
            logger.info("Files are flushed one by one: the system does not offer to flush all")
            self._syncfs = None
            return False
        raise OSError(number, os.strerror(number))


class Flusher:
    """Flushes what is written while it is open. Not for several threads at once.

    It is opened before anything is written: only what goes wrong from then on is told to it.

    Args:
        directory: Any directory of the file system.
        file_system: What is known of it.

    Example:
        ::

            with Flusher(directory, file_system) as flusher:
                ...  # write many files in the directory
                flusher.files(directory, names)
    """

    def __init__(self, directory: Directory, file_system: FileSystem) -> None:
        self._file_system = file_system
        whole = file_system.flushes_whole
        self._descriptor = directory.descriptor_of_its_own() if whole else None

    def files(self, directory: Directory, names: Sequence[str]) -> None:
        """Wait until the bytes and attributes of files are safe.

        Args:
            directory: The directory they are in, on the file system of the flusher.
            names: Their names.

        Raises:
            OSError: If one could not be written; which of them is not known.
        """
        if len(names) >= ALL_AT_ONCE and self.everything():
            return
        if len(names) <= 1:
            for name in names:
                flush_file(directory, name)
            return
        with ThreadPoolExecutor(FLUSH_THREADS, "dxlft-flush") as pool:
            # Taking the results raises what went wrong.
            list(pool.map(partial(flush_file, directory), names))

    def everything(self) -> bool:
        """Wait until all that was written to the file system is safe, if that can be done.

        Returns:
            Whether it was done.

        Raises:
            OSError: If something could not be written.
        """
        return self._descriptor is not None and self._file_system.flush(self._descriptor)

    def close(self) -> None:
        """Let go of the file system; may be repeated."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def flush_file(directory: Directory, name: str) -> None:
    """Wait until the bytes and attributes of a file are safe.

    Raises:
        OSError: If it cannot be opened or written.
    """
    descriptor = directory.open_file(name, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> _SyncFs | None:
    """Return the system's call that flushes a file system, where it can be relied on."""
    if not _reports_failures(platform.system(), platform.release()):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int,)
    function.restype = ctypes.c_int
    found: _SyncFs = function
    return found


def _reports_failures(system: str, release: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if system != "Linux" or numbers is None:
        return False
    return (int(numbers[1]), int(numbers[2])) >= _FIRST_KERNEL

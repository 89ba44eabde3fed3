"""All files under way in one working directory: locked, bounded, one thread per file at a time."""

import errno
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from dxlfiletransferclient.errors import (
    StorageError,
    StoreClosedError,
    UnknownFileError,
    WorkingDirectoryInUseError,
)
from dxlfiletransferclient.storage import legacy, partial
from dxlfiletransferclient.storage.directory import Identity, open_directory
from dxlfiletransferclient.storage.expiry import Expiry
from dxlfiletransferclient.storage.partial import Partial

logger = logging.getLogger(__name__)

LOCK_NAME: Final = ".lock"
"""File in the working directory that is locked while a store uses it; it stays there."""

MAX_PARTIAL_FILES: Final = 10_000
"""Files that may be under way at once.

Each costs about a kilobyte of memory and two files on disk. It is far above what a service has to
do and bounds what a sender can cost that begins files and never ends them.
"""

TURN_TIMEOUT: Final = 25.0
"""Seconds a request waits while another one for the same file is carried out.

Senders give up after 30 seconds, so waiting longer would help nobody.
"""

CLOSE_TIMEOUT: Final = 30.0
"""Seconds that closing waits for requests that are being carried out.

One request writes a segment of a megabyte at most, or flushes the rest of a file.
"""


class _Entry:
    """A file under way; its lock is held by whoever works on it."""

    __slots__ = ("gone", "lock", "partial")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.partial: Partial | None = None
        self.gone = False


class WorkingDirectory:
    """The files under way, on disk and in memory.

    Files that a former process left are there again with their first request, and expire like all
    others when nothing was written to them for too long.

    Args:
        path: The directory; it must exist.
        expiry: When files are given up.
        clock: Returns the time as file systems know it (seconds since 1970).

    Raises:
        WorkingDirectoryInUseError: If another store uses the directory.
        OSError: If it cannot be read, or no file be made in it.
    """

    def __init__(self, path: Path, *, expiry: Expiry, clock: Callable[[], float]) -> None:
        self._expiry = expiry
        self._clock = clock
        self._guard = threading.Condition()
        self._running = 0
        self._closed = False
        self._lock = _locked(path)
        try:
            self.directory = open_directory(path)
            found = {partial.file_id_of(name) for name in self.directory.names()}
        except BaseException:
            self._lock.release()
            raise
        self._entries = {file_id: _Entry() for file_id in found if file_id}
        if self._entries:
            logger.info("Files under way from before in %s: %d", path, len(self._entries))

    @property
    def identity(self) -> Identity:
        """Device and inode of the directory."""
        return self.directory.identity

    @contextmanager
    def begin(self) -> Iterator[Partial]:
        """Begin a new file and hold it while the ``with`` block works on it.

        Raises:
            StorageError: If too many files are under way.
            StoreClosedError: If the directory was closed.
            OSError: If the file cannot be made.
        """
        now = self._clock()
        with self._guard:
            due = self._expiry.is_due(now)
        if due:
            self.expire(now)
        file_id = str(uuid.uuid4())
        entry = _Entry()
        with self._working(), entry.lock:
            with self._guard:
                if len(self._entries) >= MAX_PARTIAL_FILES:
                    text = f"too many files are under way here ({MAX_PARTIAL_FILES}); try later"
                    raise StorageError(errno.EBUSY, text)
                self._entries[file_id] = entry
            try:
                entry.partial = Partial.create(self.directory, file_id)
            except BaseException:
                self.forget(file_id)
                raise
            yield entry.partial

    @contextmanager
    def resume(self, file_id: str) -> Iterator[Partial]:
        """Hold a file under way while the ``with`` block works on it.

        Raises:
            UnknownFileError: If there is no such file, or no longer.
            StorageError: If another request for the file takes too long.
            StoreClosedError: If the directory was closed.
            OSError: If a file left by a former process cannot be read.
        """
        with self._held(file_id) as entry:
            if entry.partial is None:
                entry.partial = Partial.reopen(self.directory, file_id)
            yield entry.partial

    def drop(self, file_id: str) -> int:
        """Give a file up, as soon as nobody works on it, and return how many segments it had.

        Raises:
            UnknownFileError: If there is no such file, or no longer.
            StorageError: If another request for the file takes too long.
            StoreClosedError: If the directory was closed.
        """
        with self._held(file_id) as entry:
            segments = (
                entry.partial.segments
                if entry.partial
                else partial.recorded_segments(self.directory, file_id)
            )
            self.forget(file_id)
            return segments

    def forget(self, file_id: str) -> None:
        """Remove what there is of a file; only for whoever holds it, once it is stored or given up.

        It raises nothing: what cannot be removed now is logged and expires.
        """
        partial.remove(self.directory, file_id)
        with self._guard:
            entry = self._entries.pop(file_id, None)
            if entry:
                entry.gone = True

    def expire(self, now: float) -> int:
        """Remove the files that were not written to for too long.

        Files that a request is working on at this moment are left out, as is everything in the
        directory that no store has made.

        Args:
            now: The time, as the clock tells it.

        Returns:
            The number of files removed.

        Raises:
            StoreClosedError: If the directory was closed.
            OSError: If the directory cannot be read.
        """
        with self._working():
            names = self.directory.names()
            own = {file_id for name in names if (file_id := partial.file_id_of(name))}
            removed = sum(self._expire_own(file_id, now) for file_id in sorted(own))
            return removed + sum(self._expire_legacy(name, now) for name in names)

    def close(self) -> None:
        """Wait for running requests, then let others use the directory; may be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after ``CLOSE_TIMEOUT``; the
                directory stays locked then.
        """
        with self._guard:
            self._closed = True
            if not self._guard.wait_for(lambda: self._running == 0, timeout=CLOSE_TIMEOUT):
                msg = f"{self._running} requests were still running after {CLOSE_TIMEOUT:g} seconds"
                raise TimeoutError(msg)
        self.directory.close()
        self._lock.release()

    @contextmanager
    def _held(self, file_id: str) -> Iterator[_Entry]:
        with self._working():
            with self._guard:
                entry = self._entries.get(file_id)
            if entry is None:
                raise _unknown(file_id)
            if not entry.lock.acquire(timeout=TURN_TIMEOUT):
                text = f"file {file_id!r} is busy with another segment"
                raise StorageError(errno.EBUSY, text)
            try:
                if entry.gone:
                    raise _unknown(file_id)
                yield entry
            finally:
                entry.lock.release()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Keep the directory from being closed."""
        with self._guard:
            if self._closed:
                msg = "the store is closed"
                raise StoreClosedError(msg)
            self._running += 1
        try:
            yield
        finally:
            with self._guard:
                self._running -= 1
                self._guard.notify_all()

    def _expire_own(self, file_id: str, now: float) -> bool:
        with self._guard:
            entry = self._entries.get(file_id)
        if entry is None:
            # Parts of a file that could not be removed when it ended.
            if not self._has_expired(file_id, now):
                return False
            partial.remove(self.directory, file_id)
            return True
        if not entry.lock.acquire(blocking=False):
            return False
        try:
            if not self._has_expired(file_id, now):
                return False
            logger.info("File %s was not gone on with and is given up", file_id)
            self.forget(file_id)
            return True
        finally:
            entry.lock.release()

    def _has_expired(self, file_id: str, now: float) -> bool:
        time = partial.last_write(self.directory, file_id)
        return time is not None and self._expiry.has_expired(time, now)

    def _expire_legacy(self, name: str, now: float) -> bool:
        time = legacy.last_write(self.directory, name)
        if time is None or not self._expiry.has_expired(time, now):
            return False
        logger.info("Leftover %s of an older version is removed", name)
        legacy.remove(self.directory, name)
        return True


def _locked(path: Path) -> FileLock:
    # Not bound to a thread: whichever thread closes the store gives the lock back.
    lock = FileLock(path / LOCK_NAME, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        msg = (
            f"the working directory {path} is in use by another file transfer service; "
            "stop it or choose another working directory"
        )
        raise WorkingDirectoryInUseError(msg) from error
    return lock


def _unknown(file_id: str) -> UnknownFileError:
    return UnknownFileError(f"no file with the id {file_id!r} is under way here")

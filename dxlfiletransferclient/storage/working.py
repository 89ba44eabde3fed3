"""All files under way in one working directory: locked, and each found by its id."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from dxlfiletransferclient.errors import WorkingDirectoryInUseError
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.storage import legacy, opening, partialnames
from dxlfiletransferclient.storage.checkpoints import CheckpointPolicy
from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Identity, open_directory
from dxlfiletransferclient.storage.expiry import Expiry
from dxlfiletransferclient.storage.home import Home
from dxlfiletransferclient.storage.journal import Metadata
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.places import Place, Places, unknown
from dxlfiletransferclient.storage.recovery import NoHistoryError

logger = logging.getLogger(__name__)

LOCK_NAME: Final = ".lock"
"""File in the working directory that is locked while a store uses it; it stays there."""

V1: Final = Metadata(version=1)
"""What is known of a file of version 1 before its end."""


def _tell_nobody(_file_id: str) -> None:
    """Do nothing."""


class WorkingDirectory:
    """The files under way, on disk and in memory.

    Files that a former process left are there again with their first request, and expire like all
    others when nothing was written to them for too long.

    Args:
        path: The directory; it must exist.
        expiry: When files are given up.
        clock: Returns the time as file systems know it (seconds since 1970).
        policy: How often files under way are flushed.
        on_gone: Is told the id of each file that is removed.

    Raises:
        WorkingDirectoryInUseError: If another store uses the directory.
        OSError: If it cannot be read, or no file be made in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        expiry: Expiry,
        clock: Callable[[], float],
        policy: CheckpointPolicy | None = None,
        on_gone: Callable[[str], object] = _tell_nobody,
    ) -> None:
        self._expiry = expiry
        self._clock = clock
        self._on_gone = on_gone
        self._looking = threading.Lock()
        # Not at the start: whoever waited for the service gets the time to go on.
        expiry.is_due(clock())
        self._lock = _locked(path)
        try:
            self.directory = open_directory(path)
            names = set(self.directory.names())
        except BaseException:
            self._lock.release()
            raise
        self._descriptors = Descriptors(self.directory)
        self._home = Home(self.directory, self._descriptors, policy or CheckpointPolicy())
        found = {file_id for name in names if (file_id := partialnames.file_id_of(name))}
        # Without its bytes, a journal only remembers that they were given their name.
        under_way = {each for each in found if partialnames.part_name(each) in names}
        ended = sorted(found - under_way, key=self._last_write)
        self._places = Places(under_way, ended)
        if under_way:
            logger.info("Files under way from before in %s: %d", path, len(under_way))

    def bytes_under_way(self) -> Iterator[tuple[str, int]]:
        """Yield the id of each file whose bytes are here, and how many they are.

        Raises:
            OSError: If the directory cannot be read.
        """
        for name in self.directory.names():
            file_id = partialnames.file_id_of(name)
            if file_id is not None and name == partialnames.part_name(file_id):
                with suppress(FileNotFoundError):
                    yield file_id, self.directory.lstat(name).st_size

    @property
    def identity(self) -> Identity:
        """Device and inode of the directory."""
        return self.directory.identity

    @contextmanager
    def begin(self) -> Iterator[Partial]:
        """Begin a new file of version 1 and hold it while the ``with`` block works on it.

        Raises:
            StorageError: If too many files are under way.
            StoreClosedError: If the directory was closed.
            OSError: If the file cannot be made.
        """
        self.expire_if_due(self._clock())
        with self.place(str(uuid.uuid4())) as place:
            yield self.fill(place, V1)

    @contextmanager
    def resume(self, file_id: str) -> Iterator[Partial]:
        """Hold a file under way while the ``with`` block works on it, and nobody else does.

        Raises:
            UnknownFileError: If there is no such file, or no longer.
            StorageError: If other requests for the file take too long.
            StoreClosedError: If the directory was closed.
            OSError: If a file left by a former process cannot be read.
        """
        places = self._places
        with places.open(), places.alone(places.known(file_id)) as place:
            yield self._loaded(place)

    @contextmanager
    def use(self, file_id: str) -> Iterator[Partial]:
        """Work on a file together with others.

        Raises:
            UnknownFileError: If there is no such file, or no longer.
            StorageError: If somebody works alone on the file for too long.
            StoreClosedError: If the directory was closed.
            OSError: If a file left by a former process cannot be read.
        """
        place, partial = self.enter(file_id)
        try:
            yield partial
        finally:
            self.leave(place, partial)

    def enter(self, file_id: str) -> tuple[Place, Partial]:
        """Begin to work on a file as :meth:`use` does, until :meth:`leave`."""
        joined = self._places.join(file_id)
        if joined is not None:
            return joined
        with self._places.open():
            place = self._places.known(file_id)
            with self._places.turn(place):
                partial = self._loaded(place)
                self._places.enter(place)
                return place, partial

    def leave(self, place: Place, partial: Partial) -> None:
        """Work on a file no more."""
        ended = partial.stored is not None
        self._places.leave(place, ended=ended)
        if ended:
            self._forget_oldest(place)

    @contextmanager
    def place(self, file_id: str) -> Iterator[Place]:
        """Hold the place of a file, whether there is one or not; nobody else works on it.

        Raises:
            UnknownFileError: If it was just removed: then the place can be had by trying again.
            StorageError: If other requests for the file take too long.
            StoreClosedError: If the directory was closed.
            OSError: If a file left by a former process cannot be read.
        """
        places = self._places
        with places.open(), places.alone(places.known_or_new(file_id)) as place:
            try:
                if place.partial is None and partialnames.exist(self.directory, file_id):
                    self._load(place)
                yield place
            finally:
                if place.partial is None:
                    places.vacate(place)
                elif place.partial.stored is not None:
                    place.partial = None

    def fill(self, place: Place, metadata: Metadata) -> Partial:
        """Begin a file in a place that is held and empty.

        Raises:
            StorageError: If too many files are under way.
            OSError: If the file cannot be made.
        """
        self._places.check_room()
        place.partial = opening.create(self._home, place.file_id, metadata)
        return place.partial

    def clear(self, place: Place) -> None:
        """Remove what there is of a file whose place is held; raises nothing."""
        self._remove(place.file_id)
        self._places.reuse(place)

    def drop(self, file_id: str) -> int:
        """Give a file up, as soon as nobody works on it, and return how many segments it had.

        Raises:
            UnknownFileError: If there is no such file, or no longer.
            StorageError: If other requests for the file take too long.
            StoreClosedError: If the directory was closed.
            OSError: If a file left by a former process cannot be read.
        """
        with self.resume(file_id) as partial:
            segments = partial.segments
            self.forget(file_id)
            return segments

    def forget(self, file_id: str) -> None:
        """Remove what there is of a file; only for whoever holds it, once it is stored or given up.

        It raises nothing: what cannot be removed now is logged and expires.
        """
        self._remove(file_id)
        if self._places.is_known(file_id):
            self._places.vacate(self._places.known(file_id))

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
        with self._places.open():
            names = self.directory.names()
            own = {file_id for name in names if (file_id := partialnames.file_id_of(name))}
            removed = sum(self._expire_own(file_id, now) for file_id in sorted(own))
            return removed + sum(self._expire_legacy(name, now) for name in names)

    def expire_if_due(self, now: float) -> int | None:
        """Do :meth:`expire` if that was not done lately; ``None`` if it was."""
        with self._looking:
            due = self._expiry.is_due(now)
        return self.expire(now) if due else None

    def checkpoint_if_due(self, now: float) -> None:
        """Flush the files for which it is time; what fails is logged.

        Raises:
            StoreClosedError: If the directory was closed.
        """
        with self._places.open():
            for place in self._places.loaded():
                with self._places.turn_now(place) as held:
                    # Whoever works alone on a file sees to that himself.
                    partial = place.partial
                    if partial is None or not held:
                        continue
                    self._places.enter(place)
                try:
                    _flushed(partial, lambda each: each.checkpoint_if_due(now))
                finally:
                    self.leave(place, partial)

    def stop(self) -> None:
        """Take no more requests and wait for those that are running; may be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after a long wait.
        """
        self._places.close()

    def close(self) -> None:
        """Wait for running requests and flush, then let others use the directory; may be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after a long wait; the directory
                stays locked then.
        """
        self.stop()
        for place in self._places.loaded():
            if place.partial is not None:
                _flushed(place.partial, Partial.checkpoint)
            self._places.vacate(place)
        self._descriptors.close()
        self.directory.close()
        self._lock.release()

    def _loaded(self, place: Place) -> Partial:
        if place.partial is None:
            self._load(place)
        if place.partial is None:
            self._places.vacate(place)
            raise unknown(place.file_id)
        return place.partial

    def _load(self, place: Place) -> None:
        try:
            place.partial = opening.reopen(self._home, place.file_id)
            if place.partial.stored is not None:
                self._on_gone(place.file_id)
        except (NoHistoryError, FileNotFoundError):
            logger.warning("Too little is left of file %s to go on with it", place.file_id)
            self._remove(place.file_id)

    def _forget_oldest(self, place: Place) -> None:
        """Let go of a file that was stored, and of the oldest such one if there are too many."""
        self._descriptors.forget(partialnames.journal_name(place.file_id))
        oldest = self._places.oldest_ended()
        if oldest is not None:
            with self._places.turn_now(oldest) as held:
                if held and not oldest.users:
                    self._remove(oldest.file_id)
                    self._places.vacate(oldest)

    def _remove(self, file_id: str) -> None:
        self._descriptors.forget(partialnames.part_name(file_id))
        self._descriptors.forget(partialnames.journal_name(file_id))
        partialnames.remove(self.directory, file_id)
        self._on_gone(file_id)

    def _expire_own(self, file_id: str, now: float) -> bool:
        if not self._has_expired(file_id, now):
            return False
        # New for parts of a file that could not be removed when it ended.
        place = self._places.known_or_new(file_id)
        with self._places.turn_now(place) as held:
            if not held or place.users:
                return False
            expired = self._has_expired(file_id, now)
            if expired:
                ended = self._places.has_ended(file_id)
                self._remove(file_id)
            if expired or not partialnames.exist(self.directory, file_id):
                self._places.vacate(place)
        if expired and not ended:
            logger.info("File %s was not gone on with and is given up", file_id)
        return expired

    def _last_write(self, file_id: str) -> float:
        return partialnames.last_write(self.directory, file_id) or 0.0

    def _has_expired(self, file_id: str, now: float) -> bool:
        time = partialnames.last_write(self.directory, file_id)
        return time is not None and self._expiry.has_expired(time, now)

    def _expire_legacy(self, name: str, now: float) -> bool:
        time = legacy.last_write(self.directory, name)
        if time is None or not self._expiry.has_expired(time, now):
            return False
        logger.info("Leftover %s of an older version is removed", name)
        legacy.remove(self.directory, name)
        return True


def _flushed(partial: Partial, flush: Callable[[Partial], None]) -> None:
    try:
        flush(partial)
    except (OSError, RefusedError):
        logger.exception("Could not flush file %s", partial.file_id)


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

"""Gives files their names: flush, rename, flush the directories; many files with one flush.

It happens in the flusher's thread, so that others are received meanwhile. Nothing has its name
before its bytes are safe, and nobody is told "stored" before its name is safe too.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.receiving.errors import TargetError, local_errors
from dxlfiletransferclient.receiving.publications import Publication
from dxlfiletransferclient.storage.directory import Directory, Identity
from dxlfiletransferclient.storage.flushing import ALL_AT_ONCE, FileSystem, Flusher

logger = logging.getLogger(__name__)

GROUP_SIZE: Final = 64
"""Files that get their names together.

More would save little, and each keeps up to two descriptors open until then.
"""

GROUP_BYTES: Final = 32 * 2**20
"""Bytes of files that get their names together: what one flush takes along is bounded so."""

GROUP_SECONDS: Final = 0.5
"""Seconds that a file waits for others to get its name with, while nothing else ends."""

MAX_GROUPS: Final = 2
"""Groups that wait for the flusher: where a disk is slower than the bus, receiving waits for it."""

Outcome = Result | Exception
Ended = Callable[[Outcome], object]
"""Is called, in the thread of :class:`Publisher`'s caller, with what became of a publication."""


@dataclass(frozen=True, slots=True)
class _Item:
    publication: Publication
    ended: Ended


class Publisher:
    """Collects what is ready into groups, and gives them to a flusher. For one thread.

    Args:
        flusher: Runs the groups, one at a time.
    """

    def __init__(self, flusher: Executor) -> None:
        self._flusher = flusher
        self._file_system = FileSystem()
        self._items: list[_Item] = []
        self._touched: list[Directory] = []
        self._bytes = 0
        self._since: float | None = None
        self._running: deque[tuple[list[_Item], Future[list[Outcome]]]] = deque()

    def touch(self, directory: Directory) -> None:
        """Have the names in a directory flushed with the next group."""
        if directory not in self._touched[-1:]:
            self._touched.append(directory)

    def add(self, publication: Publication, size: int, ended: Ended) -> None:
        """Take something that is ready.

        Args:
            publication: What it is.
            size: Its bytes.
            ended: Hears what became of it, once that is safe.
        """
        self._items.append(_Item(publication, ended))
        self._bytes += size
        count = len(self._items) + len(self._touched)
        if count >= GROUP_SIZE or self._bytes >= GROUP_BYTES:
            self._submit()
        while len(self._running) > MAX_GROUPS:
            self._hear_first()

    def tick(self, now: float) -> None:
        """Do what is due; call it some times per second.

        Args:
            now: The time in seconds, on any clock that never goes back.
        """
        while self._running and self._running[0][1].done():
            self._hear_first()
        if not self._items:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= GROUP_SECONDS:
            self._submit()

    def close(self) -> None:
        """Give everything its name that is ready, and wait for it."""
        if self._items or self._touched:
            self._submit()
        while self._running:
            self._hear_first()

    def _submit(self) -> None:
        items, touched = self._items, self._touched
        self._items, self._touched, self._bytes, self._since = [], [], 0, None
        publications = [item.publication for item in items]
        group = _Group(publications, touched, self._file_system)
        self._running.append((items, self._flusher.submit(group.run)))

    def _hear_first(self) -> None:
        items, future = self._running.popleft()
        try:
            outcomes = future.result()
        except Exception as error:
            logger.exception("A group of %d received files could not be stored", len(items))
            outcomes = [error] * len(items)
        for item, outcome in zip(items, outcomes, strict=True):
            item.ended(outcome)


class _Group:
    """Some publications that are flushed together."""

    def __init__(
        self,
        publications: Sequence[Publication],
        touched: Sequence[Directory],
        file_system: FileSystem,
    ) -> None:
        self._publications = publications
        self._touched = touched
        self._file_system = file_system
        self._failures: dict[int, Exception] = {}
        self._results: dict[int, Result] = {}

    def run(self) -> list[Outcome]:
        """Do everything; runs in the flusher's thread."""
        numbers = range(len(self._publications))
        try:
            self._each(numbers, lambda number: self._publications[number].prepare())
            self._flush_files()
            directories = self._directories()
            flushers = self._flushers(directories)
            try:
                self._each(numbers, self._publish)
                self._flush_directories(directories, flushers)
            finally:
                for flusher in flushers.values():
                    flusher.close()
        finally:
            for number, publication in enumerate(self._publications):
                self._clean_up(number, publication)
        return [self._failures.get(number) or self._results[number] for number in numbers]

    def _each(self, numbers: Iterable[int], step: Callable[[int], object]) -> None:
        for number in numbers:
            if number not in self._failures:
                try:
                    step(number)
                except OSError as error:
                    self._failures[number] = error

    def _publish(self, number: int) -> None:
        self._results[number] = self._publications[number].publish()

    def _flush_files(self) -> None:
        """Wait until all bytes are safe, file system by file system."""
        by_device: dict[int, list[int]] = {}
        for number, publication in enumerate(self._publications):
            if publication.descriptor is not None and number not in self._failures:
                device = publication.place.parent.identity[0]
                by_device.setdefault(device, []).append(number)
        for numbers in by_device.values():
            if len(numbers) < ALL_AT_ONCE or not self._flush_whole(numbers):
                self._each(numbers, self._flush_file)

    def _flush_whole(self, numbers: Sequence[int]) -> bool:
        # Files are opened before they are written, and the first one was opened first: what went
        # wrong with any of them is told to it.
        descriptor = self._publications[numbers[0]].descriptor
        try:
            return descriptor is not None and self._file_system.flush(descriptor)
        except OSError as error:
            logger.warning("A file system cannot be flushed as a whole: %s", error.strerror)
            return False

    def _flush_file(self, number: int) -> None:
        publication = self._publications[number]
        with local_errors("write", publication.place.path):
            if publication.descriptor is not None:
                os.fsync(publication.descriptor)

    def _directories(self) -> dict[Identity, Directory]:
        """Return all directories whose names change, each of them once."""
        parents = [publication.place.parent for publication in self._publications]
        return {directory.identity: directory for directory in (*self._touched, *parents)}

    def _flushers(self, directories: dict[Identity, Directory]) -> dict[int, Flusher]:
        """Open a flusher for each file system on which many directories change."""
        by_device: dict[int, list[Directory]] = {}
        for (device, _), directory in directories.items():
            by_device.setdefault(device, []).append(directory)
        return {
            device: Flusher(found[0], self._file_system)
            for device, found in by_device.items()
            if len(found) >= ALL_AT_ONCE
        }

    def _flush_directories(
        self, directories: dict[Identity, Directory], flushers: dict[int, Flusher]
    ) -> None:
        whole = {device for device, flusher in flushers.items() if self._flushed(flusher)}
        for identity, directory in directories.items():
            if identity[0] not in whole:
                self._flush_directory(identity, directory)

    @staticmethod
    def _flushed(flusher: Flusher) -> bool:
        try:
            return flusher.everything()
        except OSError as error:
            logger.warning("A file system cannot be flushed as a whole: %s", error.strerror)
            return False

    def _flush_directory(self, identity: Identity, directory: Directory) -> None:
        try:
            directory.sync()
        except OSError as error:
            logger.warning("A directory cannot be flushed: %s", error.strerror)
            for number, publication in enumerate(self._publications):
                place = publication.place
                if place.parent.identity == identity and number not in self._failures:
                    text = f"cannot make the name of {place.path} safe: {error.strerror}"
                    self._failures[number] = TargetError(error.errno or 0, text)

    def _clean_up(self, number: int, publication: Publication) -> None:
        try:
            publication.clean_up(published=number in self._results)
        except OSError:
            logger.warning("Could not clean up", exc_info=True)

"""Who works on which file under way: several together, or one alone. Knows no disk."""

import errno
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dxlfiletransferclient.errors import StorageError, StoreClosedError, UnknownFileError

if TYPE_CHECKING:
    from dxlfiletransferclient.storage.partial import Partial

MAX_PARTIAL_FILES: Final = 10_000
"""Files that may be under way at once.

Each costs some kilobytes of memory and two files on disk. It is far above what a service has to do
and bounds what a sender can cost that begins files and never ends them.
"""

MAX_ENDED_FILES: Final = 10_000
"""Stored files whose journals are kept, so that whoever missed the answer may ask again.

Each costs some hundred bytes of memory and a small file on disk; beyond, the oldest are forgotten.
A sender asks again within a minute, or after its own restart.
"""

TURN_TIMEOUT: Final = 25.0
"""Seconds a request waits while another one for the same file is carried out.

Senders give up after 30 seconds, so waiting longer would help nobody.
"""

CLOSE_TIMEOUT: Final = 30.0
"""Seconds that closing waits for requests that are being carried out.

One request writes a segment of a megabyte at most, or flushes the rest of a file.
"""


class Place:
    """Room for one file.

    Attributes:
        file_id: Id of the file.
        partial: The file, once it was begun or read.
        lock: Held by whoever works alone, and for a moment by whoever comes to work with others.
        users: How many work together.
        gone: Whether it is no longer known; another place may have its id.
    """

    __slots__ = ("file_id", "gone", "lock", "partial", "users")

    def __init__(self, file_id: str) -> None:
        self.file_id = file_id
        self.partial: Partial | None = None
        self.lock = threading.Lock()
        self.users = 0
        self.gone = False


class Places:
    """All places, for several threads.

    Args:
        under_way: Ids of files that are under way from before.
        ended: Ids of those that were stored, the oldest first.
    """

    def __init__(self, under_way: Iterable[str], ended: Iterable[str]) -> None:
        self._ended = OrderedDict.fromkeys(ended)
        self._places = {file_id: Place(file_id) for file_id in (*under_way, *self._ended)}
        # Taken by itself where nobody is waited for, without the condition around it.
        self._lock = threading.RLock()
        self._guard = threading.Condition(self._lock)
        self._running = 0
        self._closed = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep everything from being closed for the length of a ``with`` block.

        Raises:
            StoreClosedError: If it was closed.
        """
        with self._lock:
            self._check_open()
            self._running += 1
        try:
            yield
        finally:
            with self._guard:
                self._running -= 1
                self._guard.notify_all()

    def close(self) -> None:
        """Let nobody begin, and wait for those who have; may be repeated.

        Raises:
            TimeoutError: If that takes longer than ``CLOSE_TIMEOUT``.
        """
        with self._guard:
            self._closed = True
            if not self._guard.wait_for(lambda: self._running == 0, timeout=CLOSE_TIMEOUT):
                msg = f"{self._running} requests were still running after {CLOSE_TIMEOUT:g} seconds"
                raise TimeoutError(msg)

    def known(self, file_id: str) -> Place:
        """Return the place of a file.

        Raises:
            UnknownFileError: If it has none.
        """
        with self._guard:
            place = self._places.get(file_id)
        if place is None:
            raise unknown(file_id)
        return place

    def known_or_new(self, file_id: str) -> Place:
        """Return the place of a file; a new one if it has none."""
        with self._guard:
            return self._places.setdefault(file_id, Place(file_id))

    def loaded(self) -> list[Place]:
        """Return the places whose files are in memory."""
        with self._guard:
            return [place for place in self._places.values() if place.partial is not None]

    def is_known(self, file_id: str) -> bool:
        """Whether a file has a place."""
        with self._guard:
            return file_id in self._places

    def has_ended(self, file_id: str) -> bool:
        """Whether all there is of a file is the memory that it was stored."""
        with self._guard:
            return file_id in self._ended

    def check_room(self) -> None:
        """Check that no more files are under way than may be.

        Raises:
            StorageError: If there are.
        """
        with self._guard:
            under_way = len(self._places) - len(self._ended)
        if under_way > MAX_PARTIAL_FILES:
            text = f"too many files are under way here ({MAX_PARTIAL_FILES}); try later"
            raise StorageError(errno.EBUSY, text)

    @contextmanager
    def turn(self, place: Place) -> Iterator[None]:
        """Hold the lock of a place.

        Raises:
            UnknownFileError: If it is gone.
            StorageError: If somebody else holds it for too long.
        """
        if not place.lock.acquire(timeout=TURN_TIMEOUT):
            raise _busy(place.file_id)
        try:
            if place.gone:
                raise unknown(place.file_id)
            yield
        finally:
            place.lock.release()

    @contextmanager
    def alone(self, place: Place) -> Iterator[Place]:
        """Hold the lock of a place while nobody else works there.

        Raises:
            UnknownFileError: If it is gone.
            StorageError: If others work there for too long.
        """
        with self.turn(place):
            with self._guard:
                if not self._guard.wait_for(lambda: place.users == 0, timeout=TURN_TIMEOUT):
                    raise _busy(place.file_id)
            yield place

    @contextmanager
    def turn_now(self, place: Place) -> Iterator[bool]:
        """Hold the lock of a place if that needs no waiting; tells whether it is held."""
        if not place.lock.acquire(blocking=False):
            yield False
            return
        try:
            yield not place.gone
        finally:
            place.lock.release()

    def join(self, file_id: str) -> "tuple[Place, Partial] | None":
        """Begin to work with others, if nothing has to be waited for; :meth:`leave` has to follow.

        Returns:
            The place and its file; ``None`` if the file is not in memory, or somebody works alone
            on it.

        Raises:
            StoreClosedError: If everything was closed.
            UnknownFileError: If there is no such file, or no longer.
        """
        with self._lock:
            self._check_open()
            place = self._places.get(file_id)
            if place is None:
                raise unknown(file_id)
            if not place.lock.acquire(blocking=False):
                return None
            partial = place.partial
            if partial is not None:
                self.enter(place)
            place.lock.release()
            return None if partial is None else (place, partial)

    def enter(self, place: Place) -> None:
        """Begin to work with others; only for whoever holds the lock. :meth:`leave` has to follow.

        Until then nobody works alone there, and nothing is closed.
        """
        with self._lock:
            place.users += 1
            self._running += 1

    def leave(self, place: Place, *, ended: bool) -> None:
        """Work with others no more.

        Args:
            place: The place.
            ended: Whether the file was stored: then it need not be in memory once all have left.
        """
        with self._lock:
            place.users -= 1
            self._running -= 1
            if ended and not place.users and not place.gone:
                place.partial = None
                self._ended[place.file_id] = None
            # Whoever wants to work alone holds the lock of the place while he waits.
            if self._closed or place.lock.locked():
                self._guard.notify_all()

    def oldest_ended(self) -> Place | None:
        """Return the place of the stored file to be forgotten, if there are too many of them."""
        with self._guard:
            if len(self._ended) <= MAX_ENDED_FILES:
                return None
            return self._places[next(iter(self._ended))]

    def reuse(self, place: Place) -> None:
        """Note that the file in a place is a new one; only for whoever works alone there."""
        with self._guard:
            place.partial = None
            self._ended.pop(place.file_id, None)

    def vacate(self, place: Place) -> None:
        """Let a place be gone; only for whoever works alone there, or for all at the end."""
        with self._guard:
            place.gone = True
            if self._places.get(place.file_id) is place:
                del self._places[place.file_id]
                self._ended.pop(place.file_id, None)

    def _check_open(self) -> None:
        if self._closed:
            msg = "the store is closed"
            raise StoreClosedError(msg)


def _busy(file_id: str) -> StorageError:
    return StorageError(errno.EBUSY, f"file {file_id!r} is busy with another request; try later")


def unknown(file_id: str) -> UnknownFileError:
    """Return the error that a file is not under way."""
    return UnknownFileError(f"no file with the id {file_id!r} is under way here")

"""The usual way to work on a file under way: together with others, while nobody works alone."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dxlfiletransferclient.errors import StoreClosedError
from dxlfiletransferclient.storage.places import Place, Places, unknown

if TYPE_CHECKING:
    from dxlfiletransferclient.storage.partial import Partial


class SharedPlaces(Places):
    """Places that one look is enough to enter, and another one to leave, for several threads.

    Who has entered keeps the place from whoever wants to work alone, and everything from being
    closed.

    Args:
        under_way: As for :class:`~.places.Places`.
        ended: As there.
    """

    def __init__(self, under_way: Iterable[str], ended: Iterable[str]) -> None:
        super().__init__(under_way, ended)
        # Taken by itself where nobody is waited for, without the condition around it.
        self._lock = threading.RLock()
        self._guard = threading.Condition(self._lock)

    def join(self, file_id: str) -> "tuple[Place, Partial] | None":
        """Begin to work with others, if nothing has to be waited for; :meth:`part` has to follow.

        Returns:
            The place and its file; ``None`` if the file is not in memory, or somebody works alone
            on it.

        Raises:
            StoreClosedError: If everything was closed.
            UnknownFileError: If there is no such file, or no longer.
        """
        with self._lock:
            if self._closed:
                msg = "the store is closed"
                raise StoreClosedError(msg)
            place = self._places.get(file_id)
            if place is None:
                raise unknown(file_id)
            if not place.lock.acquire(blocking=False):
                return None
            partial = place.partial
            if partial is not None:
                place.users += 1
                self._running += 1
            place.lock.release()
            return None if partial is None else (place, partial)

    def admit(self, place: Place) -> None:
        """Begin to work with others, for whoever holds the lock; :meth:`part` has to follow."""
        with self._lock:
            place.users += 1
            self._running += 1

    def part(self, place: Place, *, ended: bool) -> None:
        """Work with others no more.

        Args:
            place: The place.
            ended: Whether the file was stored; see :meth:`leave`.
        """
        with self._lock:
            self._running -= 1
            # Whoever wants to work alone holds the lock of the place while he waits.
            if ended or self._closed or place.lock.locked():
                self.leave(place, ended=ended)
            else:
                place.users -= 1

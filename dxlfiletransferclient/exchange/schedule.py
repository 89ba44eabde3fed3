"""Things in order of a number. No input or output."""

import heapq
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MOST_STALE: Final = 64
"""Entries of things that are gone which are kept in any case: clearing away fewer is not worth it.
They keep what they are about in memory."""


class Schedule(Generic[T]):
    """Things in order of a number each, and among equal ones in order of their coming.

    Adding, removing and looking for the first cost about the same however many there are.

    Example:
        >>> schedule = Schedule[str]()
        >>> schedule.add("late", 5.0)
        >>> schedule.add("early", 1.0)
        >>> schedule.first
        (1.0, 'early')
        >>> schedule.remove("early")
        >>> schedule.first, len(schedule), "early" in schedule
        ((5.0, 'late'), 1, False)
    """

    __slots__ = ("_entries", "_live", "_number", "_stale")

    def __init__(self) -> None:
        # A heap, whose first entry is never one of something that is gone.
        self._entries: list[tuple[float, int, T]] = []
        self._live: dict[T, int] = {}
        self._number = 0
        self._stale = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, thing: object) -> bool:
        return thing in self._live

    @property
    def first(self) -> tuple[float, T] | None:
        """The smallest number and what has it; ``None`` if there is nothing."""
        if not self._entries:
            return None
        key, _, thing = self._entries[0]
        return key, thing

    def add(self, thing: T, key: float) -> None:
        """Put something in, unless it is; equal things are the same.

        Args:
            thing: What to put in.
            key: Its number; not to be NaN.
        """
        if thing not in self._live:
            self._number += 1
            self._live[thing] = self._number
            heapq.heappush(self._entries, (key, self._number, thing))

    def remove(self, thing: T) -> None:
        """Take something out, if it is in.

        Its entry stays where it is until it comes first, or there are more such than others.
        """
        if thing not in self._live:
            return
        number = self._live.pop(thing)
        if self._entries[0][1] == number:
            heapq.heappop(self._entries)
            while self._stale and self._is_stale(self._entries[0]):
                heapq.heappop(self._entries)
                self._stale -= 1
            return
        self._stale += 1
        if self._stale > len(self._live) + _MOST_STALE:
            self._entries = [each for each in self._entries if not self._is_stale(each)]
            heapq.heapify(self._entries)
            self._stale = 0

    def _is_stale(self, entry: tuple[float, int, T]) -> bool:
        return self._live.get(entry[2]) != entry[1]

"""Things in order of a number. No input or output."""

import heapq
import itertools
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

    __slots__ = ("_entries", "_live", "_numbers")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._live: dict[T, int] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, thing: object) -> bool:
        return thing in self._live

    @property
    def first(self) -> tuple[float, T] | None:
        """The smallest number and what has it; ``None`` if there is nothing."""
        while self._entries:
            key, number, thing = self._entries[0]
            if self._live.get(thing) == number:
                return key, thing
            heapq.heappop(self._entries)
        return None

    def add(self, thing: T, key: float) -> None:
        """Put something in, unless it is; equal things are the same.

        Args:
            thing: What to put in.
            key: Its number; not to be NaN.
        """
        if thing not in self._live:
            number = self._live[thing] = next(self._numbers)
            heapq.heappush(self._entries, (key, number, thing))

    def remove(self, thing: T) -> None:
        """Take something out, if it is in.

        Its entry stays where it is until it comes first, or there are more such than others.
        """
        if self._live.pop(thing, None) is None:
            return
        if len(self._entries) > 2 * len(self._live) + _MOST_STALE:
            self._entries = [each for each in self._entries if self._live.get(each[2]) == each[1]]
            heapq.heapify(self._entries)

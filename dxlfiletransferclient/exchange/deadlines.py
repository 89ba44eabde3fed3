"""When to give up waiting for answers, which come in order as a rule. No input or output."""

import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

from dxlfiletransferclient.exchange.schedule import Schedule

T = TypeVar("T", bound=Hashable)

_NEVER: Final = (-math.inf, -math.inf)


_Flight = tuple[float, float, int]
"""How something was sent: when, for how many seconds it is waited for, and as which."""


class Deadlines(Generic[T]):
    """What is in flight, and until when each is waited for.

    As long as what was sent before something is being answered, that is only waiting its turn: its
    time begins with the last answer. Once it was overtaken, its time begins when it was sent.

    A call costs what it changes, however much is in flight: each thing moves on twice at most, and
    only when somebody asks for the end of the first one.
    """

    def __init__(self) -> None:
        self._flights: dict[T, _Flight] = {}
        self._number = 0
        # What was sent after the last answer came, and what was sent before it and not overtaken,
        # both in the order of sending.
        self._fresh: OrderedDict[T, None] = OrderedDict()
        self._queued: OrderedDict[T, None] = OrderedDict()
        # The queued by their seconds, since what these count from moves on; all others by the end.
        self._by_timeout: Schedule[T] = Schedule()
        self._by_end: Schedule[T] = Schedule()
        self._front = _NEVER
        # Nothing is overdue before that time. It may be too early, and never too late.
        self._safe_until = math.inf

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._flights))

    def restart(self) -> None:
        """Forget which answers have come; nothing may be in flight."""
        self._front = _NEVER

    def add(self, thing: T, at: float, timeout: float) -> None:
        """Wait for something.

        Args:
            thing: What.
            at: When it was sent: not before anything else was, nor before the last answer came.
            timeout: Seconds to wait for it.
        """
        self._number += 1
        self._flights[thing] = at, timeout, self._number
        self._fresh[thing] = None
        end = at + timeout
        self._by_end.add(thing, end)
        if end < self._safe_until:
            self._safe_until = end

    def remove(self, thing: T) -> None:
        """Wait no more for something."""
        del self._flights[thing]
        if thing in self._queued:
            del self._queued[thing]
            self._by_timeout.remove(thing)
            return
        if thing in self._fresh:
            del self._fresh[thing]
        self._by_end.remove(thing)

    def answered(self, at: float, now: float) -> None:
        """Note that an answer has come now to what was sent at a time."""
        front = at, now
        if front <= self._front:
            return
        self._front = front
        if self._queued and self._flights[next(iter(self._queued))][0] < at:
            # What is overtaken need not be waited for as long as before.
            self._safe_until = -math.inf

    def due(self) -> float:
        """When something is waited for no more; infinite for never."""
        first = self._first()
        return math.inf if first is None else first[0]

    def overdue(self, now: float) -> list[T]:
        """Take out what was waited for long enough, and return it in the order of sending."""
        found: dict[T, _Flight] = {}
        while now >= self._safe_until:
            first = self._first()
            self._safe_until = math.inf if first is None else first[0]
            if first is not None and first[0] <= now:
                found[first[1]] = self._flights[first[1]]
                self.remove(first[1])
        return sorted(found, key=lambda thing: found[thing][2]) if found else []

    def _sort(self) -> None:
        """Move on what is not fresh any more, or was overtaken, since the last time."""
        asked, heard = self._front
        for thing in self._sent_before(heard, self._fresh):
            self._by_end.remove(thing)
            self._by_timeout.add(thing, self._flights[thing][1])
            self._queued[thing] = None
        for thing in self._sent_before(asked, self._queued):
            at, timeout, _ = self._flights[thing]
            self._by_timeout.remove(thing)
            self._by_end.add(thing, at + timeout)

    def _sent_before(self, time: float, things: OrderedDict[T, None]) -> list[T]:
        """Take out the first of some things in the order of sending."""
        found: list[T] = []
        while things and self._flights[first := next(iter(things))][0] < time:
            del things[first]
            found.append(first)
        return found

    def _first(self) -> tuple[float, T] | None:
        """Return what is waited for no more first, and from when on."""
        self._sort()
        queued, other = self._by_timeout.first, self._by_end.first
        if queued is not None:
            queued = self._front[1] + queued[0], queued[1]
        if queued is None or other is None:
            return queued or other
        return other if other[0] <= queued[0] else queued

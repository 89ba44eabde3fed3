"""What waits to be sent, for its time or for room. No input or output."""

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from dxlfiletransferclient.exchange.schedule import Schedule

T = TypeVar("T", bound=Hashable)


class WaitingLine(Generic[T]):
    """A line of things to be sent, each of which takes some room, and may have to wait for a time.

    What takes room does not pass what came before it and finds none; what takes none passes.
    A call costs what it changes, however many things wait.

    Attributes:
        cost: The room that all of them take.
    """

    def __init__(self) -> None:
        self.cost = 0
        # What each takes, its place in the line, and which of the schedules it is in.
        self._entries: dict[T, tuple[int, int, Schedule[T]]] = {}
        self._place = 0
        self._later: Schedule[T] = Schedule()
        self._called_at = math.inf
        """When the first of the later ones may be sent."""
        # What may be sent, by its place in the line.
        self._costly: Schedule[T] = Schedule()
        self._free: Schedule[T] = Schedule()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, thing: object) -> bool:
        return thing in self._entries

    def add(self, thing: T, cost: int, not_before: float = -math.inf) -> None:
        """Have something wait; if it does already, it keeps its place.

        Args:
            thing: What.
            cost: The room that it takes.
            not_before: From when on it may be sent.
        """
        if thing in self._entries:
            cost, place, _ = self._entries[thing]
            self.remove(thing)
        else:
            self._place += 1
            place = self._place
        self.cost += cost
        if not_before > -math.inf:
            self._entries[thing] = cost, place, self._later
            self._later.add(thing, not_before)
            self._called_at = min(self._called_at, not_before)
        else:
            self._line_up(thing, cost, place)

    def remove(self, thing: T) -> None:
        """Have something wait no more, if it does."""
        if thing in self._entries:
            cost, _, schedule = self._entries.pop(thing)
            self.cost -= cost
            schedule.remove(thing)
            if schedule is self._later:
                self._look_at_later()

    def ready(self, now: float, fits: Callable[[int], bool]) -> Iterator[T]:
        """Yield what is to be sent now, each after the one before has been; one that stays ends it.

        Args:
            now: The time.
            fits: Whether there is so much room at the moment.
        """
        if now >= self._called_at:
            self._call_up(now)
        while self._entries and (thing := self._next(fits)) is not None:
            yield thing
            if thing in self._entries:
                return

    def due(self, now: float) -> float:
        """When the next one may be sent that has to wait for its time; infinite for never."""
        if now >= self._called_at:
            self._call_up(now)
        return self._called_at

    def _next(self, fits: Callable[[int], bool]) -> T | None:
        costly, free = self._costly.first, self._free.first
        if costly is not None and fits(self._entries[costly[1]][0]):
            return costly[1] if free is None or costly < free else free[1]
        # Small ones do not pass a large one, or they would do so for ever.
        return None if free is None else free[1]

    def _call_up(self, now: float) -> None:
        """Let those line up whose time has come."""
        while (first := self._later.first) is not None and first[0] <= now:
            self._later.remove(first[1])
            cost, place, _ = self._entries[first[1]]
            self._line_up(first[1], cost, place)
        self._look_at_later()

    def _look_at_later(self) -> None:
        first = self._later.first
        self._called_at = math.inf if first is None else first[0]

    def _line_up(self, thing: T, cost: int, place: int) -> None:
        schedule = self._costly if cost else self._free
        self._entries[thing] = cost, place, schedule
        schedule.add(thing, place)

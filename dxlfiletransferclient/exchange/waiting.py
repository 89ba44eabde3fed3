"""What waits to be sent, for its time or for room. No input or output."""

import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dxlfiletransferclient.exchange.schedule import Schedule

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Entry:
    cost: int
    place: int


class WaitingLine(Generic[T]):
    """A line of things to be sent, each of which takes some room, and may have to wait for a time.

    What takes room does not pass what came before it and finds none; what takes none passes.
    A call costs what it changes, however many things wait.
    """

    def __init__(self) -> None:
        self._entries: dict[T, _Entry] = {}
        self._places = itertools.count()
        self._cost = 0
        self._later: Schedule[T] = Schedule()
        # What may be sent, by its place in the line.
        self._costly: Schedule[T] = Schedule()
        self._free: Schedule[T] = Schedule()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, thing: object) -> bool:
        return thing in self._entries

    @property
    def cost(self) -> int:
        """The room that all of them take."""
        return self._cost

    def add(self, thing: T, cost: int, not_before: float = -math.inf) -> None:
        """Have something wait; if it does already, it keeps its place.

        Args:
            thing: What.
            cost: The room that it takes.
            not_before: From when on it may be sent.
        """
        entry = self._entries.get(thing) or _Entry(cost, next(self._places))
        self.remove(thing)
        self._entries[thing] = entry
        self._cost += entry.cost
        if not_before > -math.inf:
            self._later.add(thing, not_before)
        else:
            self._line_up(thing)

    def remove(self, thing: T) -> None:
        """Have something wait no more, if it does."""
        entry = self._entries.pop(thing, None)
        if entry is not None:
            self._cost -= entry.cost
            for schedule in (self._later, self._costly, self._free):
                schedule.remove(thing)

    def ready(self, now: float, fits: Callable[[int], bool]) -> Iterator[T]:
        """Yield what is to be sent now, each after the one before has been; one that stays ends it.

        Args:
            now: The time.
            fits: Whether there is so much room at the moment.
        """
        self._call_up(now)
        while (thing := self._next(fits)) is not None:
            yield thing
            if thing in self._entries:
                return

    def due(self, now: float) -> float:
        """When the next one may be sent that has to wait for its time; infinite for never."""
        self._call_up(now)
        first = self._later.first
        return math.inf if first is None else first[0]

    def _next(self, fits: Callable[[int], bool]) -> T | None:
        costly, free = self._costly.first, self._free.first
        if costly is not None and fits(self._entries[costly[1]].cost):
            return costly[1] if free is None or costly < free else free[1]
        # Small ones do not pass a large one, or they would do so for ever.
        return None if free is None else free[1]

    def _call_up(self, now: float) -> None:
        """Let those line up whose time has come."""
        while (first := self._later.first) is not None and first[0] <= now:
            self._later.remove(first[1])
            self._line_up(first[1])

    def _line_up(self, thing: T) -> None:
        entry = self._entries[thing]
        schedule = self._costly if entry.cost else self._free
        schedule.add(thing, entry.place)

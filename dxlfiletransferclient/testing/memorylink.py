"""The client's connection on a memory bus: takes messages across, or does not."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.testing.faults import Dice, Direction, Harm
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferclient.testing.timeline import Timeline
from dxlfiletransferclient.testing.traffic import Event, LogEntry, TrafficLog

_STAMP: Final = {"dxl.certs": "00;00"}
"""A field as brokers add it to every message on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message without what it carries.

    Attributes:
        token: Which request it is, or answers.
        name: What it is counted as: its verb, ``registry`` or ``other``.
        direction: Which way it goes.
        topic: The topic of the request.
        service: The other side; ``None`` if that is a broker.
        connection: Which connection of that service it goes over.
        refusal: Whether it is an error.
    """

    token: int
    name: str
    direction: Direction
    topic: str
    service: MemoryService | None
    connection: int
    refusal: bool = False

    @property
    def service_id(self) -> str:
        """The id of the other side; empty if that is a broker."""
        return self.service.service_id if self.service else ""

    @property
    def is_cut_off(self) -> bool:
        """Whether the service has lost the connection that this goes over."""
        service = self.service
        return service is not None and (not service.alive or service.connection != self.connection)


@dataclass(slots=True)
class _Trigger:
    name: str
    direction: Direction
    action: Callable[[], object]
    skip: int


@dataclass(slots=True)
class _Lane:
    """One direction."""

    free_at: float = 0.0
    last_arrival: float = 0.0


class MemoryLink:
    """Takes messages across in virtual time. Not for several threads.

    Args:
        timeline: The time.
        dice: What goes wrong.
        log: Where everything is written down.
        bandwidth: Bytes per second in each direction; ``None`` for no limit.
    """

    def __init__(
        self, timeline: Timeline, dice: Dice, log: TrafficLog, bandwidth: float | None
    ) -> None:
        self._timeline = timeline
        self._dice = dice
        self._log = log
        self._bandwidth = bandwidth
        self._lanes = {direction: _Lane() for direction in Direction}
        self._triggers: list[_Trigger] = []
        # Messages under way for each token that is waited for: with the last one of them, nothing
        # can come any more, and it is forgotten.
        self._awaited: Counter[int] = Counter()
        self._connection = 0
        self._away_until = 0.0

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._timeline.now >= self._away_until

    def awaits(self, token: int) -> bool:
        """Whether an answer is still waited for."""
        return token in self._awaited

    def forget(self, token: int | None = None) -> None:
        """Wait no more for an answer, or for any at all."""
        if token is None:
            self._awaited.clear()
        else:
            del self._awaited[token]

    def cut(self, seconds: float) -> None:
        """Lose the connection and all that is in flight, for some seconds."""
        self._connection += 1
        self._awaited.clear()
        self._away_until = max(self._away_until, self._timeline.now + seconds)
        # An event, so that a wait ends when the connection is back.
        self._timeline.at(self._away_until, lambda: None)

    def trigger(
        self, name: str, direction: Direction, action: Callable[[], object], skip: int
    ) -> None:
        """Do something once, just before a message arrives; see :meth:`MemoryBus.when`."""
        self._triggers.append(_Trigger(name, direction, action, skip))

    def send(
        self, letter: Letter, parcel: Parcel, size: int, arrived: Callable[[Parcel], None]
    ) -> None:
        """Send a message.

        Args:
            letter: The message.
            parcel: What it carries.
            size: Bytes that it takes of the bandwidth.
            arrived: Called with what it carries then, each time that it arrives.
        """
        harms = self._dice.harms(letter.name, letter.direction)
        self._note(Event.SENT, letter, parcel)
        if Harm.CORRUPT in harms and letter.service is not None:
            parcel = self._dice.corrupted(parcel)
        parcel = Parcel({**_STAMP, **parcel.fields}, parcel.payload)
        times = self._arrivals(letter.direction, size, harms)
        if not times:
            self._note(Event.LOST, letter, parcel)
        for time in times:
            if letter.direction is Direction.REQUEST or letter.token in self._awaited:
                self._awaited[letter.token] += 1
            arrival = partial(self._arrive, letter, parcel, self._connection, arrived)
            self._timeline.at(time, arrival)
        if Harm.CUT in harms:
            self.cut(self._dice.faults.cut_seconds)

    def _arrivals(self, direction: Direction, size: int, harms: frozenset[Harm]) -> list[float]:
        lane = self._lanes[direction]
        lane.free_at = max(lane.free_at, self._timeline.now)
        if self._bandwidth is not None:
            lane.free_at += size / self._bandwidth
        times: list[float] = []
        for _ in range(2 if Harm.DUPLICATE in harms else 1):
            lane.last_arrival = max(lane.free_at + self._dice.delay(), lane.last_arrival)
            late = self._dice.lateness() if Harm.REORDER in harms else 0.0
            times.append(lane.last_arrival + late)
        return [] if Harm.LOSE in harms else times

    def _arrive(
        self, letter: Letter, parcel: Parcel, connection: int, arrived: Callable[[Parcel], None]
    ) -> None:
        self._pull_triggers(letter)
        lost = connection != self._connection or letter.is_cut_off
        self._note(Event.LOST if lost else Event.DELIVERED, letter, parcel)
        if not lost:
            arrived(parcel)
        if letter.token in self._awaited and connection == self._connection:
            self._awaited[letter.token] -= 1
            if not self._awaited[letter.token]:
                del self._awaited[letter.token]

    def _pull_triggers(self, letter: Letter) -> None:
        for trigger in list(self._triggers):
            if (trigger.name, trigger.direction) != (letter.name, letter.direction):
                continue
            if trigger.skip:
                trigger.skip -= 1
            else:
                self._triggers.remove(trigger)
                trigger.action()

    def _note(self, event: Event, letter: Letter, parcel: Parcel) -> None:
        entry = LogEntry(
            time=self._timeline.now,
            event=event,
            direction=letter.direction,
            name=letter.name,
            service_id=letter.service_id,
            payload=len(parcel.payload),
            refusal=letter.refusal,
        )
        self._log.add(entry)

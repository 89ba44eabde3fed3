"""What may happen to a message on its way, and the dice that decide it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from dxlfiletransferclient.protocol.parcels import Parcel

_LATE: Final = (0.01, 0.5)
"""Seconds by which a message is held back so that later ones overtake it."""

_BITS: Final = 8


class Direction(StrEnum):
    """Which way a message goes."""

    REQUEST = "request"
    """From the client to a service or broker."""

    ANSWER = "answer"
    """Back to the client."""


class Harm(StrEnum):
    """One thing that may happen to a message."""

    LOSE = "lose"
    """It never arrives."""

    DUPLICATE = "duplicate"
    """It arrives twice."""

    REORDER = "reorder"
    """It is held back, and later ones overtake it."""

    CORRUPT = "corrupt"
    """One bit of a field's value or of the payload is flipped."""

    CUT = "cut"
    """The client's connection is lost, and all that is in flight with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong on a :class:`~.memorybus.MemoryBus` by chance.

    Each probability (0 to 1) is for one message in one direction, and independent of the others.

    Attributes:
        lose: That it never arrives.
        duplicate: That it arrives twice.
        reorder: That it is held back for 10 to 500 milliseconds.
        corrupt: That one bit of it is flipped. Messages to and from brokers are spared: they carry
            no digest, so nobody could tell.
        cut: That the connection is lost when it is sent.
        cut_seconds: Seconds until a lost connection is back.
        delay: Least and most seconds that a message is on its way; those that are not held back
            arrive in the order in which they were sent.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> Faults(lose=0.05, corrupt=0.01).harms
        (<Harm.LOSE: 'lose'>, <Harm.CORRUPT: 'corrupt'>)
    """

    lose: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    cut: float = 0.0
    cut_seconds: float = 1.0
    delay: tuple[float, float] = (0.001, 0.005)

    def __post_init__(self) -> None:
        for harm in Harm:
            if not 0 <= self.chance_of(harm) <= 1:
                raise ValueError(f"{harm.value!r} must be a probability from 0 to 1")
        if self.cut_seconds < 0 or not 0 <= self.delay[0] <= self.delay[1]:
            raise ValueError("'cut_seconds' and 'delay' must be 0 or more, 'delay' rising")

    @property
    def harms(self) -> Sequence[Harm]:
        """What can happen at all."""
        return tuple(harm for harm in Harm if self.chance_of(harm))

    def chance_of(self, harm: Harm) -> float:
        """Return how probable a harm is."""
        chances = {
            Harm.LOSE: self.lose,
            Harm.DUPLICATE: self.duplicate,
            Harm.REORDER: self.reorder,
            Harm.CORRUPT: self.corrupt,
            Harm.CUT: self.cut,
        }
        return chances[harm]


@dataclass(slots=True)
class PlannedHarm:
    """A harm that a test has ordered for certain messages.

    Attributes:
        name: The verb of the messages.
        direction: Which way they go.
        harm: What happens to them.
        skip: Messages that pass before.
        count: Messages that it happens to.
    """

    name: str
    direction: Direction
    harm: Harm
    skip: int
    count: int

    def meets(self, name: str, direction: Direction) -> bool:
        """Whether this message is one of them; each message must be shown once."""
        if not self.count or (name, direction) != (self.name, self.direction):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.count -= 1
        return True


@dataclass(slots=True)
class Dice:
    """Decides what becomes of each message; the same seed decides the same.

    Attributes:
        faults: How probable what is. May be exchanged at any time.
        random: Where chance comes from.
        planned: What has been ordered.
    """

    faults: Faults
    random: Random
    planned: list[PlannedHarm] = field(default_factory=list)

    def harms(self, name: str, direction: Direction) -> frozenset[Harm]:
        """Return what happens to one message."""
        # A number is drawn for each harm, probable or not, so that one more kind of fault changes
        # nothing about the others.
        drawn = {harm for harm in Harm if self.random.random() < self.faults.chance_of(harm)}
        ordered = {plan.harm for plan in self.planned if plan.meets(name, direction)}
        self.planned = [plan for plan in self.planned if plan.count]
        return frozenset(drawn | ordered)

    def delay(self) -> float:
        """Return how long a message is on its way, in seconds."""
        return self.random.uniform(*self.faults.delay)

    def lateness(self) -> float:
        """Return how much longer one is that is held back, in seconds."""
        return self.random.uniform(*_LATE)

    def corrupted(self, parcel: Parcel) -> Parcel:
        """Return a parcel with one bit flipped in the payload or in the value of a field."""
        names = sorted(name for name, value in parcel.fields.items() if value)
        choice = self.random.randrange(len(names) + bool(len(parcel.payload)))
        if choice == len(names):
            return Parcel(parcel.fields, self._flipped(bytes(parcel.payload)))
        value = self._flipped(parcel.fields[names[choice]].encode())
        fields = {**parcel.fields, names[choice]: value.decode(errors="replace")}
        return Parcel(fields, parcel.payload)

    def _flipped(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        bit = self.random.randrange(len(damaged) * _BITS)
        damaged[bit // _BITS] ^= 1 << bit % _BITS
        return bytes(damaged)

"""Which bytes of a file are there, outlive a crash, are being written. No input or output."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from dxlfiletransferclient.intervals import NOTHING, IntervalSet, Ranges
from dxlfiletransferclient.protocol.limits import MAX_RANGES

MAX_GAPS: Final = 10_000
"""Ranges that one file may consist of.

Each costs some hundred bytes of memory. Clients send nearly in order and leave a few dozen gaps.
"""


class Claim(NamedTuple):
    """Bytes that one thread is working on.

    Attributes:
        held: Those that are there and have to be compared.
        missing: Those that are written; nobody else writes them meanwhile.
        epoch: The epoch in which this began.
    """

    held: Ranges
    missing: Ranges
    epoch: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What was there at some moment.

    Attributes:
        held: The ranges.
        epoch: The epoch of that moment.
    """

    held: IntervalSet
    epoch: int


class Holdings:
    """Keeps account of one file. Not for several threads at once.

    An epoch ends whenever bytes turn out not to be there: what began before does not count.

    Args:
        held: Ranges that are there.
        durable: Ranges of them that outlive any crash.

    Attributes:
        prefix: Bytes from the beginning to the first gap; any thread may look at it at any time.
        first_durable: The first ranges that outlive any crash, as many as go into a message.
    """

    __slots__ = ("_durable", "_epoch", "_held", "_writing", "first_durable", "prefix")

    def __init__(self, held: IntervalSet, durable: IntervalSet) -> None:
        self._held = held
        self._durable = durable
        self._writing: dict[int, int] = {}
        self._epoch = 0
        self.prefix = held.prefix
        self.first_durable = durable.first(MAX_RANGES)

    @property
    def end(self) -> int:
        """The offset after the last byte that is there."""
        return self._held.end

    @property
    def is_being_written(self) -> bool:
        """Whether anybody has a claim on missing bytes."""
        return bool(self._writing)

    def first_held(self) -> Ranges:
        """Return the first ranges that are there, as many as go into a message."""
        return self._held.first(MAX_RANGES)

    def covers(self, size: int) -> bool:
        """Whether every byte of a file of this size is there."""
        return self._held.covers(0, size)

    def is_claimed(self, start: int, end: int) -> bool:
        """Whether somebody else is writing some of these bytes."""
        for low, high in self._writing.items():  # noqa: SIM110 - a generator for one or two costs more
            if low < end and start < high:
                return True
        return False

    def has_room_for(self, start: int, end: int) -> bool:
        """Whether these bytes leave no more gaps than are allowed."""
        few = len(self._held) + len(self._writing) < MAX_GAPS
        return few or self._held.meets(max(0, start - 1), end + 1)

    def claim(self, start: int, end: int) -> Claim:
        """Begin to work on bytes that nobody else is writing."""
        claim = Claim(self._held.overlap(start, end), self._held.missing(start, end), self._epoch)
        self._writing.update(claim.missing)
        return claim

    def counts(self, claim: Claim) -> bool:
        """Whether what was written meanwhile may be taken for written."""
        return claim.epoch == self._epoch

    def accept(self, claim: Claim) -> None:
        """Take the bytes of a claim for written; they are claimed until :meth:`release`."""
        for low, high in claim.missing:
            self._held.add(low, high)
        self.prefix = self._held.prefix

    def release(self, claim: Claim) -> None:
        """Work on the bytes of a claim no more."""
        for low, _ in claim.missing:
            del self._writing[low]

    def now(self) -> Moment:
        """Return what is there at this moment."""
        return Moment(self._held.copy(), self._epoch)

    def make_durable(self, moment: Moment) -> bool:
        """Note that what was there at a moment is safe; ``False`` if the epoch has ended since."""
        if moment.epoch != self._epoch:
            return False
        self._durable = moment.held
        self.first_durable = self._durable.first(MAX_RANGES)
        return True

    def drop(self, ranges: Ranges) -> None:
        """Note that bytes are not what was sent."""
        self._epoch += 1
        for start, end in ranges:
            self._held.remove(start, end)
            self._durable.remove(start, end)
        self.prefix = self._held.prefix
        self.first_durable = self._durable.first(MAX_RANGES)

    def give_up(self) -> Ranges:
        """Note that nothing is there but what is durable; return what is lost."""
        lost = tuple(gap for low, high in self._held for gap in self._durable.missing(low, high))
        self._epoch += 1
        self._held = self._durable.copy()
        self.prefix = self._held.prefix
        return lost


EMPTY: Final = Claim(NOTHING, NOTHING, 0)
"""No bytes at all."""

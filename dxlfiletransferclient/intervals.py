"""Sets of byte ranges: what is there, and what is missing. No input or output."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

Range = tuple[int, int]
"""The bytes from the first offset up to, and without, the second one."""

Ranges = tuple[Range, ...]
"""Ranges in rising order that neither overlap nor touch."""

NOTHING: Final[Ranges] = ()
"""No bytes at all."""


class IntervalSet:
    """Byte ranges that grow together as they are added. Not for several threads at once.

    Costs one pair of numbers for each gap, however many bytes and additions there are.

    Args:
        ranges: What is in it from the beginning, in any order; may overlap.

    Example:
        >>> held = IntervalSet([(0, 10), (20, 30)])
        >>> held.add(10, 15)
        ((10, 15),)
        >>> held.ranges, held.missing(0, 25)
        (((0, 15), (20, 30)), ((15, 20),))
    """

    __slots__ = ("_ends", "_starts", "_total")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._total = 0
        for start, end in ranges:
            self.add(start, end)

    @property
    def ranges(self) -> Ranges:
        """Everything in the set."""
        return tuple(zip(self._starts, self._ends, strict=True))

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self._total

    @property
    def prefix(self) -> int:
        """Bytes from offset 0 to the first gap."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self._ends[-1] if self._ends else 0

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._starts, self._ends, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and self.ranges == other.ranges

    def __hash__(self) -> int:
        raise TypeError("an interval set changes, so it has no hash")

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def first(self, count: int) -> Ranges:
        """Return the first ranges, so many at most."""
        return tuple(zip(self._starts[:count], self._ends[:count], strict=True))

    def meets(self, start: int, end: int) -> bool:
        """Whether any byte of a range is in the set."""
        index = bisect_right(self._ends, start)
        return start < end and index < len(self._starts) and self._starts[index] < end

    def covers(self, start: int, end: int) -> bool:
        """Whether every byte of a range is in the set; true for an empty range."""
        if start >= end:
            return True
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and end <= self._ends[index]

    def missing(self, start: int, end: int) -> Ranges:
        """Return the parts of a range that are not in the set."""
        first = bisect_right(self._ends, start)
        if start < end and (first == len(self._starts) or end <= self._starts[first]):
            return ((start, end),)
        gaps: list[Range] = []
        position = start
        for index in range(first, len(self._starts)):
            if position >= end or self._starts[index] >= end:
                break
            if self._starts[index] > position:
                gaps.append((position, self._starts[index]))
            position = self._ends[index]
        if position < end:
            gaps.append((position, end))
        return tuple(gaps)

    def overlap(self, start: int, end: int) -> Ranges:
        """Return the parts of a range that are in the set."""
        found: list[Range] = []
        for index in range(bisect_right(self._ends, start), len(self._starts)):
            low, high = max(start, self._starts[index]), min(end, self._ends[index])
            if low >= high:
                break
            found.append((low, high))
        return tuple(found)

    def add(self, start: int, end: int) -> Ranges:
        """Put a range in, and return the parts of it that were not there before.

        Raises:
            ValueError: If it begins below 0 or ends before it begins.
        """
        _check(start, end)
        if not self._ends or start >= self._ends[-1]:
            return self._add_behind(start, end)
        new = self.missing(start, end)
        if not new:
            return new
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        self._total += sum(high - low for low, high in new)
        return new

    def remove(self, start: int, end: int) -> None:
        """Take a range out; what is not in the set does not matter.

        Raises:
            ValueError: If it begins below 0 or ends before it begins.
        """
        _check(start, end)
        met = self.overlap(start, end)
        if not met:
            return
        first = bisect_right(self._ends, start)
        last = first + len(met)
        # Of what is met, what lies before and behind stays.
        left, right = self._starts[first], self._ends[last - 1]
        kept: list[Range] = [(left, start)] if left < start else []
        if end < right:
            kept.append((end, right))
        self._starts[first:last] = [low for low, _ in kept]
        self._ends[first:last] = [high for _, high in kept]
        self._total -= sum(high - low for low, high in met)

    def copy(self) -> "IntervalSet":
        """Return a set of its own with the same ranges."""
        return IntervalSet(self)

    def _add_behind(self, start: int, end: int) -> Ranges:
        """Put a range in that begins where everything ends, or later."""
        if start == end:
            return NOTHING
        if self._ends and start == self._ends[-1]:
            self._ends[-1] = end
        else:
            self._starts.append(start)
            self._ends.append(end)
        self._total += end - start
        return ((start, end),)


def _check(start: int, end: int) -> None:
    if not 0 <= start <= end:
        msg = f"a byte range must begin at 0 or later and not end before it begins: {start}-{end}"
        raise ValueError(msg)

"""Which bytes of a content the service has, and which it is to get next. No input or output."""

from collections import deque

from dxlfiletransferclient.intervals import IntervalSet, Range, Ranges


class Remaining:
    """Keeps account of what is held, what is on its way, and what comes next.

    Example:
        >>> remaining = Remaining()
        >>> remaining.begin(held=((0, 10),), available=25)
        >>> remaining.first, remaining.peek(10), remaining.take(10), remaining.take(10)
        (10, (10, 20), (10, 20), (20, 25))
    """

    def __init__(self) -> None:
        self._held = IntervalSet()
        self._gaps: deque[Range] = deque()
        self._extent = 0

    def __bool__(self) -> bool:
        """Whether there is anything to be sent."""
        return bool(self._gaps)

    @property
    def extent(self) -> int:
        """Up to where the content is known."""
        return self._extent

    @property
    def held(self) -> int:
        """Bytes that the service has."""
        return self._held.total

    @property
    def first(self) -> int:
        """Where that begins which is to be sent; the extent, if nothing is."""
        return self._gaps[0][0] if self._gaps else self._extent

    def begin(self, held: Ranges, available: int) -> None:
        """Begin anew.

        Args:
            held: What the service has.
            available: Up to where the content is known.
        """
        self._held = IntervalSet(held)
        self._extent = available
        self._gaps = deque(self._held.missing(0, available))

    def settled(self, durable: Ranges) -> int:
        """Return up to where everything is durable at the service, and known to be there.

        Args:
            durable: What is durable; the answer that acknowledges some of it may be lost, so that
                it is sent once more.
        """
        if not durable or durable[0][0]:
            return 0
        return min(durable[0][1], self._held.prefix)

    def without(self, damaged: Ranges) -> Ranges:
        """Return what the service has if some ranges are not counted."""
        rest = self._held.copy()
        for start, end in damaged:
            rest.remove(start, end)
        return rest.ranges

    def extend(self, available: int) -> None:
        """Note that more of the content is known."""
        if available > self._extent:
            self._gaps.append((self._extent, available))
            self._extent = available

    def peek(self, most: int) -> Range:
        """Return what to send next, so many bytes at most; there must be something."""
        start, end = self._gaps[0]
        return start, min(end, start + most)

    def take(self, most: int) -> Range:
        """Return the same; it is on its way then."""
        start, end = self._gaps[0]
        cut = start + most
        if cut >= end:
            return self._gaps.popleft()
        self._gaps[0] = cut, end
        return start, cut

    def acknowledge(self, start: int, end: int) -> None:
        """Note that the service has a range."""
        self._held.add(start, end)


def total(ranges: Ranges) -> int:
    """Return how many bytes some ranges have."""
    count = 0
    for start, end in ranges:
        count += end - start
    return count

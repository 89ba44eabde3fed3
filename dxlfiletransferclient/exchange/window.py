"""How many bytes may be outstanding, and how long to wait for an answer. No input or output.

The window follows what was measured: about twice the bytes that are delivered within the shortest
round trip keep every process on the way busy, and more would only wait in somebody's memory.
"""

import math
from dataclasses import dataclass
from typing import Final

FEWEST_SEGMENTS: Final = 4
"""Segments that are outstanding at least.

Sender, broker, service and the answer on its way back each have one then. It costs so many segments
of memory in each process, and fewer let processes wait for one another on a bus without delay.
"""

GAIN: Final = 2.0
"""Window as a multiple of what one round trip takes at the measured rate.

1 would do if nothing ever varied; twice as much outlasts pauses of threads and disks, and leaves
room to find out that the rate has grown.
"""

FIRST_SEGMENTS: Final = 8
"""Segments that are outstanding at the start.

Each halving costs a round trip more until the window fits a long way to the service. Where the way
is short, half of them wait somewhere for some tenths of a second, until the window has shrunk.
"""

START_GROWTH: Final = 1.0
"""Part of each acknowledged byte by which the window grows at the start: it doubles in each round
trip. Half as much would overshoot by less and take longer to be there."""

GROWING: Final = 1.15
"""A rate that rises by this factor in a round trip shows that a larger window was useful."""

FLAT_ROUNDS: Final = 2
"""Round trips without such a rise that end the start: one alone may be an accident."""

RATE_ROUNDS: Final = 10
"""Round trips, at least, for which the best rate is remembered: a pause is no lasting change."""

DRAIN: Final = 0.25
"""Part of each acknowledged byte by which a window that is too large shrinks."""

FIRST_TIMEOUT: Final = 3.0
"""Seconds to wait for the first answer to a verb, as long as nothing was measured."""

_SMOOTHING: Final = 1 / 8
_DEVIATION_SMOOTHING: Final = 1 / 4
_DEVIATIONS: Final = 4
_MOST_DOUBLINGS: Final = 10
_UNIT_SMOOTHING: Final = 1 / 16


class RoundTrip:
    """How long answers take, and how long to wait for one, as TCP does it (RFC 6298).

    Args:
        shortest: Seconds to wait at least, however quick the answers are.
        longest: Seconds to wait at most, unless answers are known to take longer.

    Example:
        >>> trip = RoundTrip(shortest=1.0, longest=15.0)
        >>> trip.measured(2.0)
        >>> trip.timeout(0), trip.timeout(1), trip.timeout(2)
        (6.0, 12.0, 15.0)
    """

    __slots__ = ("_deviation", "_longest", "_mean", "_shortest")

    def __init__(self, *, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest
        self._mean: float | None = None
        self._deviation = 0.0

    @property
    def mean(self) -> float | None:
        """Smoothed round trip in seconds; ``None`` before the first one."""
        return self._mean

    def measured(self, seconds: float) -> None:
        """Take one round trip into account. It must be known which request was answered."""
        if self._mean is None:
            self._mean = seconds
            self._deviation = seconds / 2
            return
        error = seconds - self._mean
        self._deviation += (abs(error) - self._deviation) * _DEVIATION_SMOOTHING
        self._mean += error * _SMOOTHING

    def timeout(self, repeats: int) -> float:
        """Return the seconds to wait for an answer.

        Args:
            repeats: How often the same request was sent in vain before; each doubles the time.
        """
        usual = FIRST_TIMEOUT if self._mean is None else self._mean + _DEVIATIONS * self._deviation
        wait = max(usual, self._shortest)
        if repeats:
            wait *= 2.0 ** min(repeats, _MOST_DOUBLINGS)
        # Whoever waits less than answers take sends everything twice, and clogs a slow line.
        return wait if wait <= self._longest else max(usual, self._longest)


@dataclass(slots=True, eq=False)
class Departure:
    """What the window remembers of a request that was sent.

    Attributes:
        cost: Its bytes of content, in either direction.
        at: When it was sent.
        delivered: Bytes that had been delivered by then.
        delivered_at: When the last of them was, or when it was sent if nothing was outstanding.
        crowded: Whether the window was well used at that time.
        flying: Whether it counts as outstanding.
    """

    cost: int
    at: float
    delivered: int
    delivered_at: float
    crowded: bool
    flying: bool = True


class Window:
    """Bounds the bytes outstanding: by what is useful, by the service, and by the caller.

    Args:
        largest: Bytes that the caller allows.
        granted: Bytes that the service allows.
        segment_size: Bytes of a usual segment, to begin with.

    Attributes:
        size: Bytes that may be outstanding, 1 or more.
        in_flight: Bytes that are outstanding.
    """

    def __init__(self, *, largest: int, granted: int, segment_size: int) -> None:
        self.in_flight = 0
        self._largest = largest
        self._granted = granted
        self._ceiling = min(largest, granted)
        self._unit = float(segment_size)
        self._resize(FIRST_SEGMENTS * self._unit)
        self._starting = True
        self._cut_at = -math.inf
        self._delivered = 0
        self._delivered_at = 0.0
        self._shortest_trip = math.inf
        self._rates = _BestRate()
        self._round_end = 0
        self._best_at_start = 0.0
        self._flat_rounds = 0

    @property
    def rate(self) -> float:
        """Bytes per second that were delivered lately, at best."""
        return self._rates.best

    def fits(self, cost: int) -> bool:
        """Whether a request may be sent now; one that is larger than the window goes alone."""
        return cost == 0 or self.in_flight == 0 or self.in_flight + cost <= self.size

    def limit(self, granted: int) -> None:
        """Take over what the service grants now, in bytes."""
        if granted != self._granted or granted < 1:
            self._granted = max(1, granted)
            self._ceiling = min(self._largest, self._granted)
            self._resize(self._size)

    def sent(self, cost: int, now: float) -> Departure:
        """Count a request as outstanding; hand the result back when it is known what came of it."""
        if self.in_flight == 0:
            self._delivered_at = now
        self.in_flight += cost
        if cost:
            shrinking = (cost - self._unit) * _UNIT_SMOOTHING
            self._unit = max(cost, self._unit + shrinking)
        crowded = self.in_flight * 2 > self.size
        return Departure(cost, now, self._delivered, self._delivered_at, crowded)

    def arrived(self, departure: Departure, now: float) -> None:
        """Learn from an answer, which may come after :meth:`lost` too."""
        self.dropped(departure)
        if departure.cost == 0:
            return
        trip = now - departure.at
        if trip < self._shortest_trip:
            self._shortest_trip = trip
        self._delivered += departure.cost
        self._delivered_at = now
        self._measure(departure, now)
        self._adapt(departure)

    def lost(self, departure: Departure, now: float) -> None:
        """Count a request as not outstanding any more, because no answer came in time."""
        self.dropped(departure)
        self.slow(departure, now)

    def dropped(self, departure: Departure) -> None:
        """Count a request as not outstanding any more; nothing follows from it."""
        if departure.flying:
            departure.flying = False
            self.in_flight -= departure.cost

    def slow(self, departure: Departure, now: float) -> None:
        """Halve the window, unless the request was sent before it was halved last."""
        if departure.cost == 0 or departure.at < self._cut_at:
            return
        self._cut_at = now
        self._starting = False
        self._resize(max(self._unit, min(self._size, self._ceiling) / 2))

    def _resize(self, size: float) -> None:
        self._size = size
        self.size = max(1, int(min(size, self._ceiling)))

    def _measure(self, departure: Departure, now: float) -> None:
        elapsed = now - departure.delivered_at
        rate = (self._delivered - departure.delivered) / elapsed if elapsed > 0 else 0.0
        if not departure.crowded and rate < self._rates.best:
            return  # there was not more to send; that says nothing about the way
        self._rates.measured(rate)
        if departure.delivered < self._round_end:
            return
        self._round_end = self._delivered
        self._rates.round_over()
        if self._rates.best >= self._best_at_start * GROWING:
            self._best_at_start = self._rates.best
            self._flat_rounds = 0
        else:
            self._flat_rounds += 1
            self._starting = self._starting and self._flat_rounds < FLAT_ROUNDS

    def _adapt(self, departure: Departure) -> None:
        if self._starting:
            if departure.crowded:
                self._resize(min(self._size + departure.cost * START_GROWTH, self._ceiling))
            return
        useful = GAIN * self._rates.best * self._shortest_trip
        wanted = max(useful, FEWEST_SEGMENTS * self._unit)
        if wanted > self._ceiling:
            wanted = self._ceiling
        if self._size > wanted:
            self._resize(max(wanted, self._size - departure.cost * DRAIN))
        elif departure.crowded and self._size < wanted:
            # A segment more for each window that is acknowledged, which is one in a round trip.
            self._resize(min(wanted, self._size + self._unit * departure.cost / self._size))


class _BestRate:
    """The best of the rates measured in the last ten to twenty round trips."""

    __slots__ = ("_now", "_rounds", "best")

    def __init__(self) -> None:
        self.best = 0.0
        self._now = 0.0
        self._rounds = 0

    def measured(self, rate: float) -> None:
        if rate > self._now:
            self._now = rate
            if rate > self.best:
                self.best = rate

    def round_over(self) -> None:
        self._rounds += 1
        if self._rounds == RATE_ROUNDS:
            self.best, self._now, self._rounds = self._now, 0.0, 0

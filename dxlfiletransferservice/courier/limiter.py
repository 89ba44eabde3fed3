"""Rates that are not exceeded. No input or output; time is passed in."""

import math
import threading
from typing import Final, Protocol

from dxlfiletransferservice.courier.segmenting import burst

_TOLERANCE: Final = 0.5
"""Bytes by which sums of fractions may be off."""


class Limit(Protocol):
    """Says when something may be sent. Times are in seconds on a clock that never goes back."""

    @property
    def rate(self) -> float | None:
        """Bytes per second; ``None`` for no limit."""
        ...

    def ready(self, cost: int, now: float) -> bool:
        """Whether so many bytes may be sent now."""
        ...

    def due(self, cost: int, now: float) -> float:
        """When so many bytes may be sent; infinite for never at this rate."""
        ...

    def take(self, cost: int, now: float) -> None:
        """Note that so many bytes are sent now, whether they might or not."""
        ...

    def claim(self, cost: int, now: float) -> bool:
        """Do the same if they may be sent; returns whether that is so."""
        ...


class RateLimiter:
    """Bounds bytes per second; a token bucket that holds two messages.

    In any stretch of time, what is sent exceeds the rate by one segment of the largest size at
    most. What is sent without asking, as repeats are, is made up for afterwards.

    Args:
        rate: Bytes per second; ``None`` for no limit, 0 for nothing at all.

    Example:
        >>> limiter = RateLimiter(100_000)
        >>> limiter.claim(32_768, 0.0), limiter.ready(10_000, 0.0), limiter.due(10_000, 0.0)
        (True, False, 0.1)
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._depth = math.inf if rate is None else float(burst(rate))
        self._tokens = self._depth
        self._at: float | None = None

    @property
    def rate(self) -> float | None:
        """Bytes per second; ``None`` for no limit."""
        return self._rate

    def change(self, rate: float | None, now: float) -> None:
        """Set another rate, from now on."""
        if rate == self._rate:
            return
        self._refill(now)
        unlimited = self._rate is None
        self._rate = rate
        self._depth = math.inf if rate is None else float(burst(rate))
        # What was sent without a limit is not held against the new one, nor is there a gift.
        self._tokens = 0.0 if unlimited else min(self._tokens, self._depth)
        if rate is None:
            self._tokens = math.inf

    def ready(self, cost: int, now: float) -> bool:
        """Whether so many bytes may be sent now; more than the bucket holds, when it is full."""
        if self._rate is None:
            return True
        self._refill(now)
        return self._tokens + _TOLERANCE >= min(cost, self._depth)

    def due(self, cost: int, now: float) -> float:
        """When so many bytes may be sent; infinite for never at this rate."""
        if self.ready(cost, now):
            return now
        if not self._rate:
            return math.inf
        return now + (min(cost, self._depth) - self._tokens) / self._rate

    def take(self, cost: int, now: float) -> None:
        """Note that so many bytes are sent now, whether they might or not."""
        if self._rate is None:
            return
        self._refill(now)
        self._tokens -= cost

    def claim(self, cost: int, now: float) -> bool:
        """Note the same if they may be sent; returns whether that is so."""
        if not self.ready(cost, now):
            return False
        self.take(cost, now)
        return True

    def _refill(self, now: float) -> None:
        before, self._at = self._at, now if self._at is None else max(self._at, now)
        if before is not None and self._rate is not None:
            self._tokens = min(self._depth, self._tokens + (self._at - before) * self._rate)


class SharedLimiter:
    """A :class:`RateLimiter` for several threads: those of the destinations of one connection.

    Args:
        rate: As there.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._lock = threading.Lock()
        self._limiter = RateLimiter(rate)

    @property
    def rate(self) -> float | None:
        """Bytes per second; ``None`` for no limit."""
        return self._limiter.rate

    def change(self, rate: float | None, now: float) -> None:
        """Set another rate, from now on."""
        with self._lock:
            self._limiter.change(rate, now)

    def ready(self, cost: int, now: float) -> bool:
        """Whether so many bytes may be sent now; another thread may be faster."""
        if self._limiter.rate is None:
            return True
        with self._lock:
            return self._limiter.ready(cost, now)

    def due(self, cost: int, now: float) -> float:
        """When so many bytes may be sent, unless another thread is faster."""
        with self._lock:
            return self._limiter.due(cost, now)

    def take(self, cost: int, now: float) -> None:
        """Note that so many bytes are sent now, whether they might or not."""
        with self._lock:
            self._limiter.take(cost, now)

    def claim(self, cost: int, now: float) -> bool:
        """Note the same if they may be sent; returns whether that is so."""
        if self._limiter.rate is None:
            return True
        with self._lock:
            return self._limiter.claim(cost, now)

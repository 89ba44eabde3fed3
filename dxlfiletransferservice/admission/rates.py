"""How fast something comes at the moment. No clock: times are passed in."""

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 10
"""Seconds over which a rate is averaged: long enough to be steady, short enough to be of now."""


class RateWindow:
    """Averages what came in the last seconds. Not for several threads.

    Example:
        >>> window = RateWindow()
        >>> window.add(500, now=100.0)
        >>> window.rate(now=101.0)
        50.0
    """

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=WINDOW_SECONDS)

    def add(self, count: int, now: float) -> None:
        """Note that something came.

        Args:
            count: How much.
            now: The time in seconds.
        """
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + count)
        else:
            self._seconds.append((second, count))

    def rate(self, now: float) -> float:
        """Return how much came per second."""
        oldest = int(now) - WINDOW_SECONDS
        return sum(count for second, count in self._seconds if second > oldest) / WINDOW_SECONDS

"""Time that passes only from one event to the next."""

import heapq
import math
from collections.abc import Callable
from typing import Final

Action = Callable[[], object]

_MAX_IDLE: Final = 200_000
"""Looks at a time that does not go on before it counts as an endless loop."""


class EndOfTimeError(Exception):
    """Virtual time is used up, or nothing can happen any more: what waits would wait for ever."""


class Timeline:
    """Runs actions in the order of their times. Not for several threads.

    Args:
        end: Seconds after which :class:`EndOfTimeError` is raised.
        max_events: Actions after which it is raised.

    Example:
        >>> timeline = Timeline(end=60, max_events=1000)
        >>> timeline.at(1.5, lambda: print("at", timeline.now))
        >>> timeline.step(until=10), timeline.step(until=10), timeline.now
        at 1.5
        (True, False, 10)
    """

    def __init__(self, *, end: float, max_events: int) -> None:
        self.now = 0.0
        self._end = end
        self._left = max_events
        self._max_events = max_events
        self._idle = 0
        self._number = 0
        self._events: list[tuple[float, int, Action]] = []

    def at(self, time: float, action: Action) -> None:
        """Have an action run at a time; at once, in its turn, if that has passed."""
        # The number keeps the order of actions that have the same time.
        self._number += 1
        heapq.heappush(self._events, (max(time, self.now), self._number, action))

    def step(self, until: float) -> bool:
        """Run the next action, or let time pass if there is none before ``until``.

        Args:
            until: How far time may pass at most, in seconds.

        Returns:
            Whether an action was run.

        Raises:
            EndOfTimeError: Time or events are used up, or time stands still.
        """
        due = self._events[0][0] if self._events else math.inf
        if due > until:
            self._advance(until)
            return False
        if math.isinf(due):
            raise EndOfTimeError("nothing is going to happen any more")
        self._advance(due)
        self._left -= 1
        if self._left < 0:
            raise EndOfTimeError(f"more than {self._max_events} events in {self.now:.1f} s")
        heapq.heappop(self._events)[2]()
        return True

    def _advance(self, time: float) -> None:
        if time > self._end:
            raise EndOfTimeError(f"{self._end:.0f} s of virtual time are over")
        self._idle = 0 if time > self.now else self._idle + 1
        if self._idle > _MAX_IDLE:
            raise EndOfTimeError(f"time stands still at {self.now:.3f} s: an endless loop")
        self.now = max(self.now, time)

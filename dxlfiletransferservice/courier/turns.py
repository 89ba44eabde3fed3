"""Hands the turns of transfers on to their jobs. No input or output; time is passed in.

A transfer has several jobs, each of which sends one file or batch. They take turns in the order in
which they have asked.
"""

import math
from collections.abc import Callable
from typing import Final

from dxlfiletransferservice.courier.scheduler import Scheduler

_RATE_SECONDS: Final = 2.0
"""Seconds over which the rate at the moment is taken."""


class Turns:
    """Says which job may send, of all jobs of one engine.

    Args:
        scheduler: Says which transfer may, by its number.
        clock: Returns the time.
    """

    def __init__(self, scheduler: Scheduler[int], clock: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._lines: dict[int, dict[object, int]] = {}
        self._flying = 0
        self._crowded = False
        self._turn: int | None = None
        self._due = -math.inf
        self._sent = 0
        self._meter = (0.0, 0, 0.0)

    def changed(self) -> None:
        """Hear that something about the scheduler has changed."""
        self._turn = None
        self._due = -math.inf

    def size(self, key: int) -> int:
        """Return how many bytes the next message of a transfer should have at most."""
        return self._scheduler.size(key)

    def waiting(self, key: int) -> int:
        """Return how many jobs of a transfer wait for its turn."""
        return len(self._lines.get(key, ()))

    def wants(self, key: int, job: object, cost: int) -> None:
        """Note that a job has something to send.

        Args:
            key: Its transfer.
            job: The job, which has no other message waiting.
            cost: Bytes of the message.
        """
        line = self._lines.setdefault(key, {})
        line[job] = cost
        if len(line) == 1:
            self._scheduler.wants(key, cost)
            self.changed()

    def withdraws(self, key: int, job: object) -> None:
        """Note that a job sends nothing after all; may be repeated."""
        line = self._lines.get(key, {})
        if line.pop(job, None) is not None:
            self._line_up(key, line)

    def grant(self, key: int, job: object, room: int) -> bool:
        """Let a job send its message, if it is its turn.

        Args:
            key: Its transfer.
            job: The job.
            room: Bytes that the window has left.

        Returns:
            Whether it sends now; it calls :meth:`settled` when that is through.
        """
        line = self._lines[key]
        if self._next() != key or next(iter(line)) is not job:
            return False
        cost = line[job]
        if cost > room and self._flying:
            self._crowded = True
            return False
        if not self._scheduler.sent(key, self._clock()):
            self.changed()
            return False
        del line[job]
        self._line_up(key, line)
        self._flying += 1
        self._crowded = False
        self._sent += cost
        return True

    def repeated(self, key: int, cost: int) -> None:
        """Take account of a message that is sent again."""
        self._scheduler.charge(key, cost, self._clock())
        self._sent += cost
        self.changed()

    def settled(self, count: int = 1) -> None:
        """Note that some messages are answered, or not waited for any more."""
        self._flying -= count
        self._crowded = False

    def due(self) -> float | None:
        """When a job may send, though nothing happens; ``None`` if an answer has to come first."""
        if self._crowded and self._flying:
            return None
        self._next()
        # One that waits for others to be through asks again from time to time, for want of a date.
        return min(self._due, self._clock() + _RATE_SECONDS)

    def rate(self, now: float) -> float:
        """Return how many bytes per second are sent at the moment; ask some times per second."""
        began, before, rate = self._meter
        if now - began >= _RATE_SECONDS:
            rate = (self._sent - before) / (now - began) if began else 0.0
            self._meter = now, self._sent, rate
        return rate

    def _next(self) -> int | None:
        """Return the transfer whose turn it is."""
        # Once it is somebody's turn it stays so until something changes.
        if self._turn is None and (now := self._clock()) >= self._due:
            self._turn = self._scheduler.turn(now)
            self._due = now if self._turn is not None else self._scheduler.due(now)
        return self._turn

    def _line_up(self, key: int, line: dict[object, int]) -> None:
        if line:
            self._scheduler.wants(key, next(iter(line.values())))
        else:
            del self._lines[key]
            if key in self._scheduler:
                self._scheduler.passed(key)
        self.changed()

"""A log that somebody else cannot fill the disk with."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

LINES_AT_ONCE: Final = 100
"""Lines that are written as they come: enough to see what is going on."""

SECONDS_PER_LINE: Final = 1.0
"""Seconds after which one more line may be written, once there were too many.

With lines of 400 bytes this is some 35 megabytes a day at most, which rotating logs are made for.
"""


class LineBudget:
    """Decides which lines are written when there are too many. Knows no clock: times are passed in.

    Args:
        lines: Lines that may be written at once.
        seconds: Seconds after which there may be another one.

    Example:
        >>> budget = LineBudget(lines=1, seconds=10.0)
        >>> budget.take(0.0), budget.take(1.0), budget.take(2.0), budget.take(12.0)
        (0, None, None, 2)
    """

    def __init__(self, lines: int = LINES_AT_ONCE, seconds: float = SECONDS_PER_LINE) -> None:
        self._most = lines
        self._seconds = seconds
        self._left = float(lines)
        self._looked: float | None = None
        self._left_out = 0

    def take(self, now: float) -> int | None:
        """Ask for a line.

        Args:
            now: The time in seconds, on a clock that never goes back.

        Returns:
            How many lines were left out since the last one; ``None`` if this one is too.
        """
        passed = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        self._left = min(self._most, self._left + passed / self._seconds)
        if self._left < 1:
            self._left_out += 1
            return None
        self._left -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class BoundedLog:
    """Writes lines that others bring about, as many as a budget allows. For several threads.

    Lines below the level ``INFO`` cost no budget: who asks for them wants them all.

    Args:
        logger: Where the lines go.
        budget: How many there may be.
        clock: Returns the time in seconds and never goes back.
    """

    def __init__(
        self,
        logger: logging.Logger,
        budget: LineBudget | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._budget = budget or LineBudget()
        self._clock = clock
        self._guard = threading.Lock()

    def write(
        self, level: int, text: str, *values: object, error: BaseException | None = None
    ) -> None:
        """Write a line, or count it where there are too many.

        Args:
            level: Its level, as ``logging`` has them.
            text: The line, with a place for each value.
            values: What goes into the places.
            error: Whose traceback is to follow.
        """
        if not self._logger.isEnabledFor(level):
            return
        left_out: int | None = 0
        if level >= logging.INFO:
            with self._guard:
                left_out = self._budget.take(self._clock())
        if left_out is None:
            return
        if left_out:
            text, values = f"{text} (after %d lines that were left out)", (*values, left_out)
        self._logger.log(level, text, *values, exc_info=error)

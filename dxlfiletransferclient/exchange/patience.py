"""How long nothing may move forward, and how often nothing may be heard. No input or output."""

import math
from typing import Final

from dxlfiletransferclient.errors import NoAnswerError
from dxlfiletransferclient.protocol.refusals import RefusedError

MOST_SILENCES: Final = 3
"""Time-outs in a row, without any answer between them, after which the instance is looked for: one
may be an accident, and looking costs a few small messages."""


class Patience:
    """Counts for how long the service was waited for in vain.

    Only time that is spent waiting counts, so that neither a slow source of content nor whatever
    the caller does between rounds is taken for a silence of the service.

    Args:
        seconds: How long it may be.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waited = 0.0
        self._refusal: RefusedError | None = None

    @property
    def over(self) -> bool:
        """Whether it was too long."""
        return self._waited > self._seconds

    @property
    def waited(self) -> str:
        """How long it was, in words."""
        return f"{self._waited:.0f} seconds"

    def restart(self) -> None:
        """Begin anew: until now there was nothing to wait for."""
        self._waited = 0.0

    def progressed(self) -> None:
        """Begin anew: something has moved forward."""
        self._waited = 0.0
        self._refusal = None

    def passed(self, seconds: float) -> None:
        """Note that so many seconds were waited."""
        self._waited += seconds

    def refused(self, error: RefusedError) -> None:
        """Note that something is to be tried again, and why."""
        self._refusal = error

    def failure(self, store_topic: str) -> NoAnswerError:
        """Return the error to give up with."""
        why = ""
        if self._refusal is not None:
            why = f", and answered the last time: {self._refusal}"
        return NoAnswerError(
            f"the service on topic {store_topic} took nothing for {self.waited} in spite of "
            f"repeats{why}; its log may tell more. Try again later, or wait longer (patience)"
        )


class Silences:
    """Counts time-outs in a row, without any answer between them.

    Args:
        shortest: Seconds within which several count as one.
    """

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._count = 0
        self._last = -math.inf

    def heard(self) -> None:
        """Note an answer."""
        self._count = 0

    def timed_out(self, now: float) -> bool:
        """Note a time-out; returns whether there were too many."""
        if now < self._last + self._shortest:
            return False
        self._last = now
        self._count += 1
        return self._count >= MOST_SILENCES

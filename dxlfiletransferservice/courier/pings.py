"""Small questions that tell whether a server is there, and how long the way to it takes."""

from collections.abc import Callable
from functools import partial
from typing import Final

from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import HelloAnswer, HelloRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

PING_SECONDS: Final = 0.1
"""Seconds between two pings: a thousand of them take less than two minutes, and nobody notices."""


class PingJob:
    """Asks for a greeting some times; implements ``exchange.jobs.Job``.

    Args:
        count: How often.
        answered: Is called with the seconds that each answer took.
    """

    def __init__(self, count: int, answered: Callable[[float], object]) -> None:
        self._left = count
        self._answered = answered
        self._asked_at: float | None = None
        self._due: float | None = None

    @property
    def finished(self) -> bool:
        """Whether all were answered, or it was given up."""
        return self._left <= 0

    def more(self, count: int) -> None:
        """Ask some more times."""
        self._left += count

    def next(self, room: int, now: float) -> Ask | None:  # noqa: ARG002 - it costs nothing
        """Return the question, if it is time for it."""
        if self._asked_at is not None or (self._due is not None and now < self._due):
            return None
        self._asked_at = now
        self._due = None
        return Ask(Verb.HELLO, partial(encode, HelloRequest()))

    def due(self) -> float | None:
        """When to ask again."""
        return self._due

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:  # noqa: ARG002
        """Tell how long it took."""
        decode(HelloAnswer, answer)
        began = now if self._asked_at is None else self._asked_at
        self._asked_at = None
        self._due = now + PING_SECONDS
        self._left -= 1
        self._answered(now - began)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:  # noqa: ARG002
        """Give up: who does not greet cannot be pinged."""
        raise error

    def moved(self, now: float) -> None:
        """Ask again."""
        self._asked_at = None
        self._due = now

    def failed(self, error: BaseException) -> None:  # noqa: ARG002
        """Give up: the connection says why."""
        self._left = 0

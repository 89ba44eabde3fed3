"""What a transfer is to the engine: something that asks, and hears what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that a job wants to be sent.

    Attributes:
        verb: What is asked.
        parcel: Makes what it carries, each time that it is sent: content is read again rather than
            kept. What it raises ends the job.
        cost: Bytes that it takes of the window until it is answered: content that travels, in
            either direction; 0 for small talk.
        note: Whatever the job wants to know it by.
        inner: What is asked inside, where that is hidden: answers take as long as to that.
    """

    verb: Verb
    parcel: Callable[[], Parcel]
    cost: int = 0
    note: object = None
    inner: Verb | None = None


class Job(Protocol):
    """A transfer as the engine sees it. Sans-io but for the content that its asks read and take.

    The engine repeats an ask that is lost, damaged or answered "busy" by itself; the job hears of
    it only in the end. An exception that a method raises ends the job: the engine passes it to
    :meth:`failed`, and goes on with the others.
    """

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to ask or to wait for."""
        ...

    def next(self, room: int, now: float) -> Ask | None:
        """Return what to send next.

        Args:
            room: Bytes that the window has left. An ask of cost 0 always fits; an ask that costs
                more than the room may be returned only if nothing else of the job is outstanding.
            now: The time, on the clock of the bus.

        Returns:
            The ask; ``None`` if there is nothing to ask before an answer comes, the window has
            more room, or :meth:`due` is reached.
        """
        ...

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened; ``None`` for never."""
        ...

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hear the answer to an ask; it is not verified yet (``coding.decode`` does that).

        Raises:
            RefusedError: With the remedy to repeat, as ``CORRUPT`` from decoding has: the engine
                sends the ask again.
        """
        ...

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hear that an ask failed for good, or with ``UNKNOWN_TRANSFER``. Raise it to end the job.

        Other errors whose remedy is to reopen are the engine's: it looks for the service and then
        calls :meth:`moved`.
        """
        ...

    def moved(self, now: float) -> None:
        """Forget all outstanding asks: the service was lost and found, perhaps without memory.

        What the job does next is to ask how far it is.
        """
        ...

    def failed(self, error: BaseException) -> None:
        """Hear that the engine gives the job up; it is finished then."""
        ...

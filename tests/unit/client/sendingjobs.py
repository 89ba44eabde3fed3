"""Plays the service for a single job, answer by answer."""

from collections.abc import Sequence
from typing import Any

from dxlfiletransferclient.exchange.jobs import Ask, Job
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    DoneAnswer,
    FinishRequest,
    Message,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

SEGMENT = 10

_REQUESTS: dict[Verb, type[Any]] = {
    Verb.OPEN: OpenRequest,
    Verb.SEGMENT: SegmentRequest,
    Verb.STATUS: StatusRequest,
    Verb.FINISH: FinishRequest,
    Verb.ABORT: AbortRequest,
}


class Script:
    """Asks a job as the engine does, and answers as a test wants.

    Attributes:
        job: The job.
        now: The time, which passes only where a test says so.
        waiting: What was asked and not answered.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.now = 0.0
        self.waiting: list[Ask] = []

    def ask(self, room: int = 1000) -> Ask | None:
        """Return what the job asks next, if anything; steps of its own are taken before."""
        ask = self.job.next(room, self.now)
        while ask is None and not self.job.finished and self.job.due() == self.now:
            ask = self.job.next(room, self.now)
        if ask is not None:
            self.waiting.append(ask)
        return ask

    def asked(self, verb: Verb, room: int = 1000) -> Any:
        """Return the request that the job asks next; it must be of a certain verb."""
        ask = self.ask(room)
        assert ask is not None, f"nothing is asked where {verb} was due"
        assert ask.verb is verb
        return decode(_REQUESTS[verb], ask.parcel())

    def segments(self, room: int = 1000) -> list[tuple[int, bytes]]:
        """Return all segments that the job asks to be sent."""
        found = []
        while (ask := self.ask(room)) is not None:
            assert ask.verb is Verb.SEGMENT
            request = decode(SegmentRequest, ask.parcel())
            assert ask.cost == len(request.payload)
            found.append((request.offset, bytes(request.payload)))
            room -= ask.cost
        return found

    def answer(
        self,
        state: TransferState = TransferState.RECEIVING,
        *,
        held: Sequence[tuple[int, int]] = (),
        number: int = 0,
        **more: Any,
    ) -> None:
        """Answer one of the waiting asks, the first by default."""
        values: dict[str, Any] = {"segment_size": SEGMENT, "window": 100, **more}
        self.reply(TransferAnswer(state=state, held=tuple(held), **values), number)

    def reply(self, message: Message, number: int = 0) -> None:
        self.job.answered(self.waiting.pop(number), encode(message), self.now)

    def done(self) -> None:
        """Answer an abort."""
        self.reply(DoneAnswer())

    def acknowledge(self, **more: Any) -> None:
        """Answer all waiting segments."""
        while self.waiting:
            self.answer(**more)

    def refuse(self, code: ErrorCode, number: int = 0) -> None:
        """Refuse one of the waiting asks; what the job raises ends it, as in the engine."""
        try:
            self.job.refused(self.waiting.pop(number), RefusedError(code, "no"), self.now)
        except Exception as error:  # noqa: BLE001 - as the engine does
            self.job.failed(error)

    def move(self) -> None:
        self.waiting.clear()
        self.job.moved(self.now)

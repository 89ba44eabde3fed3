"""A job that waits for its turn before it sends content. No input or output."""

from dataclasses import dataclass
from functools import partial

from dxlfiletransferclient.exchange.jobs import Ask, Job
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferservice.courier.turns import Turns
from dxlfiletransferservice.courier.watching import Touch


@dataclass(slots=True)
class Tally:
    """What has travelled for a transfer.

    Attributes:
        bytes_sent: Bytes of content, repeats included.
        bytes_received: Bytes of answers.
        packets_sent: Requests.
        packets_received: Answers.
        bytes_retransmitted: Bytes of content that were sent again.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    bytes_retransmitted: int = 0


@dataclass(slots=True, eq=False)
class _Sending:
    """An ask that the engine has.

    Attributes:
        ask: The ask of the inner job.
        begun: Whether it was sent before.
    """

    ask: Ask
    begun: bool = False


class PacedJob:
    """A job that waits for its turn before it sends content; implements ``exchange.jobs.Job``.

    It always knows the next message of the inner job beforehand, so that the scheduler knows who
    wants to send, and how much. Small talk does not wait.

    Args:
        inner: The job.
        key: Number of its transfer.
        turns: Says when it may send.
        tally: Counts what travels.
        touch: Is told what is waited for.
    """

    def __init__(self, inner: Job, key: int, turns: Turns, tally: Tally, touch: Touch) -> None:
        self._inner = inner
        self._key = key
        self._turns = turns
        self._tally = tally
        self._touch = touch
        self._open: set[_Sending] = set()
        self._ahead: Ask | None = None
        self._flying = 0
        self._stopped = False

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to do, or it was stopped."""
        return self._stopped or self._inner.finished

    def stop(self, error: BaseException) -> None:
        """End it, and leave what the receiver has as it is, to be gone on with.

        Args:
            error: What the inner job is told; it closes its content then.
        """
        if not self.finished:
            self.failed(error)
        self._stopped = True

    def next(self, room: int, now: float) -> Ask | None:
        """Return what the inner job asks, if it is small talk, or its turn."""
        if self._ahead is None:
            self._look_ahead(now)
        ask = self._ahead
        if ask is None:
            return None
        if ask.cost and not self._turns.grant(self._key, self, room):
            return None
        self._ahead = None
        if ask.cost:
            self._flying += 1
            # At once: whoever has nothing waiting would lose its place among the lanes.
            self._look_ahead(now)
        sending = _Sending(ask)
        parcel = partial(self._parcel, sending)
        return Ask(ask.verb, parcel, ask.cost, sending, ask.inner)

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened."""
        if self._ahead is None:
            return self._inner.due()
        return self._turns.due() if self._ahead.cost else 0.0

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hand an answer on."""
        self._tally.packets_received += 1
        self._tally.bytes_received += _size(answer)
        sending = _sending(ask)
        self._close(sending)
        self._inner.answered(sending.ask, answer, now)
        self._settle(sending.ask)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hand a refusal on."""
        self._tally.packets_received += 1
        sending = _sending(ask)
        self._close(sending)
        self._settle(sending.ask)
        self._inner.refused(sending.ask, error, now)
        self._tidy()

    def moved(self, now: float) -> None:
        """Forget what is under way, and begin again."""
        self._forget()
        self._inner.moved(now)
        self._tidy()

    def failed(self, error: BaseException) -> None:
        """Tell the inner job that it is given up."""
        self._forget()
        self._inner.failed(error)

    def _look_ahead(self, now: float) -> None:
        self._ahead = self._inner.next(SEGMENT_SIZE, now)
        if self._ahead is not None and self._ahead.cost:
            self._turns.wants(self._key, self, self._ahead.cost)
        self._tidy()

    def _parcel(self, sending: _Sending) -> Parcel:
        cost = sending.ask.cost
        parcel = sending.ask.parcel()
        self._tally.packets_sent += 1
        self._tally.bytes_sent += cost
        if sending.begun:
            self._tally.bytes_retransmitted += cost
            if cost:
                self._turns.repeated(self._key, cost)
        sending.begun = True
        if sending not in self._open:
            self._open.add(sending)
            self._touch.opened()
        return parcel

    def _close(self, sending: _Sending) -> None:
        """Wait for an answer no more, if that was waited for."""
        if sending in self._open:
            self._open.remove(sending)
            self._touch.closed()

    def _settle(self, ask: Ask) -> None:
        if ask.cost and self._flying:
            self._flying -= 1
            self._turns.settled()
        self._tidy()

    def _tidy(self) -> None:
        if self._inner.finished:
            self._forget()

    def _forget(self) -> None:
        """Want nothing, and wait for nothing."""
        self._ahead = None
        self._turns.withdraws(self._key, self)
        self._turns.settled(self._flying)
        self._flying = 0
        if self._open:
            self._touch.closed(len(self._open))
            self._open.clear()


def _sending(ask: Ask) -> _Sending:
    assert isinstance(ask.note, _Sending)  # noqa: S101 - nobody else makes asks of this job
    return ask.note


def _size(parcel: Parcel) -> int:
    fields = parcel.fields
    return len(parcel.payload) + sum(map(len, fields)) + sum(map(len, fields.values()))

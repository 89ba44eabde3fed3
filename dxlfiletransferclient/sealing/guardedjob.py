"""A job whose requests travel in a session. No input or output."""

from collections import deque
from functools import partial
from typing import Final

from dxlfiletransferclient.exchange.jobs import Ask, Job
from dxlfiletransferclient.exchange.pausing import delay
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.channel import RequestingChannel
from dxlfiletransferclient.sealing.passage import MOST_UNPROVEN, Passage, passing, unproven

_KNOCK: Final = object()
"""Note of the question to be admitted."""

_MOST_ATTEMPTS: Final = 4
"""Times that the same request was sent last, whose answers are still read: the engine waits for the
last three."""


class _Sealed:
    """A request of the inner job.

    Args:
        ask: The request.
        channel: What seals it unless there is another session by then.
    """

    __slots__ = ("_attempts", "_channel", "ask", "setbacks")

    def __init__(self, ask: Ask, channel: RequestingChannel) -> None:
        self.ask = ask
        self.setbacks = 0
        self._channel = channel
        self._attempts: deque[tuple[RequestingChannel, int]] = deque(maxlen=_MOST_ATTEMPTS)

    @property
    def channel(self) -> RequestingChannel | None:
        """The session in which it was sent; ``None`` if it was more than one."""
        channels = {id(channel): channel for channel, _ in self._attempts}
        return next(iter(channels.values())) if len(channels) == 1 else None

    def parcel(self, passage: Passage) -> Parcel:
        """Seal it, each time anew."""
        # While there is no session it travels in vain, and is asked again in the next one.
        self._channel = passage.channel or self._channel
        number, parcel = self._channel.seal(self.ask.verb, self.ask.parcel())
        self._attempts.append((self._channel, number))
        return parcel

    def unseal(self, answer: Parcel) -> Parcel | RefusedError:
        """Return what an answer to it carries, or what it is refused with.

        Raises:
            RefusedError: ``CORRUPT`` if it is no answer to it.
        """
        if len(self._attempts) == 1:
            channel, number = self._attempts[0]
            return channel.unseal(answer, (number,))
        failure = RefusedError(ErrorCode.CORRUPT, "it was not sent yet")
        for channel in {id(each): each for each, _ in reversed(self._attempts)}.values():
            numbers = [number for each, number in self._attempts if each is channel]
            try:
                return channel.unseal(answer, numbers)
            except RefusedError as error:
                failure = error
        raise failure


class GuardedJob:
    """A job whose requests travel in a session; implements :class:`~.jobs.Job`.

    It asks to be admitted before it lets the inner job ask, and again when the session is lost. A
    refusal counts as one of the peer only if it was sealed; one in the clear leads to another
    attempt, and to the end of the job after some.

    Args:
        inner: The job.
        passage: The way into the session; several jobs of one engine may share it.
    """

    def __init__(self, inner: Job, passage: Passage) -> None:
        self._inner = inner
        self._passage = passage
        self._again: list[tuple[float, _Sealed]] = []
        self._outstanding = 0

    @property
    def finished(self) -> bool:
        """Whether the inner job is finished."""
        return self._inner.finished

    def next(self, room: int, now: float) -> Ask | None:
        """Return what the inner job asks next, or the question to be admitted.

        Raises:
            RefusedError: Nobody is admitted.
        """
        channel = self._passage.channel
        if channel is None:
            if not self._passage.claim(self, now):
                return None
            return Ask(Verb.ADMIT, self._passage.knock, note=_KNOCK)
        if self._again and self._again[0][0] <= now:
            if self._outstanding and self._again[0][1].ask.cost > room:
                return None
            return self._ask(self._again.pop(0)[1])
        ask = self._inner.next(room, now)
        return None if ask is None else self._ask(_Sealed(ask, channel))

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened."""
        if self._passage.channel is None:
            return self._passage.due()
        times = [self._inner.due(), self._again[0][0] if self._again else None]
        return min((time for time in times if time is not None), default=None)

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Open the answer and hand it on.

        Raises:
            RefusedError: With the remedy to repeat, to have the same sent again; otherwise as the
                inner job does.
        """
        sealed = ask.note
        if not isinstance(sealed, _Sealed):
            self._passage.admitted(answer)
            return
        found = sealed.unseal(answer)
        self._passage.heard()
        if isinstance(found, RefusedError):
            self._refused_by_peer(sealed, found, now)
        else:
            self._inner.answered(sealed.ask, found, now)
        self._outstanding -= 1

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hear that an ask was refused in the clear, by whomever.

        Raises:
            RefusedError: It was too often, or the session was lost too often.
        """
        sealed = ask.note
        if not isinstance(sealed, _Sealed):
            self._passage.put_off(error, now)
            return
        self._outstanding -= 1
        if error.means(ErrorCode.UNKNOWN_SESSION):
            self._lost(sealed, now)
            return
        sealed.setbacks += 1
        if sealed.setbacks > MOST_UNPROVEN:
            raise unproven(error)
        self._repeat(sealed, now + delay(sealed.setbacks))

    def moved(self, now: float) -> None:
        """Ask to be admitted again, and let the inner job begin again.

        Raises:
            RefusedError: The session was lost too often.
        """
        self._again.clear()
        self._outstanding = 0
        self._passage.moved()
        self._inner.moved(now)

    def failed(self, error: BaseException) -> None:
        """Tell the inner job that it is given up."""
        self._passage.gave_up(self)
        self._inner.failed(error)

    def _ask(self, sealed: _Sealed) -> Ask:
        self._outstanding += 1
        ask = sealed.ask
        return Ask(
            Verb.SEALED, partial(sealed.parcel, self._passage), ask.cost, sealed, inner=ask.verb
        )

    def _refused_by_peer(self, sealed: _Sealed, error: RefusedError, now: float) -> None:
        if error.means(ErrorCode.UNKNOWN_SESSION):
            self._lost(sealed, now)
        elif error.remedy is Remedy.REPEAT or error.means(ErrorCode.CLOSING):
            raise passing(error)
        else:
            self._inner.refused(sealed.ask, error, now)

    def _lost(self, sealed: _Sealed, now: float) -> None:
        # Sent in more than one session, it may be the older one that is not known.
        if sealed.channel is not None:
            self._passage.lost(sealed.channel)
        self._repeat(sealed, now)

    def _repeat(self, sealed: _Sealed, at: float) -> None:
        self._again.append((at, sealed))
        self._again.sort(key=lambda each: each[0])

"""The conversation about one file or stream: opened, sent, checked, stored. No input or output.

The bytes come from a :class:`~dxlfiletransferclient.sending.source.Content`, the time and the
answers from the engine.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import partial

from dxlfiletransferclient.errors import MalformedAnswerError, SourceChangedError, brief
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import FileMeter, Phase
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
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
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.ending import Ending
from dxlfiletransferclient.sending.pacing import FLUSH_EVERY, MAX_ROUNDS
from dxlfiletransferclient.sending.remaining import Remaining, total
from dxlfiletransferclient.sending.source import Content


class _State(Enum):
    OPENING = auto()
    SENDING = auto()
    COMPARING = auto()
    FINISHING = auto()
    ABORTING = auto()
    DONE = auto()


class FileJob:
    """Sends one file or stream; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    It opens the file, sends whatever the service has not, has it checked and waits until it is
    stored. Where the service turns out to hold parts of another content, or the whole is not what
    was sent, the file is dropped there and sent anew, once.

    Args:
        content: What to send. It is closed when the job ends.
        metadata: What the service is told of it.
        segment_size: Largest segment, in bytes.
        meter: What progress is told to.
        on_end: Is called once, when the job has ended; it must not raise.
        granted: Is called with the bytes that the service lets be outstanding.
        acknowledged: Is called with the bytes that the service holds, whenever they grow; an
            exception that it raises ends the job.
        most: Returns the bytes that the next segment may have; ``segment_size`` bounds it too.
    """

    def __init__(
        self,
        content: Content,
        metadata: OpenRequest,
        *,
        segment_size: int,
        meter: FileMeter,
        on_end: Callable[[Ending], object],
        granted: Callable[[int], object] = lambda _window: None,
        acknowledged: Callable[[int], object] = lambda _count: None,
        most: Callable[[], int] = lambda: SEGMENT_SIZE,
    ) -> None:
        self._content = content
        self._metadata = metadata
        self._segment_size = segment_size
        self._meter = meter
        self._on_end = on_end
        self._granted = granted
        self._acknowledged = acknowledged
        self._most = most
        self._state = _State.OPENING
        self._outstanding = 0
        self._due: float | None = None
        self._pause = Pause()
        self._remaining = Remaining()
        self._flushed_at = 0
        self._stored: TransferAnswer | None = None
        self._sha256: str | None = None
        self._opened = False
        self._finish_asked = False
        self._anew = False
        self._rounds = 0
        self._sent = 0
        self._resumed = 0
        self._began: float | None = None
        self._now = 0.0

    @property
    def finished(self) -> bool:
        """Whether the job has ended."""
        return self._state is _State.DONE

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened."""
        return self._due

    def next(self, room: int, now: float) -> Ask | None:
        """Return what to send next; see :meth:`Job.next`."""
        self._now = now
        if self._began is None:
            self._began = now
        if self._state is _State.SENDING:
            return self._next_of_content(room)
        if self._outstanding or (self._due is not None and now < self._due):
            return None
        self._due = None
        if self._state is _State.OPENING:
            return self._ask(Verb.OPEN, self._metadata)
        if self._state is _State.ABORTING:
            request = AbortRequest(file_id=self._id, reason="it is sent anew")
            return self._ask(Verb.ABORT, request)
        if self._state is _State.COMPARING:
            self._compare()
            return None
        return self._finish() if self._state is _State.FINISHING else None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hear the answer to an ask; see :meth:`Job.answered`."""
        if ask.verb is Verb.ABORT:
            decode(DoneAnswer, answer)
            self._outstanding -= 1
            self._state = _State.OPENING
            return
        found = decode(TransferAnswer, answer)
        self._now = now
        self._outstanding -= 1
        self._granted(found.window)
        if found.segment_size < self._segment_size:
            self._segment_size = found.segment_size
        if ask.verb is Verb.OPEN:
            self._take_opened(found)
        elif ask.verb is Verb.FINISH:
            self._take_finished(found)
        elif self._state is _State.SENDING:
            self._take_progress(found, ask)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hear that an ask failed; see :meth:`Job.refused`."""
        self._now = now
        self._outstanding -= 1
        if self._state is _State.ABORTING and ask.verb is not Verb.ABORT:
            return
        if error.means(ErrorCode.UNKNOWN_TRANSFER):
            if self._state is not _State.OPENING:
                self._count_round(error)
                self._reopen()
        elif error.means(ErrorCode.OTHER_BYTES):
            self._begin_anew(self._changed())
        elif error.means(ErrorCode.OTHER_METADATA):
            self._begin_anew(error)
        else:
            raise error

    def moved(self, now: float) -> None:
        """Hear that the service was lost and found; see :meth:`Job.moved`."""
        self._now = now
        self._outstanding = 0
        self._rounds = 0
        if self._state not in (_State.DONE, _State.ABORTING):
            self._reopen()

    def failed(self, error: BaseException) -> None:
        """End, because the engine gives the job up."""
        self._end(Result.FAILED, error)

    @property
    def _id(self) -> str:
        return self._metadata.file_id

    @property
    def _what(self) -> str:
        return brief(self._metadata.name)

    def _ask(self, verb: Verb, message: Message) -> Ask:
        self._outstanding += 1
        return Ask(verb, partial(encode, message))

    # Opening

    def _take_opened(self, answer: TransferAnswer) -> None:
        if answer.state is TransferState.STORED:
            self._stored = answer
            self._state = _State.COMPARING
            self._meter.update(phase=Phase.VERIFYING)
        elif answer.state is TransferState.KEPT:
            self._end(Result.KEPT)
        else:
            self._state = _State.SENDING
            self._meter.update(phase=Phase.SENDING)
            self._take_held(answer)

    def _take_held(self, answer: TransferAnswer) -> None:
        """Begin with what the service says it has."""
        self._remaining.begin(answer.held, self._content.available)
        self._flushed_at = 0
        self._content.release(self._remaining.settled(answer.durable))
        if self._opened:
            self._resumed = min(self._resumed, self._remaining.held)
            self._meter.update(done=self._remaining.held, durable=total(answer.durable))
        else:
            self._opened = True
            self._resumed = self._remaining.held
            self._meter.resume(self._remaining.held, total(answer.durable))

    def _reopen(self) -> None:
        self._state = _State.OPENING
        self._due = None

    def _compare(self) -> None:
        """Look whether what the service has stored under this id is this content."""
        size = self._content.size
        stored = self._stored
        if size is None or stored is None or stored.size != size:
            self._begin_anew(self._changed())
            return
        if not self._content.hash_up_to(size):
            self._due = self._now
            return
        self._sha256 = self._content.finish()
        if stored.sha256 != self._sha256:
            self._begin_anew(self._changed())
        elif self._sent or self._finish_asked:
            self._end(Result.STORED)
        else:
            self._end(Result.UNCHANGED)

    # Sending

    def _next_of_content(self, room: int) -> Ask | None:
        self._due = None
        if self._remaining:
            return self._next_segment(room)
        if self._wants_flush():
            self._flushed_at = self._remaining.held
            return self._ask(Verb.STATUS, StatusRequest(file_id=self._id, flush=True))
        if self._read_on(room):
            if self._outstanding:
                return self._next_segment(room)
            # The read may have taken long, so the engine has to look at its clock first.
            self._due = self._now
            return None
        if self._content.size != self._remaining.extent:
            self._check_not_stuck()
            return None
        return self._next_at_end()

    def _next_at_end(self) -> Ask | None:
        """Go on when everything has been sent."""
        if not self._content.hash_up_to(self._remaining.extent):
            self._due = self._now
            return None
        if self._outstanding:
            return None
        self._sha256 = self._content.finish()
        self._state = _State.FINISHING
        self._pause = Pause()
        return self._finish()

    def _next_segment(self, room: int) -> Ask | None:
        size = min(self._segment_size, self._most())
        start, end = self._remaining.peek(size)
        if end - start > room and self._outstanding:
            # While there is no room, what was sent by an earlier call is hashed.
            if not self._content.hash_up_to(start):
                self._due = self._now
            return None
        note = self._remaining.take(size)
        self._outstanding += 1
        return Ask(Verb.SEGMENT, partial(self._segment, start, end), end - start, note)

    def _segment(self, start: int, end: int) -> Parcel:
        payload = self._content.read(start, end)
        self._sent += len(payload)
        return encode(SegmentRequest(file_id=self._id, offset=start, payload=payload))

    def _read_on(self, room: int) -> bool:
        """Read the next segment of a stream; false if there is none, or no room for it."""
        extent = self._remaining.extent
        if self._content.size == extent or self._content.full:
            return False
        if self._segment_size > room and self._outstanding:
            return False
        self._remaining.extend(self._content.extend(extent + self._segment_size))
        return bool(self._remaining)

    def _wants_flush(self) -> bool:
        # Asked for early, so that the stream need not stop, but not for every segment.
        more = self._remaining.held - self._flushed_at
        needed = self._content.full and not self._outstanding
        return self._content.pressed and more > (0 if needed else FLUSH_EVERY)

    def _check_not_stuck(self) -> None:
        if self._content.full and not self._outstanding:
            msg = f"the service does not bring to its disk what it has of {self._what}"
            raise MalformedAnswerError(msg)

    def _take_progress(self, answer: TransferAnswer, ask: Ask) -> None:
        if isinstance(ask.note, tuple):
            self._remaining.acknowledge(*ask.note)
            self._rounds = 0
        self._content.release(self._remaining.settled(answer.durable))
        held = self._remaining.held
        self._meter.update(done=held, durable=total(answer.durable))
        if isinstance(ask.note, tuple):
            self._acknowledged(held)

    # Finishing

    def _finish(self) -> Ask:
        self._finish_asked = True
        self._meter.update(phase=Phase.VERIFYING)
        digest = self._sha256 or ""
        request = FinishRequest(file_id=self._id, size=self._remaining.extent, sha256=digest)
        return self._ask(Verb.FINISH, request)

    def _take_finished(self, answer: TransferAnswer) -> None:
        if answer.state is TransferState.STORED:
            self._end(Result.STORED)
        elif answer.state is TransferState.KEPT:
            self._end(Result.KEPT)
        elif answer.state is TransferState.VERIFYING:
            self._due = self._pause.over(self._now)
        elif answer.state is TransferState.RECEIVING:
            self._count_round(None)
            self._send_missing(answer)
        elif answer.damaged:
            self._count_round(None)
            self._send_missing(replace(answer, held=self._remaining.without(answer.damaged)))
        else:
            self._begin_anew(self._changed())

    def _send_missing(self, answer: TransferAnswer) -> None:
        self._state = _State.SENDING
        self._meter.update(phase=Phase.SENDING)
        self._take_held(answer)

    # Trouble

    def _count_round(self, error: Exception | None) -> None:
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            msg = f"the service loses again and again what it was sent of {self._what}"
            raise MalformedAnswerError(msg) from error

    def _changed(self) -> SourceChangedError:
        return SourceChangedError(
            f"{self._what} was written to while it was sent: its bytes differ from those that were "
            "sent before; send it again"
        )

    def _begin_anew(self, error: Exception) -> None:
        """Have the service drop what it has, and begin again; the second time, raise the error."""
        if self._anew or not self._content.restart():
            raise error
        self._anew = True
        self._sha256 = None
        self._finish_asked = False
        self._state = _State.ABORTING
        self._due = None if self._outstanding else self._now

    def _end(self, result: Result, error: BaseException | None = None) -> None:
        if self.finished:
            return
        self._state = _State.DONE
        self._due = None
        size = self._content.size
        self._content.close()
        self._meter.end(complete=result in (Result.STORED, Result.UNCHANGED))
        self._on_end(
            Ending(
                result=result,
                size=self._remaining.extent if size is None else size,
                sha256=self._sha256,
                sent=self._sent,
                resumed=self._resumed,
                seconds=self._now - (self._now if self._began is None else self._began),
                error=error,
            )
        )

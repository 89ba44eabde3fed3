"""A job that gets one file by ranges, whatever its size."""

from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final

from dxlfiletransferclient.errors import MalformedAnswerError, brief
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.exchange.pausing import Pause
from dxlfiletransferclient.intervals import IntervalSet, Range
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import FileMeter, Phase
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    Entry,
    Kind,
    Overwrite,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.call import Call, Errand
from dxlfiletransferclient.receiving.errors import ContentDamagedError, changing, no_digest
from dxlfiletransferclient.receiving.existing import Decision, exists
from dxlfiletransferclient.receiving.older import OlderFile
from dxlfiletransferclient.receiving.publications import ReadyFile
from dxlfiletransferclient.receiving.publishing import Outcome

if TYPE_CHECKING:
    from dxlfiletransferclient.receiving.partfile import PartFile

MAX_CHANGES: Final = 5
"""Times that a file may change on the service while it is received.

Each time it is begun anew. One that is written to all the time is never received whole.
"""


class _State(Enum):
    BEGINNING = auto()
    COMPARING = auto()
    LOOKING = auto()
    RETRIEVING = auto()
    CHECKING = auto()
    DONE = auto()


class FileJob:
    """Receives one file; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    It gets the ranges that are missing here, compares the SHA-256 of the whole with that of the
    service, and hands the file over to be given its name. Everything that it gets is of one
    version of the file: when that changes, it begins anew.

    Args:
        errand: The file, as it was listed.
        call: What it shares with others.
    """

    def __init__(self, errand: Errand, call: Call) -> None:
        self._errand = errand
        self._call = call
        self._state = _State.BEGINNING
        self._generation = 0
        self._outstanding = 0
        self._changes = 0
        self._anew = False
        self._sent = 0
        self._resumed = 0
        self._now = 0.0
        self._began: float | None = None
        self._meter: FileMeter | None = None
        self._part: PartFile | None = None
        self._asked = IntervalSet()
        self._older: OlderFile | None = None
        self._sha256: str | None = None
        self._stat_asked = False
        self._stat_at = 0.0
        self._pause = Pause()
        self._busy = False

    @property
    def finished(self) -> bool:
        """Whether the job has ended; the file may not have its name yet."""
        return self._state is _State.DONE

    def due(self) -> float | None:
        """When to call :meth:`next` again though nothing has happened."""
        times = [self._now] if self._busy else []
        if self._wants_stat:
            times.append(self._stat_at)
        if self._part is not None and self._part.safe_at is not None:
            times.append(self._part.safe_at)
        return min(times, default=None)

    def next(self, room: int, now: float) -> Ask | None:
        """Return what to send next; see :meth:`Job.next`."""
        self._now = now
        self._busy = False
        if self._began is None:
            self._began = now
        if self._part is not None:
            self._part.keep_safe(now)
        if self._state is _State.BEGINNING:
            self._begin()
        if self._wants_stat and now >= self._stat_at:
            self._stat_asked = True
            request = StatRequest(name=self._entry.name, with_sha256=True)
            return Ask(Verb.STAT, partial(encode, request), note=(self._generation, None))
        if self._state is _State.COMPARING:
            self._compare()
        if self._state is _State.RETRIEVING:
            ask = self._retrieve(room)
            if ask is not None:
                return ask
        if self._state is _State.CHECKING:
            self._check()
        return None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hear the answer to an ask; see :meth:`Job.answered`."""
        if ask.verb is Verb.STAT:
            stat = decode(StatAnswer, answer)
            if self._is_current(ask, now):
                self._take_stat(stat)
            return
        found = decode(RetrieveAnswer, answer)
        if self._is_current(ask, now):
            self._outstanding -= 1
            self._take_content(_range_of(ask), found)

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hear that an ask failed; see :meth:`Job.refused`."""
        if not self._is_current(ask, now):
            return
        if not error.means(ErrorCode.CHANGED):
            raise error
        self._changed()

    def moved(self, now: float) -> None:
        """Hear that the service was lost and found; see :meth:`Job.moved`.

        The version tells whether the file is the same there, so what is here stays.
        """
        self._now = now
        self._forget_asks()

    def failed(self, error: BaseException) -> None:
        """End, because the engine gives the job up; what is here stays for a later call."""
        if not self.finished:
            self._end(Result.FAILED, error=error)

    @property
    def _entry(self) -> Entry:
        return self._errand.entry

    @property
    def _wants_stat(self) -> bool:
        waiting = self._state not in (_State.BEGINNING, _State.DONE)
        return waiting and self._sha256 is None and not self._stat_asked

    def _is_current(self, ask: Ask, now: float) -> bool:
        """Whether an ask is about the version that is being received."""
        self._now = now
        assert isinstance(ask.note, tuple)  # noqa: S101 - set with each ask
        return bool(ask.note[0] == self._generation) and not self.finished

    def _forget_asks(self) -> None:
        self._generation += 1
        self._outstanding = 0
        self._stat_asked = False
        self._stat_at = self._now
        if self._part is not None:
            self._asked = self._part.held.copy()

    # Beginning

    def _begin(self) -> None:
        decision = self._call.decide(self._errand)
        if self._meter is None:
            self._meter = self._call.ledger.meter.begin(self._entry.name, self._entry.size)
        if decision is Decision.KEEP:
            self._end(Result.KEPT)
        elif decision is Decision.COMPARE:
            self._older = OlderFile(self._errand)
            self._state = _State.COMPARING
            self._meter.update(phase=Phase.VERIFYING)
        else:
            self._open()

    def _open(self) -> None:
        assert self._meter is not None  # noqa: S101 - set in the beginning
        version = (self._entry.version, self._entry.size)
        if self._part is None:
            self._part = self._call.open_part(self._errand)
            self._resumed = self._part.resumed
        elif self._part.version != version:
            self._part.begin_anew(*version)
        self._asked = self._part.held.copy()
        self._state = _State.RETRIEVING
        self._meter.size = self._entry.size
        self._meter.phase = Phase.RECEIVING
        self._meter.resume(self._part.held.total, self._part.durable)

    def _compare(self) -> None:
        """Look whether the older file has the same content."""
        assert self._older is not None  # noqa: S101 - set with the state
        if not self._older.hash_some():
            self._busy = True
        elif self._sha256 is not None:
            same = self._older.sha256 == self._sha256
            self._close_older()
            if same:
                self._end(Result.UNCHANGED)
            elif self._call.options.overwrite is Overwrite.FAIL:
                raise exists(self._errand.path)
            else:
                self._open()

    # Receiving

    def _retrieve(self, room: int) -> Ask | None:
        assert self._part is not None  # noqa: S101 - set with the state
        part = self._part
        gaps = self._asked.missing(0, part.size)
        if gaps:
            start = gaps[0][0]
            end = min(gaps[0][1], start + self._call.segment_size)
            if end - start <= room or not self._outstanding:
                return self._ask_for(start, end)
        if part.behind:
            part.hash_some()
            self._busy = part.behind
        if part.complete and not part.behind:
            # The disk writes while the service is asked.
            part.checkpoint()
            self._state = _State.CHECKING
            self._stat_at = min(self._stat_at, self._now)
            if self._meter is not None:
                self._meter.update(phase=Phase.VERIFYING)
        return None

    def _ask_for(self, start: int, end: int) -> Ask:
        self._asked.add(start, end)
        self._outstanding += 1
        request = RetrieveRequest(
            name=self._entry.name, offset=start, length=end - start, version=self._entry.version
        )
        note = (self._generation, (start, end))
        return Ask(Verb.RETRIEVE, partial(encode, request), end - start, note)

    def _take_content(self, asked: Range, answer: RetrieveAnswer) -> None:
        assert self._part is not None  # noqa: S101 - set before anything is asked for
        start, end = asked
        if (answer.version, answer.size) != (self._entry.version, self._entry.size):
            self._changed()
            return
        length = len(answer.payload)
        if answer.offset != start or not 0 < length <= end - start:
            msg = (
                f"the service sent {length} bytes from {answer.offset} on of "
                f"{brief(self._entry.name)}, when {end - start} from {start} on were asked for"
            )
            raise MalformedAnswerError(msg)
        self._part.write(start, answer.payload)
        self._part.keep_safe(self._now)
        self._sent += length
        # What a service leaves out of a range is asked for again.
        self._asked.remove(start + length, end)
        if self._meter is not None:
            self._meter.update(done=self._part.held.total, durable=self._part.durable)

    def _take_stat(self, answer: StatAnswer) -> None:
        self._stat_asked = False
        entry = answer.entry[0]
        if entry.kind is not Kind.FILE:
            text = f"{brief(self._entry.name)} is a {entry.kind} now, and no file"
            raise RefusedError(ErrorCode.WRONG_KIND, text)
        if self._state is _State.LOOKING:
            self._errand = replace(self._errand, entry=replace(entry, name=self._entry.name))
            self._state = _State.BEGINNING
            self._busy = True
        elif (entry.version, entry.size) != (self._entry.version, self._entry.size):
            self._changed()
            return
        self._sha256 = answer.sha256
        if answer.sha256 is None:
            if not answer.pending:
                raise no_digest(self._entry.name)
            self._stat_at = self._pause.over(self._now)

    def _changed(self) -> None:
        """Forget all about the version, because there is another one now."""
        self._changes += 1
        if self._changes > MAX_CHANGES:
            raise changing(self._entry.name, self._changes)
        self._close_older()
        self._sha256 = None
        self._pause = Pause()
        self._state = _State.LOOKING
        self._forget_asks()

    # Ending

    def _check(self) -> None:
        """Compare what is here with what the service has."""
        assert self._part is not None  # noqa: S101 - set with the state
        if self._sha256 is None:
            return
        if self._part.sha256 != self._sha256:
            self._begin_anew()
            return
        runnable = self._call.runnable(self._errand, self._part.part.place)
        part = self._part.release()
        self._call.open_parts.discard(self._part)
        self._part = None
        publication = ReadyFile(
            part,
            self._call.part_id(self._errand),
            resumable=True,
            sha256=self._sha256,
            attributes=self._call.attributes(self._entry),
            runnable=runnable,
            overwrite=self._call.options.overwrite,
        )
        self._state = _State.DONE
        self._call.publisher.add(publication, self._entry.size, self._published)

    def _begin_anew(self) -> None:
        """Throw away what is damaged, once; it may have lain here since an earlier call."""
        assert self._part is not None  # noqa: S101 - set with the state
        if self._anew:
            self._discard()
            raise ContentDamagedError(
                f"what came of {brief(self._entry.name)} has not the SHA-256 that the service "
                "tells, twice; nothing of it was kept. Its disk, or one on the way, may be failing"
            )
        self._anew = True
        self._part.begin_anew(self._entry.version, self._entry.size)
        self._sha256 = None
        self._forget_asks()
        self._state = _State.RETRIEVING
        self._busy = True
        if self._meter is not None:
            self._meter.update(phase=Phase.RECEIVING, done=0, durable=0)

    def _published(self, outcome: Outcome) -> None:
        if isinstance(outcome, Result):
            self._report(outcome)
        else:
            self._report(Result.FAILED, error=outcome)

    def _end(self, result: Result, *, error: BaseException | None = None) -> None:
        self._state = _State.DONE
        self._close_older()
        if result is not Result.FAILED:
            self._discard()
        elif self._part is not None:
            self._call.close_part(self._part)
            self._part = None
        self._report(result, error=error)

    def _discard(self) -> None:
        if self._part is not None:
            part, self._part = self._part, None
            self._call.open_parts.discard(part)
            part.discard()

    def _close_older(self) -> None:
        if self._older is not None:
            self._older.close()
            self._older = None

    def _report(self, result: Result, *, error: BaseException | None = None) -> None:
        if self._meter is not None:
            self._meter.end(complete=result in (Result.STORED, Result.UNCHANGED))
        self._call.report(
            self._errand,
            result,
            sha256=self._sha256 if result in (Result.STORED, Result.UNCHANGED) else None,
            sent=self._sent,
            resumed=self._resumed,
            seconds=0.0 if self._began is None else self._now - self._began,
            error=error,
        )


def _range_of(ask: Ask) -> Range:
    assert isinstance(ask.note, tuple)  # noqa: S101 - set with each ask
    start, end = ask.note[1]
    return int(start), int(end)

"""A job that gets many small files, each in one message."""

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from dxlfiletransferclient.errors import FileTransferError
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    Overwrite,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel, Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.call import Call, Errand
from dxlfiletransferclient.receiving.errors import local_errors
from dxlfiletransferclient.receiving.existing import Decision
from dxlfiletransferclient.receiving.part import Part
from dxlfiletransferclient.receiving.publications import ReadyFile
from dxlfiletransferclient.receiving.publishing import Outcome

FILES_PER_JOB: Final = 256
"""Small files that one job gets: what it takes to begin and end a job does not count then."""

MOST_AT_ONCE: Final = 64
"""Files of one job that are asked for at once, however small they are.

With fewer, a long way to the service would decide how fast tiny files come; with many more, they
would pile up at the service.
"""

_MESSAGE_COST: Final = 512
"""Bytes of the window that each file takes besides its content, for what is around it."""


@dataclass(slots=True)
class _Small:
    """One of the files.

    Attributes:
        errand: The file, as it was listed.
        comparing: Whether its SHA-256 is asked for and not its content.
        began: When it was asked for first.
    """

    errand: Errand
    comparing: bool = False
    began: float | None = None


class SmallFilesJob:
    """Receives small files; a :class:`~dxlfiletransferclient.exchange.jobs.Job`.

    Whatever becomes of one of them is none of the others' business. One that is not as it was
    listed any more is put aside, to be received as a large one.

    Args:
        errands: The files; none has more bytes than fit into one message.
        call: What they share with others.
    """

    def __init__(self, errands: Sequence[Errand], call: Call) -> None:
        self._call = call
        self._todo = deque(_Small(errand) for errand in errands)
        self._asked: dict[int, _Small] = {}
        self._numbers = 0
        self._now = 0.0

    @property
    def finished(self) -> bool:
        """Whether all are through with; some may not have their names yet."""
        return not self._todo and not self._asked

    def due(self) -> float | None:
        """Nothing is ever due: there are asks outstanding until the job is finished."""
        return None

    def next(self, room: int, now: float) -> Ask | None:
        """Return what to send next; see :meth:`Job.next`."""
        self._now = now
        while self._todo and len(self._asked) < MOST_AT_ONCE:
            small = self._todo[0]
            cost = small.errand.entry.size + _MESSAGE_COST
            if cost > room and self._asked:
                return None
            self._todo.popleft()
            if small.began is None:
                small.began = now
                if not self._is_wanted(small):
                    continue
            self._numbers += 1
            self._asked[self._numbers] = small
            return self._ask(small, self._numbers, cost)
        return None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        """Hear the answer to an ask; see :meth:`Job.answered`."""
        self._now = now
        if ask.verb is Verb.STAT:
            stat = decode(StatAnswer, answer)
            small = self._taken(ask)
            if small is not None:
                self._guarded(small, partial(self._compare, small, stat))
            return
        found = decode(RetrieveAnswer, answer)
        small = self._taken(ask)
        if small is not None:
            self._guarded(small, partial(self._take, small, found))

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        """Hear that an ask failed; see :meth:`Job.refused`."""
        self._now = now
        small = self._taken(ask)
        if small is None:
            return
        if error.means(ErrorCode.CHANGED):
            self._call.again.append(small.errand)
        else:
            self._fail(small, error)

    def moved(self, now: float) -> None:
        """Hear that the service was lost and found; see :meth:`Job.moved`."""
        self._now = now
        self._todo.extendleft(reversed(self._asked.values()))
        self._asked.clear()

    def failed(self, error: BaseException) -> None:
        """End, because the engine gives the job up."""
        left = [*self._asked.values(), *self._todo]
        self._asked.clear()
        self._todo.clear()
        for small in left:
            self._fail(small, error)

    def _taken(self, ask: Ask) -> _Small | None:
        assert isinstance(ask.note, int)  # noqa: S101 - set with each ask
        return self._asked.pop(ask.note, None)

    def _guarded(self, small: _Small, step: "partial[None]") -> None:
        """Do something about a file; what goes wrong is that file's alone."""
        try:
            step()
        except (OSError, FileTransferError) as error:
            self._fail(small, error)

    def _is_wanted(self, small: _Small) -> bool:
        try:
            decision = self._call.decide(small.errand)
        except (OSError, FileTransferError) as error:
            self._fail(small, error)
            return False
        if decision is Decision.KEEP:
            self._end(small, Result.KEPT)
            return False
        # To find out that the content is another one and that this is an error, it has to come.
        overwrite = self._call.options.overwrite
        small.comparing = decision is Decision.COMPARE and overwrite is not Overwrite.FAIL
        return True

    def _ask(self, small: _Small, number: int, cost: int) -> Ask:
        entry = small.errand.entry
        if small.comparing:
            stat = StatRequest(name=entry.name, with_sha256=True)
            return Ask(Verb.STAT, partial(encode, stat), note=number)
        request = RetrieveRequest(
            name=entry.name, offset=0, length=max(1, entry.size), version=entry.version
        )
        return Ask(Verb.RETRIEVE, partial(encode, request), cost, number)

    def _compare(self, small: _Small, answer: StatAnswer) -> None:
        errand = small.errand
        if answer.entry[0].version != errand.entry.version:
            self._call.again.append(errand)
        elif answer.sha256 is not None and answer.sha256 == _sha256_of(errand):
            self._end(small, Result.UNCHANGED, sha256=answer.sha256)
        else:
            # One that is being hashed comes faster than its digest.
            small.comparing = False
            self._todo.append(small)

    def _take(self, small: _Small, answer: RetrieveAnswer) -> None:
        entry = small.errand.entry
        whole = answer.offset == 0 and len(answer.payload) == answer.size == entry.size
        sha256 = hashlib.sha256(answer.payload).hexdigest() if whole else None
        if answer.version == entry.version and sha256 is not None and sha256 == answer.sha256:
            self._store(small, answer.payload, sha256)
        else:
            self._call.again.append(small.errand)

    def _store(self, small: _Small, payload: Payload, sha256: str) -> None:
        errand = small.errand
        identity = self._call.part_id(errand)
        place = errand.target.place(errand.parts)
        runnable = self._call.runnable(errand, place)
        part = Part.opened(place, identity)
        try:
            part.cut(0)
            part.write(0, payload)
        except BaseException:
            part.remove()
            raise
        publication = ReadyFile(
            part,
            identity,
            resumable=False,
            sha256=sha256,
            attributes=self._call.attributes(errand.entry),
            runnable=runnable,
            overwrite=self._call.options.overwrite,
        )
        ended = partial(self._published, small, sha256)
        self._call.publisher.add(publication, len(payload), ended)

    def _published(self, small: _Small, sha256: str, outcome: Outcome) -> None:
        if isinstance(outcome, Result):
            self._end(small, outcome, sha256=sha256, sent=small.errand.entry.size)
        else:
            self._fail(small, outcome)

    def _fail(self, small: _Small, error: BaseException) -> None:
        self._end(small, Result.FAILED, error=error)

    def _end(
        self,
        small: _Small,
        result: Result,
        *,
        sha256: str | None = None,
        sent: int = 0,
        error: BaseException | None = None,
    ) -> None:
        entry = small.errand.entry
        complete = result in (Result.STORED, Result.UNCHANGED)
        self._call.ledger.meter.whole(entry.name, entry.size, complete=complete)
        self._call.report(
            small.errand,
            result,
            sha256=sha256 if complete else None,
            sent=sent,
            seconds=0.0 if small.began is None else self._now - small.began,
            error=error,
        )


def _sha256_of(errand: Errand) -> str:
    with (
        local_errors("read", errand.path),
        open(errand.target.open_existing(errand.parts), "rb") as file,  # noqa: PTH123 - no path
    ):
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Takes files and keeps none of them, to measure the way to here."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dxlfiletransferclient.digests import RunningSha256
from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.limits import MAX_RANGES
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    EntryResult,
    FinishRequest,
    Kind,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.faults import refusal_of_name
from dxlfiletransferclient.storage.interface import StoreLimits
from dxlfiletransferclient.storage.names import Parts, parse_name
from dxlfiletransferclient.storage.overwriting import NO_TERMS, Terms

BYTES_AHEAD: Final = 64 * 2**20
"""Bytes of all files together that wait in memory for those before them, to be hashed in order.

Segments overtake each other by some megabytes. Of a file for which there is no room, the SHA-256 is
not checked; its size and the digest of each segment are.
"""

MAX_FILES: Final = 256
"""Files of one session that may be under way; who sends to measure has a few dozen."""

MAX_GAPS: Final = 1000
"""Ranges that one file may consist of; each costs some hundred bytes of memory."""

ENDED_REMEMBERED: Final = 4096
"""Files of a session that it is remembered were whole, for requests that come again."""

_RETRY_AFTER: Final = 1.0


class AheadBudget:
    """Counts the bytes that wait to be hashed; for all sessions together and several threads.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = BYTES_AHEAD) -> None:
        self._guard = threading.Lock()
        self._left = most

    def take(self, count: int) -> bool:
        """Set some bytes aside; returns whether there is room."""
        with self._guard:
            fits = count <= self._left
            if fits:
                self._left -= count
            return fits

    def give_back(self, count: int) -> None:
        """Give bytes back."""
        with self._guard:
            self._left += count


class _Discarded:
    """One file on its way to nowhere. Not for several threads."""

    def __init__(self, request: OpenRequest, budget: AheadBudget) -> None:
        self.request = request
        self.held = IntervalSet()
        self._budget = budget
        self._digest: RunningSha256 | None = RunningSha256()
        self._hashed = 0
        self._ahead: dict[int, bytes] = {}

    def write(self, offset: int, payload: Payload) -> None:
        """Take a part; what was there before counts once."""
        view = memoryview(payload)
        for start, end in self.held.add(offset, offset + len(view)):
            part = view[start - offset : end - offset]
            if self._digest is None:
                continue
            if start == self._hashed:
                self._hash(part)
            elif self._budget.take(len(part)):
                self._ahead[start] = bytes(part)
            else:
                self.forget()

    def sha256(self) -> str | None:
        """Return the SHA-256 of all that is there from the beginning on; ``None`` if unknown."""
        return None if self._digest is None else self._digest.hexdigest()

    def forget(self) -> None:
        """Let go of what waits to be hashed, and of the SHA-256 with it."""
        self._digest = None
        self._budget.give_back(sum(map(len, self._ahead.values())))
        self._ahead.clear()

    def _hash(self, part: Payload) -> None:
        assert self._digest is not None  # noqa: S101 - checked by the caller
        self._digest.update(part)
        self._hashed += len(part)
        while (waiting := self._ahead.pop(self._hashed, None)) is not None:
            self._budget.give_back(len(waiting))
            self._digest.update(waiting)
            self._hashed += len(waiting)


class DiscardingStore:
    """Checks what comes and drops it; a ``placing.ReceivingStore`` for one session.

    Args:
        limits: What is taken at the moment.
        budget: Memory for what arrives out of order, shared with others.
    """

    def __init__(self, limits: Callable[[], StoreLimits], budget: AheadBudget) -> None:
        self._limits = limits
        self._budget = budget
        self._guard = threading.Lock()
        self._files: dict[str, _Discarded] = {}
        self._ended: OrderedDict[str, FinishRequest] = OrderedDict()

    @property
    def limits(self) -> StoreLimits:
        """What is taken at the moment."""
        return self._limits()

    def open(self, request: OpenRequest, terms: Terms = NO_TERMS) -> TransferAnswer:  # noqa: ARG002
        """Begin a file, or tell how far it is (see ``interface.Store``)."""
        _check_name(request.name)
        with self._guard:
            self._ended.pop(request.file_id, None)
            file = self._files.get(request.file_id)
            if file is None:
                if len(self._files) >= MAX_FILES:
                    text = f"{MAX_FILES} files of this session are under way; end some of them"
                    raise RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)
                file = self._files[request.file_id] = _Discarded(request, self._budget)
            elif file.request != request:
                text = f"the id {request.file_id!r} is in use for a file with other metadata"
                raise RefusedError(ErrorCode.OTHER_METADATA, text)
            return self._answer(file)

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file (see ``interface.Store``)."""
        end = request.offset + len(request.payload)
        with self._guard:
            if request.file_id in self._ended:
                return self._stored(self._ended[request.file_id])
            file = self._known(request.file_id)
            size = file.request.size
            if len(request.payload) > self.limits.segment_size or (size is not None and end > size):
                text = f"a segment of {len(request.payload)} bytes ends at {end}, which is too much"
                raise RefusedError(ErrorCode.INVALID, text)
            if len(file.held) >= MAX_GAPS and not file.held.overlap(request.offset, end):
                text = f"the file has {MAX_GAPS} gaps; send what is missing between them"
                raise RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)
            file.write(request.offset, request.payload)
            return self._answer(file)

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is (see ``interface.Store``)."""
        with self._guard:
            if request.file_id in self._ended:
                return self._stored(self._ended[request.file_id])
            return self._answer(self._known(request.file_id))

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check a whole file and forget it (see ``interface.Store``)."""
        with self._guard:
            ended = self._ended.get(request.file_id)
            if ended is not None:
                return self._stored(ended) if ended == request else self._mismatch()
            file = self._known(request.file_id)
            if file.request.size not in (None, request.size) or file.held.end > request.size:
                return self._mismatch()
            if not file.held.covers(0, request.size):
                return self._answer(file)
            if file.sha256() not in (None, request.sha256):
                return self._mismatch()
            self._drop(request.file_id)
            self._ended[request.file_id] = request
            while len(self._ended) > ENDED_REMEMBERED:
                self._ended.popitem(last=False)
            return self._stored(request)

    def abort(self, request: AbortRequest) -> None:
        """Forget a file (see ``interface.Store``)."""
        with self._guard:
            self._ended.pop(request.file_id, None)
            self._drop(request.file_id)

    def put(
        self,
        entries: Sequence[BatchEntry],
        terms: Terms = NO_TERMS,  # noqa: ARG002
    ) -> list[EntryResult]:
        """Check small files (see ``interface.Store``)."""
        return [_checked(entry) for entry in entries]

    def close(self) -> None:
        """Let go of everything that waits to be hashed."""
        with self._guard:
            for file in self._files.values():
                file.forget()
            self._files.clear()

    def _known(self, file_id: str) -> _Discarded:
        file = self._files.get(file_id)
        if file is None:
            text = f"no file with the id {file_id!r} is under way here"
            raise RefusedError(ErrorCode.UNKNOWN_TRANSFER, text)
        return file

    def _drop(self, file_id: str) -> None:
        file = self._files.pop(file_id, None)
        if file is not None:
            file.forget()

    def _answer(self, file: _Discarded) -> TransferAnswer:
        held = file.held.ranges[:MAX_RANGES]
        limits = self.limits
        return TransferAnswer(
            state=TransferState.RECEIVING,
            held=held,
            # A crash loses all of it, and nobody misses it.
            durable=held,
            segment_size=limits.segment_size,
            window=limits.window,
        )

    def _stored(self, request: FinishRequest) -> TransferAnswer:
        limits = self.limits
        whole = ((0, request.size),) if request.size else ()
        return TransferAnswer(
            state=TransferState.STORED,
            held=whole,
            durable=whole,
            segment_size=limits.segment_size,
            window=limits.window,
            size=request.size,
            sha256=request.sha256,
            version=request.sha256,
        )

    def _mismatch(self) -> TransferAnswer:
        limits = self.limits
        return TransferAnswer(
            state=TransferState.MISMATCH, segment_size=limits.segment_size, window=limits.window
        )


class Nowhere:
    """A ground on which nothing is kept; a ``placing.Ground``.

    Args:
        store: Takes everything.
    """

    def __init__(self, store: DiscardingStore) -> None:
        self._store = store

    def find(self, parts: Parts) -> tuple[DiscardingStore, Parts]:
        """Return the store, whatever the name."""
        return self._store, parts

    def stores(self) -> Iterable[DiscardingStore]:
        """Return the store."""
        return (self._store,)

    def close(self) -> None:
        """Let go of what it holds."""
        self._store.close()


def _checked(entry: BatchEntry) -> EntryResult:
    try:
        _check_name(entry.name)
    except RefusedError as error:
        return EntryResult(code=error.code, text=error.message)
    if entry.kind is Kind.FILE and hashlib.sha256(entry.payload).hexdigest() != entry.sha256:
        text = f"the content of {brief(entry.name)} does not have the SHA-256 that came with it"
        return EntryResult(code=ErrorCode.CORRUPT, text=text)
    return EntryResult(state=TransferState.STORED)


def _check_name(name: str) -> None:
    try:
        parse_name(name)
    except UnsafeNameError as error:
        raise refusal_of_name(error) from error

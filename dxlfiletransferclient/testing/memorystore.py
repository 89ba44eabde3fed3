"""A whole store in memory: for tests, and the plainest example of what a store has to do."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Final

from dxlfiletransferclient.intervals import NOTHING, Ranges
from dxlfiletransferclient.protocol.limits import MAX_RANGES
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    EntryResult,
    FinishRequest,
    Kind,
    ListAnswer,
    ListRequest,
    OpenRequest,
    Overwrite,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    SegmentRequest,
    StatAnswer,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.interface import Store, StoreLimits
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.testing.memoryoptions import MemoryStoreOptions
from dxlfiletransferclient.testing.memorytransfer import MemoryTransfer
from dxlfiletransferclient.testing.memorytree import MemoryTree, parsed

MAX_UNDER_WAY: Final = 10_000
"""Files under way, and files remembered as stored, at most; as many as on disk."""

_ACTIVE_SECONDS: Final = 30.0
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is remembered of a file that is not under way any more."""

    request: OpenRequest
    parts: Parts
    finish: FinishRequest
    state: TransferState
    version: str | None
    time: float


class MemoryStore(Store):
    """Keeps files in memory as a store on disk keeps them, crashes included.

    Its time is what :meth:`maintain` told it last, and 1970 before; on a
    :class:`~dxlfiletransferclient.testing.memorybus.MemoryBus` that happens every second.

    Args:
        options: How it behaves.

    Example:
        >>> store = MemoryStore()
        >>> entry = BatchEntry(name="a/b", payload=b"1", sha256=hashlib.sha256(b"1").hexdigest())
        >>> store.put([entry])
        [EntryResult(state=<TransferState.STORED: 'stored'>, code=None, text=None)]
        >>> store.stored
        {'a/b': b'1'}
    """

    def __init__(self, options: MemoryStoreOptions = MemoryStoreOptions()) -> None:  # noqa: B008
        self.options = options
        self._lock = RLock()
        self._closed = False
        self._now = 0.0
        self._tree = MemoryTree(links=options.links)
        self._under_way: dict[str, MemoryTransfer] = {}
        self._remembered: dict[str, _Stored] = {}
        self._asked_digests: dict[str, int] = {}

    # What a test looks at, and does.

    @property
    def stored(self) -> dict[str, bytes]:
        """The content of every stored file, by its name."""
        with self._lock:
            return self._tree.files

    @property
    def under_way(self) -> frozenset[str]:
        """The ids of the files under way."""
        with self._lock:
            return frozenset(self._under_way)

    def crashed(self) -> "MemoryStore":
        """Return a store with what outlives a crash: what is stored or durable, and no more.

        After :meth:`close` that is everything, so this is also how to open a store again.
        """
        with self._lock:
            left = MemoryStore(self.options)
            left._now = self._now
            left._tree = self._tree.copy()
            left._under_way = {key: each.crashed() for key, each in self._under_way.items()}
            left._remembered = dict(self._remembered)
            return left

    def rot(self, file_id: str, offset: int) -> None:
        """Damage one byte that is held of a file under way, as a failing disk does.

        Raises:
            KeyError: No such file is under way.
        """
        with self._lock:
            self._under_way[file_id].rot(offset)

    # What a store does.

    @property
    def store_id(self) -> str:
        """Name of the store."""
        return self.options.store_id

    @property
    def limits(self) -> StoreLimits:
        """What the store takes at the moment."""
        with self._lock:
            options = self.options
            recent = self._now - _ACTIVE_SECONDS
            active = sum(each.touched >= recent for each in self._under_way.values())
            share = options.window_total // max(1, active)
            window = min(options.window_each, max(2 * options.segment_size, share))
            return StoreLimits(options.segment_size, window)

    def open(self, request: OpenRequest) -> TransferAnswer:
        """Begin a file, or tell how far it is."""
        with self._called():
            transfer = self._under_way.get(request.file_id)
            known = transfer or self._remembered.get(request.file_id)
            if known is not None and known.request != request:
                text = f"the id {request.file_id} is in use for a file with other metadata"
                raise RefusedError(ErrorCode.OTHER_METADATA, text)
            if transfer is not None:
                transfer.touched = self._now
                return self._answer(transfer)
            past = self._remembered.get(request.file_id)
            if past is not None and self._is_still_there(past):
                return self._answer_of_past(past)
            self._remembered.pop(request.file_id, None)
            return self._begun(request)

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file."""
        with self._called():
            transfer = self._transfer(request.file_id)
            end = request.offset + len(request.payload)
            if len(request.payload) > self.options.segment_size:
                text = f"a segment of {len(request.payload)} bytes is over the limit"
                raise RefusedError(ErrorCode.INVALID, text)
            if transfer.request.size is not None and end > transfer.request.size:
                text = f"a segment ends at {end}, beyond the size of {transfer.request.size}"
                raise RefusedError(ErrorCode.INVALID, text)
            self._check_room(max(end, transfer.reserved), but=request.file_id)
            transfer.write(request.offset, request.payload, self._now)
            if transfer.at_risk >= self.options.checkpoint_bytes:
                transfer.checkpoint()
            return self._answer(transfer)

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is."""
        with self._called():
            past = self._remembered.get(request.file_id)
            if past is not None:
                return self._answer_of_past(past)
            transfer = self._transfer(request.file_id)
            if request.flush:
                transfer.checkpoint()
            return self._answer(transfer)

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check the whole file and give it its name."""
        with self._called():
            past = self._remembered.get(request.file_id)
            if past is not None:
                if past.finish == request:
                    return self._answer_of_past(past)
                return self._answered(TransferState.MISMATCH)
            transfer = self._transfer(request.file_id)
            if transfer.request.size not in (None, request.size):
                return self._answered(TransferState.MISMATCH, transfer.held.ranges)
            if transfer.missing(request.size):
                return self._answer(transfer)
            if transfer.finishing < self.options.slow_answers:
                transfer.finishing += 1
                return self._answer(transfer)
            transfer.finishing = 0
            if not _is_right(transfer, request):
                damaged = transfer.drop_damaged()
                answer = self._answer(transfer)
                return replace(answer, state=TransferState.MISMATCH, damaged=damaged[:MAX_RANGES])
            return self._published(transfer, request)

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way, and what is remembered of one that was stored."""
        with self._called():
            self._under_way.pop(request.file_id, None)
            self._remembered.pop(request.file_id, None)

    def put(self, entries: Sequence[BatchEntry]) -> list[EntryResult]:
        """Store small files, directories and links whole."""
        with self._called():
            return [self._put(entry) for entry in entries]

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a stored file."""
        with self._called():
            return self._tree.retrieve(request)

    def list(self, request: ListRequest) -> ListAnswer:
        """Tell what is in a directory."""
        with self._called():
            return self._tree.list(request)

    def stat(self, request: StatRequest) -> StatAnswer:
        """Tell what is stored under a name."""
        with self._called():
            parts = parsed(request.name)
            entry = self._tree.entry(parts)
            if not request.with_sha256 or entry.kind is not Kind.FILE:
                return StatAnswer(entry=(entry,))
            asked = self._asked_digests.get(entry.version, 0)
            if asked < self.options.slow_answers:
                self._asked_digests[entry.version] = asked + 1
                return StatAnswer(entry=(entry,), pending=True)
            return StatAnswer(entry=(entry,), sha256=self._tree.sha256_of(parts))

    def remove(self, request: RemoveRequest) -> RemoveAnswer:
        """Remove what is stored under a name."""
        with self._called():
            return self._tree.remove(request)

    def maintain(self, now: float) -> None:
        """Make the checkpoints that are due, and give up what is too old."""
        with self._lock:
            if not self._now:
                self._set_clock(now)
            self._now = max(self._now, now)
            if self._closed:
                return
            due = self._now - self.options.checkpoint_seconds
            for transfer in self._under_way.values():
                if transfer.dirty_since is not None and transfer.dirty_since <= due:
                    transfer.checkpoint()
            oldest = self._now - self.options.partial_lifetime
            for key in [key for key, each in self._under_way.items() if each.touched < oldest]:
                del self._under_way[key]
            for key in [key for key, each in self._remembered.items() if each.time < oldest]:
                del self._remembered[key]

    def close(self) -> None:
        """Make a last checkpoint and take no more requests."""
        with self._lock:
            self._closed = True
            for transfer in self._under_way.values():
                transfer.checkpoint()

    def _set_clock(self, now: float) -> None:
        """Take what came before the first time that was told as if it came then."""
        for transfer in self._under_way.values():
            transfer.touched = now
            transfer.dirty_since = None if transfer.dirty_since is None else now
        self._remembered = {key: replace(each, time=now) for key, each in self._remembered.items()}

    @contextmanager
    def _called(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise RefusedError(ErrorCode.CLOSING, "the store is closed")
            yield

    def _begun(self, request: OpenRequest) -> TransferAnswer:
        parts = parsed(request.name)
        if self._tree.keeps(parts, request.overwrite, request.modified_ns):
            return self._answered(TransferState.KEPT)
        if request.overwrite is Overwrite.FAIL and request.size is not None:
            self._check_same_size(parts, request.size)
        self._check_room(request.size or 0, but=request.file_id)
        if len(self._under_way) >= MAX_UNDER_WAY:
            text = f"{MAX_UNDER_WAY} files are under way"
            raise RefusedError(ErrorCode.BUSY, text, _ACTIVE_SECONDS)
        transfer = MemoryTransfer(request, parts, self._now)
        self._under_way[request.file_id] = transfer
        return self._answer(transfer)

    def _check_same_size(self, parts: Parts, size: int) -> None:
        if self._tree.version_of(parts) is not None and self._tree.entry(parts).size != size:
            raise RefusedError(ErrorCode.EXISTS, "another file of this name exists")

    def _check_room(self, size: int, *, but: str = "") -> None:
        limits = self.options
        if limits.file_bytes is not None and size > limits.file_bytes:
            text = f"a file of {size} bytes is over the limit of {limits.file_bytes} for one file"
            raise RefusedError(ErrorCode.QUOTA, text)
        reserved = sum(each.reserved for key, each in self._under_way.items() if key != but)
        needed = self._tree.used + reserved + size
        if limits.total_bytes is not None and needed > limits.total_bytes:
            text = f"{needed} bytes are over the limit of {limits.total_bytes} for all files"
            raise RefusedError(ErrorCode.QUOTA, text)

    def _transfer(self, file_id: str) -> MemoryTransfer:
        transfer = self._under_way.get(file_id)
        if transfer is None:
            raise RefusedError(ErrorCode.UNKNOWN_TRANSFER, f"no file with the id {file_id}")
        transfer.touched = self._now
        return transfer

    def _published(self, transfer: MemoryTransfer, request: FinishRequest) -> TransferAnswer:
        file = self._tree.file(
            transfer.content,
            request.sha256,
            self._modified(transfer.request.modified_ns),
            executable=transfer.request.executable,
        )
        opened = transfer.request
        state = self._tree.publish(transfer.parts, file, opened.overwrite, opened.modified_ns)
        version = self._tree.version_of(transfer.parts)
        del self._under_way[request.file_id]
        past = _Stored(transfer.request, transfer.parts, request, state, version, self._now)
        self._remembered[request.file_id] = past
        if len(self._remembered) > MAX_UNDER_WAY:
            del self._remembered[next(iter(self._remembered))]
        return self._answer_of_past(past)

    def _put(self, entry: BatchEntry) -> EntryResult:
        try:
            self._check_room(len(entry.payload))
            state = self._tree.put(entry, self._modified(None))
        except RefusedError as error:
            return EntryResult(code=error.code, text=error.message)
        return EntryResult(state=state)

    def _modified(self, modified_ns: int | None) -> int:
        return int(self._now * _NANOSECONDS) if modified_ns is None else modified_ns

    def _is_still_there(self, past: _Stored) -> bool:
        stored = past.state is TransferState.STORED
        return stored and self._tree.version_of(past.parts) == past.version

    def _answer(self, transfer: MemoryTransfer) -> TransferAnswer:
        state = TransferState.VERIFYING if transfer.finishing else TransferState.RECEIVING
        return self._answered(state, transfer.held.ranges, transfer.durable.ranges)

    def _answer_of_past(self, past: _Stored) -> TransferAnswer:
        if past.state is TransferState.KEPT:
            return self._answered(past.state)
        size = past.finish.size
        whole = ((0, size),) if size else NOTHING
        answer = self._answered(past.state, whole, whole)
        return replace(answer, size=size, sha256=past.finish.sha256, version=past.version)

    def _answered(
        self, state: TransferState, held: Ranges = NOTHING, durable: Ranges = NOTHING
    ) -> TransferAnswer:
        limits = self.limits
        return TransferAnswer(
            state=state,
            held=held[:MAX_RANGES],
            durable=durable[:MAX_RANGES],
            segment_size=limits.segment_size,
            window=limits.window,
        )


def _is_right(transfer: MemoryTransfer, request: FinishRequest) -> bool:
    content = transfer.content
    if len(content) != request.size:
        return False
    return hashlib.sha256(content).hexdigest() == request.sha256

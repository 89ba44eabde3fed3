"""Takes files in parts: the requests of version 2 about files under way."""

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.errors import (
    StorageError,
    StoreClosedError,
    UnknownFileError,
    UnsafeNameError,
    brief,
)
from dxlfiletransferclient.intervals import NOTHING, Ranges
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    FinishRequest,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.catalogue import Catalogue
from dxlfiletransferclient.storage.faults import logged_refusal
from dxlfiletransferclient.storage.finishing import Finisher
from dxlfiletransferclient.storage.grants import Grants
from dxlfiletransferclient.storage.interface import StoreLimits
from dxlfiletransferclient.storage.journal import Metadata, Stored
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.overwriting import NO_TERMS, Terms
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.places import unknown
from dxlfiletransferclient.storage.quotas import Quota
from dxlfiletransferclient.storage.turns import RETRY_AFTER
from dxlfiletransferclient.storage.working import WorkingDirectory

logger = logging.getLogger(__name__)

_VERSION: Final = 2
_ATTEMPTS: Final = 5
"""Times that a file is opened while others remove or begin it at the same moment."""

_FAULTS: Final = (UnknownFileError, StoreClosedError, UnsafeNameError, OSError)
"""What files under way raise, apart from what travels already."""


class Intake:
    """Opens, fills, finishes and drops files under way. Safe for several threads.

    All methods are those of ``interface.Store``, and raise what it says there.

    Args:
        working: The files under way.
        catalogue: The stored files.
        finisher: Checks whole files and gives them their names.
        quota: The limits of the store.
        grants: Shares the window out.
        segment_size: Largest segment, in bytes.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        working: WorkingDirectory,
        catalogue: Catalogue,
        finisher: Finisher,
        quota: Quota,
        *,
        grants: Grants,
        segment_size: int,
        clock: Callable[[], float],
    ) -> None:
        self._working = working
        self._catalogue = catalogue
        self._finisher = finisher
        self._quota = quota
        self._grants = grants
        self._segment_size = segment_size
        self._clock = clock

    @property
    def limits(self) -> StoreLimits:
        """What is taken at the moment."""
        return StoreLimits(self._segment_size, self._grants.window(self._clock()))

    def open(self, request: OpenRequest, terms: Terms = NO_TERMS) -> TransferAnswer:
        """Begin a file, or tell how far it is."""
        parts = self._catalogue.parse(request.name)
        metadata = Metadata(
            version=_VERSION,
            name="/".join(parts),
            size=request.size,
            modified_ns=request.modified_ns,
            executable=request.executable,
            overwrite=request.overwrite,
            terms=terms,
        )
        with _refusals(f"begin {brief(request.name)}"):
            for _ in range(_ATTEMPTS):
                answer = self._gone_on_with(request.file_id, metadata, parts)
                answer = answer or self._begun(request.file_id, metadata, parts)
                if answer is not None:
                    return answer
        text = f"file {request.file_id!r} is being begun and dropped by others; try again"
        raise RefusedError(ErrorCode.BUSY, text, RETRY_AFTER)

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file, wherever it lies."""
        try:
            place, partial = self._working.enter(request.file_id)
            try:
                return self._written(partial, request)
            finally:
                self._working.leave(place, partial)
        except _FAULTS as error:
            raise _refusal(error, f"write to file {request.file_id!r}") from error

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is."""
        file_id = request.file_id
        with _refusals(f"flush file {file_id!r}"), self._under_way(file_id) as partial:
            if partial.stored is not None:
                return self._ended(partial, partial.stored)
            if request.flush:
                partial.checkpoint()
            return self._answer(partial)

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check a whole file and give it its name."""
        file_id = request.file_id
        with _refusals(f"finish file {file_id!r}"), self._under_way(file_id) as partial:
            verdict = self._finisher.finish(partial, request)
            if partial.stored is not None and verdict.state is not TransferState.MISMATCH:
                return self._ended(partial, partial.stored)
            return self._answer(partial, verdict.state, verdict.damaged)

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way, if it is known."""
        file_id = request.file_id
        if self._finisher.is_busy_with(file_id):
            text = f"file {file_id!r} is being stored at this moment; try again"
            raise RefusedError(ErrorCode.BUSY, text, RETRY_AFTER)
        self._grants.forget(file_id)
        with _refusals(f"drop file {file_id!r}"):
            try:
                with self._working.place(file_id) as place:
                    if place.partial is None or place.partial.metadata.version != _VERSION:
                        return
                    self._working.clear(place)
            except UnknownFileError:
                # Somebody else has just dropped it.
                return
        logger.info("File %s was dropped by its sender: %s", file_id, brief(request.reason))

    def _gone_on_with(
        self, file_id: str, metadata: Metadata, parts: Parts
    ) -> TransferAnswer | None:
        """Tell how far a file is; ``None`` if it has to be begun."""
        try:
            with self._working.use(file_id) as partial:
                if partial.metadata != metadata:
                    text = f"the id {file_id!r} is in use for a file with other metadata"
                    raise RefusedError(ErrorCode.OTHER_METADATA, text)
                self._settle(partial)
                if partial.lost:
                    return None
                if partial.stored is None:
                    self._quota.reserve(file_id, max(metadata.size or 0, partial.size))
                    return self._answer(partial)
                if self._finisher.is_still_there(partial.stored, parts):
                    return self._ended(partial, partial.stored)
        except UnknownFileError:
            return None
        return None

    def _begun(self, file_id: str, metadata: Metadata, parts: Parts) -> TransferAnswer | None:
        """Begin a file; ``None`` if somebody else is faster."""
        try:
            with self._working.place(file_id) as place:
                if place.partial is not None and self._counts(place.partial, parts):
                    return None
                self._working.clear(place)
                if not self._catalogue.check(
                    parts,
                    overwrite=metadata.overwrite,
                    modified_ns=metadata.modified_ns,
                    size=metadata.size,
                    terms=metadata.terms,
                ):
                    return self._without(TransferState.KEPT)
                self._quota.reserve(file_id, metadata.size or 0)
                try:
                    return self._answer(self._working.fill(place, metadata))
                except BaseException:
                    self._quota.release(file_id)
                    raise
        except UnknownFileError:
            return None

    def _counts(self, partial: Partial, parts: Parts) -> bool:
        if partial.stored is None:
            return not partial.lost
        return self._finisher.is_still_there(partial.stored, parts)

    def _written(self, partial: Partial, request: SegmentRequest) -> TransferAnswer:
        self._check_under_way(partial)
        if partial.stored is not None:
            return self._ended(partial, partial.stored)
        length = len(request.payload)
        end = request.offset + length
        self._check_extent(partial, length, end)
        if partial.metadata.size is None:
            self._quota.reserve(partial.file_id, max(end, partial.size), shrink=False)
        digest = None if request.payload_digest is None else bytes.fromhex(request.payload_digest)
        partial.write(request.offset, request.payload, self._clock(), digest)
        return self._answer(partial)

    @contextmanager
    def _under_way(self, file_id: str) -> Iterator[Partial]:
        with self._working.use(file_id) as partial:
            self._check_under_way(partial)
            yield partial

    def _check_under_way(self, partial: Partial) -> None:
        """Raise ``UnknownFileError`` for a file of version 1, and for one that is nowhere."""
        if partial.metadata.version != _VERSION:
            raise unknown(partial.file_id)
        if partial.moved:
            self._settle(partial)
        if partial.lost:
            raise unknown(partial.file_id)

    def _settle(self, partial: Partial) -> None:
        if partial.moved and partial.stored is None and not partial.lost:
            self._finisher.settle(partial)

    def _check_extent(self, partial: Partial, length: int, end: int) -> None:
        if length > self._segment_size:
            text = f"a segment of {length} bytes is over the limit of {self._segment_size}"
            raise RefusedError(ErrorCode.INVALID, text)
        size = partial.metadata.size
        if size is not None and end > size:
            text = f"a segment ends at {end}, beyond the {size} bytes of file {partial.file_id!r}"
            raise RefusedError(ErrorCode.INVALID, text)

    def _answer(
        self,
        partial: Partial,
        state: TransferState | None = None,
        damaged: Ranges = NOTHING,
    ) -> TransferAnswer:
        held, durable = partial.ranges()
        if state is None:
            busy = self._finisher.is_busy_with(partial.file_id)
            state = TransferState.VERIFYING if busy else TransferState.RECEIVING
        return TransferAnswer(
            state=state,
            held=held,
            durable=durable,
            segment_size=self._segment_size,
            window=self._grants.touch(partial.file_id, self._clock()),
            damaged=damaged,
        )

    def _ended(self, partial: Partial, stored: Stored) -> TransferAnswer:
        self._grants.forget(partial.file_id)
        if stored.kept:
            return self._without(TransferState.KEPT)
        whole: Ranges = ((0, stored.size),) if stored.size else NOTHING
        return TransferAnswer(
            state=TransferState.STORED,
            held=whole,
            durable=whole,
            segment_size=self._segment_size,
            window=self._grants.window(self._clock()),
            size=stored.size,
            sha256=stored.sha256,
            version=stored.version,
        )

    def _without(self, state: TransferState) -> TransferAnswer:
        limits = self.limits
        return TransferAnswer(state=state, segment_size=limits.segment_size, window=limits.window)


@contextmanager
def _refusals(subject: str) -> Iterator[None]:
    """Turn what files under way raise into what travels."""
    try:
        yield
    except _FAULTS as error:
        raise _refusal(error, subject) from error


def _refusal(
    error: UnknownFileError | StoreClosedError | UnsafeNameError | OSError, subject: str
) -> RefusedError:
    if isinstance(error, UnknownFileError):
        return RefusedError(ErrorCode.UNKNOWN_TRANSFER, str(error))
    if isinstance(error, StoreClosedError):
        return RefusedError(ErrorCode.CLOSING, str(error))
    if isinstance(error, StorageError) and error.errno == errno.EBUSY:
        return RefusedError(ErrorCode.BUSY, str(error), RETRY_AFTER)
    return logged_refusal(error, subject)

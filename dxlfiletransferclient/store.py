"""The store: takes the segments of files as they arrive and keeps the files."""

import errno
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from dxlclient.message import Message

from dxlfiletransferclient import wire
from dxlfiletransferclient.constants import FileStoreProp, FileStoreResultProp
from dxlfiletransferclient.errors import (
    FileTransferError,
    InvalidRequestError,
    StorageError,
    StoreClosedError,
    UnknownFileError,
    UnsafeNameError,
    brief,
)
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.partial import Partial

logger = logging.getLogger(__name__)

DROPPED_FILES_KNOWN: Final = 1024
"""Ids of dropped files that are remembered, so that a cancel that follows the failure succeeds.

A sender cancels right after an error, so a few would do; one costs some hundred bytes.
"""

_VERSION: Final = 1
_ERRNOS: Final = {
    ErrorCode.STORAGE_FULL: errno.ENOSPC,
    ErrorCode.QUOTA: getattr(errno, "EDQUOT", errno.ENOSPC),
    ErrorCode.BUSY: errno.EBUSY,
}


@dataclass(frozen=True, slots=True)
class FileStoreSegmentResult:
    """What became of a segment.

    Attributes:
        file_id: Id of the file.
        segments_received: Segments of the file so far.
        file_result: ``store`` or ``cancel`` when the file ended with this request, else ``None``
            (a member of ``FileStoreResultProp``).
    """

    file_id: str
    segments_received: int
    file_result: str | None = FileStoreResultProp.NONE

    def to_dict(self) -> dict[str, Any]:
        """Return the result as it goes into the answer; without ``result`` where there is none."""
        content: dict[str, Any] = {
            FileStoreProp.ID: self.file_id,
            FileStoreProp.SEGMENTS_RECEIVED: self.segments_received,
        }
        if self.file_result:
            content[FileStoreProp.RESULT] = self.file_result
        return content


class FileStoreManager:
    """Takes the requests of version 1 for a store.

    A file appears under its name all at once, after its size and hash were found right and its
    bytes were flushed to disk; an older file of that name stays until then. Files under way survive
    a restart of the program. Segments of different files may be stored in parallel threads.

    Args:
        storage_dir: Directory below which files are stored; it is made if it is missing.
        working_dir: Directory for files under way, on the same file system; ``.workdir`` in the
            storage directory by default. One store at a time may use it.
        partial_lifetime: Seconds without a segment after which a file under way is given up; above
            0. Looked at now and then when a new file begins, and by :meth:`expire`.
        clock: Returns the time as file systems know it (seconds since 1970).
        options: How the store works; instead of ``partial_lifetime``, which is one of them.

    Raises:
        PermissionError: If a directory cannot be made or written to.
        WorkingDirectoryInUseError: If another store uses the working directory.
        ValueError: If the working directory is the storage directory itself or on another file
            system, or the lifetime is out of range.

    Example:
        ::

            with FileStoreManager("/srv/files") as store:
                result = store.store_segment(request)
    """

    def __init__(
        self,
        storage_dir: str | os.PathLike[str],
        working_dir: str | os.PathLike[str] | None = None,
        *,
        partial_lifetime: float = DEFAULT_LIFETIME,
        clock: Callable[[], float] = time.time,
        options: StoreOptions | None = None,
    ) -> None:
        options = options or StoreOptions(partial_lifetime=partial_lifetime)
        self._clock = clock
        self._files = LocalStore(storage_dir, working_dir, options=options, clock=clock)
        self._dropped: OrderedDict[str, int] = OrderedDict()
        self._dropped_guard = threading.Lock()
        layout = self._files.layout
        logger.info("Storing files in %s, working in %s", layout.storage, layout.working)

    @property
    def files(self) -> LocalStore:
        """The store behind it, which takes the requests of version 2."""
        return self._files

    def store_segment(self, message: Message) -> FileStoreSegmentResult:
        """Carry out one store request.

        Args:
            message: The request: a segment as its payload, everything else in its other fields.

        Returns:
            The id of the file, its segments so far, and ``store`` or ``cancel`` at its end.

        Raises:
            ValueError: If the request is not valid: a number that is none, a segment out of turn, a
                file that is not under way, a name that is not safe, an unknown result, size or hash
                missing or other than what was received. Where it was the request to store a file,
                nothing of the file is left.
            OSError: If the storage fails, for example because the disk is full; nothing of the file
                is left. The message names no path of this machine.
            StoreClosedError: If the store was closed.
        """
        request = wire.parse_request(message.other_fields, message.payload)
        if request.result == FileStoreResultProp.CANCEL:
            return self._cancel(request)
        with _errors_of_version_1(_subject(request)), self._turn(request) as partial:
            try:
                self._take(partial, request)
            except BaseException:
                self._drop(partial)
                raise
            return FileStoreSegmentResult(partial.file_id, partial.segments, request.result)

    def expire(self, now: float | None = None) -> int:
        """Remove files under way that had no segment for longer than their lifetime.

        Args:
            now: The time in seconds since 1970; the clock's by default.

        Returns:
            The number of files removed.

        Raises:
            OSError: If the working directory cannot be read.
            StoreClosedError: If the store was closed.
        """
        return self._files.expire(now)

    def close(self) -> None:
        """Let another store use the working directory; files under way stay. May be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after a long wait.
        """
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _turn(self, request: wire.SegmentRequest) -> Iterator[Partial]:
        """Hold the file that a segment belongs to, if it is the segment's turn."""
        working = self._files.working
        if request.file_id is None:
            _check_turn(request, 1)
            with working.begin() as partial:
                yield partial
        else:
            with working.resume(request.file_id) as partial:
                self._check_version(partial)
                _check_turn(request, partial.segments + 1)
                yield partial

    def _take(self, partial: Partial, request: wire.SegmentRequest) -> None:
        if request.result != FileStoreResultProp.STORE:
            self._append(partial, request.payload)
            return
        completion = wire.parse_completion(request.fields)
        parts = self._files.catalogue.parse(completion.name)
        self._append(partial, request.payload)
        _check_whole(partial, completion)
        self._publish(partial, parts, completion)
        logger.info("Stored %r (file %s, %d bytes)", "/".join(parts), partial.file_id, partial.size)

    def _append(self, partial: Partial, payload: bytes) -> None:
        self._files.quota.reserve(partial.file_id, partial.size + len(payload))
        partial.append(payload, self._clock())

    def _publish(self, partial: Partial, parts: Parts, completion: wire.Completion) -> None:
        partial.cut()
        self._files.catalogue.publish(
            partial.name,
            parts,
            size=completion.size,
            sha256=completion.sha256,
            attributes=Attributes(),
            overwrite=Overwrite.REPLACE,
        )
        self._files.quota.stored(partial.file_id, grown=completion.size)
        self._files.working.forget(partial.file_id)

    def _check_version(self, partial: Partial) -> None:
        if partial.moved:
            # A former process stored it, and the sender was not told.
            self._files.working.forget(partial.file_id)
        if partial.moved or partial.metadata.version != _VERSION:
            msg = f"no file with the id {partial.file_id!r} is under way here"
            raise UnknownFileError(msg)

    def _cancel(self, request: wire.SegmentRequest) -> FileStoreSegmentResult:
        if request.file_id is None:
            msg = f"a request to cancel must have a {FileStoreProp.ID!r}"
            raise InvalidRequestError(msg)
        try:
            with (
                _errors_of_version_1(f"cancel file {request.file_id!r}"),
                self._files.working.resume(request.file_id) as partial,
            ):
                self._check_version(partial)
                segments = partial.segments
                self._drop(partial)
        except UnknownFileError:
            with self._dropped_guard:
                known = self._dropped.get(request.file_id)
            if known is None:
                raise
            segments = known
        logger.info("File %s was cancelled by its sender", request.file_id)
        return FileStoreSegmentResult(request.file_id, segments, FileStoreResultProp.CANCEL)

    def _drop(self, partial: Partial) -> None:
        self._remember(partial.file_id, partial.segments)
        self._files.working.forget(partial.file_id)

    def _remember(self, file_id: str, segments: int) -> None:
        """Note that a file was dropped, so that a cancel that comes after it is no error."""
        with self._dropped_guard:
            self._dropped[file_id] = segments
            while len(self._dropped) > DROPPED_FILES_KNOWN:
                self._dropped.popitem(last=False)


def _subject(request: wire.SegmentRequest) -> str:
    """Say what a request is to do, in words that mean something to its sender."""
    if request.result == FileStoreResultProp.STORE:
        return f"store {brief(request.fields.get(FileStoreProp.NAME))}"
    if request.file_id is None:
        return "store the first segment of a file"
    return f"store segment {brief(request.number)} of file {request.file_id!r}"


@contextmanager
def _errors_of_version_1(subject: str) -> Iterator[None]:
    """Turn what the store raises into errors whose text may go to a sender of version 1."""
    try:
        yield
    except RefusedError as error:
        raise _as_error_of_version_1(error) from error
    except StorageError:
        raise
    except OSError as error:
        logger.exception("Could not %s", subject)
        reason = error.strerror or type(error).__name__
        raise StorageError(error.errno or errno.EIO, f"cannot {subject}: {reason}") from error


def _as_error_of_version_1(error: RefusedError) -> FileTransferError:
    if isinstance(error.__cause__, UnsafeNameError):
        return error.__cause__
    if error.means(ErrorCode.CLOSING):
        return StoreClosedError(str(error))
    if error.means(ErrorCode.UNSAFE_NAME, ErrorCode.WRONG_KIND, ErrorCode.EXISTS):
        return InvalidRequestError(str(error))
    known = ErrorCode.of(error.code)
    number = _ERRNOS.get(known) if known else None
    if number is None and isinstance(error.__cause__, OSError):
        number = error.__cause__.errno
    return StorageError(number or errno.EIO, str(error))


def _check_turn(request: wire.SegmentRequest, expected: int) -> None:
    if request.number == expected:
        return
    if request.file_id is None:
        msg = (
            f"segment {brief(request.number)} came without a {FileStoreProp.ID!r}; "
            f"only the first segment, number {expected}, begins a file"
        )
    else:
        msg = (
            f"segment {brief(request.number)} of file {request.file_id!r} is out of turn: "
            f"segment {expected} was expected"
        )
    raise InvalidRequestError(msg)


def _check_whole(partial: Partial, completion: wire.Completion) -> None:
    name = brief(completion.name)
    if completion.size != partial.size:
        msg = (
            f"the size of {name} does not match: {brief(completion.size)} bytes were expected, "
            f"{partial.size} were received"
        )
        raise InvalidRequestError(msg)
    partial.hash_up_to(partial.size, at_most=partial.size)
    if completion.sha256 != partial.sha256:
        msg = (
            f"the SHA-256 of {name} does not match: {brief(completion.sha256)} was expected, "
            f"'{partial.sha256}' was received"
        )
        raise InvalidRequestError(msg)

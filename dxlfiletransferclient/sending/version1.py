"""Sends to a service that speaks version 1 only: file by file, one segment at a time."""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from dxlclient.client import DxlClient

from dxlfiletransferclient.calls.ledger import Ledger
from dxlfiletransferclient.constants import HashType
from dxlfiletransferclient.errors import (
    FileTransferError,
    NoAnswerError,
    NotConnectedError,
    ServiceError,
    SourceChangedError,
    brief,
)
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.outcomes import FileOutcome, OutcomeCallback, Result, TransferReport
from dxlfiletransferclient.progress import FileMeter, ProgressCallback
from dxlfiletransferclient.protocol.messages import Kind, Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.results import FileSendResult, FileSendSegmentResult
from dxlfiletransferclient.segments import ReadableStream, Segment, count_segments, cut
from dxlfiletransferclient.sending.counting import Counter
from dxlfiletransferclient.sending.naming import PathLike, name_sources
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.sending.pipes import PipeStream
from dxlfiletransferclient.sending.reports import SegmentCallback
from dxlfiletransferclient.sending.requester import Reading, Requester
from dxlfiletransferclient.sending.scan import Item, NotSentError, Unsent, scan
from dxlfiletransferclient.sending.source import check_unchanged
from dxlfiletransferclient.transfer import StoreTransfer

logger = logging.getLogger(__name__)

SEGMENT_SIZE: Final = 900 * 1024
"""Bytes per segment where the caller names none.

Version 1 sends one per round trip, so large ones are fast; with the envelope of any service one
still stays well below the 1 MiB that brokers take.
"""

_UNSIGNED: Final = 0xFFFFFFFF


class Version1Error(FileTransferError):
    """Something was asked for that a service of version 1 cannot do."""


class Version1Requester(Requester):
    """Sends single files over a DXL client by version 1.

    Args:
        dxl_client: A connected client.
        store_topic: Topic on which the service takes store requests.
        timeout: Seconds to wait for the answer to each segment.
        segment_size: Largest segment, in bytes.
    """

    def __init__(
        self, dxl_client: DxlClient, store_topic: str, *, timeout: float, segment_size: int
    ) -> None:
        super().__init__(segment_size)
        self._dxl_client = dxl_client
        self._store_topic = store_topic
        self._timeout = timeout

    def _send_regular(
        self,
        file: FileIO,
        path: Path,
        status: os.stat_result,
        name: str,
        callback: SegmentCallback | None,
    ) -> FileSendResult:
        return self._send(
            cut(file.read, self.segment_size, stream_size=status.st_size, source=str(path)),
            name,
            callback,
            total_segments=count_segments(status.st_size, self.segment_size),
            before_store=lambda: _check_whole(file, path, status),
        )

    def _send_reading(
        self, reading: Reading, name: str, callback: SegmentCallback | None
    ) -> FileSendResult:
        segments = cut(
            reading.read,
            self.segment_size,
            stream_size=reading.size,
            total_segments=reading.total_segments,
            source=reading.source,
        )
        return self._send(segments, name, callback, total_segments=reading.total_segments)

    def _send(
        self,
        segments: Iterator[Segment],
        name: str,
        callback: SegmentCallback | None,
        *,
        total_segments: int | None = None,
        before_store: Callable[[], None] | None = None,
    ) -> FileSendResult:
        """Send all segments; ``before_store`` may still stop it before the last one goes out."""
        transfer = StoreTransfer(self._dxl_client, self._store_topic, name, self._timeout)
        try:
            for segment in segments:
                if segment.last and before_store:
                    before_store()
                answer = transfer.send(segment)
                logger.debug("Segment %d of %r is acknowledged", segment.number, name)
                if callback:
                    callback(
                        FileSendSegmentResult(
                            answer.file_id, answer.segments_received, answer.result, total_segments
                        )
                    )
        except BaseException:
            transfer.cancel()
            raise
        logger.info("Sent %r as file %r: %d bytes", name, answer.file_id, segment.sent)
        return FileSendResult(answer.file_id, segment.sent, {HashType.SHA256: str(segment.sha256)})


class Version1Sender:
    """Does by version 1 what :class:`~dxlfiletransferclient.sending.sender.Sender` does.

    Files and streams are sent one after another and begun anew after a failure; modification times
    and directories without files are not kept.

    Args:
        requester: Sends one file.
        options: What may be chosen; older files are always replaced.
        cancel: Ends what is going on.
        progress: Is called with the progress.
        on_outcome: Is called with the outcome of each file.

    Raises:
        Version1Error: If older files are not to be replaced.
    """

    def __init__(
        self,
        requester: Version1Requester,
        *,
        options: SendOptions,
        cancel: Cancellation | None = None,
        progress: ProgressCallback | None = None,
        on_outcome: OutcomeCallback | None = None,
    ) -> None:
        if options.overwrite is not Overwrite.REPLACE:
            msg = (
                "the service speaks version 1 only, which replaces older files always: choose "
                f"that instead of {options.overwrite.value!r}, or have the service updated"
            )
            raise Version1Error(msg)
        self._requester = requester
        self._options = options
        self._cancel = cancel
        self._ledger = Ledger(progress, on_outcome, now=time.monotonic())
        self._counts = progress is not None
        self._interruption: Exception | None = None

    def send(self, sources: PathLike | Iterable[PathLike], to: str = "") -> TransferReport:
        """Send files; what version 1 cannot express becomes a failure in the report.

        Raises:
            ValueError: If there is nothing to send, or files would get the same name.
            NoAnswerError: If the service does not answer (any more).
            NotConnectedError: If the fabric cannot be reached (any more).
            ServiceError: If the service is not there (any more).
            TransferCancelledError: If it was cancelled; the file under way is dropped.
        """
        named = name_sources(sources, to)
        counter = Counter(scan(named, self._options.links)) if self._counts else None
        try:
            for found in scan(named, self._options.links):
                self._check_cancelled()
                self._ledger.expect(None if counter is None else counter.totals)
                self._ledger.note(self._outcome_of(found))
                self._ledger.pass_on()
        finally:
            if counter is not None:
                counter.stop()
        return self._ledger.close(time.monotonic())

    def send_stream(
        self,
        stream: ReadableStream,
        name: str,
        *,
        size: int | None = None,
        modified_ns: int | None = None,  # noqa: ARG002 - version 1 has no place for it
    ) -> FileOutcome:
        """Send what a stream holds.

        Raises:
            FileTransferError: If it is not stored; of the kind that says why.
        """
        self._ledger.meter.expect(total=size, files=1)
        meter = self._ledger.meter.begin(name, size)
        began = time.monotonic()
        result = self._requester.send_stream(stream, name, self._reporter(meter), size=size)
        meter.end(complete=True)
        self._ledger.close(time.monotonic())
        return _stored(name, None, result, began)

    def _outcome_of(self, found: Item | Unsent) -> FileOutcome:
        path = Path(found.path)
        if isinstance(found, Unsent):
            error, result = found.error, found.result
        elif found.kind is not Kind.FILE:
            error = NotSentError(
                f"the service speaks version 1 only, which stores no {found.kind.value}"
            )
            result = Result.FAILED
        else:
            return self._send_file(found, path)
        self._ledger.meter.whole(found.name, 0, complete=False)
        return FileOutcome(name=found.name, path=path, result=result, size=0, error=error)

    def _send_file(self, item: Item, path: Path) -> FileOutcome:
        meter = self._ledger.meter.begin(item.name, None if item.stream else item.size)
        began = time.monotonic()
        report = self._reporter(meter)
        try:
            result = self._send_content(item, path, report)
        except (OSError, FileTransferError) as error:
            if self._concerns_all(error):
                raise
            meter.end(complete=False)
            return FileOutcome(
                name=item.name, path=path, result=Result.FAILED, size=item.size, error=error
            )
        meter.end(complete=True)
        return _stored(item.name, path, result, began)

    def _send_content(self, item: Item, path: Path, report: SegmentCallback) -> FileSendResult:
        if item.stream:
            with PipeStream(item.path, self._cancel or Cancellation()) as pipe:
                return self._requester.send_stream(pipe, item.name, report)
        with opened(path) as file:
            return self._requester.send_file(file, path, item.name, report)

    def _reporter(self, meter: FileMeter) -> SegmentCallback:
        def report(segment: FileSendSegmentResult) -> None:
            done = segment.segments_received * self._requester.segment_size
            meter.update(done=done if meter.size is None else min(done, meter.size))
            try:
                self._ledger.meter.tick(time.monotonic())
                if segment.file_result is None:
                    self._check_cancelled()
            except Exception as error:
                self._interruption = error
                raise

        return report

    def _concerns_all(self, error: Exception) -> bool:
        """Whether an error ends the whole call, and not only one file."""
        if isinstance(error, ServiceError):
            return is_nobody(error)
        ends = NoAnswerError | NotConnectedError | TransferCancelledError
        return error is self._interruption or isinstance(error, ends)

    def _check_cancelled(self) -> None:
        if self._cancel is not None:
            self._cancel.check()


def is_nobody(error: ServiceError) -> bool:
    """Whether a broker says that it knows nobody who serves a topic."""
    return error.code & _UNSIGNED == ErrorCode.NO_SERVICE


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """Open a file, pipe or device.

    Raises:
        IsADirectoryError: If it is a directory.
        OSError: If it cannot be opened.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a directory cannot be sent as a file", str(path))
    # Segments are far larger than a buffer would be, so one would only copy them once more.
    with path.open("rb", buffering=0) as file:
        yield file


def _stored(name: str, path: Path | None, result: FileSendResult, began: float) -> FileOutcome:
    return FileOutcome(
        name=name,
        path=path,
        result=Result.STORED,
        size=result.size,
        sha256=result.hashes[HashType.SHA256],
        sent=result.size,
        seconds=time.monotonic() - began,
    )


def _check_whole(file: FileIO, path: Path, before: os.stat_result) -> None:
    """Raise an error if a file differs from what it was before all its bytes were read."""
    check_unchanged(str(path), before, os.fstat(file.fileno()))
    if file.read(1):
        # Files that the kernel makes up as they are read claim to be empty.
        msg = f"{brief(str(path))} holds more than the {before.st_size} bytes that it claims"
        raise SourceChangedError(msg)

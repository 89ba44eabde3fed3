"""The client: sends files and streams to a file transfer service."""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from dxlbootstrap.client import Client
from dxlclient.client import DxlClient

from dxlfiletransferclient import wire
from dxlfiletransferclient.constants import DEFAULT_SEGMENT_SIZE, DEFAULT_STORE_TOPIC, HashType
from dxlfiletransferclient.errors import NotConnectedError, SourceChangedError
from dxlfiletransferclient.results import FileSendResult, FileSendSegmentResult
from dxlfiletransferclient.segments import (
    ReadableStream,
    Segment,
    check_segment_size,
    check_total,
    count_segments,
    cut,
)
from dxlfiletransferclient.transfer import StoreTransfer

__all__ = ["FileSendResult", "FileSendSegmentResult", "FileTransferClient"]

logger = logging.getLogger(__name__)

SegmentCallback = Callable[[FileSendSegmentResult], object]


class FileTransferClient(Client):
    """Sends files over the fabric to a service that stores them.

    ``response_timeout`` (seconds, at least 30, 30 by default) says how long to wait for the answer
    to each segment.

    Args:
        dxl_client: A DXL client; connect it before sending.
        send_file_topic: Topic on which the service takes store requests.

    Example:
        Send a file, to be stored as ``reports/may.csv`` below the service's storage directory::

            with DxlClient(config) as dxl_client:
                dxl_client.connect()
                client = FileTransferClient(dxl_client)
                result = client.send_file_request("/tmp/may.csv", "reports/may.csv")
                print(result.size, result.hashes["sha256"])
    """

    def __init__(self, dxl_client: DxlClient, send_file_topic: str = DEFAULT_STORE_TOPIC) -> None:
        super().__init__(dxl_client)
        self._store_topic = send_file_topic

    def send_file_request(
        self,
        file_name_to_send: str | os.PathLike[str],
        file_name_on_server: str | None = None,
        max_segment_size: int = DEFAULT_SEGMENT_SIZE,
        callback: SegmentCallback | None = None,
    ) -> FileSendResult:
        """Send a file and wait until the service has stored it.

        Args:
            file_name_to_send: Path of the file. A pipe or device is sent until its end.
            file_name_on_server: Name below the service's storage directory, with ``/`` between
                subdirectories; the base name of the file by default.
            max_segment_size: Bytes per request, 1 to ``constants.MAX_SEGMENT_SIZE``. Each request
                is one round trip, so larger segments are faster; each is held in memory here, in
                the broker and in the service.
            callback: Called with a :class:`FileSendSegmentResult` after each acknowledged segment.

        Returns:
            Id, size and hashes of the stored file.

        Raises:
            FileNotFoundError: If there is no such file.
            IsADirectoryError: If it is a directory.
            SourceChangedError: If the file changes while it is sent; nothing is stored then.
            TypeError: If an argument has a wrong type.
            ValueError: If the segment size or the name is out of range.
            NotConnectedError: If the DXL client is not connected.
            NoAnswerError: If an answer does not come within ``response_timeout``.
            ServiceError: If the service or the fabric answers with an error.
            MalformedAnswerError: If an answer does not follow the protocol.
        """
        segment_size = check_segment_size(max_segment_size)
        path = Path(file_name_to_send)
        with _opened(path) as file:
            name = wire.check_name(file_name_on_server or path.name)
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return self._send(cut(file.read, segment_size, source=str(path)), name, callback)
            return self._send(
                cut(file.read, segment_size, stream_size=before.st_size, source=str(path)),
                name,
                callback,
                total_segments=count_segments(before.st_size, segment_size),
                before_store=lambda: _check_unchanged(file, path, before),
            )

    def send_file_from_stream_request(
        self,
        stream: ReadableStream,
        file_name_on_server: str,
        stream_size: int | None = None,
        max_segment_size: int = DEFAULT_SEGMENT_SIZE,
        total_segments: int | None = None,
        callback: SegmentCallback | None = None,
    ) -> FileSendResult:
        """Send what a stream holds, as a file, and wait until the service has stored it.

        Args:
            stream: Any object with a ``read(size)`` that blocks until it has bytes or text; text is
                stored as UTF-8.
            file_name_on_server: Name below the service's storage directory, with ``/`` between
                subdirectories.
            stream_size: Bytes to send (of UTF-8, where the stream is text); exactly so many are
                read. By default the stream is sent until its end, and the end takes one more
                request, which is empty.
            max_segment_size: See :meth:`send_file_request`.
            total_segments: Number of segments, for progress reports. Where ``stream_size`` is not
                given, sending stops after so many, or earlier if the stream ends.
            callback: Called with a :class:`FileSendSegmentResult` after each acknowledged segment.

        Returns:
            Id, size and hashes of the stored file.

        Raises:
            SourceChangedError: If the stream ends before ``stream_size``; nothing is stored then.
            BlockingIOError: If the stream is in non-blocking mode and has no data.
            TypeError: If an argument, or what the stream reads, has a wrong type.
            ValueError: If an argument is out of range.
            NotConnectedError: If the DXL client is not connected.
            NoAnswerError: If an answer does not come within ``response_timeout``.
            ServiceError: If the service or the fabric answers with an error.
            MalformedAnswerError: If an answer does not follow the protocol.
        """
        segment_size = check_segment_size(max_segment_size)
        check_total(total_segments, stream_size, segment_size)
        segments = cut(
            stream.read, segment_size, stream_size=stream_size, total_segments=total_segments
        )
        name = wire.check_name(file_name_on_server)
        if total_segments is None and stream_size is not None:
            total_segments = count_segments(stream_size, segment_size)
        return self._send(segments, name, callback, total_segments=total_segments)

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
        if not self._dxl_client.connected:
            msg = f"cannot send {name!r}: the DXL client is not connected; call connect() first"
            raise NotConnectedError(msg)
        transfer = StoreTransfer(self._dxl_client, self._store_topic, name, self.response_timeout)
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


@contextmanager
def _opened(path: Path) -> Iterator[FileIO]:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a directory cannot be sent as a file", str(path))
    # Segments are far larger than a buffer would be, so one would only copy them once more.
    with path.open("rb", buffering=0) as file:
        yield file


def _check_unchanged(file: FileIO, path: Path, before: os.stat_result) -> None:
    """Raise an error if a file differs from what it was before all its bytes were read."""
    after = os.fstat(file.fileno())
    if after.st_size != before.st_size:
        msg = f"{path} had {before.st_size} bytes when sending began, and has {after.st_size} now"
    elif after.st_mtime_ns != before.st_mtime_ns:
        msg = f"{path} was written to while it was sent"
    elif file.read(1):
        # Files that the kernel makes up as they are read claim to be empty.
        msg = f"{path} holds more than the {before.st_size} bytes that it claims to have"
    else:
        return
    raise SourceChangedError(msg)

"""What sends single files with the results and callbacks of version 0.1, by either version."""

import os
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from dxlfiletransferclient.results import FileSendResult
from dxlfiletransferclient.segments import Read, ReadableStream, count_segments
from dxlfiletransferclient.sending.reports import SegmentCallback

_STREAM: Final = "the stream"
"""What a stream is called in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What can be read once.

    Attributes:
        read: Reads up to so many bytes or characters.
        source: What is read from, for messages.
        size: Bytes to send, if known.
        total_segments: Number of segments, to tell the callback; without a size, sending stops
            after so many.
    """

    read: Read
    source: str
    size: int | None = None
    total_segments: int | None = None


class Requester(ABC):
    """Sends single files.

    Args:
        segment_size: Largest segment, in bytes.

    Attributes:
        segment_size: The same.
    """

    def __init__(self, segment_size: int) -> None:
        self.segment_size = segment_size

    def send_file(
        self, file: FileIO, path: Path, name: str, callback: SegmentCallback | None
    ) -> FileSendResult:
        """Send an open file, or a pipe or device until its end.

        Args:
            file: The file.
            path: Its path.
            name: Name on the service.
            callback: Called as segments are acknowledged.

        Raises:
            SourceChangedError: If it changes meanwhile; nothing is stored then.
            FileTransferError: If it is not stored; of the kind that says why.
        """
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            return self._send_regular(file, path, status, name, callback)
        return self._send_reading(Reading(read=file.read, source=str(path)), name, callback)

    def send_stream(
        self,
        stream: ReadableStream,
        name: str,
        callback: SegmentCallback | None,
        *,
        size: int | None = None,
        total_segments: int | None = None,
    ) -> FileSendResult:
        """Send what a stream holds.

        Args:
            stream: The stream.
            name: Name on the service.
            callback: Called as segments are acknowledged.
            size: Bytes to send, if known.
            total_segments: Number of segments, to tell the callback; without a size, sending stops
                after so many.

        Raises:
            FileTransferError: If it is not stored; of the kind that says why.
        """
        if total_segments is None and size is not None:
            total_segments = count_segments(size, self.segment_size)
        reading = Reading(
            read=stream.read, source=_STREAM, size=size, total_segments=total_segments
        )
        return self._send_reading(reading, name, callback)

    @abstractmethod
    def _send_regular(
        self,
        file: FileIO,
        path: Path,
        status: os.stat_result,
        name: str,
        callback: SegmentCallback | None,
    ) -> FileSendResult:
        """Send a regular file whose status was just looked at."""

    @abstractmethod
    def _send_reading(
        self, reading: Reading, name: str, callback: SegmentCallback | None
    ) -> FileSendResult:
        """Send what can be read once."""

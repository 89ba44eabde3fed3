"""Sends single files by version 2, with the results and callbacks of version 0.1."""

import os
import uuid
from io import FileIO
from pathlib import Path

from dxlfiletransferclient.constants import FileStoreResultProp, HashType
from dxlfiletransferclient.protocol.messages import OpenRequest
from dxlfiletransferclient.results import FileSendResult, FileSendSegmentResult
from dxlfiletransferclient.segments import count_segments
from dxlfiletransferclient.sending.reports import SegmentCallback, SegmentReports
from dxlfiletransferclient.sending.requester import Reading, Requester
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.sending.source import Content, FileSource
from dxlfiletransferclient.sending.streamsource import StreamSource


class Version2Requester(Requester):
    """Sends single files by version 2.

    Args:
        sender: A connected sender, for one file.
        segment_size: Largest segment, in bytes.
    """

    def __init__(self, sender: Sender, segment_size: int) -> None:
        super().__init__(segment_size)
        self._sender = sender

    def _send_regular(
        self,
        file: FileIO,  # noqa: ARG002 - it is opened anew, as it may have to be read again
        path: Path,
        status: os.stat_result,
        name: str,
        callback: SegmentCallback | None,
    ) -> FileSendResult:
        if status.st_size <= self.segment_size:
            result = self._send_small(path, name, callback)
            if result is not None:
                return result
        source = FileSource(str(path))
        count = count_segments(source.size, self.segment_size)
        return self._send(source, name, callback, total=count, last=count)

    def _send_reading(
        self, reading: Reading, name: str, callback: SegmentCallback | None
    ) -> FileSendResult:
        last = reading.total_segments or None
        if reading.size is not None:
            last = count_segments(reading.size, self.segment_size)
        most = None if last is None else last * self.segment_size
        content = StreamSource(reading.read, name=reading.source, size=reading.size, most=most)
        return self._send(content, name, callback, total=reading.total_segments, last=last)

    def _send_small(
        self, path: Path, name: str, callback: SegmentCallback | None
    ) -> FileSendResult | None:
        """Send a file of one segment in a single message; nothing is done if it does not fit."""
        outcome = self._sender.send_small(str(path), name)
        if outcome is None:
            return None
        file_id = uuid.uuid4().hex
        if callback is not None:
            callback(FileSendSegmentResult(file_id, 1, FileStoreResultProp.STORE, 1))
        return FileSendResult(file_id, outcome.size, {HashType.SHA256: str(outcome.sha256)})

    def _send(
        self,
        content: Content,
        name: str,
        callback: SegmentCallback | None,
        *,
        total: int | None = None,
        last: int | None = None,
    ) -> FileSendResult:
        request = OpenRequest(file_id=uuid.uuid4().hex, name=name, size=content.size)
        if callback is None:
            outcome = self._sender.send_content(content, request)
        else:
            reports = SegmentReports(
                callback, request.file_id, segment_size=self.segment_size, total=total, last=last
            )
            outcome = self._sender.send_content(content, request, acknowledged=reports.acknowledged)
            reports.stored(outcome.size)
        hashes = {HashType.SHA256: str(outcome.sha256)}
        return FileSendResult(request.file_id, outcome.size, hashes)

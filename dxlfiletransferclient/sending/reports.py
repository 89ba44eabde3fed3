"""Acknowledged bytes as the segments that callers of version 1 hear of. No input or output."""

from collections.abc import Callable

from dxlfiletransferclient.constants import FileStoreResultProp
from dxlfiletransferclient.results import FileSendSegmentResult

SegmentCallback = Callable[[FileSendSegmentResult], object]


class SegmentReports:
    """Calls a segment callback as version 1 does, once for each segment, whatever really travels.

    Args:
        callback: The callback.
        file_id: Id of the file.
        segment_size: Bytes that the caller takes for a segment.
        total: Segments in all, as the caller is told; ``None`` if that is unknown.
        last: Number of the segment that the file ends with at the latest, if that is known. It is
            told of when the file is stored. Otherwise one without bytes comes last.
    """

    def __init__(
        self,
        callback: SegmentCallback,
        file_id: str,
        *,
        segment_size: int,
        total: int | None,
        last: int | None,
    ) -> None:
        self._callback = callback
        self._file_id = file_id
        self._segment_size = segment_size
        self._total = total
        self._last = last
        self._told = 0

    def acknowledged(self, count: int) -> None:
        """Tell of every segment that has become full.

        Args:
            count: Bytes that the service holds; what is told does not fall if this does.
        """
        full = count // self._segment_size
        self._tell_up_to(full if self._last is None else min(full, self._last - 1))

    def stored(self, size: int) -> None:
        """Tell of the rest, and that the file is stored.

        Args:
            size: Bytes of the whole file.
        """
        with_bytes = -(-size // self._segment_size)
        last = with_bytes + 1 if self._last is None else min(with_bytes + 1, self._last)
        self._tell_up_to(last - 1)
        self._tell(last, FileStoreResultProp.STORE)

    def _tell_up_to(self, number: int) -> None:
        while self._told < number:
            self._tell(self._told + 1, None)

    def _tell(self, number: int, result: str | None) -> None:
        self._told = number
        self._callback(FileSendSegmentResult(self._file_id, number, result, self._total))

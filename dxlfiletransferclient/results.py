"""What a client hands to its caller about a file that it sends."""

from dataclasses import dataclass
from typing import Any

from dxlfiletransferclient.constants import FileStoreProp


@dataclass(frozen=True, slots=True)
class FileSendResult:
    """A file that was sent and stored.

    Attributes:
        file_id: Id that the service gave the file.
        size: Bytes in all.
        hashes: Hashes of the content in hex, by their kind (a member of ``HashType``).
    """

    file_id: str
    size: int
    hashes: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dictionary with the keys ``file_id``, ``size`` and ``hashes``."""
        return {
            FileStoreProp.ID: self.file_id,
            FileStoreProp.SIZE: self.size,
            FileStoreProp.HASHES: self.hashes,
        }


@dataclass(slots=True)
class FileSendSegmentResult:
    """A segment that the service acknowledged; what a progress callback is called with.

    Attributes:
        file_id: Id that the service gave the file.
        segments_received: Segments of the file that the service has so far.
        file_result: ``store`` with the last segment, else ``None`` (``FileStoreResultProp``).
        total_segments: Segments in all; ``None`` if unknown.
    """

    file_id: str
    segments_received: int
    file_result: str | None = None
    total_segments: int | None = None

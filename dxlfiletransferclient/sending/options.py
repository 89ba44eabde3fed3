"""What a caller may choose about sending."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.segments import check_segment_size

STREAM_BUFFER: Final = 48 * 1024 * 1024
"""Bytes of a stream that are kept until the service has them safe on its disk.

Services flush about every 32 MiB, so with less than that a sender would have to wait for its disk;
more costs memory and gains nothing.
"""


class Links(StrEnum):
    """What becomes of symbolic links."""

    FOLLOW = "follow"
    """What they lead to takes their place."""

    KEEP = "keep"
    """They stay links. Services take that only where they are configured to."""

    SKIP = "skip"
    """They are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """What a caller may choose about sending.

    Attributes:
        overwrite: What becomes of an older file of the same name.
        links: What becomes of symbolic links.
        segment_size: Largest segment, in bytes, 1 to ``constants.MAX_SEGMENT_SIZE``; the service's
            by default. Each costs every process on its way about the same, so fewer bytes are
            slower; a broker with a lower limit on messages needs them.
        batch_below: Files up to so many bytes travel many in one message; by default all that fit.
            0 sends every file with content by itself, which takes three round trips each.
        keep_modified: Whether files keep their modification time.
        stream_buffer: Bytes of a stream that are kept until the service has them safe.
        engine: What concerns the exchange with the service: window, patience and so on.

    Raises:
        TypeError: If the segment size is no integer.
        ValueError: If a number is out of range.
    """

    overwrite: Overwrite = Overwrite.REPLACE
    links: Links = Links.FOLLOW
    segment_size: int | None = None
    batch_below: int = MAX_PAYLOAD
    keep_modified: bool = True
    stream_buffer: int = STREAM_BUFFER
    engine: EngineOptions = EngineOptions()  # noqa: RUF009 - it never changes

    def __post_init__(self) -> None:
        if self.segment_size is not None:
            check_segment_size(self.segment_size)
        for name in ("batch_below", "stream_buffer"):
            if getattr(self, name) < 0:
                msg = f"{name} must not be negative, but is {getattr(self, name)}"
                raise ValueError(msg)

"""What a caller may choose about receiving."""

from dataclasses import dataclass

from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.segments import check_segment_size
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferclient.storage.checkpoints import CHECKPOINT_BYTES, CHECKPOINT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """What a caller may choose about receiving.

    Attributes:
        overwrite: What becomes of an older file of the same name. Where it has the same size and
            modification time, the contents are compared, and if they are equal nothing travels.
        links: What becomes of symbolic links: ``KEEP`` makes those that stay below the target,
            ``SKIP`` leaves them out. They cannot be followed, as the service follows none.
        segment_size: Bytes in one message, 1 to ``constants.MAX_SEGMENT_SIZE``; what the service
            takes by default. Each message costs every process on its way about the same, so fewer
            bytes are slower; a broker with a lower limit on messages needs them.
        keep_modified: Whether files keep their modification time.
        checkpoint_bytes: Bytes of a file after which they are flushed and recorded: about what is
            lost if this process is killed. Each time costs a flush of the disk.
        checkpoint_seconds: Seconds after which the same is done if anything was received.
        engine: What concerns the exchange with the service: window, patience and so on.

    Raises:
        TypeError: If the segment size is no integer.
        ValueError: If a number is out of range, or links are to be followed.
    """

    overwrite: Overwrite = Overwrite.REPLACE
    links: Links = Links.SKIP
    segment_size: int | None = None
    keep_modified: bool = True
    checkpoint_bytes: int = CHECKPOINT_BYTES
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    engine: EngineOptions = EngineOptions()  # noqa: RUF009 - it never changes

    def __post_init__(self) -> None:
        if self.segment_size is not None:
            check_segment_size(self.segment_size)
        if self.links is Links.FOLLOW:
            msg = "links on a service cannot be followed: choose Links.KEEP or Links.SKIP"
            raise ValueError(msg)
        if self.checkpoint_bytes < 1 or not self.checkpoint_seconds > 0:
            msg = "checkpoint_bytes must be 1 or more, and checkpoint_seconds more than 0"
            raise ValueError(msg)

"""How a store in memory behaves."""

from dataclasses import dataclass

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStoreOptions:
    """How a store in memory behaves.

    Attributes:
        store_id: Name of the store; several on one bus need different ones.
        segment_size: Largest segment that it takes, in bytes.
        window_each: Bytes that one client may have outstanding at most.
        window_total: Bytes that all of them together may.
        checkpoint_bytes: Bytes of a file that a crash may cost; then comes a checkpoint.
        checkpoint_seconds: Seconds that it may cost.
        partial_lifetime: Seconds after which a file under way is given up, and one that was stored
            is not remembered any more.
        total_bytes: Bytes of all files together, those under way included; ``None`` for no limit.
        file_bytes: Bytes of one file; ``None`` for no limit.
        links: Whether symbolic links are stored.
        slow_answers: How often ``finish`` says ``verifying`` and ``stat`` that the SHA-256 is
            pending, before they come to a result.
    """

    store_id: str = "memory"
    segment_size: int = SEGMENT_SIZE
    window_each: int = 16 * 1024 * 1024
    window_total: int = 64 * 1024 * 1024
    checkpoint_bytes: int = 32 * 1024 * 1024
    checkpoint_seconds: float = 2.0
    partial_lifetime: float = 3 * 24 * 3600.0
    total_bytes: int | None = None
    file_bytes: int | None = None
    links: bool = False
    slow_answers: int = 0

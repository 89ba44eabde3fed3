"""When a file under way is flushed, and how far writers run ahead. No input, output or clock."""

from dataclasses import dataclass
from typing import Final

CHECKPOINT_BYTES: Final = 32 * 2**20
"""Bytes after which a file under way is flushed and a checkpoint is recorded.

A crash of the machine costs the sender at most twice as many. At this size flushing costs no
throughput that can be measured; more often would, on disks whose flushes are slow.
"""

CHECKPOINT_SECONDS: Final = 2.0
"""Seconds after which the same is done where fewer bytes arrive.

A slow sender loses no more than this by a crash. A flush costs some milliseconds of the disk.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPolicy:
    """How often a file under way is flushed.

    Attributes:
        after_bytes: After so many bytes, 1 or more.
        after_seconds: After so many seconds with bytes that are not flushed, 0 or more.

    Raises:
        ValueError: If a number is out of range.
    """

    after_bytes: int = CHECKPOINT_BYTES
    after_seconds: float = CHECKPOINT_SECONDS

    def __post_init__(self) -> None:
        if self.after_bytes < 1:
            raise ValueError(f"checkpoint_bytes must be 1 or more, not {self.after_bytes}")
        if not self.after_seconds >= 0:
            raise ValueError(f"checkpoint_seconds must be 0 or more, not {self.after_seconds}")


class Backlog:
    """What has been written of one file and is not flushed. Not for several threads at once.

    Args:
        policy: How often to flush.
    """

    __slots__ = ("_flushing", "_pending", "_policy", "_since")

    def __init__(self, policy: CheckpointPolicy) -> None:
        self._policy = policy
        self._pending = 0
        self._since: float | None = None
        self._flushing = False

    @property
    def is_flushing(self) -> bool:
        """Whether a checkpoint is being made."""
        return self._flushing

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written since the last checkpoint began."""
        return self._since is None

    @property
    def is_full(self) -> bool:
        """Whether writers have to wait for the checkpoint that is being made."""
        return self._flushing and self._pending >= self._policy.after_bytes

    def wrote(self, size: int, now: float) -> None:
        """Take note of bytes that were written, at a time in seconds."""
        self._pending += size
        if self._since is None:
            self._since = now

    def is_due(self, now: float) -> bool:
        """Whether it is time for a checkpoint, and none is being made."""
        if self._flushing or self._since is None:
            return False
        # A clock that was set back must not put the checkpoint off until it has caught up.
        waited = not 0 <= now - self._since < self._policy.after_seconds
        return waited or self._pending >= self._policy.after_bytes

    def begin(self) -> None:
        """Take note that everything written so far is being flushed."""
        self._flushing = True
        self._pending = 0
        self._since = None

    def end(self) -> None:
        """Take note that the checkpoint was made, or that it failed."""
        self._flushing = False

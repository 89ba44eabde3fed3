"""When files under way are given up. Knows no clock and no disk: times are passed in."""

from typing import Final

DEFAULT_LIFETIME: Final = 24 * 3600.0
"""Seconds without a segment after which a file under way is given up.

A day covers a night's outage. Longer keeps dead bytes on the disk, shorter takes more unfinished
files from senders that would have gone on.
"""

EXPIRY_INTERVAL: Final = 600.0
"""Seconds between two looks at the whole working directory.

A look costs one listing and one ``stat`` per file, so a busy store must not do it at each new file.
"""


class Expiry:
    """Decides which files have expired and when it is time to look for them.

    Args:
        lifetime: Seconds without a write after which a file has expired; above 0, or infinity.
        interval: Seconds between two looks, 0 or more; by default ``EXPIRY_INTERVAL``, or
            the lifetime if that is shorter.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, lifetime: float, interval: float | None = None) -> None:
        if not lifetime > 0:
            msg = f"the lifetime of partial files must be above 0 seconds, not {lifetime}"
            raise ValueError(msg)
        if interval is None:
            interval = min(EXPIRY_INTERVAL, lifetime)
        if not interval >= 0:
            msg = f"the interval between looks must be 0 seconds or more, not {interval}"
            raise ValueError(msg)
        self._lifetime = lifetime
        self._interval = interval
        self._looked: float | None = None

    def has_expired(self, last_write: float, now: float) -> bool:
        """Whether a file last written at ``last_write`` is given up at ``now`` (seconds)."""
        return now - last_write > self._lifetime

    def is_due(self, now: float) -> bool:
        """Whether to look now; a ``True`` counts as having looked."""
        # A clock that was set back must not put the next look off until it has caught up.
        if self._looked is not None and 0 <= now - self._looked < self._interval:
            return False
        self._looked = now
        return True

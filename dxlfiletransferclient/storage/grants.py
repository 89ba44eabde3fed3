"""How many bytes each client may have outstanding, so that all together stay within bounds."""

import threading
from collections import OrderedDict
from typing import Final

WINDOW_TOTAL: Final = 64 * 2**20
"""Bytes that all clients together may have outstanding.

They wait in queues of the broker and of this process, in memory. Less slows many clients down on
slow networks.
"""

WINDOW_EACH: Final = 16 * 2**20
"""Bytes that one client may have outstanding for a file.

Enough to fill a gigabit a second over 130 milliseconds there and back.
"""

ACTIVE_SECONDS: Final = 30.0
"""Seconds after its last request during which a file has a share.

Clients ask again within some seconds; one that lost its connection must not slow the others down
for long.
"""

_LEAST_SEGMENTS: Final = 2
"""With fewer than two segments on their way, a client waits for each answer."""


class Grants:
    """Shares a number of bytes among the files that are active; for several threads.

    Args:
        total: Bytes for all together.
        each: Bytes for one at most.
        segment_size: Bytes of a segment; nobody gets less than two of them.
    """

    def __init__(self, total: int, each: int, segment_size: int) -> None:
        self._total = total
        self._each = each
        self._least = _LEAST_SEGMENTS * segment_size
        self._guard = threading.Lock()
        self._last: OrderedDict[str, float] = OrderedDict()

    def touch(self, file_id: str, now: float) -> int:
        """Note a request for a file, at a time in seconds, and return its window in bytes."""
        with self._guard:
            self._last[file_id] = now
            self._last.move_to_end(file_id)
            return self._window(now)

    def forget(self, file_id: str) -> None:
        """Note that a file has ended."""
        with self._guard:
            self._last.pop(file_id, None)

    def window(self, now: float) -> int:
        """Return the window in bytes that an active file has at the moment."""
        with self._guard:
            return self._window(now)

    def _window(self, now: float) -> int:
        while self._last:
            file_id, last = next(iter(self._last.items()))
            # A file that was active in what is now the future has been so long enough.
            if 0 <= now - last <= ACTIVE_SECONDS:
                break
            del self._last[file_id]
        share = self._total // max(1, len(self._last))
        return min(self._each, max(self._least, share))

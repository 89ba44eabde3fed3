"""How much there is to send in all, counted on the side while sending has begun already."""

import threading
from collections.abc import Iterable
from typing import Final

from dxlfiletransferclient.calls.ledger import Totals
from dxlfiletransferclient.sending.scan import Item, Unsent

_STOP_TIMEOUT: Final = 5.0
"""Seconds to wait for the counting to stop: it looks after every file, and only a disk that hangs
makes it late. The thread ends with the process then."""


class Counter:
    """Counts what a scan finds, in a thread of its own; the scan is only for this.

    Args:
        found: The scan.
    """

    def __init__(self, found: Iterable[Item | Unsent]) -> None:
        self._found = found
        self._stopping = threading.Event()
        self._totals: Totals | None = None
        self._thread = threading.Thread(target=self._count, name="dxlft-count", daemon=True)
        self._thread.start()

    @property
    def totals(self) -> Totals | None:
        """What was counted; ``None`` until it is all."""
        return self._totals

    def stop(self) -> None:
        """Stop counting, if it still goes on."""
        self._stopping.set()
        self._thread.join(_STOP_TIMEOUT)

    def _count(self) -> None:
        files = size = 0
        stream = False
        for each in self._found:
            if self._stopping.is_set():
                return
            files += 1
            if isinstance(each, Item):
                size += each.size
                stream = stream or each.stream
        self._totals = Totals(files, None if stream else size)

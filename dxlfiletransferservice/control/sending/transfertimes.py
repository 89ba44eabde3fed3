"""Times of transfers whose differences are exact, even when somebody sets the clock."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from dxlfiletransferservice.control.database import now_us

MOST_KEPT: Final = 100_000
"""Transfers whose clocks are kept; beyond, the oldest is begun anew when it is asked for."""


def monotonic_us() -> int:
    """Return a time in microseconds that is never set, since some moment."""
    return time.monotonic_ns() // 1000


class TransferTimes:
    """Reads the wall clock once for each transfer; all later times are durations added to that.

    After a restart it is read once more, and no time is earlier than one that is known already.

    Args:
        wall: Returns the time in microseconds since 1970.
        monotonic: Returns microseconds that are never set.
        most: Transfers that are remembered.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], int] = now_us,
        monotonic: Callable[[], int] = monotonic_us,
        most: int = MOST_KEPT,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._most = most
        self._lock = threading.Lock()
        self._zeros: OrderedDict[int, int] = OrderedDict()

    def request(self) -> "RequestTime":
        """Read the wall clock for a new transfer."""
        wall = self._wall()
        return RequestTime(wall, wall - self._monotonic(), self._monotonic)

    def keep(self, transfer_id: int, request: "RequestTime") -> None:
        """Go on with the times of a transfer that has got its number now."""
        with self._lock:
            self._keep(transfer_id, request.zero)

    def now(self, row: Any) -> int:
        """Return the time for a transfer.

        Args:
            row: Its row.
        """
        known = (row.request_time, row.queue_time, row.start_time, row.end_time)
        latest = max((each for each in known if each is not None), default=0)
        if row.end_time is not None:
            return max(self._wall(), latest)
        with self._lock:
            zero = self._zeros.get(row.id)
            if zero is None:
                zero = max(self._wall(), latest) - self._monotonic()
                self._keep(row.id, zero)
        return max(zero + self._monotonic(), latest)

    def forget(self, transfer_id: int) -> None:
        """Let go of a transfer that has ended, or is gone."""
        with self._lock:
            self._zeros.pop(transfer_id, None)

    def _keep(self, transfer_id: int, zero: int) -> None:
        self._zeros[transfer_id] = zero
        while len(self._zeros) > self._most:
            self._zeros.popitem(last=False)


class RequestTime:
    """The moment in which a transfer was asked for.

    Attributes:
        wall: That moment, in microseconds since 1970.
        zero: What is to be added to the other clock to get such times.
    """

    __slots__ = ("_monotonic", "wall", "zero")

    def __init__(self, wall: int, zero: int, monotonic: Callable[[], int]) -> None:
        self.wall = wall
        self.zero = zero
        self._monotonic = monotonic

    def now(self) -> int:
        """Return the time in microseconds since 1970, by the clock that nobody sets."""
        return self.zero + self._monotonic()

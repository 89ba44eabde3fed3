"""Does what is due in a store and beside it, time after time."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from dxlfiletransferservice.boundedlog import BoundedLog

MAINTENANCE_INTERVAL: Final = 1.0
"""Seconds between two rounds; a checkpoint may be late by so much. A round with nothing to do costs
some microseconds."""

EXPIRY_INTERVAL: Final = 60.0
"""Seconds between two looks for unfinished files that nobody goes on with, at most.

A look lists the working directory once. A file may outlive its lifetime by this much.
"""

STOP_TIMEOUT: Final = 5.0
"""Seconds that the end of the service waits for a round that is going on."""

_logger = logging.getLogger(__name__)


class MaintainedStore(Protocol):
    """What the thread needs of a store."""

    def maintain(self, now: float) -> None:
        """Do what is due at a time in seconds since 1970."""
        ...

    def expire(self, now: float) -> int:
        """Remove what had been left alone for too long at a time in seconds since 1970."""
        ...


class MaintenanceThread(threading.Thread):
    """Lets a store make checkpoints and give up abandoned files, about every second.

    Args:
        store: The store.
        lifetime: Seconds after which an unfinished file is given up; where they are few, the store
            is told to look for such files earlier than it would by itself.
        interval: Seconds between two rounds; above 0.
        others: What else has something to do now and then; each is called with the time in seconds
            since 1970.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        store: MaintainedStore,
        lifetime: float,
        interval: float = MAINTENANCE_INTERVAL,
        *,
        others: Sequence[Callable[[float], object]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name="file-transfer-maintenance", daemon=True)
        self._store = store
        self._interval = interval
        self._others = others
        self._clock = clock
        self._expiry_interval = min(EXPIRY_INTERVAL, lifetime)
        self._expired = clock()
        self._log = BoundedLog(_logger)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Begin a round after each interval, not at the start, until `stop`."""
        while not self._stopped.wait(self._interval):
            for make_round in (self._make_round, *self._others):
                try:
                    make_round(self._clock())
                except Exception as error:  # noqa: BLE001 - it is logged, and tried again
                    text = "Cannot do what is due now and then; tried again later: %s"
                    self._log.write(logging.ERROR, text, error, error=error)

    def stop(self) -> None:
        """End the thread, after the round that it is in."""
        self._stopped.set()
        self.join(STOP_TIMEOUT)

    def _make_round(self, now: float) -> None:
        self._store.maintain(now)
        # The clock may be set back, which must not put this off until it has caught up.
        if abs(now - self._expired) >= self._expiry_interval:
            self._store.expire(now)
            self._expired = now

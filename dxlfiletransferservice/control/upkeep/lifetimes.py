"""Ends the life of what has outlived its time, in the course of the server's maintenance.

=======================  ===========================================================================
what                     when it goes
=======================  ===========================================================================
transfer                 48 hours after it is complete or has failed
manifest                 48 hours after it was made, unless a transfer or a shared token uses it
files of a manifest      when it was deleted, and no transfer needs them that may still send
destination              15 minutes after its last use, if it has no transfers and is not permanent
token                    an hour after it has expired
log-on                   when it has expired, or its token is gone
request                  an hour after its end
received transfer        its record goes 30 days after the last sign of it; its files stay
event                    after 48 hours, or when there are more than 100,000
=======================  ===========================================================================

The first two can be changed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.upkeep.events import EventLog
from dxlfiletransferservice.control.upkeep.lifetimesettings import LifetimeSettings
from dxlfiletransferservice.control.upkeep.sweeping import Sweep

SWEEP_INTERVAL: Final = 3600.0
"""Seconds from one sweep to the next; a sweep with nothing to do takes some milliseconds."""

DELETED_INTERVAL: Final = 30.0
"""Seconds from one look for deleted manifests that nobody needs any more to the next."""

RETRY_INTERVAL: Final = 60.0
"""Seconds after which a sweep that has failed is made again."""

ROUND_SECONDS: Final = 0.2
"""Seconds that one round of maintenance may take, and then the next one goes on: the thread has
other things to do every second. A step that has begun is ended."""

COLLECT_SECONDS: Final = 4.0
"""Seconds that a caller is kept waiting at most; later rounds do the rest."""

PAUSE: Final = 0.005
"""Seconds between two steps, in which others may write."""

_LOCK_TIMEOUT: Final = 2.0
"""Seconds to wait for a round that is going on."""


class Lifetimes:
    """Sweeps now and then.

    Args:
        database: Where to look.
        events: Is told what was removed.
        gone: Is told the number of each destination that was removed, for its courier to end.
        clock: Returns the time in seconds on a clock that never goes back.

    Example:
        >>> lifetimes = Lifetimes(database, log, couriers.refresh)  # doctest: +SKIP
        >>> lifetimes.maintain(time.time())  # doctest: +SKIP
    """

    def __init__(
        self,
        database: Database,
        events: EventLog,
        gone: Callable[[int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._events = events
        self._gone = gone
        self._clock = clock
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._steps: Iterator[None] | None = None
        self._next_sweep: float | None = None
        self._next_look: float | None = None

    def maintain(self, now: float) -> None:
        """Do what is due, for a short time; call it about every second.

        Args:
            now: The time in seconds since 1970.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._begin(now)
            self._go_on(ROUND_SECONDS)
        except Exception:
            self._steps = None
            self._next_sweep = now + RETRY_INTERVAL
            raise
        finally:
            self._lock.release()

    def collect(self, now: float) -> dict[str, int]:
        """Sweep now.

        Args:
            now: The time in seconds since 1970.

        Returns:
            How many transfers, manifests, destinations and tokens went so far. Where there is much
            to remove, the rest goes in the next minutes.

        Raises:
            CommandError: Another sweep keeps this one waiting for too long (``BUSY``).
        """
        if not self._lock.acquire(timeout=_LOCK_TIMEOUT):
            raise CommandError("a sweep is being made: try again", ErrorKind.BUSY)
        try:
            sweep = self._sweep(now)
            self._steps = sweep.steps()
            self._next_sweep = now + SWEEP_INTERVAL
            self._go_on(COLLECT_SECONDS)
        except Exception:
            self._steps = None
            raise
        finally:
            self._lock.release()
        kinds = ("transfers", "manifests", "destinations", "tokens")
        return {kind: sweep.removed[kind] for kind in kinds}

    def close(self) -> None:
        """End a sweep that is going on after the step that it is in."""
        self._ending.set()

    def _begin(self, now: float) -> None:
        if self._steps is not None:
            return
        if _due(self._next_sweep, now, SWEEP_INTERVAL):
            self._steps = self._sweep(now).steps()
            self._next_sweep = now + SWEEP_INTERVAL
        elif _due(self._next_look, now, DELETED_INTERVAL):
            self._steps = self._sweep(now).deleted_manifests()
        else:
            return
        self._next_look = now + DELETED_INTERVAL

    def _sweep(self, now: float) -> Sweep:
        with self._database.read() as connection:
            settings = LifetimeSettings.of(connection)
        return Sweep(self._database, int(now * 1e6), settings, events=self._events, gone=self._gone)

    def _go_on(self, seconds: float) -> None:
        end = self._clock() + seconds
        while self._steps is not None and not self._ending.is_set():
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None
                return
            if self._clock() >= end:
                return
            self._ending.wait(PAUSE)


def _due(planned: float | None, now: float, interval: float) -> bool:
    # The clock may be set back, which must not put this off until it has caught up.
    return planned is None or now >= planned or planned - now > interval

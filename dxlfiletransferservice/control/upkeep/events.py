"""The log of what happened to which object, and whoever else wants to hear of it.

Who records an event does not wait for the database: a thread writes events in groups. What a crash
loses is what happened in the last fraction of a second; nothing depends on it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.pages import PageOrder, fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import events
from dxlfiletransferservice.control.upkeep.eventdata import without_secrets

EVENT_LIFETIME: Final = 48 * 3600.0
"""Seconds for which an event is kept: as long as a transfer that has ended."""

MAX_EVENTS: Final = 100_000
"""Events that are kept: some hundred bytes each, so some tens of megabytes."""

MAX_WAITING: Final = 10_000
"""Events that may wait to be written, while the disk is slow or full; the newest are left out."""

GATHER_SECONDS: Final = 0.1
"""Seconds for which the thread gathers what comes after a first event, so as to write it at once.

This, and the time that writing takes, is how late an event is in the log.
"""

MAX_GROUP: Final = 1000
"""Events that are written at once; takes some ten milliseconds."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that the end waits for what is still to be written."""

_RETRY_SECONDS: Final = 1.0
"""Seconds until the next attempt, where the database does not take events."""

_IDLE_SECONDS: Final = 5.0
"""Seconds after which the idle thread looks by itself; it is woken long before."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    Attributes:
        name: What, such as ``transferUpdated``.
        time: When, in microseconds since 1970.
        data: The structure that it is about, without secrets.
        owner: Whose that is; ``None`` for what is the server's own.
        owner_token: The token it was made with.
    """

    name: str
    time: int
    data: Mapping[str, Any]
    owner: str | None = None
    owner_token: str | None = None


Listener = Callable[[Event], None]
"""Is told of every event, on the thread that records it: it must neither wait nor fail."""


class EventLog:
    """Keeps events for a while, and passes them on.

    Args:
        database: Where they are kept.
        listeners: Who else is told.
        clock: Returns the time in microseconds since 1970.
        most_waiting: Events that may wait to be written.
        most_kept: Events that are kept.

    Example:
        >>> log.record("manifestDeleted", {"manifestId": "2"}, owner="ann")  # doctest: +SKIP
        >>> log.flush()  # doctest: +SKIP
        True
        >>> [entry["_event"] for entry in log.entries(Principal("ann"))]  # doctest: +SKIP
        ['manifestDeleted']
        >>> log.entries(Principal("bob"))  # doctest: +SKIP
        []
    """

    def __init__(
        self,
        database: Database,
        *,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], int] = now_us,
        most_waiting: int = MAX_WAITING,
        most_kept: int = MAX_EVENTS,
    ) -> None:
        self._database = database
        self._listeners = list(listeners)
        self._clock = clock
        self._most_waiting = most_waiting
        self._most_kept = most_kept
        self._waiting: deque[Event] = deque()
        self._left_out = 0
        self._recorded = 0
        self._written = 0
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._wrote = threading.Condition(self._lock)
        self._flushing = 0
        self._ending = threading.Event()
        self._log = BoundedLog(_logger)
        self._thread = threading.Thread(
            target=self._work, name="transfer-server-events", daemon=True
        )

    def start(self) -> None:
        """Begin to write; events that were recorded before are written too."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._ending.set()
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT)

    def listen(self, listener: Listener) -> None:
        """Tell somebody of events from now on; for the time before the server answers calls."""
        self._listeners.append(listener)

    def record(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        owner: str | None = None,
        owner_token: str | None = None,
    ) -> None:
        """Note an event, and return at once.

        Args:
            name: What has happened, such as ``transferCreated``.
            data: The structure that it is about. Fields that hold secrets are left out, and the
                longest ones where there is too much.
            owner: Whose that is; he is shown the event. ``None`` shows it to superusers alone.
            owner_token: Token that it was made with: who logs on with another one is not shown it.
        """
        kept = without_secrets(data)
        with self._lock:
            event = Event(name, self._clock(), kept, owner, owner_token)
            if len(self._waiting) < self._most_waiting:
                self._waiting.append(event)
                self._recorded += 1
                self._wake.notify()
            else:
                self._left_out += 1
        for listener in self._listeners:
            listener(event)

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until what has been recorded is written.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it is.
        """
        with self._lock:
            wanted = self._recorded
            self._flushing += 1
            self._wake.notify_all()
            try:
                return self._wrote.wait_for(lambda: self._written >= wanted, timeout)
            finally:
                self._flushing -= 1

    def entries(
        self, principal: Principal, wanted: PageOrder | None = None
    ) -> list[dict[str, Any]]:
        """Return what somebody may see of the log, the oldest first.

        Args:
            principal: Who asks: superusers see everything, others what is their own.
            wanted: Which part; by default the first page.

        Returns:
            The structures: ``_event``, ``_timestamp``, ``_id``, and the fields of what the event is
            about.
        """
        query = (wanted or PageOrder()).apply(select(events), events, principal.own(events))
        with self._database.read() as connection, connection.execute(query) as found:
            return fitting(map(_entry, found))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting and not self._ending.is_set():
                    self._wake.wait(_IDLE_SECONDS)
                if not self._waiting:
                    if self._ending.is_set():
                        return
                    continue
                self._wake.wait_for(self._hurried, GATHER_SECONDS)
            if not self._write() and self._ending.wait(_RETRY_SECONDS) and not self._write():
                return

    def _hurried(self) -> bool:
        return self._ending.is_set() or self._flushing > 0 or len(self._waiting) >= MAX_GROUP

    def _write(self) -> bool:
        with self._lock:
            group = [self._waiting[each] for each in range(min(MAX_GROUP, len(self._waiting)))]
            left_out, self._left_out = self._left_out, 0
        if left_out:
            self._log.write(logging.WARNING, "%d events were too many for the event log", left_out)
        if not group:
            return True
        try:
            self._insert(group)
        except SQLAlchemyError as error:
            text = "Cannot write the event log; tried again: %s"
            self._log.write(logging.ERROR, text, getattr(error, "orig", None) or error)
            return False
        with self._lock:
            for _ in group:
                self._waiting.popleft()
            self._written += len(group)
            self._wrote.notify_all()
        return True

    def _insert(self, group: Sequence[Event]) -> None:
        rows = [
            {
                "name": each.name,
                "time": each.time,
                "owner": each.owner,
                "owner_token": each.owner_token,
                "data": each.data,
            }
            for each in group
        ]
        with self._database.write() as connection:
            connection.execute(insert(events), rows)
            newest = connection.scalar(select(func.max(events.c.id)))
            connection.execute(delete(events).where(events.c.id <= newest - self._most_kept))


def _entry(row: Row[Any]) -> dict[str, Any]:
    return {**row.data, "_event": row.name, "_timestamp": row.time, "_id": str(row.id)}

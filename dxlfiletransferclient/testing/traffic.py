"""What has travelled over a memory bus: counted by verb, and written down message by message."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing.faults import Direction

LOG_LENGTH: Final = 100_000
"""Messages that the log remembers, some 20 MB of memory at most; the oldest are dropped first."""

REGISTRY: Final = "registry"
"""What requests to the service registry of the broker are counted as."""

OTHER: Final = "other"
"""What requests on topics are counted as that are neither the registry's nor of version 2."""


class Event(StrEnum):
    """What happened to a message."""

    SENT = "sent"
    """It left."""

    DELIVERED = "delivered"
    """It arrived; one that is duplicated arrives twice."""

    LOST = "lost"
    """It will not arrive: by chance, or because a connection or a service broke down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line of the log.

    Attributes:
        time: When it was, in seconds on the clock of the bus.
        event: What happened.
        direction: Which way the message goes.
        name: Its verb, ``registry`` or ``other``.
        service_id: The instance that takes or sent it; empty if it is a broker.
        payload: Bytes of its payload.
        refusal: Whether it is an error.
    """

    time: float
    event: Event
    direction: Direction
    name: str
    service_id: str
    payload: int
    refusal: bool = False


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Counts messages and the bytes of their payloads.

    Attributes:
        requests: Requests that the client sent.
        request_bytes: Bytes of their payloads.
        delivered: Requests that arrived, duplicates included.
        delivered_bytes: Bytes of their payloads.
        answers: Answers that were sent, errors included.
        answer_bytes: Bytes of their payloads.
        received: Answers that arrived, duplicates included.
        received_bytes: Bytes of their payloads.
        refusals: Answers sent that are errors.
        lost: Messages of both directions that were lost.
    """

    requests: int = 0
    request_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    answers: int = 0
    answer_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    refusals: int = 0
    lost: int = 0

    def count(self, entry: LogEntry) -> None:
        """Count one line of the log."""
        request = entry.direction is Direction.REQUEST
        if entry.event is Event.LOST:
            self.lost += 1
        elif entry.event is Event.SENT and request:
            self.requests += 1
            self.request_bytes += entry.payload
        elif entry.event is Event.SENT:
            self.answers += 1
            self.answer_bytes += entry.payload
            self.refusals += entry.refusal
        elif request:
            self.delivered += 1
            self.delivered_bytes += entry.payload
        else:
            self.received += 1
            self.received_bytes += entry.payload


class TrafficLog:
    """Writes down and counts what happens on a bus.

    Attributes:
        entries: The newest :data:`LOG_LENGTH` lines, oldest first.
    """

    def __init__(self) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=LOG_LENGTH)
        self._counted: dict[str, Traffic] = {}

    @property
    def counted(self) -> Mapping[str, Traffic]:
        """What was counted for each verb that was asked, and ``registry`` and ``other``."""
        return self._counted

    def of(self, name: Verb | str) -> Traffic:
        """Return what was counted for a verb; zeros if it was never asked."""
        return self._counted.get(str(name), Traffic())

    def add(self, entry: LogEntry) -> None:
        """Write down what happened."""
        self.entries.append(entry)
        self._counted.setdefault(entry.name, Traffic()).count(entry)

    def clear(self) -> None:
        """Begin to write and count from nothing."""
        self.entries.clear()
        self._counted.clear()

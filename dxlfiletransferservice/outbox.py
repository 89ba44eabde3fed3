"""How much waits to be sent. No input or output."""

import threading
from collections import deque
from typing import Protocol


class Sent(Protocol):
    """A message on its way; paho's ``MQTTMessageInfo`` is one."""

    def is_published(self) -> bool:
        """Whether all of it was given to the system."""
        ...


class Outbox:
    """Counts the bytes of messages that were handed over to be sent and have not been yet.

    Messages are sent in the order in which they are added; those that wait when their connection is
    lost are dropped. For several threads.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Sent, int]] = deque()
        self._total = 0
        self._connection: object = None
        self._guard = threading.Lock()

    def add(self, message: Sent, size: int, connection: object) -> None:
        """Note a message that was handed over.

        Args:
            message: It.
            size: Its bytes.
            connection: What is to carry it, compared by identity.
        """
        with self._guard:
            self._settle(connection)
            self._waiting.append((message, size))
            self._total += size

    def waiting(self, connection: object) -> int:
        """Return how many bytes wait to be sent over the connection that there is now."""
        with self._guard:
            self._settle(connection)
            return self._total

    def _settle(self, connection: object) -> None:
        if connection is not self._connection:
            self._connection = connection
            self._waiting.clear()
            self._total = 0
        while self._waiting and self._waiting[0][0].is_published():
            self._total -= self._waiting.popleft()[1]

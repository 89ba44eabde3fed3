"""The lock of one file under way, and the threads that wait for what it guards to change."""

import threading
from collections.abc import Callable
from typing import Final, NoReturn

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

WAIT_TIMEOUT: Final = 20.0
"""Seconds that a writer waits for a flush, or for another writer of the same bytes.

Then it is told to come again: the thread that waits is one of few that take requests.
"""

RETRY_AFTER: Final = 1.0
"""Seconds after which a client that was told to come again may do so."""


class Turns:
    """Lets threads wait for each other; nobody is woken, and nothing done, where nobody waits.

    Args:
        file_id: Id of the file, for those who are told to come again.

    Attributes:
        lock: Guards what is waited for; held by whoever waits or tells.
    """

    __slots__ = ("_changed", "_file_id", "_waiting", "lock")

    def __init__(self, file_id: str) -> None:
        self._file_id = file_id
        self.lock = threading.Lock()
        self._changed = threading.Condition(self.lock)
        self._waiting = 0

    def wait_while(self, condition: Callable[[], bool], reason: str) -> None:
        """Wait, without the lock, until a condition holds no more.

        Args:
            condition: What is waited for to end; asked with the lock held.
            reason: What whoever waited for too long is told.

        Raises:
            RefusedError: ``BUSY`` if that takes too long.
        """
        self._waiting += 1
        try:
            if not self._changed.wait_for(lambda: not condition(), WAIT_TIMEOUT):
                self.refuse(reason)
        finally:
            self._waiting -= 1

    def tell(self) -> None:
        """Have those look again who wait."""
        if self._waiting:
            self._changed.notify_all()

    def refuse(self, reason: str) -> NoReturn:
        """Tell a client to come again.

        Raises:
            RefusedError: ``BUSY``.
        """
        text = f"file {self._file_id!r} cannot be gone on with at the moment: {reason}"
        raise RefusedError(ErrorCode.BUSY, text, RETRY_AFTER)

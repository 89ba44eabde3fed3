"""A thread that does one thing after another for others, who do not wait for it."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from dxlfiletransferservice.boundedlog import BoundedLog

_IDLE_SECONDS = 5.0
"""Seconds after which the idle thread looks by itself; it is woken long before."""

_Item = TypeVar("_Item")


class BackgroundQueue(Generic[_Item]):
    """Hands items to a function on a thread of its own, one after another.

    What comes while too many wait is left out, and counted in the log.

    Args:
        handle: Is given each item. What it raises is logged.
        name: What the items are, for log lines: ``triggers``.
        most: Items that may wait.
        logger: Where log lines go.
    """

    def __init__(
        self, handle: Callable[[_Item], None], *, name: str, most: int, logger: logging.Logger
    ) -> None:
        self._handle = handle
        self._name = name
        self._most = most
        self._waiting: deque[_Item] = deque()
        self._left_out = 0
        self._ending = False
        self._wake = threading.Condition()
        self._log = BoundedLog(logger)
        self._thread = threading.Thread(
            target=self._work, name=f"transfer-server-{name}", daemon=True
        )

    def start(self) -> None:
        """Begin to hand over items; those that came before are handed over too."""
        self._thread.start()

    def put(self, item: _Item) -> None:
        """Let an item be handed over, unless too many wait; returns at once."""
        with self._wake:
            if self._ending or len(self._waiting) >= self._most:
                self._left_out += 1
                return
            self._waiting.append(item)
            self._wake.notify()

    def close(self, timeout: float, *, drain: bool) -> None:
        """End the thread.

        Args:
            timeout: Seconds to wait for it.
            drain: Whether what waits is still handed over.
        """
        with self._wake:
            self._ending = True
            if not drain:
                self._waiting.clear()
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._handle(item[0])
            except Exception as error:  # noqa: BLE001 - it is logged, and the next one is handled
                text = "One of the %s failed unforeseen: %s"
                self._log.write(logging.ERROR, text, self._name, error, error=error)

    def _next(self) -> tuple[_Item] | None:
        with self._wake:
            while not self._waiting:
                if self._ending:
                    return None
                self._wake.wait(_IDLE_SECONDS)
            item = self._waiting.popleft()
            left_out, self._left_out = self._left_out, 0
        if left_out:
            self._log.write(logging.WARNING, "%d %s were too many", left_out, self._name)
        return (item,)

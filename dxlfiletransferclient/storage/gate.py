"""Lets requests in until it is closed, and then waits for those that are inside."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError


class Gate:
    """Keeps what requests use from being closed while they use it."""

    def __init__(self) -> None:
        self._guard = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside during the ``with`` block.

        Raises:
            RefusedError: ``CLOSING`` if the gate was closed.
        """
        with self._guard:
            if self._closed:
                raise RefusedError(ErrorCode.CLOSING, "the store is being closed")
            self._inside += 1
        try:
            yield
        finally:
            with self._guard:
                self._inside -= 1
                self._guard.notify_all()

    def close(self) -> None:
        """Let nobody in from now on; may be repeated."""
        with self._guard:
            self._closed = True

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait for all who are inside.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether nobody is left.
        """
        with self._guard:
            return self._guard.wait_for(lambda: self._inside == 0, timeout)

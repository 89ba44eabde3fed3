"""How one thread ends what another one waits for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dxlfiletransferclient.errors import FileTransferError


class TransferCancelledError(FileTransferError):
    """A transfer was ended by whoever began it; what the receiving side holds can be gone on with.

    It is no failure of the transfer, so handlers that try again must let it pass.
    """


class Cancellation:
    """A switch that ends the calls it was given to, from any thread or from a signal handler.

    It stays thrown: make a new one for the next call.

    Example:
        >>> cancel = Cancellation()
        >>> cancel.cancelled
        False
        >>> cancel.cancel()
        >>> cancel.cancelled
        True
    """

    def __init__(self) -> None:
        # Reentrant, because a signal handler interrupts the thread that may hold it.
        self._lock = threading.RLock()
        self._cancelled = False
        self._wakers: list[Callable[[], object]] = []

    @property
    def cancelled(self) -> bool:
        """Whether it was thrown."""
        return self._cancelled

    def cancel(self) -> None:
        """End the calls; they raise :class:`TransferCancelledError` as soon as they can."""
        with self._lock:
            self._cancelled = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def check(self) -> None:
        """Raise if it was thrown.

        Raises:
            TransferCancelledError: It was.
        """
        if self._cancelled:
            raise TransferCancelledError("the transfer was cancelled")

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have something called when the switch is thrown, while the context lasts.

        Args:
            wake: Ends a wait; called once, by the thread that throws the switch.
        """
        with self._lock:
            self._wakers.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.remove(wake)

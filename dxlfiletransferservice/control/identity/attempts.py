"""Attempts to log on: counted against the user or token, and against the peer."""

import math
import threading
import time
from collections.abc import Callable

from dxlfiletransferclient.control.errors import AuthenticationError
from dxlfiletransferservice.control.identity.throttling import FREE_FAILURES_OF_PEER, Throttle


class Attempts:
    """Refuses attempts to log on that come too soon after wrong ones. For any number of threads.

    It refuses and does not wait, so that no thread of the server is held by it.

    Args:
        clock: Returns seconds, and never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._names = Throttle()
        self._peers = Throttle(free=FREE_FAILURES_OF_PEER)

    def check(self, name: str | None, peer: str) -> None:
        """Make sure that a password may be tried now.

        Args:
            name: The user or token; ``None`` if it is not known.
            peer: Who tries.

        Raises:
            AuthenticationError: It may not; the text says when, and is the same whether there is
                such a user or not.
        """
        now = self._clock()
        with self._lock:
            wait = self._peers.wait(peer, now=now)
            if name is not None:
                wait = max(wait, self._names.wait(name, now=now))
        if wait > 0:
            seconds = math.ceil(wait)
            unit = "second" if seconds == 1 else "seconds"
            text = f"too many wrong passwords; try again in {seconds} {unit}"
            raise AuthenticationError(text)

    def failed(self, name: str | None, peer: str) -> None:
        """Count a wrong password, or a wrong token."""
        now = self._clock()
        with self._lock:
            self._peers.failed(peer, now=now)
            if name is not None:
                self._names.failed(name, now=now)

    def succeeded(self, name: str, peer: str) -> None:
        """Forget what was counted."""
        with self._lock:
            self._peers.succeeded(peer)
            self._names.succeeded(name)

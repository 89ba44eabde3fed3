"""Passwords that were right a short while ago, so that they need no work a second time."""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

REMEMBERED_SECONDS: Final = 300.0
"""Seconds for which a right password is remembered. A server that sends a thousand transfers logs
on for each, and comparing takes a tenth of a second each time."""

MOST_REMEMBERED: Final = 1024
"""Right passwords that are remembered; the oldest goes first."""


class RememberedPasswords:
    """Remembers who has shown a right password. For any number of threads.

    What is remembered is a keyed digest, whose key is in the memory of this process alone and ends
    with it. It includes the peer, so that a peer that has not shown the password yet cannot try
    any here, and what is kept of the password, so that nothing is left when that changes.

    Args:
        clock: Returns seconds, and never goes back.
        seconds: For how long.
        most: How many.

    Example:
        >>> remembered = RememberedPasswords()
        >>> remembered.remember("peer", "ann", "kept", "secret")
        >>> remembered.knows("peer", "ann", "kept", "secret")
        True
        >>> remembered.knows("peer", "ann", "kept", "Secret")
        False
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        seconds: float = REMEMBERED_SECONDS,
        most: int = MOST_REMEMBERED,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def knows(self, peer: str, name: str, kept: str, password: str) -> bool:
        """Whether a peer has shown this password for this name a short while ago.

        Args:
            peer: Who shows it.
            name: For which user or token.
            kept: What the database keeps of the password.
            password: The password.
        """
        digest = self._digest(peer, name, kept, password)
        with self._lock:
            return self._ends.get(digest, -1.0) > self._clock()

    def remember(self, peer: str, name: str, kept: str, password: str) -> None:
        """Note that a password was right; see :meth:`knows`."""
        digest = self._digest(peer, name, kept, password)
        with self._lock:
            self._ends[digest] = self._clock() + self._seconds
            self._ends.move_to_end(digest)
            while len(self._ends) > self._most:
                self._ends.popitem(last=False)

    def _digest(self, *parts: str) -> bytes:
        made = hmac.new(self._key, digestmod=sha256)
        for part in parts:
            text = part.encode("utf-8", "surrogatepass")
            made.update(len(text).to_bytes(8, "big") + text)
        return made.digest()

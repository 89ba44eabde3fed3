"""Slows down who tries wrong passwords. No input or output: the time is passed in."""

from dataclasses import dataclass
from typing import Final

FREE_FAILURES: Final = 3
"""Wrong passwords of one user before anything is slowed down: people mistype."""

FREE_FAILURES_OF_PEER: Final = 20
"""The same of one peer, which may be a server that logs on for many users."""

FIRST_SECONDS: Final = 1.0
"""Seconds for which the first failure too many keeps everybody waiting; each further one doubles
them."""

LONGEST_SECONDS: Final = 60.0
"""Seconds at most: 1440 tries a day. More would help somebody who wants to keep a user out."""

FORGOTTEN_SECONDS: Final = 3600.0
"""Seconds without a failure after which all earlier ones are forgotten."""

MOST_KEYS: Final = 10_000
"""Users, or peers, whose failures are kept; about two megabytes. Beyond it, those with the fewest
failures go first, so that nobody gets rid of many by causing few for many others."""

LONGEST_KEY: Final = 80
"""Characters by which users and peers are told apart; no real ones are longer."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Counts failures, and says how long to wait after them. Not for several threads at once.

    It does not matter whether what failed exists: names that nobody has are slowed down alike.

    Args:
        free: Failures that have no consequence.
        first_seconds: Seconds to wait after one more.
        longest_seconds: Seconds to wait at most.
        forgotten_seconds: Seconds without a failure after which all are forgotten; more than
            ``longest_seconds``.
        most: Keys whose failures are kept.

    Example:
        >>> throttle = Throttle(free=1)
        >>> throttle.failed("ann", now=10.0)
        >>> throttle.wait("ann", now=10.0)
        0.0
        >>> throttle.failed("ann", now=10.0)
        >>> throttle.wait("ann", now=10.25), throttle.wait("bob", now=10.25)
        (0.75, 0.0)
    """

    def __init__(
        self,
        *,
        free: int = FREE_FAILURES,
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        forgotten_seconds: float = FORGOTTEN_SECONDS,
        most: int = MOST_KEYS,
    ) -> None:
        self._free = free
        self._first = first_seconds
        self._longest = longest_seconds
        self._forgotten = forgotten_seconds
        self._most = most
        self._kept: dict[str, _Failures] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def wait(self, key: str, *, now: float) -> float:
        """Return the seconds until something may be tried again; 0 for at once.

        Args:
            key: Whom or what it is about.
            now: The time in seconds, on a clock that never goes back.
        """
        found = self._kept.get(key[:LONGEST_KEY])
        if found is None or now - found.last >= self._forgotten:
            return 0.0
        return max(0.0, found.last + self._delay(found.count) - now)

    def failed(self, key: str, *, now: float) -> None:
        """Count a failure."""
        cut = key[:LONGEST_KEY]
        found = self._kept.get(cut)
        if found is not None and now - found.last < self._forgotten:
            found.count += 1
            found.last = now
            return
        self._kept.pop(cut, None)
        if len(self._kept) >= self._most:
            self._make_room(now)
        self._kept[cut] = _Failures(1, now)

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._kept.pop(key[:LONGEST_KEY], None)

    def _delay(self, count: int) -> float:
        beyond = count - self._free
        if beyond <= 0:
            return 0.0
        # The power is bounded too: nobody needs numbers of a thousand digits.
        return float(min(self._longest, self._first * 2 ** min(beyond - 1, 62)))

    def _make_room(self, now: float) -> None:
        old = [key for key, kept in self._kept.items() if now - kept.last >= self._forgotten]
        if not old:
            old = [min(self._kept, key=lambda key: (self._kept[key].count, self._kept[key].last))]
        for key in old:
            del self._kept[key]

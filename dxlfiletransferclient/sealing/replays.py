"""Which requests of a session were taken already. No input or output."""

from typing import Final

WINDOW: Final = 4096
"""Numbers below the highest one that may still come for the first time.

An engine has 512 requests outstanding at most, and they overtake one another on the threads of a
service by some tens. This costs half a kilobyte for each session.
"""


class ReplayWindow:
    """Remembers numbers that came, so that none is taken twice.

    Args:
        size: Numbers below the highest one that are told apart; older ones count as taken.

    Example:
        >>> window = ReplayWindow(size=4)
        >>> [window.take(number) for number in (1, 3, 2, 3, 9, 5, 6)]
        [True, True, True, False, True, False, True]
    """

    __slots__ = ("_highest", "_seen", "_size")

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._highest = 0
        self._seen = 0
        """Bit by bit, from the highest number downwards."""

    def may(self, number: int) -> bool:
        """Whether a number can still be taken."""
        age = self._highest - number
        return age < 0 or (age < self._size and not self._seen >> age & 1)

    def take(self, number: int) -> bool:
        """Take a number, 1 or more; returns whether that was possible."""
        if not self.may(number):
            return False
        ahead = number - self._highest
        if ahead > 0:
            kept = self._seen << ahead if ahead < self._size else 0
            self._seen = kept & ((1 << self._size) - 1) | 1
            self._highest = number
        else:
            self._seen |= 1 << -ahead
        return True

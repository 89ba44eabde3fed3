"""How soon something is asked for again. No input or output."""

from typing import Final

FIRST_PAUSE: Final = 0.1
"""Seconds before the service is asked again whether it is done with something, as with the checking
of a file."""

LONGEST_PAUSE: Final = 1.0
"""The same after some times: a large file takes its disk minutes, and a question costs little."""


class Pause:
    """The time until something is asked for again, which doubles each time.

    Args:
        first: Seconds that the first pause lasts.
        longest: Seconds that a pause lasts at most.

    Example:
        >>> pause = Pause(first=0.5, longest=1.5)
        >>> [pause.over(10.0) for _ in range(4)]
        [10.5, 11.0, 11.5, 11.5]
    """

    __slots__ = ("_longest", "_seconds")

    def __init__(self, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> None:
        self._seconds = first
        self._longest = longest

    def over(self, now: float) -> float:
        """Begin the next pause, and return when it is over."""
        due = now + self._seconds
        self._seconds = min(2 * self._seconds, self._longest)
        return due

"""How long to wait before something is asked for or tried again. No input or output."""

from typing import Final

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

FIRST_DELAY: Final = 0.25
"""Seconds before something that failed for the time being is tried again; doubles each time."""

LONGEST_DELAY: Final = 4.0
"""Seconds that such a delay lasts at most."""

LONGEST_RETRY_AFTER: Final = 30.0
"""Seconds that a service may ask to wait; more would look as if nothing went on."""

FIRST_PAUSE: Final = 0.1
"""Seconds before the service is asked again whether it is done with something, as with the checking
of a file."""

LONGEST_PAUSE: Final = 1.0
"""The same after some times: a large file takes its disk minutes, and a question costs little."""

_OVERLOADED: Final = 0x80000002
"""Code with which a broker says that it cannot take a request at the moment."""

_MOST_DOUBLINGS: Final = 10


def delay(attempts: int) -> float:
    """Return the seconds to wait after some attempts in vain; none after none.

    Example:
        >>> [delay(attempts) for attempts in range(4)]
        [0.0, 0.25, 0.5, 1.0]
    """
    if attempts <= 0:
        return 0.0
    return min(FIRST_DELAY * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS), LONGEST_DELAY)


def delay_after(error: RefusedError, setbacks: int) -> float:
    """Return the seconds to wait after an error that may pass.

    Args:
        error: The error; the service may have said in it how long to wait.
        setbacks: How often in a row the same request had such an error before.
    """
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_RETRY_AFTER)
    if error.means(ErrorCode.CORRUPT):
        return delay(setbacks)  # none at first: damage is an accident, as a rule
    return delay(setbacks + 1)


def is_busy(error: RefusedError) -> bool:
    """Whether an error asks for less traffic; from the service, or from a broker."""
    return error.means(ErrorCode.BUSY) or error.code == _OVERLOADED


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

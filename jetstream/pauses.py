"""How long to wait before the server is asked again. No input or output; time is passed in."""

from typing import Final

FIRST_PAUSE: Final = 0.01
"""Seconds after which the server is asked again for the first time: small things are done by then,
and a question costs it a few milliseconds."""

BLIND_PAUSE: Final = 0.1
"""Seconds between questions at most about what does not tell how far it is, and so how late its end
may be noticed. Ten questions a second cost some hundredths of a processor."""

SHORTEST_AHEAD: Final = 0.05
"""Seconds between questions at least about what does: how late its end is noticed as a rule."""

LONGEST_AHEAD: Final = 1.0
"""The same at most. It may end before its time, or be suspended, which is noticed so late then."""

_GROWTH: Final = 1.5
_AHEAD: Final = 0.5
"""Part of what is left to do that is waited for; what is left then is halved with each question."""


class Pauses:
    """Says how long to wait before each question about one thing.

    At first the pauses grow. Where it is known how far the thing is, they are half of the time that
    it takes still, by the rate at which it went on so far: one of an hour is asked about once a
    second, and yet its end is noticed as soon as that of a short one.

    Example:
        >>> pauses = Pauses()
        >>> [round(pauses.after(now, done), 3) for now, done in [(0, 0.0), (1, 0.5), (1.5, 0.75)]]
        [0.01, 0.5, 0.25]
    """

    __slots__ = ("_began", "_pause")

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._began: tuple[float, float] | None = None

    def after(self, now: float, done: float | None) -> float:
        """Return how many seconds to wait after an answer.

        Args:
            now: The time in seconds.
            done: The part of the whole that is done, 0 to 1; ``None`` if that is not known.
        """
        left = None if done is None else self._left(now, done)
        if left is not None:
            return min(max(_AHEAD * left, SHORTEST_AHEAD), LONGEST_AHEAD)
        pause = self._pause
        self._pause = min(pause * _GROWTH, BLIND_PAUSE)
        return pause

    def _left(self, now: float, done: float) -> float | None:
        """Return the seconds that it takes still; ``None`` as long as nobody can tell."""
        if self._began is None or done < self._began[1]:
            self._began = now, done
        seconds, gain = now - self._began[0], done - self._began[1]
        return (1.0 - done) / gain * seconds if gain > 0 else None

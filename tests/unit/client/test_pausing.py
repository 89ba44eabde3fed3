"""How soon something is asked for again."""

import math

from dxlfiletransferclient.exchange.pausing import FIRST_PAUSE, LONGEST_PAUSE, Pause


def lengths(pause: Pause, count: int) -> list[float]:
    """How long so many pauses last, each of which begins when the one before is over."""
    found, now = [], 0.0
    for _ in range(count):
        due = pause.over(now)
        found.append(due - now)
        now = due
    return found


def test_pauses_double_up_to_the_longest() -> None:
    found = lengths(Pause(first=0.25, longest=3.0), 6)
    assert found == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_pauses_without_an_end() -> None:
    assert lengths(Pause(first=1.0, longest=math.inf), 5) == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_the_usual_pauses() -> None:
    pause = Pause()
    assert pause.over(0.0) == FIRST_PAUSE
    assert pause.over(0.0) == 2 * FIRST_PAUSE
    assert [pause.over(0.0) for _ in range(20)][-1] == LONGEST_PAUSE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetstream.pauses import (
    BLIND_PAUSE,
    FIRST_PAUSE,
    LONGEST_AHEAD,
    SHORTEST_AHEAD,
    Pauses,
)


def test_pauses_grow_as_long_as_nothing_is_known() -> None:
    pauses = Pauses()
    found = [pauses.after(float(now), None) for now in range(30)]
    assert found[0] == FIRST_PAUSE
    assert found == sorted(found)
    assert found[-1] == BLIND_PAUSE


def test_nothing_is_known_before_something_is_done() -> None:
    pauses = Pauses()
    assert pauses.after(0.0, 0.25) == FIRST_PAUSE
    assert FIRST_PAUSE < pauses.after(1.0, 0.25) < BLIND_PAUSE
    # A third of what was left has taken two seconds, so that two thirds take four.
    assert pauses.after(2.0, 0.5) == LONGEST_AHEAD
    assert pauses.after(5.0, 0.875) == pytest.approx(0.5)


def test_the_last_pauses_are_short() -> None:
    pauses = Pauses()
    pauses.after(0.0, 0.0)
    assert pauses.after(9.0, 0.9) == pytest.approx(0.5)
    assert pauses.after(9.99, 0.999) == SHORTEST_AHEAD
    assert pauses.after(10.0, 1.0) == SHORTEST_AHEAD


def test_what_begins_anew_is_measured_anew() -> None:
    pauses = Pauses()
    pauses.after(0.0, 0.5)
    pauses.after(1.0, 0.75)
    assert pauses.after(2.0, 0.0) < BLIND_PAUSE
    assert pauses.after(3.0, 0.9) == pytest.approx(0.1 / 0.9 / 2)


@given(st.lists(st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(0, 1)))))
def test_no_pause_is_too_short_or_too_long(steps: list[tuple[float, float | None]]) -> None:
    pauses, now = Pauses(), 0.0
    for seconds, done in steps:
        now += seconds
        assert FIRST_PAUSE <= pauses.after(now, done) <= LONGEST_AHEAD

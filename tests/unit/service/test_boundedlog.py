"""Lines that others bring about cannot fill a disk."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferservice.boundedlog import BoundedLog, LineBudget


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock, caplog: pytest.LogCaptureFixture) -> BoundedLog:
    caplog.set_level(logging.INFO, "bounded")
    return BoundedLog(logging.getLogger("bounded"), LineBudget(3, 10.0), clock=clock)


def test_a_flood_leaves_a_few_lines(log: BoundedLog, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1000):
        log.write(logging.WARNING, "line %d", number)
    assert caplog.messages == ["line 0", "line 1", "line 2"]


def test_what_was_left_out_is_counted_in_the_next_line(
    log: BoundedLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        log.write(logging.WARNING, "line %d", number)
    clock.now = 10.0
    log.write(logging.ERROR, "line %d", 10)
    log.write(logging.ERROR, "line %d", 11)
    assert caplog.messages[3:] == ["line 10 (after 7 lines that were left out)"]


def test_after_a_while_there_may_be_a_few_at_once_again(
    log: BoundedLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for now in (0.0, 1e6):
        clock.now = now
        for _ in range(10):
            log.write(logging.WARNING, "line")
    assert len(caplog.messages) == 3 + 3


def test_debug_lines_cost_nothing(log: BoundedLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        log.write(logging.DEBUG, "hidden")
    log.write(logging.WARNING, "shown")
    assert caplog.messages == ["shown"]
    caplog.set_level(logging.DEBUG, "bounded")
    for _ in range(100):
        log.write(logging.DEBUG, "detail")
    assert caplog.messages.count("detail") == 100


def test_a_traceback_follows_where_it_is_wanted(
    log: BoundedLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.write(logging.ERROR, "failed", error=KeyError("why"))
    assert "KeyError: 'why'" in caplog.text


@given(st.lists(st.floats(0, 50), max_size=200), st.integers(1, 5), st.floats(0.1, 20))
def test_a_budget_is_kept_at_any_pace(pauses: list[float], lines: int, seconds: float) -> None:
    budget, now, taken, left_out = LineBudget(lines, seconds), 0.0, 0, 0
    for pause in pauses:
        now += pause
        answer = budget.take(now)
        if answer is not None:
            taken += 1
            left_out += answer
    assert taken <= lines + now / seconds + 1e-6
    assert taken + left_out <= len(pauses)
    assert taken or not pauses

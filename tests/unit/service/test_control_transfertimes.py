"""Times of transfers hold whatever happens to the clock."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferservice.control.sending.transfertimes import TransferTimes

HOUR = 3600 * 1_000_000


class Clocks:
    def __init__(self) -> None:
        self.wall = 1_700_000_000_000_000
        self.steady = 77

    def times(self, most: int = 100) -> TransferTimes:
        return TransferTimes(wall=lambda: self.wall, monotonic=lambda: self.steady, most=most)

    def pass_by(self, duration: int) -> None:
        self.wall += duration
        self.steady += duration


def row(number: int, **known: int) -> Any:
    names = ("request_time", "queue_time", "start_time", "end_time")
    return SimpleNamespace(id=number, **{**dict.fromkeys(names), **known})


def test_the_clock_may_be_set_without_changing_durations() -> None:
    clocks = Clocks()
    times = clocks.times()
    request = times.request()
    times.keep(1, request)
    for jump in (-HOUR, 2 * HOUR):
        clocks.wall += jump
        clocks.pass_by(5)
    assert times.now(row(1, request_time=request.wall)) == request.wall + 10


def test_after_a_restart_no_time_goes_back() -> None:
    clocks = Clocks()
    before = clocks.wall
    clocks.wall -= HOUR
    times = clocks.times()
    known = row(1, request_time=before, queue_time=before + 3)
    assert times.now(known) == before + 3
    clocks.pass_by(9)
    assert times.now(known) == before + 12


def test_after_a_restart_the_clock_is_read_once() -> None:
    clocks = Clocks()
    before = clocks.wall
    clocks.pass_by(HOUR)
    times = clocks.times()
    assert times.now(row(1, request_time=before)) == before + HOUR
    clocks.wall -= HOUR
    clocks.pass_by(1)
    assert times.now(row(1, request_time=before)) == before + HOUR + 1


def test_what_has_ended_is_read_by_the_wall_clock_and_not_before_its_end() -> None:
    clocks = Clocks()
    ended = row(1, request_time=5, end_time=clocks.wall + 7)
    times = clocks.times()
    assert times.now(ended) == clocks.wall + 7
    clocks.wall += HOUR
    assert times.now(ended) == clocks.wall


@given(st.lists(st.integers(1, 50)))
def test_few_are_kept_however_many_there_are(numbers: list[int]) -> None:
    times = Clocks().times(most=5)
    for number in numbers:
        times.now(row(number, request_time=3))
        assert len(times._zeros) <= 5
    for number in numbers:
        times.forget(number)
    assert not times._zeros

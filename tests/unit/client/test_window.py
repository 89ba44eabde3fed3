"""The window: never more than allowed, as much as is useful, less after losses."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.exchange.window import (
    FEWEST_SEGMENTS,
    FIRST_SEGMENTS,
    FIRST_TIMEOUT,
    Departure,
    RoundTrip,
    Window,
)

MIB = 2**20


def window(*, largest: int = 16 * MIB, granted: int = 64 * MIB, segment: int = MIB) -> Window:
    return Window(largest=largest, granted=granted, segment_size=segment)


class Line:
    """Carries segments one after the other at a rate, and answers after a round trip."""

    def __init__(self, *, rate: float, delay: float) -> None:
        self.rate = rate
        self.delay = delay
        self.time = 0.0
        self._free = 0.0
        self._under_way: deque[tuple[float, Departure]] = deque()
        self.delivered = 0
        self.most = 0

    def run(self, window: Window, seconds: float, *, cost: int = MIB) -> None:
        end = self.time + seconds
        while self.time < end:
            while window.fits(cost):
                departure = window.sent(cost, self.time)
                self._free = max(self._free, self.time) + cost / self.rate
                self._under_way.append((self._free + self.delay, departure))
                self.most = max(self.most, window.in_flight)
            arrival, departure = self._under_way.popleft()
            self.time = arrival
            self.delivered += departure.cost
            window.arrived(departure, arrival)


@pytest.mark.parametrize("delay", [0.001, 0.01, 0.05, 0.08])
@pytest.mark.parametrize("rate", [10 * MIB, 60 * MIB, 100 * MIB])
def test_a_line_is_used_fully(rate: float, delay: float) -> None:
    line, adapted = Line(rate=rate, delay=delay), window()
    line.run(adapted, 2.0)
    before = line.delivered
    line.run(adapted, 8.0)
    assert line.delivered - before >= 0.97 * 8.0 * rate


def test_no_more_waits_on_the_way_than_is_useful() -> None:
    line, adapted = Line(rate=100 * MIB, delay=0.001), window()
    line.run(adapted, 10.0)
    assert adapted.size == FEWEST_SEGMENTS * MIB
    assert line.most <= 2 * FIRST_SEGMENTS * MIB


def test_what_it_holds_does_not_creep_up_over_a_long_time() -> None:
    line, adapted = Line(rate=10 * MIB, delay=0.5), window()
    line.run(adapted, 60.0)
    settled = adapted.size
    line.run(adapted, 600.0)
    assert adapted.size <= settled * 1.05


def test_it_grows_when_the_line_becomes_faster() -> None:
    line, adapted = Line(rate=10 * MIB, delay=0.1), window()
    line.run(adapted, 20.0)
    slow = adapted.size
    line.rate = 60 * MIB
    line.run(adapted, 20.0)
    assert adapted.size > slow
    before = line.delivered
    line.run(adapted, 5.0)
    assert line.delivered - before >= 0.95 * 5.0 * 60 * MIB


def test_small_segments_get_a_small_window() -> None:
    line, adapted = Line(rate=30 * MIB, delay=0.001), window()
    line.run(adapted, 5.0, cost=50_000)
    assert adapted.size <= MIB


def test_losses_halve_it_once_per_round_trip_and_it_recovers() -> None:
    adapted = window()
    sent = [adapted.sent(MIB, 0.0) for _ in range(4)]
    for departure in sent:
        adapted.lost(departure, 1.0)
    assert adapted.size == FIRST_SEGMENTS * MIB // 2
    assert adapted.in_flight == 0
    later = [adapted.sent(MIB, 1.0), adapted.sent(MIB, 1.5)]
    for departure in later:
        adapted.lost(departure, 3.0)
    assert adapted.size == FIRST_SEGMENTS * MIB // 4
    line = Line(rate=60 * MIB, delay=0.05)
    line.time = 10.0
    line.run(adapted, 5.0)
    assert adapted.size >= FEWEST_SEGMENTS * MIB


def test_never_falls_below_one_segment_and_one_always_goes() -> None:
    adapted = window()
    for second in range(50):
        adapted.lost(adapted.sent(MIB, second), second + 0.5)
    assert adapted.size == MIB
    small = window(granted=1000)
    assert small.size == 1000
    assert small.fits(MIB)
    small.sent(MIB, 0.0)
    assert not small.fits(1)
    assert small.fits(0)


def test_the_service_may_take_back_and_give_again() -> None:
    adapted = window()
    adapted.limit(MIB)
    assert adapted.size == MIB
    adapted.limit(0)
    assert adapted.size == 1
    adapted.limit(64 * MIB)
    assert adapted.size == FIRST_SEGMENTS * MIB


def test_small_talk_neither_fills_nor_moves_it() -> None:
    adapted = window()
    departure = adapted.sent(0, 0.0)
    adapted.lost(departure, 1.0)
    adapted.slow(departure, 1.0)
    adapted.arrived(adapted.sent(0, 1.0), 30.0)
    assert adapted.in_flight == 0
    assert adapted.size == FIRST_SEGMENTS * MIB


def test_a_late_answer_counts_as_delivered_and_not_twice_as_landed() -> None:
    adapted = window()
    departure = adapted.sent(MIB, 0.0)
    other = adapted.sent(MIB, 0.0)
    adapted.lost(departure, 3.0)
    adapted.arrived(departure, 4.0)
    assert adapted.in_flight == MIB
    assert adapted.rate == pytest.approx(MIB / 4)
    adapted.dropped(other)
    adapted.dropped(other)
    assert adapted.in_flight == 0


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["send", "arrive", "lose", "drop", "slow", "limit"]),
        st.integers(0, 3_000_000),
        st.floats(0, 2),
    ),
    max_size=200,
)


@given(_EVENTS, st.integers(1, 20_000_000), st.integers(1, 20_000_000))
def test_is_bounded_and_counts_right_whatever_happens(
    events: list[tuple[str, int, float]], largest: int, granted: int
) -> None:
    adapted = window(largest=largest, granted=granted)
    flying: list[Departure] = []
    now = 0.0
    for kind, number, pause in events:
        now += pause
        if kind == "send" and adapted.fits(number):
            alone = adapted.in_flight == 0
            flying.append(adapted.sent(number, now))
            assert alone or number == 0 or adapted.in_flight <= adapted.size
        elif kind == "limit":
            granted = max(1, number)
            adapted.limit(number)
        elif kind != "send" and flying:
            departure = flying[number % len(flying)]
            if kind == "slow":
                adapted.slow(departure, now)
                continue
            flying.remove(departure)
            if kind == "drop":
                adapted.dropped(departure)
            else:
                (adapted.arrived if kind == "arrive" else adapted.lost)(departure, now)
        assert adapted.in_flight == sum(each.cost for each in flying)
        assert 1 <= adapted.size <= min(largest, granted)


def test_round_trip_waits_as_long_as_answers_vary() -> None:
    trip = RoundTrip(shortest=1.0, longest=15.0)
    assert trip.mean is None
    assert trip.timeout(0) == FIRST_TIMEOUT
    for _ in range(100):
        trip.measured(0.02)
    assert trip.mean == pytest.approx(0.02)
    assert [trip.timeout(repeats) for repeats in range(6)] == [1, 2, 4, 8, 15, 15]
    for _ in range(100):
        trip.measured(3.0)
    assert 3.0 <= trip.timeout(0) <= 4.0


@given(st.lists(st.floats(0, 100), max_size=50), st.integers(0, 10**6))
def test_round_trip_stays_within_its_bounds(trips: list[float], repeats: int) -> None:
    trip = RoundTrip(shortest=1.0, longest=15.0)
    for seconds in trips:
        trip.measured(seconds)
    assert 1.0 <= trip.timeout(repeats) <= max(15.0, 5 * max(trips, default=0))
    assert trip.timeout(repeats) <= trip.timeout(repeats + 1)
    if trip.mean is not None:
        assert trip.timeout(repeats) >= trip.mean

"""Whose turn it is: shares of lanes, priorities, rates, and that nobody starves."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferservice.courier.limiter import RateLimiter, SharedLimiter
from dxlfiletransferservice.courier.scheduler import WAITING_PART, Scheduler
from dxlfiletransferservice.courier.segmenting import message_size

LANES = {"High": 0.70, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}

SPAN = 5.0
"""Seconds over which shares are looked at."""


@dataclass(frozen=True)
class Sent:
    at: float
    key: int
    lane: str
    size: int


@dataclass
class Destination:
    """A busy destination: every transfer always has something to send."""

    lanes: dict[str, float] = field(default_factory=lambda: dict(LANES))
    rate: float | None = 1_000_000
    connection_rate: float | None = None
    lag: float = 0.0
    """Seconds by which its timer is late."""

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(self.rate)
        self.connection = SharedLimiter(self.connection_rate)
        self.scheduler: Scheduler[int] = Scheduler(
            self.lanes, limits=(self.limiter, self.connection)
        )
        self.places: dict[int, str] = {}
        self.asked: dict[int, int] = {}
        self.log: list[Sent] = []
        self.now = 0.0

    def add(self, key: int, lane: str, *, priority: int = 100, rate: float | None = None) -> None:
        self.scheduler.add(key, lane=lane, priority=priority, age=key, rate=rate, now=self.now)
        self.places[key] = lane
        self.ask(key)

    def ask(self, key: int) -> None:
        self.asked[key] = self.scheduler.size(key)
        self.scheduler.wants(key, self.asked[key])

    def ask_anew(self) -> None:
        """As jobs do when they may not send as much at once any more."""
        for key in self.places:
            self.ask(key)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self.send_now()
            self.now = max(self.now, self.scheduler.due(self.now) + self.lag)
            if self.now >= end:
                self.now = end
                return

    def send_now(self) -> None:
        while (key := self.scheduler.turn(self.now)) is not None:
            size = self.asked[key]
            assert self.scheduler.sent(key, self.now)
            self.log.append(Sent(self.now, key, self.places[key], size))
            self.ask(key)

    def shares(self, begin: float, end: float) -> dict[str, float]:
        total: Counter[str] = Counter()
        for each in self.log:
            if begin <= each.at < end:
                total[each.lane] += each.size
        return {lane: total[lane] / total.total() for lane in self.lanes}


def exceeds(log: Iterable[Sent], rate: float) -> bool:
    """Whether any stretch of time has more than the rate allows and one segment."""
    # As a bucket: what is in it never falls below minus one segment.
    room, before = float(SEGMENT_SIZE), 0.0
    for each in log:
        room = min(SEGMENT_SIZE, room + (each.at - before) * rate) - each.size
        before = each.at
        if room < -1:
            return True
    return False


@given(
    rate=st.floats(500_000, 50_000_000),
    counts=st.tuples(*[st.integers(1, 5)] * 3),
    lag=st.sampled_from([0.0, 0.005]),
    begin=st.floats(0, 5),
)
@settings(max_examples=15, deadline=None)
def test_lanes_share_by_weight_over_any_five_seconds(
    rate: float, counts: tuple[int, int, int], lag: float, begin: float
) -> None:
    destination = Destination(rate=rate, lag=lag)
    key = 0
    for lane, count in zip(LANES, (*counts, 1), strict=True):
        for _ in range(count):
            destination.add(key, lane, priority=key % 3)
            key += 1
    destination.run(10.1)
    for lane, share in destination.shares(begin, begin + SPAN).items():
        assert share == pytest.approx(LANES[lane], rel=0.05, abs=0.005)
    assert not exceeds(destination.log, rate)
    assert sum(each.size for each in destination.log) >= 0.97 * rate * 10.1


@st.composite
def weights(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.tuples(*[st.integers(2, 20)] * 4))
    return {f"lane {number}": part / sum(parts) for number, part in enumerate(parts)}


@given(
    steps=st.lists(
        st.tuples(weights(), st.floats(500_000, 20_000_000), st.permutations(range(8))),
        min_size=2,
        max_size=3,
    )
)
@settings(max_examples=10, deadline=None)
def test_shares_hold_while_rates_lanes_and_priorities_change(
    steps: list[tuple[dict[str, float], float, list[int]]],
) -> None:
    destination = Destination(lanes=steps[0][0])
    for key in range(8):
        destination.add(key, f"lane {key % 4}")
    for lanes, rate, priorities in steps:
        destination.lanes = lanes
        destination.scheduler.relane(lanes)
        destination.limiter.change(rate, destination.now)
        for key, priority in enumerate(priorities):
            destination.scheduler.change(
                key, lane=f"lane {key % 4}", priority=priority, rate=None, now=destination.now
            )
        # A lane may be ahead by the message that it has sent last.
        ahead = max(destination.asked.values()) / (rate * SPAN)
        destination.ask_anew()
        begin, first = destination.now, len(destination.log)
        destination.run(SPAN)
        for lane, share in destination.shares(begin, begin + SPAN).items():
            assert share == pytest.approx(lanes[lane], abs=0.05 * lanes[lane] + ahead)
        assert not exceeds(destination.log[first:], rate)


def test_shares_hold_without_any_rate() -> None:
    destination = Destination(rate=None)
    for key, lane in enumerate(LANES):
        destination.add(key, lane)
    for _ in range(1000):
        turn = destination.scheduler.turn(0.0)
        assert turn is not None
        assert destination.scheduler.sent(turn, 0.0)
        destination.log.append(Sent(0.0, turn, destination.places[turn], SEGMENT_SIZE))
        destination.ask(turn)
    assert destination.shares(0.0, 1.0) == pytest.approx(LANES, abs=0.005)


def test_what_a_lane_does_not_use_goes_to_the_others() -> None:
    destination = Destination()
    destination.add(1, "High", rate=100_000)
    destination.add(2, "Normal")
    destination.add(3, "Low")
    destination.run(10)
    shares = destination.shares(0, 10)
    assert shares["High"] == pytest.approx(0.1, rel=0.1)
    assert shares["Normal"] == pytest.approx(5 * shares["Low"], rel=0.05)


def test_a_lane_that_paused_gets_no_more_than_its_share() -> None:
    destination = Destination()
    destination.add(1, "High")
    destination.add(2, "Normal")
    destination.scheduler.passed(1)
    destination.run(10)
    assert destination.shares(0, 10)["Normal"] == 1
    destination.ask(1)
    destination.run(5)
    assert destination.shares(10, 15)["High"] == pytest.approx(0.7 / 0.95, rel=0.03)
    assert destination.shares(10, 11)["High"] == pytest.approx(0.7 / 0.95, rel=0.1)


def test_the_idle_lane_waits_for_all_others_to_be_empty() -> None:
    destination = Destination()
    destination.add(1, "Idle")
    destination.add(2, "Low")
    destination.run(1)
    assert {each.key for each in destination.log} == {2}
    destination.scheduler.passed(2)
    assert destination.scheduler.turn(destination.now) is None
    destination.scheduler.remove(2)
    destination.run(1)
    assert {each.key for each in destination.log} == {1, 2}
    destination.add(3, "High")
    destination.log.clear()
    destination.run(1)
    assert {each.key for each in destination.log} == {3}


def test_a_lower_number_goes_first_and_among_equals_the_older() -> None:
    destination = Destination()
    for key, priority in ((4, 100), (5, 7), (6, 7), (3, 100)):
        destination.add(key, "Normal", priority=priority)
    destination.run(20)
    sizes: Counter[int] = Counter()
    for each in destination.log:
        sizes[each.key] += each.size
    assert sizes[5] / sizes.total() == pytest.approx(1 - WAITING_PART, rel=0.01)


def test_a_priority_that_changes_counts_at_once() -> None:
    destination = Destination()
    destination.add(1, "Normal", priority=1)
    destination.add(2, "Normal", priority=2)
    assert destination.scheduler.turn(0.0) == 1
    destination.scheduler.change(1, lane="Normal", priority=3, rate=None, now=0.0)
    assert destination.scheduler.turn(0.0) == 2


def test_a_lane_that_changes_counts_at_once() -> None:
    destination = Destination()
    destination.add(1, "Normal", priority=1)
    destination.add(2, "Normal", priority=2)
    destination.scheduler.change(1, lane="Low", priority=1, rate=50_000, now=0.0)
    destination.places[1] = "Low"
    destination.run(10)
    assert destination.shares(0, 10)["Low"] == pytest.approx(0.05, rel=0.2)


@given(
    plans=st.lists(
        st.tuples(
            st.sampled_from(["High", "Normal", "Low"]),
            st.integers(0, 3),
            st.sampled_from([None, 20_000.0, 300_000.0]),
        ),
        min_size=2,
        max_size=12,
    ),
    rate=st.floats(500_000, 2_000_000),
)
@settings(max_examples=15, deadline=None)
def test_nobody_starves_and_no_limit_is_exceeded(
    plans: list[tuple[str, int, float | None]], rate: float
) -> None:
    destination = Destination(rate=rate, connection_rate=rate * 0.8)
    for key, (lane, priority, own) in enumerate(plans):
        destination.add(key, lane, priority=priority, rate=own)
    destination.run(20)
    for key, (_, _, own) in enumerate(plans):
        mine = [each for each in destination.log if each.key == key]
        assert mine, f"transfer {key} has sent nothing in twenty seconds"
        if own is not None:
            assert not exceeds(mine, own)
    assert not exceeds(destination.log, rate * 0.8)


@given(costs=st.lists(st.tuples(st.integers(0, 3), st.integers(1, SEGMENT_SIZE)), max_size=80))
def test_limits_hold_for_messages_of_any_size(costs: list[tuple[int, int]]) -> None:
    destination = Destination(rate=2_000_000)
    for key in range(4):
        destination.add(key, "Normal", rate=1_000_000)
        destination.scheduler.passed(key)
    now = 0.0
    for key, cost in costs:
        destination.scheduler.wants(key, cost)
        while (turn := destination.scheduler.turn(now)) is None:
            now = destination.scheduler.due(now)
        assert turn == key
        assert destination.scheduler.sent(key, now)
        destination.log.append(Sent(now, key, "Normal", cost))
    assert not exceeds(destination.log, 2_000_000)
    for key in range(4):
        assert not exceeds([each for each in destination.log if each.key == key], 1_000_000)


def test_repeats_count() -> None:
    destination = Destination(rate=1_000_000)
    destination.add(1, "Normal")
    destination.run(1)
    destination.scheduler.charge(1, 500_000, destination.now)
    before = sum(each.size for each in destination.log)
    destination.run(1)
    assert sum(each.size for each in destination.log) - before == pytest.approx(500_000, rel=0.1)
    destination.scheduler.remove(1)
    destination.scheduler.charge(1, 500_000, destination.now)
    destination.add(2, "Normal")
    assert destination.scheduler.due(destination.now) > destination.now + 0.4


def test_another_destination_of_the_connection_may_be_faster() -> None:
    shared = SharedLimiter(1_000_000)
    own = RateLimiter(1_000_000)
    scheduler: Scheduler[int] = Scheduler({"only": 1.0}, limits=(own, shared))
    scheduler.add(1, lane="only", priority=1, age=1, rate=None, now=0.0)
    scheduler.wants(1, 20_000)
    assert scheduler.turn(0.0) == 1
    shared.take(40_000, 0.0)
    assert not scheduler.sent(1, 0.0)
    assert scheduler.turn(0.0) is None
    assert own.ready(40_000, 0.0), "nothing was taken in vain"
    assert scheduler.due(0.0) == pytest.approx(0.02)


def test_transfers_of_a_lane_that_is_gone_go_to_the_first() -> None:
    scheduler: Scheduler[int] = Scheduler({"a": 0.5, "b": 0.5})
    scheduler.add(1, lane="b", priority=1, age=1, rate=None, now=0.0)
    scheduler.wants(1, 1000)
    scheduler.relane({"c": 1.0})
    assert 1 in scheduler
    assert scheduler.turn(0.0) == 1
    scheduler.add(2, lane="nowhere", priority=0, age=2, rate=None, now=0.0)
    scheduler.wants(2, 1000)
    assert scheduler.turn(0.0) == 2
    scheduler.remove(1)
    scheduler.remove(1)
    assert 1 not in scheduler


def test_nobody_has_a_turn_where_nobody_wants_one() -> None:
    scheduler: Scheduler[int] = Scheduler(LANES)
    assert scheduler.turn(0.0) is None
    assert scheduler.due(0.0) == float("inf")
    scheduler.add(1, lane="High", priority=1, age=1, rate=0.0, now=0.0)
    assert scheduler.turn(0.0) is None
    assert scheduler.size(1) == message_size(0.0)

"""Rates: never exceeded by more than a segment, used up, and changed at once."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferservice.courier.limiter import Limit, RateLimiter, SharedLimiter
from dxlfiletransferservice.courier.segmenting import (
    LARGEST_LIMITED,
    LEAST_MESSAGE,
    LEAST_SHARED_MESSAGE,
    burst,
    message_size,
)

RATES = st.floats(1_000, 500_000_000)


def test_messages_are_as_large_as_can_be_without_a_limit() -> None:
    assert message_size(None) == SEGMENT_SIZE
    assert message_size(None, 0.05) == SEGMENT_SIZE


@pytest.mark.parametrize(
    ("rate", "share", "size"),
    [
        (1_000, 1.0, LEAST_MESSAGE),
        (1_000_000, 1.0, 20_000),
        (1_000_000, 0.7, 20_000),
        (1_000_000, 0.05, 5_000),
        (1_000, 0.05, LEAST_SHARED_MESSAGE),
        (1_000_000, 0.0, 20_000),
        (10_000_000_000, 1.0, LARGEST_LIMITED),
    ],
)
def test_messages_take_a_fiftieth_of_a_second(rate: float, share: float, size: int) -> None:
    assert message_size(rate, share) == size


@given(RATES)
def test_a_burst_is_one_segment_at_most(rate: float) -> None:
    assert 2 * message_size(rate) == burst(rate) <= SEGMENT_SIZE


@given(
    rate=RATES,
    waits=st.lists(st.floats(0, 0.5), min_size=1, max_size=40),
    cost=st.integers(10_000, SEGMENT_SIZE),
)
def test_the_rate_is_never_exceeded_by_more_than_a_segment(
    rate: float, waits: list[float], cost: int
) -> None:
    limiter = RateLimiter(rate)
    sent: list[tuple[float, int]] = []
    now = 0.0
    for wait in waits:
        now += wait
        while limiter.claim(cost, now) and len(sent) < 200:
            sent.append((now, cost))
    for first, (begin, _) in enumerate(sent):
        total = 0
        for at, size in sent[first:]:
            total += size
            assert total <= rate * (at - begin) + SEGMENT_SIZE + 1


@given(rate=RATES, cost=st.integers(1, SEGMENT_SIZE))
def test_what_is_due_may_be_sent_then(rate: float, cost: int) -> None:
    limiter = RateLimiter(rate)
    now = 0.0
    for _ in range(20):
        due = limiter.due(cost, now)
        assert due >= now
        now = due
        assert limiter.claim(cost, now)


@given(rate=st.floats(100_000, 20_000_000))
def test_the_rate_is_used_up_though_timers_are_late(rate: float) -> None:
    limiter = RateLimiter(rate)
    cost = message_size(rate)
    limiter.take(burst(rate), 0.0)
    now, sent = 0.0, 0
    while now < 10:
        now = limiter.due(cost, now) + 0.01
        while limiter.claim(cost, now):
            sent += cost
    assert sent >= 0.98 * rate * now - cost


def test_without_a_limit_everything_may_be_sent() -> None:
    limiter = RateLimiter()
    assert all(limiter.claim(SEGMENT_SIZE, 0.0) for _ in range(1000))
    assert limiter.due(SEGMENT_SIZE, 0.0) == 0.0


def test_a_rate_of_nothing_sends_nothing() -> None:
    limiter = RateLimiter(0)
    limiter.take(burst(0), 0.0)
    assert not limiter.ready(1000, 3600.0)
    assert limiter.due(1000, 3600.0) == math.inf


def test_repeats_are_made_up_for() -> None:
    limiter = RateLimiter(100_000)
    limiter.take(200_000, 0.0)
    assert limiter.due(10_000, 0.0) == pytest.approx((200_000 + 10_000 - burst(100_000)) / 100_000)


def test_a_lower_rate_holds_at_once() -> None:
    limiter = RateLimiter(10_000_000)
    limiter.change(100_000, 0.0)
    sent = 0
    now = 0.0
    while (now := limiter.due(16_384, now)) <= 1.0:
        limiter.take(16_384, now)
        sent += 16_384
    assert sent <= 100_000 + burst(100_000)


def test_a_limit_that_is_set_gives_nothing_away() -> None:
    limiter = RateLimiter()
    limiter.take(10 * SEGMENT_SIZE, 0.0)
    limiter.change(100_000, 0.0)
    assert limiter.due(16_384, 0.0) == pytest.approx(0.16384)
    limiter.change(None, 0.0)
    assert limiter.ready(SEGMENT_SIZE, 0.0)
    limiter.change(None, 0.0)
    assert limiter.rate is None


@pytest.mark.parametrize("limit", [RateLimiter(1_000_000), SharedLimiter(1_000_000)])
def test_a_claim_takes_only_what_is_there(limit: Limit) -> None:
    assert limit.rate == 1_000_000
    assert limit.claim(40_000, 0.0)
    assert not limit.claim(20_000, 0.0)
    assert not limit.ready(20_000, 0.0)
    assert limit.due(20_000, 0.0) == pytest.approx(0.02)
    limit.take(-20_000, 0.0)
    assert limit.claim(20_000, 0.0)


def test_a_shared_limit_can_be_changed() -> None:
    shared = SharedLimiter()
    shared.change(1_000_000, 0.0)
    assert shared.rate == 1_000_000
    assert not shared.ready(20_000, 0.0)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.errors import AuthenticationError
from dxlfiletransferservice.control.identity.attempts import Attempts
from dxlfiletransferservice.control.identity.throttling import (
    FREE_FAILURES,
    FREE_FAILURES_OF_PEER,
    LONGEST_SECONDS,
    Throttle,
)
from tests.unit.service.identities import Clock

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from(["failed", "succeeded"]),
        st.floats(min_value=0, max_value=5000),
    ),
    max_size=60,
)


def test_first_failures_are_free_and_then_it_doubles() -> None:
    throttle = Throttle(free=3, first_seconds=1, longest_seconds=60)
    waits = []
    for _ in range(12):
        throttle.failed("ann", now=100.0)
        waits.append(throttle.wait("ann", now=100.0))
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_very_many_failures_cost_nothing() -> None:
    throttle = Throttle(free=0)
    for _ in range(3000):
        throttle.failed("ann", now=1.0)
    assert throttle.wait("ann", now=1.0) == LONGEST_SECONDS


def test_success_and_silence_forget() -> None:
    throttle = Throttle(free=0, first_seconds=8, forgotten_seconds=100)
    throttle.failed("ann", now=0.0)
    throttle.failed("ann", now=0.0)
    throttle.succeeded("ann")
    assert throttle.wait("ann", now=0.0) == 0
    throttle.failed("ann", now=0.0)
    assert throttle.wait("ann", now=0.0) == 8
    throttle.failed("ann", now=200.0)
    assert throttle.wait("ann", now=200.0) == 8


@given(STEPS)
def test_waits_as_if_each_name_was_alone(steps: list[tuple[str, str, float]]) -> None:
    together = Throttle(free=2)
    alone = {name: Throttle(free=2) for name in ("ann", "bob", "cid")}
    now = 0.0
    for name, what, seconds in steps:
        now += seconds
        for throttle in (together, alone[name]):
            if what == "failed":
                throttle.failed(name, now=now)
            else:
                throttle.succeeded(name)
        for each, throttle in alone.items():
            wait = together.wait(each, now=now)
            assert wait == throttle.wait(each, now=now)
            assert 0 <= wait <= LONGEST_SECONDS
            # Who waits as long as he is told can try again: nobody is told to wait once more.
            assert together.wait(each, now=now + wait) == pytest.approx(0, abs=1e-6)


@given(st.integers(min_value=4, max_value=40), st.floats(min_value=0.1, max_value=50))
def test_tries_in_a_time_are_bounded(free: int, pause: float) -> None:
    """Whoever tries whenever he may has few tries in a day, however he times them."""
    throttle = Throttle(free=free)
    now, tries = 0.0, 0
    while now < 86_400:
        wait = throttle.wait("ann", now=now)
        if wait:
            now += max(wait, pause)
            continue
        throttle.failed("ann", now=now)
        tries += 1
    assert tries <= free + 10 + 86_400 / LONGEST_SECONDS


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=300))
def test_memory_is_bounded_and_the_worst_stay(names: list[int]) -> None:
    throttle = Throttle(free=0, most=20)
    for _ in range(5):
        throttle.failed("victim", now=0.0)
    for at, name in enumerate(names):
        throttle.failed(f"name{name}", now=0.001 * at)
        assert len(throttle) <= 20
    # As long as not as many others have failed as often, it is not forgotten.
    if len(set(names)) < 20 or len(names) < 100:
        assert throttle.wait("victim", now=0.0) > 0


def test_many_others_do_not_help_whoever_was_slowed_down() -> None:
    throttle = Throttle(free=0, most=100)
    for _ in range(4):
        throttle.failed("victim", now=0.0)
    for number in range(10_000):
        throttle.failed(f"name{number}", now=0.0)
    assert throttle.wait("victim", now=0.0) == 8


def test_long_names_cost_no_memory() -> None:
    throttle = Throttle(free=0)
    throttle.failed("x" * 1_000_000, now=0.0)
    assert max(len(key) for key in throttle._kept) < 100


def test_attempts_say_when_and_count_user_and_peer() -> None:
    clock = Clock()
    attempts = Attempts(clock.seconds)
    for _ in range(FREE_FAILURES + 1):
        attempts.check("user ann", "peer")
        attempts.failed("user ann", "peer")
    with pytest.raises(AuthenticationError, match=r"^too many wrong passwords; try again in 1 sec"):
        attempts.check("user ann", "another peer")
    attempts.check("user bob", "peer")
    clock.advance(1)
    attempts.check("user ann", "another peer")
    attempts.failed("user ann", "another peer")
    with pytest.raises(AuthenticationError, match=r"try again in 2 seconds$"):
        attempts.check("user ann", "another peer")


def test_a_peer_is_slowed_down_whoever_it_tries() -> None:
    attempts = Attempts(Clock().seconds)
    for number in range(FREE_FAILURES_OF_PEER + 1):
        attempts.check(f"user {number}", "peer")
        attempts.failed(f"user {number}", "peer")
    with pytest.raises(AuthenticationError, match="too many wrong passwords"):
        attempts.check("user new", "peer")
    attempts.check("user new", "another peer")
    attempts.succeeded("user new", "peer")
    attempts.check("user new", "peer")

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.storage.expiry import Expiry


def test_a_file_expires_after_its_lifetime() -> None:
    expiry = Expiry(100)
    assert not expiry.has_expired(last_write=1000, now=1000)
    assert not expiry.has_expired(last_write=1000, now=1100)
    assert expiry.has_expired(last_write=1000, now=1100.5)


def test_a_file_from_the_future_has_not_expired() -> None:
    assert not Expiry(100).has_expired(last_write=5000, now=1000)


def test_an_infinite_lifetime_never_ends() -> None:
    assert not Expiry(math.inf).has_expired(last_write=0, now=1e12)


def test_a_look_is_due_once_per_interval() -> None:
    expiry = Expiry(100, interval=10)
    assert [expiry.is_due(now) for now in (0, 1, 9.9, 10, 19.9, 25, 34)] == [
        True,
        False,
        False,
        True,
        False,
        True,
        False,
    ]


def test_files_that_live_for_a_short_time_are_looked_for_as_often() -> None:
    expiry = Expiry(5)
    assert [expiry.is_due(now) for now in (0, 4, 5)] == [True, False, True]


def test_a_clock_that_is_set_back_delays_no_look() -> None:
    expiry = Expiry(100, interval=10)
    assert expiry.is_due(1000)
    assert expiry.is_due(500)
    assert not expiry.is_due(505)


@given(st.lists(st.floats(0, 1e6)))
def test_looks_are_never_closer_than_the_interval_while_time_goes_on(steps: list[float]) -> None:
    expiry = Expiry(1, interval=10)
    looks = [now for now in sorted(steps) if expiry.is_due(now)]
    assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(looks))


@pytest.mark.parametrize(("lifetime", "interval"), [(0, 1), (-1, 1), (math.nan, 1), (1, -1)])
def test_numbers_out_of_range(lifetime: float, interval: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Expiry(lifetime, interval)

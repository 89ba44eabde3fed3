import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.storage.checkpoints import Backlog, CheckpointPolicy

POLICY = CheckpointPolicy(after_bytes=100, after_seconds=10)


def test_a_checkpoint_is_due_after_enough_bytes() -> None:
    backlog = Backlog(POLICY)
    assert not backlog.is_due(0)
    backlog.wrote(99, 0)
    assert not backlog.is_due(0)
    backlog.wrote(1, 0)
    assert backlog.is_due(0)


def test_a_checkpoint_is_due_after_enough_time() -> None:
    backlog = Backlog(POLICY)
    backlog.wrote(1, 1000)
    backlog.wrote(1, 1009)
    assert [backlog.is_due(now) for now in (1009, 1009.9, 1010)] == [False, False, True]


def test_nothing_is_due_where_nothing_was_written() -> None:
    backlog = Backlog(POLICY)
    assert not backlog.is_due(1e12)
    backlog.wrote(0, 0)
    assert backlog.is_due(10), "an empty segment is recorded, too"


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    backlog = Backlog(POLICY)
    backlog.wrote(1, 1000)
    assert backlog.is_due(500)


def test_one_checkpoint_at_a_time() -> None:
    backlog = Backlog(POLICY)
    backlog.wrote(100, 0)
    backlog.begin()
    assert backlog.is_flushing
    assert backlog.is_empty
    backlog.wrote(100, 1)
    assert not backlog.is_due(1000)
    backlog.end()
    assert backlog.is_due(1)


def test_writers_wait_when_they_are_two_checkpoints_ahead() -> None:
    backlog = Backlog(POLICY)
    found = []
    backlog.wrote(100, 0)
    found.append(backlog.is_full)
    backlog.begin()
    backlog.wrote(99, 0)
    found.append(backlog.is_full)
    backlog.wrote(1, 0)
    found.append(backlog.is_full)
    backlog.end()
    found.append(backlog.is_full)
    # Before the first one begins, whoever comes makes it.
    assert found == [False, False, True, False]


@given(st.lists(st.integers(1, 40), max_size=60))
def test_what_is_not_flushed_is_bounded(sizes: list[int]) -> None:
    """With writers that keep to the rules, and flushes that never end before they must."""
    backlog, flushing, waiting = Backlog(POLICY), 0, 0
    for size in sizes:
        if backlog.is_full:
            backlog.end()
            flushing = 0
        if backlog.is_due(0):
            backlog.begin()
            flushing, waiting = waiting, 0
        backlog.wrote(size, 0)
        waiting += size
        assert flushing + waiting < 2 * (100 + 40)


@pytest.mark.parametrize(
    ("after_bytes", "after_seconds"), [(0, 1), (-1, 1), (1, -1), (1, math.nan)]
)
def test_numbers_out_of_range(after_bytes: int, after_seconds: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        CheckpointPolicy(after_bytes=after_bytes, after_seconds=after_seconds)

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxlfiletransferclient.intervals import IntervalSet, Range, Ranges

END = 40

spans = st.tuples(st.integers(0, END), st.integers(0, END)).map(lambda pair: (min(pair), max(pair)))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), spans), max_size=30)


def bytes_of(ranges: Ranges) -> set[int]:
    return {byte for start, end in ranges for byte in range(start, end)}


def assert_normal(ranges: Ranges) -> None:
    """Ranges are in rising order, hold something, and neither overlap nor touch."""
    assert all(start < end for start, end in ranges)
    assert all(low[1] < high[0] for low, high in pairwise(ranges))


def driven(steps: list[tuple[str, Range]]) -> tuple[IntervalSet, set[int]]:
    """Return a set after some steps, and the model of it."""
    found, model = IntervalSet(), set[int]()
    for what, (start, end) in steps:
        if what == "add":
            new = found.add(start, end)
            assert_normal(new)
            assert bytes_of(new) == set(range(start, end)) - model
            model |= set(range(start, end))
        else:
            found.remove(start, end)
            model -= set(range(start, end))
        assert_normal(found.ranges)
        assert bytes_of(found.ranges) == model
    return found, model


@settings(max_examples=500)
@given(steps, spans)
def test_it_is_what_a_set_of_bytes_is(steps: list[tuple[str, Range]], span: Range) -> None:
    found, model = driven(steps)
    wanted = set(range(*span))
    assert found.total == len(model)
    assert found.end == max(model, default=-1) + 1
    assert found.prefix == next(byte for byte in range(END + 1) if byte not in model)
    assert found.covers(*span) == (wanted <= model)
    assert found.meets(*span) == bool(wanted & model)
    for part in (found.missing(*span), found.overlap(*span)):
        assert_normal(part)
    assert bytes_of(found.missing(*span)) == wanted - model
    assert bytes_of(found.overlap(*span)) == wanted & model


@given(steps)
def test_it_is_what_it_is_made_of(steps: list[tuple[str, Range]]) -> None:
    found, _ = driven(steps)
    again = IntervalSet(reversed(found.ranges))
    assert again == found
    assert list(again) == list(found.ranges)
    assert len(again) == len(found.ranges)
    assert [found.first(count) for count in (0, 1, 99)] == [(), found.ranges[:1], found.ranges]
    assert again.total == found.total


@given(steps, spans)
def test_a_copy_is_on_its_own(steps: list[tuple[str, Range]], span: Range) -> None:
    found, model = driven(steps)
    copy = found.copy()
    copy.add(*span)
    assert bytes_of(found.ranges) == model
    found.remove(0, END)
    assert bytes_of(copy.ranges) == model | set(range(*span))


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (-2, -1)])
def test_ranges_that_are_none_are_refused(start: int, end: int) -> None:
    found = IntervalSet([(0, 9)])
    with pytest.raises(ValueError, match="byte range"):
        found.add(start, end)
    with pytest.raises(ValueError, match="byte range"):
        found.remove(start, end)
    assert found.ranges == ((0, 9),)


def test_nothing_changes_nothing() -> None:
    found = IntervalSet([(5, 9)])
    assert found.add(3, 3) == ()
    assert found.add(9, 9) == ()
    found.remove(6, 6)
    assert found.ranges == ((5, 9),)


def test_it_says_what_it_is() -> None:
    assert repr(IntervalSet([(3, 4), (0, 1)])) == "IntervalSet([(0, 1), (3, 4)])"
    assert IntervalSet() != ()
    with pytest.raises(TypeError, match="no hash"):
        hash(IntervalSet())

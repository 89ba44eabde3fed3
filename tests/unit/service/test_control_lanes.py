"""Rules of priority lanes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.constants import DEFAULT_PRIORITY_LANES
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.sending.lanes import (
    MAX_LANES,
    check_change,
    check_lane,
    default_lane,
    moves,
    read_lanes,
)


def test_the_default_lanes_are_lanes() -> None:
    assert read_lanes(dict(DEFAULT_PRIORITY_LANES)) == DEFAULT_PRIORITY_LANES


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({}, "0 priority lanes; allowed is 1 to 16"),
        ({f"l{n}": 1 / (MAX_LANES + 1) for n in range(MAX_LANES + 1)}, "17 priority lanes"),
        ({"A": 0.5, "B": 0.4}, "0.9 in sum"),
        ({"A": 0.5, "B": 0.50001}, "1.00001 in sum"),
        ({"A": 1.0, "B": 0.0, "C": 0.0}, "'B' and 'C' both have the share 0.0"),
        ({"A": 0}, "0 in sum"),
        ({"": 1.0}, "must not be blank"),
        ({"  ": 1.0}, "must not be blank"),
        ({"x" * 65: 1.0}, "64 printable characters"),
        ({"a\nb": 1.0}, "64 printable characters"),
        ({"\ud800": 1.0}, "64 printable characters"),
        ({"A": 0.5, "a ": 0.5}, "'a ' is there twice"),
        ([["A", 0.5], ["A", 0.5]], "'A' is there twice"),
        ({"A": -0.5, "B": 1.5}, "share of the priority lane 'A' is -0.5"),
        ({"A": True}, "share of the priority lane 'A'"),
        ({"A": "1"}, "share of the priority lane 'A' is '1'"),
        ({"A": None}, "share of the priority lane 'A' is None"),
        ({"A": float("nan")}, "share of the priority lane 'A' is nan"),
        ({"A": float("inf")}, "share of the priority lane 'A' is inf"),
        ([1], "a priority lane is 1"),
        ([["A", 1, 2]], "a name and its share"),
        ([[7, 1.0]], "is named 7"),
        ("High", "allowed is a mapping"),
        (7, "allowed is a mapping"),
    ],
)
def test_what_breaks_a_rule_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(CommandError) as refusal:
        read_lanes(value)
    assert complaint in str(refusal.value)
    assert refusal.value.kind is ErrorKind.INVALID


def test_decimal_fractions_need_not_add_up_to_the_last_bit() -> None:
    assert read_lanes({f"l{n}": 0.1 for n in range(10)})
    assert read_lanes({"A": 0.3333333, "B": 0.3333333, "C": 0.3333334})


def test_pairs_are_as_good_as_a_mapping_and_keep_their_order() -> None:
    assert list(read_lanes([["Z", 0.5], ["A", 0.5]])) == ["Z", "A"]


OLD = {"High": 0.7, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}


def test_shares_may_change_beside_active_transfers() -> None:
    check_change(OLD, {"High": 0.1, "Normal": 0.8, "Low": 0.1, "Idle": 0.0}, set(OLD))


@pytest.mark.parametrize(
    ("new", "busy", "complaint"),
    [
        ({"High": 0.5, "Normal": 0.5}, {"High"}, "from 4 to 2 while transfers are active"),
        ({**OLD, "More": 0.0}, {"Low"}, "from 4 to 5"),
        ({"Top": 0.7, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}, {"High"}, "'High' has an active"),
    ],
)
def test_what_active_transfers_forbid(
    new: dict[str, float], busy: set[str], complaint: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        check_change(OLD, new, busy)
    assert complaint in str(refusal.value)
    assert refusal.value.kind is ErrorKind.STATE


def test_an_empty_lane_may_be_renamed_beside_active_transfers() -> None:
    check_change(OLD, {"Top": 0.7, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}, {"Normal"})


def test_everything_may_change_without_active_transfers() -> None:
    check_change(OLD, {"Only": 1.0}, set())


def test_what_is_in_a_renamed_lane_goes_with_it() -> None:
    assert moves(OLD, {"Top": 0.7, "Normal": 0.25, "Low": 0.05, "Rest": 0.0}) == {
        "High": "Top",
        "Idle": "Rest",
    }


def test_what_is_in_a_lane_that_is_gone_goes_to_the_default_one() -> None:
    assert moves(OLD, {"High": 0.5, "Normal": 0.5}) == {"Low": "Normal", "Idle": "Normal"}
    assert set(moves(OLD, {"One": 1.0}).values()) == {"One"}


def test_the_default_lane_is_normal_or_the_first() -> None:
    assert default_lane(OLD) == "Normal"
    assert default_lane({"B": 0.5, "A": 0.5}) == "B"


def test_a_lane_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CommandError, match="no priority lane 'X'; it has 'High', 'Normal'"):
        check_lane({"High": 1.0, "Normal": 0.0}, "X")


_names = st.text("abcdefgh", min_size=1, max_size=3)
_lanes = st.dictionaries(_names, st.integers(1, 100), min_size=1, max_size=8).map(
    lambda weights: {name: each / sum(weights.values()) for name, each in weights.items()}
)


@given(_lanes)
def test_any_shares_that_add_up_are_taken_as_they_are(lanes: dict[str, float]) -> None:
    assert read_lanes(lanes) == lanes


@given(_lanes, _lanes, st.data())
def test_an_allowed_change_leaves_everything_in_a_lane(
    old: dict[str, float], new: dict[str, float], data: st.DataObject
) -> None:
    busy = data.draw(st.sets(st.sampled_from(sorted(old))))
    try:
        check_change(old, new, busy)
    except CommandError:
        assert busy
        return
    moved = moves(old, new)
    assert not busy & set(moved)
    assert all(moved.get(name, name) in new for name in old)

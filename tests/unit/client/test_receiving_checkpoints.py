"""Checkpoints as bytes: what was recorded comes back, and nothing else ever does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.intervals import IntervalSet, Ranges
from dxlfiletransferclient.protocol.limits import MAX_RANGES
from dxlfiletransferclient.receiving.checkpoints import (
    MAX_STATE,
    SLOT_SIZE,
    SLOTS,
    Checkpoint,
    encoded,
    latest,
    place_of,
    subject_of,
)

SIZE = 2**40
SUBJECT = subject_of("name", "version", SIZE)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    bounds = sorted(draw(st.sets(st.integers(0, SIZE), max_size=20)))
    held = IntervalSet(zip(bounds[::2], bounds[1::2], strict=False))
    hashed = draw(st.integers(0, held.prefix))
    sequence = draw(st.integers(0, 2**64 - 1))
    return Checkpoint(sequence, held.ranges, hashed, draw(st.binary(max_size=MAX_STATE)))


def journal_of(*checkpoints: Checkpoint) -> bytearray:
    journal = bytearray(SLOTS * SLOT_SIZE)
    for checkpoint in checkpoints:
        start = place_of(checkpoint.sequence)
        data = encoded(checkpoint, SUBJECT)
        journal[start : start + len(data)] = data
    return journal


@given(checkpoints())
def test_what_was_recorded_comes_back(checkpoint: Checkpoint) -> None:
    data = encoded(checkpoint, SUBJECT)

    assert len(data) <= SLOT_SIZE
    assert latest(bytes(journal_of(checkpoint)), SUBJECT, SIZE) == checkpoint


@given(checkpoints(), st.data())
def test_damage_is_noticed(checkpoint: Checkpoint, data: st.DataObject) -> None:
    whole = encoded(checkpoint, SUBJECT)
    torn = whole[: data.draw(st.integers(0, len(whole) - 1))]
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8

    assert latest(torn, SUBJECT, SIZE) is None
    assert latest(bytes(flipped), SUBJECT, SIZE) is None


@given(st.binary(max_size=3 * SLOT_SIZE))
def test_anything_else_is_none(journal: bytes) -> None:
    assert latest(journal, SUBJECT, SIZE) is None


@pytest.mark.parametrize("sequence", [7, 8])
def test_the_newest_one_counts_and_a_torn_one_leaves_the_other(sequence: int) -> None:
    older = Checkpoint(sequence, ((0, 10),), 10, b"older")
    newer = Checkpoint(sequence + 1, ((0, 20),), 20, b"newer")
    journal = journal_of(older, newer)

    assert latest(bytes(journal), SUBJECT, SIZE) == newer
    journal[place_of(newer.sequence) + 50] ^= 1
    assert latest(bytes(journal), SUBJECT, SIZE) == older


@pytest.mark.parametrize(
    ("name", "version", "size"),
    [("other", "version", SIZE), ("name", "other", SIZE), ("name", "version", SIZE + 1)],
)
def test_one_of_something_else_does_not_count(name: str, version: str, size: int) -> None:
    journal = bytes(journal_of(Checkpoint(1, ((0, 10),), 10, b"")))

    assert latest(journal, subject_of(name, version, size), size) is None


@pytest.mark.parametrize(
    ("held", "hashed"),
    [
        (((0, SIZE + 1),), 0),
        (((5, 5),), 0),
        (((5, 4),), 0),
        (((5, 9), (9, 10)), 0),
        (((5, 9), (7, 10)), 0),
        (((0, 9),), 10),
        (((1, 9),), 1),
    ],
)
def test_one_that_cannot_be_does_not_count(held: Ranges, hashed: int) -> None:
    journal = bytes(journal_of(Checkpoint(1, held, hashed, b"")))

    assert latest(journal, SUBJECT, SIZE) is None


def test_many_ranges_are_cut() -> None:
    held = tuple((10 * n, 10 * n + 5) for n in range(MAX_RANGES + 50))
    found = latest(encoded(Checkpoint(0, held, 5, bytes(MAX_STATE)), SUBJECT), SUBJECT, SIZE)

    assert found is not None
    assert found.held == held[:MAX_RANGES]


def test_a_state_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="has 1025 bytes"):
        encoded(Checkpoint(0, (), 0, bytes(MAX_STATE + 1)), SUBJECT)

"""Answers that are kept: how many, how large, and which of them go first."""

from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferservice.control.keptanswers import (
    BYTES_EACH,
    KEPT_EACH,
    LARGEST_KEPT,
    OVERHEAD,
    KeptAnswers,
)


def answer(size: int) -> Parcel:
    return Parcel({}, bytes(size))


def test_each_session_has_its_own() -> None:
    kept = KeptAnswers()
    first, second = answer(1), answer(2)
    kept.keep("a", "1", first)
    kept.keep("b", "1", second)
    assert (kept.get("a", "1"), kept.get("b", "1"), kept.get("c", "1")) == (first, second, None)
    kept.forget("a")
    kept.forget("a")
    assert (kept.get("a", "1"), kept.get("b", "1"), len(kept)) == (None, second, 1)


def test_the_oldest_of_all_goes_first() -> None:
    kept = KeptAnswers(total=3 * (1000 + OVERHEAD))
    for session, call_id in (("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")):
        kept.keep(session, call_id, answer(1000))
    assert kept.get("a", "1") is None
    assert all(kept.get(*each) for each in (("b", "1"), ("a", "2"), ("c", "1")))


def test_a_long_one_is_not_kept() -> None:
    kept = KeptAnswers()
    kept.keep("a", "1", answer(LARGEST_KEPT + 1))
    assert len(kept) == 0
    kept.keep("a", "1", answer(LARGEST_KEPT))
    assert len(kept) == 1


SIZES = st.sampled_from([0, 1, 1000, 20_000, LARGEST_KEPT, LARGEST_KEPT + 1])
STEPS = st.tuples(st.sampled_from("abcde"), st.integers(0, 30), SIZES | st.none())


@given(steps=st.lists(STEPS, max_size=120))
def test_there_is_never_more_than_allowed(steps: list[tuple[str, int, int | None]]) -> None:
    most = 500_000
    kept = KeptAnswers(total=most)
    given_to: dict[tuple[str, str], Parcel] = {}
    for session, number, size in steps:
        call_id = str(number)
        if size is None:
            kept.forget(session)
            assert kept.get(session, call_id) is None
            continue
        parcel = answer(size)
        kept.keep(session, call_id, parcel)
        assert (kept.get(session, call_id) is parcel) == (size <= LARGEST_KEPT)
        if size <= LARGEST_KEPT:
            given_to[session, call_id] = parcel

    found = {key: parcel for key, parcel in given_to.items() if kept.get(*key) is not None}
    assert len(kept) == len(found)
    sizes = [
        [len(parcel.payload) + OVERHEAD for (each, _), parcel in found.items() if each == session]
        for session in "abcde"
    ]
    assert all(len(own) <= KEPT_EACH and sum(own) <= BYTES_EACH for own in sizes)
    assert sum(map(sum, sizes)) <= most

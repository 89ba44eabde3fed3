from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.storage.grants import ACTIVE_SECONDS, Grants


def test_one_gets_the_most_that_one_may_have() -> None:
    grants = Grants(100, 60, 10)
    assert grants.window(0) == 60
    assert grants.touch("a", 0) == 60


def test_several_share() -> None:
    grants = Grants(100, 60, 10)
    assert [grants.touch(each, 0) for each in "abcd"] == [60, 50, 33, 25]
    assert grants.touch("a", 1) == 25


def test_nobody_gets_less_than_two_segments() -> None:
    grants = Grants(100, 60, 10)
    assert [grants.touch(str(each), 0) for each in range(50)][-1] == 20


def test_nobody_gets_more_than_one_may_have_even_so() -> None:
    assert Grants(100, 15, 10).touch("a", 0) == 15


def test_those_who_ended_or_are_silent_leave_their_share() -> None:
    grants = Grants(100, 60, 10)
    for each in "abc":
        grants.touch(each, 0)
    grants.forget("a")
    grants.forget("unknown")
    assert grants.window(0) == 50
    assert grants.touch("b", ACTIVE_SECONDS) == 50
    assert grants.touch("b", ACTIVE_SECONDS + 1) == 60


def test_a_clock_that_is_set_back_leaves_nobody_active_for_ever() -> None:
    grants = Grants(100, 60, 10)
    for each in "abcd":
        grants.touch(each, 1000)
    assert grants.touch("a", 0) == 60


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 20)), max_size=40))
def test_all_together_stay_within_the_total(touches: list[tuple[str, float]]) -> None:
    grants, now = Grants(1000, 400, 10), 0.0
    for file_id, later in touches:
        now += later
        window = grants.touch(file_id, now)
        assert 20 <= window <= 400
        assert window * len(grants._last) <= max(1000, 400)

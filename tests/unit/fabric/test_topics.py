import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric.topics import Subscriptions, is_filter, listed, matches


@pytest.mark.parametrize(
    ("filter_", "topic", "expected"),
    [
        ("/a/b", "/a/b", True),
        ("/a/b", "/a/c", False),
        ("/a/#", "/a/b/c", True),
        ("/a/#", "/a", True),
        ("/a/#", "/b", False),
        ("#", "/a/b", True),
        ("/a/+", "/a/b", True),
        ("/a/+", "/a/b/c", False),
        ("/a/+", "/a", False),
        ("/+/c", "/b/c", True),
        ("+/a/#", "/a/x", True),
        ("/a/+/#", "/a", False),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_matching(filter_: str, topic: str, *, expected: bool) -> None:
    assert matches(filter_, topic) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b", True),
        ("#", True),
        ("+", True),
        ("/a/#", True),
        ("/+/b/+", True),
        ("", False),
        ("/a#", False),
        ("/#/a", False),
        ("/a+/b", False),
        ("/a/b+", False),
    ],
)
def test_filters(text: str, *, expected: bool) -> None:
    assert is_filter(text) is expected


LEVELS = st.lists(st.sampled_from(["", "a", "b"]), min_size=1, max_size=4).map("/".join)
FILTERS = (
    st.lists(st.sampled_from(["", "a", "b", "+", "#"]), min_size=1, max_size=4)
    .map("/".join)
    .filter(is_filter)
)
CLIENTS = st.sampled_from(["one", "two", "three"])


@given(st.lists(st.tuples(st.booleans(), CLIENTS, FILTERS), max_size=30), LEVELS)
def test_subscriptions_against_a_plain_set(steps: list[tuple[bool, str, str]], topic: str) -> None:
    subscriptions = Subscriptions()
    model: set[tuple[str, str]] = set()
    for add, client, filter_ in steps:
        others = {name for name, known in model if known == filter_}
        if add:
            assert subscriptions.add(client, filter_) is (not others)
            model.add((client, filter_))
        else:
            was_last = others == {client}
            assert subscriptions.remove(client, filter_) is was_last
            model.discard((client, filter_))
    expected = {client for client, filter_ in model if matches(filter_, topic)}
    found = subscriptions.subscribers(topic)
    assert set(found) == expected
    assert len(found) == len(expected)
    for client in ("one", "two", "three"):
        assert subscriptions.subscribes(client, topic) is (client in expected)
    assert set(subscriptions.filters()) == {filter_ for _, filter_ in model}


def test_reply_topics_are_not_listed() -> None:
    assert list(listed(["/mcafee/client/{1}", "/a"])) == ["/a"]

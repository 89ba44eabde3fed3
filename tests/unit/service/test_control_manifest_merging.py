from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferservice.control.manifests.mappings import place_of
from dxlfiletransferservice.control.manifests.merging import Branch, merged
from dxlfiletransferservice.control.manifests.traversal import Entry, TraversalError


def entry(dest: str, mapping: int = 0) -> Entry:
    """Return an entry; a destination that ends with ``/`` is an empty directory."""
    parent, _, name = dest.rstrip("/").rpartition("/")
    return Entry(
        place_of(dest.rstrip("/")),
        mapping,
        parent,
        name,
        size=0,
        directory=dest.endswith("/"),
        executable=False,
        modified_us=None,
    )


def branch(place: str, *dests: str) -> Branch:
    return Branch(place_of(place), lambda: iter([entry(dest) for dest in dests]))


def dests(branches: list[Branch]) -> list[str]:
    return [each.place.replace("\0", "/") + "/" * each.directory for each in merged(branches)]


def test_trees_that_overlap_are_put_into_one_order() -> None:
    found = dests(
        [
            branch("a", "a/b/x", "a/d/y", "a/z"),
            branch("a/c", "a/c/1", "a/c/2"),
            branch("a/d", "a/d/x", "a/d/z"),
            branch("a-b", "a-b"),
        ]
    )
    assert found == ["a/b/x", "a/c/1", "a/c/2", "a/d/x", "a/d/y", "a/d/z", "a/z", "a-b"]


def test_an_empty_directory_gives_way() -> None:
    assert dests([branch("a", "a/b/"), branch("a/b", "a/b/c")]) == ["a/b/c"]
    assert dests([branch("a", "a/b/", "a/c"), branch("a/b", "a/b/")]) == ["a/b/", "a/c"]
    assert dests([branch("a", "a/b/"), branch("a/b-c", "a/b-c")]) == ["a/b/", "a/b-c"]


@pytest.mark.parametrize("pair", [("a/b", "a/b"), ("a/b", "a/b/"), ("a/b/", "a/b")])
def test_two_of_which_one_is_a_file_cannot_have_one_place(pair: tuple[str, str]) -> None:
    with pytest.raises(TraversalError) as caught:
        dests([branch("a", pair[0]), branch("a/b", pair[1])])
    assert str(caught.value) == (
        "two mappings have the same destination, 'a/b', and at least one of them has a file there"
    )


def test_nothing_lies_below_a_file() -> None:
    with pytest.raises(TraversalError) as caught:
        dests([branch("a", "a/b", "a/b-c"), branch("a/b/d", "a/b/d/e")])
    assert str(caught.value) == (
        "one mapping has a file at the destination 'a/b', and another one a directory"
    )


def test_only_branches_that_overlap_are_under_way_at_once() -> None:
    under_way: set[str] = set()
    most = 0

    def tracked(place: str, count: int) -> Branch:
        def entries() -> Iterator[Entry]:
            nonlocal most
            under_way.add(place)
            most = max(most, len(under_way))
            for number in range(count):
                yield entry(f"{place}/{number}")
            under_way.discard(place)

        return Branch(place, entries)

    assert len(list(merged(tracked(f"d{number:02d}", 3) for number in range(50)))) == 150
    assert most <= 2


parts = st.sampled_from(["a", "b", "a-", "c"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(paths, st.sets(paths), max_size=6))
def test_it_is_the_sorted_union_or_an_error(trees: dict[str, set[str]]) -> None:
    files = [f"{dest}/{path}" for dest, found in trees.items() for path in found]
    clash = len(set(files)) < len(files) or any(
        other.startswith(f"{each}/") for each in files for other in files
    )

    def lister(dest: str) -> Callable[[], Iterator[Entry]]:
        found = sorted((entry(f"{dest}/{path}") for path in trees[dest]), key=lambda e: e.place)
        return lambda: iter(found)

    branches = [Branch(place_of(dest), lister(dest)) for dest in sorted(trees, key=place_of)]
    if clash:
        with pytest.raises(TraversalError):
            dests(branches)
    else:
        assert dests(branches) == sorted(files, key=place_of)

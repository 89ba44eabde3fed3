"""Small files, directories and links that come in batches."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

from collections.abc import Sequence

import pytest

from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    EntryResult,
    Kind,
    Overwrite,
    RemoveRequest,
    RetrieveRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    assert_nothing_at,
    begin,
    content_of,
    entry_of,
    file_entry,
    finish,
    listed,
    names_in,
    put,
    put_all,
    put_tree,
    refused,
    sha256_of,
    some_bytes,
    stat_with_sha256,
    write,
)
from dxlfiletransferclient.testing.conformance.transfers import ORDINARY_NAMES, UNSAFE_NAMES

EARLIER = 1_500_000_000_123_456_789
LATER = EARLIER + 1_000_000_000


def directory_entry(name: str) -> BatchEntry:
    """Return an entry for a directory."""
    return BatchEntry(name=name, kind=Kind.DIRECTORY)


def link_entry(name: str, target: str) -> BatchEntry:
    """Return an entry for a link."""
    return BatchEntry(name=name, kind=Kind.LINK, target=target)


def codes_of(results: Sequence[EntryResult]) -> list[int | None]:
    """Return the error code of each result."""
    return [result.code for result in results]


class BatchTests(StoreTests):
    """What happens to the entries of a batch."""

    def test_many_files_are_stored(self, store: Store) -> None:
        files = {f"d{number % 7}/e/f{number}": some_bytes(number) for number in range(300)}
        put_all(store, *(file_entry(name, content) for name, content in files.items()))
        for name, content in files.items():
            assert content_of(store, name) == content
        assert stat_with_sha256(store, "d1/e/f1").sha256 == sha256_of(files["d1/e/f1"])

    def test_a_batch_may_be_repeated(self, store: Store) -> None:
        entries = [file_entry("d/a", b"01"), directory_entry("e"), file_entry("b", b"")]
        put_all(store, *entries)
        put_all(store, *entries)
        assert names_in(store) == ["b", "d", "d/a", "e"]
        assert content_of(store, "d/a") == b"01"

    def test_directories_are_made_with_those_above_them(self, store: Store) -> None:
        put_all(store, directory_entry("a/b/c"), directory_entry("a"))
        assert [(entry.name, entry.kind) for entry in listed(store, recursive=True)] == [
            ("a", Kind.DIRECTORY),
            ("a/b", Kind.DIRECTORY),
            ("a/b/c", Kind.DIRECTORY),
        ]

    def test_a_directory_that_exists_stays_as_it_is(self, store: Store) -> None:
        put_tree(store, ["d/a"])
        put_all(store, directory_entry("d"))
        assert content_of(store, "d/a") == b"d/a"

    @pytest.mark.parametrize("name", UNSAFE_NAMES)
    def test_unsafe_names_are_refused_and_harm_no_others(self, store: Store, name: str) -> None:
        results = put(store, file_entry("a", b"1"), file_entry(name, b"2"), file_entry("b", b"3"))
        assert codes_of(results) == [None, ErrorCode.UNSAFE_NAME, None]
        assert results[1].text
        assert names_in(store) == ["a", "b"]

    def test_other_names_in_a_batch_are_ordinary(self, store: Store) -> None:
        put_all(store, *(file_entry(f"{number}/{name}", name.encode()) for number, name in NAMES))
        for number, name in NAMES:
            assert content_of(store, f"{number}/{name}") == name.encode()

    def test_another_sha256_is_an_error(self, store: Store) -> None:
        wrong = BatchEntry(name="a", payload=b"01", sha256=sha256_of(b"02"))
        first, second = put(store, wrong, file_entry("b", b"3"))
        assert first.code is not None
        assert second.state is TransferState.STORED
        assert_nothing_at(store, "a")

    def test_what_is_in_the_way_is_an_error(self, store: Store) -> None:
        put_tree(store, ["f", "d/g"])
        results = put(
            store,
            file_entry("d", b"1"),
            directory_entry("f"),
            file_entry("f/x", b"1"),
            directory_entry("f/y"),
            file_entry("h", b"1"),
        )
        assert codes_of(results) == [ErrorCode.WRONG_KIND] * 4 + [None]
        assert names_in(store) == ["d", "d/g", "f", "h"]

    def test_overwrite_modes(self, store: Store) -> None:
        old = [file_entry(name, b"old", modified_ns=EARLIER) for name in "abcdef"]
        put_all(store, *old)
        results = put(
            store,
            file_entry("a", b"new", overwrite=Overwrite.REPLACE),
            file_entry("b", b"new", overwrite=Overwrite.KEEP),
            file_entry("c", b"new", overwrite=Overwrite.NEWER, modified_ns=EARLIER),
            file_entry("d", b"new", overwrite=Overwrite.NEWER, modified_ns=LATER),
            file_entry("e", b"new", overwrite=Overwrite.FAIL),
            file_entry("f", b"old", overwrite=Overwrite.FAIL),
            file_entry("g", b"new", overwrite=Overwrite.FAIL),
        )
        stored, kept = TransferState.STORED, TransferState.KEPT
        states = [stored, kept, kept, stored, None, stored, stored]
        assert [result.state for result in results] == states
        assert results[4].code == ErrorCode.EXISTS
        contents = [content_of(store, name) for name in "abcdefg"]
        assert contents == [b"new", b"old", b"old", b"new", b"old", b"old", b"new"]

    def test_attributes_in_a_batch_are_kept(self, store: Store) -> None:
        put_all(store, file_entry("a", b"1", modified_ns=EARLIER, executable=True))
        entry = entry_of(store, "a")
        assert (entry.modified_ns // 1000, entry.executable) == (EARLIER // 1000, True)

    def test_the_version_tells_that_a_file_was_replaced(self, store: Store) -> None:
        put_all(store, file_entry("a", b"01"))
        version = entry_of(store, "a").version
        put_all(store, file_entry("a", b"02"))
        assert version
        assert entry_of(store, "a").version not in ("", version)

    def test_links_are_refused_unless_they_are_allowed(self, store: Store) -> None:
        (result,) = put(store, link_entry("l", "a"))
        assert result.code == ErrorCode.NOT_ALLOWED
        assert names_in(store) == []

    def test_links_are_stored_as_links(self, linking: Store) -> None:
        put_tree(linking, ["d/a"])
        put_all(linking, link_entry("l", "d/a"), link_entry("d/m", "../d"), link_entry("n", "gone"))
        assert [entry.name for entry in listed(linking, recursive=True)] == [
            "d",
            "d/a",
            "d/m",
            "l",
            "n",
        ]
        for name, target in (("l", "d/a"), ("d/m", "../d"), ("n", "gone")):
            entry = entry_of(linking, name)
            assert (entry.kind, entry.target) == (Kind.LINK, target)
            with refused(ErrorCode.WRONG_KIND):
                linking.retrieve(RetrieveRequest(name=name, offset=0, length=1))

    @pytest.mark.parametrize(
        "target", ["../a", "/a", "d/../../a", "d/../..", "..", "/", "d/e/../../../x"]
    )
    def test_links_do_not_lead_out(self, linking: Store, target: str) -> None:
        put_tree(linking, ["d/e/f"])
        (result,) = put(linking, link_entry("l", target))
        assert result.code == ErrorCode.UNSAFE_NAME
        assert names_in(linking) == ["d", "d/e", "d/e/f"]

    def test_nothing_goes_through_a_link(self, linking: Store) -> None:
        put_tree(linking, ["d/a"])
        put_all(linking, link_entry("l", "d"))
        results = put(linking, file_entry("l/b", b"1"), directory_entry("l/c"))
        for code in codes_of(results):
            assert code in (ErrorCode.WRONG_KIND, ErrorCode.UNSAFE_NAME)
        with refused(ErrorCode.WRONG_KIND, ErrorCode.UNSAFE_NAME):
            begin(linking, "l/b", 1)
        with refused(ErrorCode.WRONG_KIND, ErrorCode.UNSAFE_NAME, ErrorCode.NOT_FOUND):
            linking.retrieve(RetrieveRequest(name="l/a", offset=0, length=1))
        assert names_in(linking) == ["d", "d/a", "l"]

    def test_a_file_replaces_a_link_and_not_what_it_leads_to(self, linking: Store) -> None:
        put_tree(linking, ["a"])
        put_all(linking, link_entry("l", "a"), link_entry("m", "a"))
        put_all(linking, file_entry("l", b"new"))
        begin(linking, "m", 3)
        write(linking, 0, b"new")
        assert finish(linking, b"new").state is TransferState.STORED
        assert (content_of(linking, "l"), content_of(linking, "m")) == (b"new", b"new")
        assert content_of(linking, "a") == b"a"

    def test_a_link_is_removed_and_not_what_it_leads_to(self, linking: Store) -> None:
        put_tree(linking, ["d/a"])
        put_all(linking, link_entry("l", "d"))
        linking.remove(RemoveRequest(name="l", recursive=True))
        assert names_in(linking) == ["d", "d/a"]


NAMES = tuple(enumerate(ORDINARY_NAMES))

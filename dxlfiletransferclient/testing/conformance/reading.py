"""What can be read: contents, lists, and what is under a name."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

import pytest

from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import (
    Kind,
    ListRequest,
    RemoveRequest,
    RetrieveRequest,
    StatRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    begin,
    content_of,
    entry_of,
    file_entry,
    listed,
    names_in,
    put_all,
    put_tree,
    refused,
    send,
    sha256_of,
    some_bytes,
    stat_with_sha256,
    write,
)

OUTSIDE = ("/a", "../a", "d/../../a", "a\0")

IN_ORDER = (
    "Z",
    "a",
    "a/b",
    "a/b/c",
    "a/\u00e4",
    "a-b",
    "a.b",
    "aa",
    "\u00e4",
    "\uffdc",
    "\U0001f600",
    "\U0001f600/x",
)
"""Names in the order of their parts by code point; neither that of the whole text nor UTF-16's."""

FILES_IN_ORDER = ("Z", "a/b/c", "a/\u00e4", "a-b", "a.b", "aa", "\u00e4", "\uffdc", "\U0001f600/x")


class ReadingTests(StoreTests):
    """What happens when somebody looks at what is stored."""

    def test_every_part_of_a_file_can_be_read(self, store: Store) -> None:
        content = some_bytes(1000)
        version = send(store, "d/a", content).version
        for offset, length in ((0, 1000), (0, 1), (999, 1), (400, 300), (900, 500)):
            request = RetrieveRequest(name="d/a", offset=offset, length=length, version=version)
            answer = store.retrieve(request)
            assert bytes(answer.payload) == content[offset : offset + length]
            assert (answer.offset, answer.size, answer.version) == (offset, 1000, version)
            assert answer.sha256 == (sha256_of(content) if length == 1000 else None)

    @pytest.mark.parametrize("offset", [10, 11, 2**62])
    def test_behind_the_end_there_is_nothing(self, store: Store, offset: int) -> None:
        send(store, "a", bytes(10))
        answer = store.retrieve(RetrieveRequest(name="a", offset=offset, length=5))
        assert (bytes(answer.payload), answer.size, answer.sha256) == (b"", 10, None)

    def test_an_empty_file_is_read_at_once(self, store: Store) -> None:
        send(store, "a", b"")
        answer = store.retrieve(RetrieveRequest(name="a", offset=0, length=5))
        assert (bytes(answer.payload), answer.size) == (b"", 0)
        assert answer.sha256 == sha256_of(b"")

    def test_another_version_is_not_mixed_in(self, store: Store) -> None:
        version = send(store, "a", b"0123").version
        send(store, "a", b"4567", file_id="g")
        with refused(ErrorCode.CHANGED):
            store.retrieve(RetrieveRequest(name="a", offset=2, length=2, version=version))
        assert content_of(store, "a") == b"4567"

    def test_only_files_have_content(self, store: Store) -> None:
        put_tree(store, ["d/f"])
        with refused(ErrorCode.WRONG_KIND):
            store.retrieve(RetrieveRequest(name="d", offset=0, length=1))
        with refused(ErrorCode.NOT_FOUND):
            store.retrieve(RetrieveRequest(name="e", offset=0, length=1))
        with refused(ErrorCode.NOT_FOUND, ErrorCode.WRONG_KIND):
            store.retrieve(RetrieveRequest(name="d/f/g", offset=0, length=1))

    @pytest.mark.parametrize("name", OUTSIDE)
    def test_nothing_outside_can_be_read(self, store: Store, name: str) -> None:
        with refused(ErrorCode.UNSAFE_NAME):
            store.retrieve(RetrieveRequest(name=name, offset=0, length=1))
        with refused(ErrorCode.UNSAFE_NAME):
            store.stat(StatRequest(name=name))
        with refused(ErrorCode.UNSAFE_NAME):
            store.list(ListRequest(name=name))
        with refused(ErrorCode.UNSAFE_NAME):
            store.remove(RemoveRequest(name=name, recursive=True))

    def test_an_empty_list_is_empty(self, store: Store) -> None:
        assert store.list(ListRequest()).entries == ()
        put_tree(store, [], ["d"])
        page = store.list(ListRequest(name="d", recursive=True))
        assert (page.entries, page.next) == ((), None)

    def test_a_directory_lists_what_is_in_it(self, store: Store) -> None:
        put_tree(store, FILES_IN_ORDER)
        assert names_in(store, recursive=False) == [name for name in IN_ORDER if "/" not in name]
        assert names_in(store, "a", recursive=False) == ["a/b", "a/\u00e4"]
        assert names_in(store, "a") == ["a/b", "a/b/c", "a/\u00e4"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 11, 12, 13])
    def test_pages_are_in_order_and_leave_nothing_out(self, store: Store, limit: int) -> None:
        put_tree(store, FILES_IN_ORDER)
        found = listed(store, recursive=True, limit=limit)
        assert [entry.name for entry in found] == list(IN_ORDER)
        found = listed(store, limit=limit)
        assert [entry.name for entry in found] == [name for name in IN_ORDER if "/" not in name]

    def test_a_list_goes_on_where_a_name_was_removed(self, store: Store) -> None:
        put_tree(store, ["a", "b", "c", "d"])
        page = store.list(ListRequest(limit=2))
        assert [entry.name for entry in page.entries] == ["a", "b"]
        store.remove(RemoveRequest(name="b"))
        store.remove(RemoveRequest(name="c"))
        page = store.list(ListRequest(limit=2, after=page.next or ""))
        assert [entry.name for entry in page.entries] == ["d"]
        assert page.next is None

    def test_a_page_fits_into_a_message_however_long_the_names_are(self, store: Store) -> None:
        top = "/".join(["d" * 250] * 8)
        long = "\x01" * 200
        for start in range(0, 600, 300):
            names = [f"{top}/{number:04}-{long}" for number in range(start, start + 300)]
            put_all(store, *(file_entry(name, b"") for name in names))
        after: str | None = ""
        found = 0
        while after is not None:
            page = store.list(ListRequest(name=top, after=after))
            assert len(encode(page).payload) <= MAX_PAYLOAD
            found += len(page.entries)
            after = page.next
        assert found == 600

    def test_only_directories_can_be_listed(self, store: Store) -> None:
        put_tree(store, ["f"])
        with refused(ErrorCode.WRONG_KIND):
            store.list(ListRequest(name="f"))
        with refused(ErrorCode.NOT_FOUND):
            store.list(ListRequest(name="g"))

    def test_files_under_way_are_not_listed(self, store: Store) -> None:
        begin(store, "d/a", 10)
        write(store, 0, b"0123")
        assert "d/a" not in names_in(store)
        assert all(entry.kind is Kind.DIRECTORY for entry in listed(store, recursive=True))

    def test_what_is_listed_is_what_stat_says(self, store: Store) -> None:
        put_tree(store, ["a", "d/b"], ["e"])
        found = listed(store, recursive=True)
        assert [entry.name for entry in found] == ["a", "d", "d/b", "e"]
        assert [entry_of(store, entry.name) for entry in found] == found
        kinds = [(entry.kind, entry.size) for entry in found]
        file, directory = Kind.FILE, Kind.DIRECTORY
        assert kinds == [(file, 1), (directory, 0), (file, 3), (directory, 0)]
        assert [bool(entry.version) for entry in found] == [True, False, True, False]

    def test_a_version_stays_while_nothing_changes(self, store: Store) -> None:
        send(store, "a", b"01")
        version = entry_of(store, "a").version
        put_tree(store, ["b", "c"])
        content_of(store, "a")
        assert entry_of(store, "a").version == version

    def test_the_sha256_is_told_if_it_is_asked_for(self, store: Store) -> None:
        content = some_bytes(100_000)
        send(store, "a", content)
        assert store.stat(StatRequest(name="a")).sha256 is None
        answer = stat_with_sha256(store, "a")
        assert answer.sha256 == sha256_of(content)
        assert answer.entry == (entry_of(store, "a"),)

    def test_a_directory_has_no_sha256(self, store: Store) -> None:
        put_tree(store, ["d/a"])
        answer = store.stat(StatRequest(name="d", with_sha256=True))
        assert (answer.sha256, answer.pending) == (None, False)

    def test_nothing_is_under_other_names(self, store: Store) -> None:
        put_tree(store, ["d/a"])
        for name in ("e", "d/b", "d/a/b"):
            with refused(ErrorCode.NOT_FOUND, ErrorCode.WRONG_KIND):
                store.stat(StatRequest(name=name))

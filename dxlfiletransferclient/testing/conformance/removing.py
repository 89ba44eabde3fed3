"""Removal, and limits on bytes."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

from dxlfiletransferclient.protocol.messages import RemoveRequest, TransferState
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    abort,
    assert_nothing_at,
    begin,
    content_of,
    file_entry,
    finish,
    names_in,
    put,
    put_all,
    put_tree,
    refused,
    send,
    some_bytes,
    status,
    write,
)


class RemovingTests(StoreTests):
    """What happens when something is removed, or does not fit."""

    def test_a_file_is_removed(self, store: Store) -> None:
        put_tree(store, ["d/a", "d/b"])
        answer = store.remove(RemoveRequest(name="d/a"))
        assert (answer.removed, answer.more) == (1, False)
        assert names_in(store) == ["d", "d/b"]

    def test_an_empty_directory_is_removed(self, store: Store) -> None:
        put_tree(store, ["a"], ["d/e"])
        assert store.remove(RemoveRequest(name="d/e")).removed == 1
        assert store.remove(RemoveRequest(name="d", recursive=True)).removed == 1
        assert names_in(store) == ["a"]

    def test_a_directory_is_removed_with_everything_only_if_that_is_said(
        self, store: Store
    ) -> None:
        put_tree(store, ["a", "d/b", "d/e/c"], ["d/f"])
        with refused(ErrorCode.NOT_EMPTY):
            store.remove(RemoveRequest(name="d"))
        assert names_in(store) == ["a", "d", "d/b", "d/e", "d/e/c", "d/f"]
        assert store.remove(RemoveRequest(name="d", recursive=True)).removed == 5
        assert names_in(store) == ["a"]

    def test_a_large_directory_is_removed_in_steps(self, store: Store) -> None:
        names = [f"d/{number % 10}/{number}" for number in range(3000)]
        for start in range(0, len(names), 1000):
            put_all(store, *(file_entry(name, b"") for name in names[start : start + 1000]))
        answer = store.remove(RemoveRequest(name="d", recursive=True))
        removed = answer.removed
        while answer.more:
            assert answer.removed > 0
            answer = store.remove(RemoveRequest(name="d", recursive=True))
            removed += answer.removed
        assert removed == 3011
        assert names_in(store) == []

    def test_what_is_not_there_is_not_removed(self, store: Store) -> None:
        put_tree(store, ["a"])
        for name in ("b", "d/b"):
            with refused(ErrorCode.NOT_FOUND):
                store.remove(RemoveRequest(name=name, recursive=True))
        with refused(ErrorCode.NOT_FOUND, ErrorCode.WRONG_KIND):
            store.remove(RemoveRequest(name="a/b"))
        assert names_in(store) == ["a"]

    def test_the_store_itself_is_not_removed(self, store: Store) -> None:
        put_tree(store, ["a"])
        for name in ("", ".", "a/.."):
            with refused(ErrorCode.UNSAFE_NAME):
                store.remove(RemoveRequest(name=name, recursive=True))
        assert names_in(store) == ["a"]

    def test_a_file_under_way_is_stored_though_its_directory_was_removed(
        self, store: Store
    ) -> None:
        put_tree(store, ["d/a"])
        begin(store, "d/b", 2)
        write(store, 0, b"01")
        store.remove(RemoveRequest(name="d", recursive=True))
        assert finish(store, b"01").state is TransferState.STORED
        assert content_of(store, "d/b") == b"01"

    def test_a_file_over_the_limit_is_refused(self, limited: Store) -> None:
        with refused(ErrorCode.QUOTA):
            begin(limited, "a", 1001)
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(limited)
        (result,) = put(limited, file_entry("a", bytes(1001)))
        assert result.code == ErrorCode.QUOTA
        assert_nothing_at(limited, "a")
        assert send(limited, "b", some_bytes(1000)).state is TransferState.STORED

    def test_a_file_that_grows_over_the_limit_is_refused(self, limited: Store) -> None:
        begin(limited, "a")
        write(limited, 0, bytes(1000))
        with refused(ErrorCode.QUOTA):
            write(limited, 1000, b"1")
        assert status(limited).held == ((0, 1000),)
        assert finish(limited, bytes(1000)).state is TransferState.STORED

    def test_all_files_together_have_a_limit(self, limited: Store) -> None:
        send(limited, "a", bytes(700))
        begin(limited, "b", 700, file_id="b")
        with refused(ErrorCode.QUOTA):
            begin(limited, "c", 200, file_id="c")
        (result,) = put(limited, file_entry("c", bytes(200)))
        assert result.code == ErrorCode.QUOTA
        assert send(limited, "d", bytes(100), file_id="d").state is TransferState.STORED

    def test_what_ends_gives_its_room_back(self, limited: Store) -> None:
        begin(limited, "a", 1000, file_id="a")
        with refused(ErrorCode.QUOTA):
            begin(limited, "b", 1000, file_id="b")
        abort(limited, file_id="a")
        assert send(limited, "b", bytes(1000), file_id="b").state is TransferState.STORED
        with refused(ErrorCode.QUOTA):
            begin(limited, "c", 1000, file_id="c")
        limited.remove(RemoveRequest(name="b"))
        assert send(limited, "c", bytes(1000), file_id="c").state is TransferState.STORED

"""What makes a file whole, overwrite modes, attributes."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

from concurrent.futures import ThreadPoolExecutor

import pytest

from dxlfiletransferclient.protocol.messages import (
    FinishRequest,
    Kind,
    Overwrite,
    RemoveRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    abort,
    assert_nothing_at,
    begin,
    content_of,
    entry_of,
    finish,
    names_in,
    put_tree,
    refused,
    send,
    sha256_of,
    some_bytes,
    stat_with_sha256,
    status,
    write,
)

EARLIER = 1_500_000_000_123_456_789
LATER = EARLIER + 1_000_000_000


class FinishingTests(StoreTests):
    """What happens when all of a file is there, or should be."""

    def test_a_whole_file_is_stored(self, store: Store) -> None:
        content = some_bytes(3000)
        begin(store, "d/a", len(content))
        write(store, 0, content)
        answer = finish(store, content)
        assert answer.state is TransferState.STORED
        assert (answer.size, answer.sha256) == (len(content), sha256_of(content))
        assert answer.version == entry_of(store, "d/a").version
        assert stat_with_sha256(store, "d/a").sha256 == sha256_of(content)
        assert content_of(store, "d/a") == content
        assert names_in(store) == ["d", "d/a"]

    @pytest.mark.parametrize("size", [0, None])
    def test_an_empty_file_is_stored(self, store: Store, size: int | None) -> None:
        begin(store, "a", size)
        answer = finish(store, b"")
        assert (answer.state, answer.size) == (TransferState.STORED, 0)
        assert content_of(store, "a") == b""

    @pytest.mark.parametrize("size", [10, None])
    def test_missing_bytes_are_told(self, store: Store, size: int | None) -> None:
        content = b"0123456789"
        begin(store, "a", size)
        assert finish(store, content).state is TransferState.RECEIVING
        write(store, 3, content[3:7])
        answer = finish(store, content)
        assert (answer.state, answer.held) == (TransferState.RECEIVING, ((3, 7),))
        assert_nothing_at(store, "a")
        write(store, 0, content[:3])
        write(store, 7, content[7:])
        assert finish(store, content).state is TransferState.STORED
        assert content_of(store, "a") == content

    def test_what_was_stored_stays_so_when_it_is_asked_again(self, store: Store) -> None:
        stored = send(store, "a", b"01")
        for again in (finish(store, b"01"), begin(store, "a", 2), status(store)):
            assert again.state is TransferState.STORED
            assert (again.size, again.sha256) == (2, sha256_of(b"01"))
            assert again.version == stored.version

    def test_finish_may_be_asked_by_many_at_once(self, store: Store) -> None:
        content = some_bytes(200_000)
        begin(store, "a", len(content))
        write(store, 0, content)
        request = FinishRequest(file_id="f", size=len(content), sha256=sha256_of(content))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(store.finish, [request] * 16))
        states = {answer.state for answer in answers}
        assert states <= {TransferState.VERIFYING, TransferState.STORED}
        assert finish(store, content).state is TransferState.STORED
        assert content_of(store, "a") == content

    def test_a_stored_file_that_was_replaced_begins_anew(self, store: Store) -> None:
        send(store, "a", b"01")
        send(store, "a", b"23", file_id="g")
        answer = begin(store, "a", 2)
        assert (answer.state, answer.held) == (TransferState.RECEIVING, ())

    def test_a_stored_file_that_was_removed_begins_anew(self, store: Store) -> None:
        send(store, "a", b"01")
        store.remove(RemoveRequest(name="a"))
        answer = begin(store, "a", 2)
        assert (answer.state, answer.held) == (TransferState.RECEIVING, ())
        write(store, 0, b"01")
        assert finish(store, b"01").state is TransferState.STORED
        assert content_of(store, "a") == b"01"

    def test_another_sha256_is_a_mismatch_without_damage(self, store: Store) -> None:
        put_tree(store, ["a"])
        begin(store, "a", 4)
        write(store, 0, b"01")
        write(store, 2, b"23")
        answer = finish(store, b"0123", sha256=sha256_of(b"0124"))
        assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ())
        assert content_of(store, "a") == b"a"
        abort(store)
        assert send(store, "a", b"0124").state is TransferState.STORED

    @pytest.mark.parametrize(("size", "claimed"), [(4, 3), (4, 5), (None, 3)])
    def test_another_size_is_a_mismatch(self, store: Store, size: int | None, claimed: int) -> None:
        begin(store, "a", size)
        write(store, 0, b"0123")
        answer = finish(store, b"01234"[:claimed])
        assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ())
        assert_nothing_at(store, "a")

    def test_replace_takes_the_place_of_the_old_file(self, store: Store) -> None:
        first = send(store, "a", b"01")
        begin(store, "a", 3, file_id="g")
        write(store, 0, b"234", file_id="g")
        assert content_of(store, "a") == b"01"
        second = finish(store, b"234", file_id="g")
        assert second.state is TransferState.STORED
        assert second.version != first.version
        assert content_of(store, "a") == b"234"

    @pytest.mark.parametrize(
        ("modified_ns", "state", "content"),
        [
            (EARLIER, TransferState.KEPT, b"01"),
            (EARLIER - 1000, TransferState.KEPT, b"01"),
            (LATER, TransferState.STORED, b"23"),
        ],
    )
    def test_newer_keeps_what_is_not_older(
        self, store: Store, modified_ns: int, state: TransferState, content: bytes
    ) -> None:
        send(store, "a", b"01", modified_ns=EARLIER)
        answer = send(
            store,
            "a",
            b"23",
            file_id="g",
            overwrite=Overwrite.NEWER,
            modified_ns=modified_ns,
        )
        assert answer.state is state
        assert content_of(store, "a") == content

    def test_keep_keeps(self, store: Store) -> None:
        version = send(store, "a", b"01").version
        answer = send(store, "a", b"234", file_id="g", overwrite=Overwrite.KEEP)
        assert answer.state is TransferState.KEPT
        assert content_of(store, "a") == b"01"
        assert entry_of(store, "a").version == version

    @pytest.mark.parametrize("overwrite", Overwrite)
    def test_where_nothing_is_every_mode_stores(self, store: Store, overwrite: Overwrite) -> None:
        assert send(store, "a", b"01", overwrite=overwrite).state is TransferState.STORED
        assert content_of(store, "a") == b"01"

    def test_a_file_that_came_meanwhile_is_kept_as_well(self, store: Store) -> None:
        begin(store, "a", 2, overwrite=Overwrite.KEEP)
        write(store, 0, b"01")
        put_tree(store, ["a"])
        assert finish(store, b"01").state is TransferState.KEPT
        assert content_of(store, "a") == b"a"
        assert finish(store, b"01").state is TransferState.KEPT

    def test_fail_refuses_another_file(self, store: Store) -> None:
        send(store, "a", b"01")
        with refused(ErrorCode.EXISTS):
            begin(store, "a", 3, file_id="g", overwrite=Overwrite.FAIL)
        with refused(ErrorCode.EXISTS):
            send(store, "a", b"23", file_id="h", overwrite=Overwrite.FAIL)
        assert content_of(store, "a") == b"01"

    def test_fail_is_content_with_the_same_content(self, store: Store) -> None:
        version = send(store, "a", b"01").version
        answer = send(store, "a", b"01", file_id="g", overwrite=Overwrite.FAIL)
        assert answer.state is TransferState.STORED
        assert (answer.version, answer.sha256) == (version, sha256_of(b"01"))

    @pytest.mark.parametrize("overwrite", [Overwrite.KEEP, Overwrite.FAIL])
    def test_of_many_at_once_only_one_is_first(self, store: Store, overwrite: Overwrite) -> None:
        contents = [some_bytes(100, number) for number in range(8)]
        for number, content in enumerate(contents):
            begin(store, "a", 100, file_id=f"f{number}", overwrite=overwrite)
            write(store, 0, content, file_id=f"f{number}")

        def finish_one(number: int) -> bool:
            try:
                answer = finish(store, contents[number], file_id=f"f{number}")
            except RefusedError as error:
                if error.means(ErrorCode.EXISTS):
                    return False
                raise
            return answer.state is TransferState.STORED

        with ThreadPoolExecutor(8) as pool:
            winners = [number for number, won in enumerate(pool.map(finish_one, range(8))) if won]
        assert len(winners) == 1
        assert content_of(store, "a") == contents[winners[0]]

    def test_a_directory_that_came_meanwhile_is_in_the_way(self, store: Store) -> None:
        begin(store, "d", 2)
        write(store, 0, b"01")
        put_tree(store, ["d/f"])
        with refused(ErrorCode.WRONG_KIND):
            finish(store, b"01")
        assert names_in(store) == ["d", "d/f"]

    def test_attributes_are_kept(self, store: Store) -> None:
        send(store, "a", b"01", modified_ns=EARLIER, executable=True)
        send(store, "b", b"01", file_id="g", modified_ns=LATER)
        first, second = entry_of(store, "a"), entry_of(store, "b")
        # File systems keep times at least to the microsecond.
        assert first.modified_ns // 1000 == EARLIER // 1000
        assert second.modified_ns // 1000 == LATER // 1000
        assert (first.executable, second.executable) == (True, False)
        assert (first.kind, first.size) == (Kind.FILE, 2)

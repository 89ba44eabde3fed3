"""Files under way: open, segments, status, abort."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.limits import MAX_RANGES, SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    FinishRequest,
    OpenRequest,
    Overwrite,
    SegmentRequest,
    StatusRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    abort,
    assert_nothing_at,
    begin,
    content_of,
    finish,
    put_tree,
    refused,
    send,
    sha256_of,
    some_bytes,
    status,
    write,
)

UNSAFE_NAMES = (
    "",
    ".",
    "..",
    "/",
    "/a",
    "../a",
    "a/../../b",
    "a/..",
    "a\0b",
    "a" * 256,
    "ä" * 128,
    "a/" * 2048 + "a",
    "C:\\a",
    "\\\\server\\a",
    "\ud800",
)

ORDINARY_NAMES = (
    "a",
    "a/b/c/d",
    "with blank",
    "new\nline",
    "quotes\"'",
    "back\\slash",
    "-rf",
    "dxlft-a.part",
    "dxlft-a.entry",
    ".hidden",
    "a.",
    "ä\u0308",
    "\u65e5\u672c/\U0001f600",
    "*?",
    "CON",
    "b" * 255,
)


class TransferTests(StoreTests):
    """What happens to a file until all of it is there."""

    def test_a_store_tells_what_it_takes(self, store: Store) -> None:
        assert store.store_id
        assert 1 <= store.limits.segment_size <= SEGMENT_SIZE
        assert store.limits.window >= store.limits.segment_size

    def test_a_new_file_holds_nothing(self, store: Store) -> None:
        answer = begin(store, "a", 10)
        assert answer.state is TransferState.RECEIVING
        assert (answer.held, answer.durable) == ((), ())
        assert answer.segment_size == store.limits.segment_size
        assert answer.window >= answer.segment_size

    def test_a_file_that_is_opened_again_goes_on(self, store: Store) -> None:
        begin(store, "a", 10)
        write(store, 2, b"234")
        assert begin(store, "a", 10).held == ((2, 5),)

    @pytest.mark.parametrize(
        "other",
        [
            {"name": "b"},
            {"size": 11},
            {"size": None},
            {"modified_ns": 2},
            {"executable": True},
            {"overwrite": Overwrite.KEEP},
        ],
    )
    def test_one_id_is_for_one_file(self, store: Store, other: dict[str, object]) -> None:
        request = OpenRequest(file_id="f", name="a", size=10, modified_ns=1)
        store.open(request)
        write(store, 0, b"0")
        with refused(ErrorCode.OTHER_METADATA):
            store.open(replace(request, **other))  # type: ignore[arg-type]
        assert store.open(request).held == ((0, 1),)

    @pytest.mark.parametrize("seed", range(6))
    def test_segments_come_in_any_order_and_more_than_once(self, store: Store, seed: int) -> None:
        dice = Random(seed)  # noqa: S311 - the same each time is what is wanted
        content = some_bytes(5000, seed)
        held = IntervalSet()
        begin(store, "a", len(content))
        while held.ranges != ((0, len(content)),):
            start = dice.randrange(len(content))
            end = min(len(content), start + dice.randrange(1, 700))
            held.add(start, end)
            assert write(store, start, content[start:end]).held == held.ranges
            assert status(store).held == held.ranges
        assert finish(store, content).state is TransferState.STORED
        assert content_of(store, "a") == content

    def test_other_bytes_at_the_same_place_are_refused(self, store: Store) -> None:
        content = b"0123456789"
        begin(store, "a", 10)
        write(store, 2, content[2:6])
        for offset, payload in ((2, b"2x45"), (0, b"01x3"), (5, b"x678"), (0, b"01234x6789")):
            with refused(ErrorCode.OTHER_BYTES):
                write(store, offset, payload)
            assert IntervalSet(status(store).held).covers(2, 6)
        write(store, 0, content)
        assert finish(store, content).state is TransferState.STORED
        assert content_of(store, "a") == content

    def test_nothing_lies_beyond_the_end(self, store: Store) -> None:
        begin(store, "a", 10)
        for offset, payload in ((10, b"x"), (9, b"xy"), (2**62, b"x"), (0, b"x" * 11)):
            with refused(ErrorCode.INVALID):
                write(store, offset, payload)
        assert status(store).held == ()
        assert write(store, 9, b"9").held == ((9, 10),)

    def test_a_file_of_unknown_size_grows(self, store: Store) -> None:
        begin(store, "a")
        write(store, 100, b"2")
        assert write(store, 0, bytes(100)).held == ((0, 101),)
        assert finish(store, bytes(100) + b"2").state is TransferState.STORED

    def test_what_is_not_under_way_is_not_known(self, store: Store) -> None:
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            store.write(SegmentRequest(file_id="f", offset=0, payload=b"1"))
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            store.status(StatusRequest(file_id="f"))
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            store.finish(FinishRequest(file_id="f", size=0, sha256=sha256_of(b"")))

    def test_what_is_flushed_is_durable(self, store: Store) -> None:
        begin(store, "a", 10)
        write(store, 0, b"01")
        write(store, 5, b"5")
        answer = status(store, flush=True)
        assert answer.durable == answer.held == ((0, 2), (5, 6))

    def test_only_the_first_ranges_are_told(self, store: Store) -> None:
        begin(store, "a", 10_000)
        for index in reversed(range(MAX_RANGES + 44)):
            answer = write(store, index * 10, b"12345")
        first = tuple((index * 10, index * 10 + 5) for index in range(MAX_RANGES))
        assert answer.held == first
        flushed = status(store, flush=True)
        assert (flushed.held, flushed.durable) == (first, first)

    def test_files_do_not_meddle_with_each_other(self, store: Store) -> None:
        begin(store, "a", 3, file_id="f")
        begin(store, "b", 3, file_id="g")
        write(store, 0, b"aaa", file_id="f")
        write(store, 0, b"bbb", file_id="g")
        assert finish(store, b"aaa", file_id="f").state is TransferState.STORED
        assert finish(store, b"bbb", file_id="g").state is TransferState.STORED
        assert (content_of(store, "a"), content_of(store, "b")) == (b"aaa", b"bbb")

    def test_a_file_is_not_seen_before_it_is_whole(self, store: Store) -> None:
        begin(store, "d/a", 2)
        assert_nothing_at(store, "d/a")
        write(store, 0, b"01")
        assert_nothing_at(store, "d/a")
        finish(store, b"01")
        assert content_of(store, "d/a") == b"01"

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_a_payload_may_be_any_buffer(self, store: Store, kind: type[bytes]) -> None:
        begin(store, "a", 3)
        write(store, 0, kind(b"012"))
        assert finish(store, b"012").state is TransferState.STORED

    def test_a_payload_is_not_needed_once_it_was_taken(self, store: Store) -> None:
        payload = bytearray(b"012")
        begin(store, "a", 3)
        store.write(SegmentRequest(file_id="f", offset=0, payload=payload))
        payload[:] = b"xxx"
        assert finish(store, b"012").state is TransferState.STORED
        assert content_of(store, "a") == b"012"

    def test_segments_may_come_from_many_threads(self, store: Store) -> None:
        content = some_bytes(64 * 1024)
        begin(store, "a", len(content))
        starts = [start for start in range(0, len(content), 1024) for _ in range(2)]
        Random(1).shuffle(starts)  # noqa: S311 - the same each time is what is wanted
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda start: write(store, start, content[start : start + 1024]), starts))
        assert status(store).held == ((0, len(content)),)
        assert finish(store, content).state is TransferState.STORED
        assert content_of(store, "a") == content

    def test_files_may_come_from_many_threads(self, store: Store) -> None:
        def store_one(number: int) -> TransferState:
            content = some_bytes(3000, number)
            return send(store, f"d{number % 3}/f{number}", content, file_id=f"f{number}").state

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(store_one, range(24))) == {TransferState.STORED}
        for number in range(24):
            assert content_of(store, f"d{number % 3}/f{number}") == some_bytes(3000, number)

    def test_an_aborted_file_is_gone(self, store: Store) -> None:
        begin(store, "a", 2)
        write(store, 0, b"01")
        abort(store)
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(store)
        assert_nothing_at(store, "a")
        assert begin(store, "b", 3).held == ()

    def test_what_is_not_known_may_be_aborted(self, store: Store) -> None:
        abort(store)
        abort(store)

    def test_abort_does_not_touch_what_was_stored_but_forgets_it(self, store: Store) -> None:
        send(store, "a", b"01")
        abort(store)
        assert content_of(store, "a") == b"01"
        answer = begin(store, "a", 2)
        assert (answer.state, answer.held) == (TransferState.RECEIVING, ())

    @pytest.mark.parametrize("name", UNSAFE_NAMES)
    def test_unsafe_names_are_refused(self, store: Store, name: str) -> None:
        with refused(ErrorCode.UNSAFE_NAME):
            begin(store, name, 1)
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(store)

    @pytest.mark.parametrize("name", ORDINARY_NAMES)
    def test_other_names_are_ordinary(self, store: Store, name: str) -> None:
        assert send(store, name, b"01").state is TransferState.STORED
        assert content_of(store, name) == b"01"

    def test_a_name_means_the_same_however_it_is_written(self, store: Store) -> None:
        send(store, "x//y/./z/../a", b"01")
        assert content_of(store, "x/y/a") == b"01"

    def test_a_directory_is_no_place_for_a_file(self, store: Store) -> None:
        put_tree(store, ["d/f"])
        for name in ("d", "d/f/g", "d/f/g/h"):
            with refused(ErrorCode.WRONG_KIND):
                begin(store, name, 1)

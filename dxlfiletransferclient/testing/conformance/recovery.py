"""Crashes, restarts, checkpoints, expiry."""

# ruff: noqa: D102, S101 - these are tests, and their names say what they test

import time
from contextlib import suppress
from typing import Final

import pytest

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    FinishRequest,
    ListRequest,
    OpenRequest,
    RemoveRequest,
    RetrieveRequest,
    SegmentRequest,
    StatRequest,
    StatusRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing.conformance.base import StoreTests
from dxlfiletransferclient.testing.conformance.steps import (
    begin,
    content_of,
    file_entry,
    finish,
    names_in,
    put_tree,
    refused,
    send,
    sha256_of,
    some_bytes,
    status,
    write,
)

_MINUTE: Final = 60.0
_TEN_YEARS: Final = 10 * 366 * 24 * 3600.0


class RecoveryTests(StoreTests):
    """What is left when a store ends, in order or not."""

    def restarted(self, store: Store) -> Store:
        """Close a store and open it again, or skip the test."""
        store.close()
        again = self.reopen(store)
        if again is None:
            pytest.skip("this store is not opened again")
        return again

    def fallen(self, store: Store) -> Store:
        """Let a store crash, or skip the test."""
        left = self.crash(store)
        if left is None:
            pytest.skip("this store cannot be made to crash")
        return left

    def test_a_closed_store_takes_nothing(self, store: Store) -> None:
        begin(store, "a", 2)
        store.close()
        sha256 = sha256_of(b"")
        with refused(ErrorCode.CLOSING):
            store.open(OpenRequest(file_id="f", name="a"))
        with refused(ErrorCode.CLOSING):
            store.write(SegmentRequest(file_id="f", offset=0, payload=b"1"))
        with refused(ErrorCode.CLOSING):
            store.status(StatusRequest(file_id="f"))
        with refused(ErrorCode.CLOSING):
            store.finish(FinishRequest(file_id="f", size=0, sha256=sha256))
        with refused(ErrorCode.CLOSING):
            store.abort(AbortRequest(file_id="f"))
        with refused(ErrorCode.CLOSING):
            store.put([file_entry("a", b"")])
        with refused(ErrorCode.CLOSING):
            store.retrieve(RetrieveRequest(name="a", offset=0, length=1))
        with refused(ErrorCode.CLOSING):
            store.list(ListRequest())
        with refused(ErrorCode.CLOSING):
            store.stat(StatRequest(name="a"))
        with refused(ErrorCode.CLOSING):
            store.remove(RemoveRequest(name="a"))
        # Whether there is anything left to maintain is the store's to say.
        with suppress(RefusedError):
            store.maintain(time.time())
        store.close()

    def test_after_a_while_everything_is_durable(self, store: Store) -> None:
        now = time.time()
        store.maintain(now)
        begin(store, "a", 10)
        write(store, 0, b"012")
        write(store, 5, b"5")
        store.maintain(now + _MINUTE)
        answer = status(store)
        assert answer.durable == answer.held == ((0, 3), (5, 6))

    def test_files_are_given_up_in_the_end_but_only_those_under_way(self, store: Store) -> None:
        now = time.time()
        store.maintain(now)
        put_tree(store, ["b/c"])
        begin(store, "a", 10)
        write(store, 0, b"012")
        store.maintain(now + _MINUTE)
        assert status(store).held == ((0, 3),)
        # What is due may be looked for in steps.
        for extra in range(3):
            store.maintain(now + _TEN_YEARS + extra * _TEN_YEARS)
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(store)
        assert names_in(store) == ["b", "b/c"]

    def test_a_restarted_store_is_the_same(self, store: Store) -> None:
        put_tree(store, ["a", "d/b"], ["e"])
        store_id = store.store_id
        again = self.restarted(store)
        assert again.store_id == store_id
        assert names_in(again) == ["a", "d", "d/b", "e"]
        assert content_of(again, "d/b") == b"d/b"
        again.close()

    def test_a_file_under_way_goes_on_after_a_restart(self, store: Store) -> None:
        content = some_bytes(10_000)
        begin(store, "a", len(content))
        write(store, 6000, content[6000:7000])
        write(store, 0, content[:2000])
        again = self.restarted(store)
        answer = begin(again, "a", len(content))
        assert answer.held == answer.durable == ((0, 2000), (6000, 7000))
        write(again, 1500, content[1500:6500])
        write(again, 7000, content[7000:])
        assert finish(again, content).state is TransferState.STORED
        assert content_of(again, "a") == content
        again.close()

    def test_other_bytes_and_metadata_are_noticed_after_a_restart(self, store: Store) -> None:
        begin(store, "a", 10)
        write(store, 0, b"0123")
        again = self.restarted(store)
        with refused(ErrorCode.OTHER_METADATA):
            begin(again, "b", 10)
        begin(again, "a", 10)
        with refused(ErrorCode.OTHER_BYTES):
            write(again, 2, b"x")
        write(again, 0, b"0123456789")
        assert finish(again, b"0123456789").state is TransferState.STORED
        again.close()

    def test_status_needs_no_open_after_a_restart(self, store: Store) -> None:
        begin(store, "a", 10)
        write(store, 0, b"0123")
        again = self.restarted(store)
        assert status(again).held == ((0, 4),)
        again.close()

    def test_a_restarted_store_remembers_what_it_stored(self, store: Store) -> None:
        version = send(store, "a", b"01").version
        again = self.restarted(store)
        for answer in (begin(again, "a", 2), finish(again, b"01")):
            assert answer.state is TransferState.STORED
            assert answer.version == version
        again.close()

    def test_what_is_durable_outlives_a_crash(self, store: Store) -> None:
        content = some_bytes(10_000)
        begin(store, "a", len(content))
        write(store, 0, content[:1000])
        write(store, 5000, content[5000:6000])
        flushed = status(store, flush=True).durable
        told = write(store, 2000, content[2000:3000]).durable
        durable = IntervalSet([*flushed, *told])
        left = self.fallen(store)
        answer = begin(left, "a", len(content))
        held = IntervalSet(answer.held)
        assert all(held.covers(*each) for each in durable)
        assert all(IntervalSet(answer.durable).covers(*each) for each in durable)
        for start, end in held.missing(0, len(content)):
            write(left, start, content[start:end])
        assert finish(left, content).state is TransferState.STORED
        assert content_of(left, "a") == content
        left.close()

    def test_what_is_stored_outlives_a_crash(self, store: Store) -> None:
        version = send(store, "d/a", b"01").version
        put_tree(store, ["d/b"], ["e"])
        left = self.fallen(store)
        assert names_in(left) == ["d", "d/a", "d/b", "e"]
        assert content_of(left, "d/a") == b"01"
        assert content_of(left, "d/b") == b"d/b"
        answer = begin(left, "d/a", 2)
        assert (answer.state, answer.version) == (TransferState.STORED, version)
        left.close()

    def test_a_file_that_was_aborted_does_not_come_back(self, store: Store) -> None:
        begin(store, "a", 10)
        write(store, 0, b"0123")
        status(store, flush=True)
        store.abort(AbortRequest(file_id="f"))
        again = self.restarted(store)
        assert begin(again, "a", 10).held == ()
        again.close()

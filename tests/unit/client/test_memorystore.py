"""What is peculiar to the store in memory; the rest is in the tests that all stores pass."""

import hashlib

import pytest

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    FinishRequest,
    OpenRequest,
    SegmentRequest,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.testing import MemoryStore, MemoryStoreOptions

CONTENT = bytes(range(100))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FINISH = FinishRequest(file_id="f", size=100, sha256=SHA256)


def begun(options: MemoryStoreOptions = MemoryStoreOptions()) -> MemoryStore:  # noqa: B008
    store = MemoryStore(options)
    store.open(OpenRequest(file_id="f", name="a", size=100))
    return store


def write(store: MemoryStore, start: int, end: int) -> TransferAnswer:
    return store.write(SegmentRequest(file_id="f", offset=start, payload=CONTENT[start:end]))


def status(store: MemoryStore) -> TransferAnswer:
    return store.status(StatusRequest(file_id="f"))


def test_a_crash_costs_what_was_not_durable() -> None:
    store = begun()
    write(store, 0, 10)
    store.status(StatusRequest(file_id="f", flush=True))
    write(store, 5, 20)
    write(store, 50, 60)
    left = store.crashed()
    assert status(left).held == status(left).durable == ((0, 10),)
    write(left, 0, 100)
    assert left.finish(FINISH).state is TransferState.STORED
    assert left.stored == {"a": CONTENT}


def test_a_crash_does_not_touch_the_store_that_it_is_asked_of() -> None:
    store = begun()
    write(store, 0, 50)
    left = store.crashed()
    write(left, 0, 100)
    left.finish(FINISH)
    assert (store.stored, store.under_way) == ({}, frozenset({"f"}))
    assert status(store).held == ((0, 50),)


def test_nothing_is_lost_by_closing() -> None:
    store = begun()
    write(store, 30, 50)
    store.close()
    assert status(store.crashed()).durable == ((30, 50),)


def test_checkpoints_come_by_bytes() -> None:
    store = begun(MemoryStoreOptions(checkpoint_bytes=20))
    assert write(store, 0, 19).durable == ()
    assert write(store, 50, 51).durable == ((0, 19), (50, 51))
    assert write(store, 19, 38).durable == ((0, 19), (50, 51))


def test_checkpoints_come_by_time() -> None:
    store = begun(MemoryStoreOptions(checkpoint_seconds=2))
    store.maintain(100)
    write(store, 0, 10)
    store.maintain(101)
    write(store, 10, 20)
    assert status(store).durable == ()
    store.maintain(102)
    assert status(store).durable == ((0, 20),)


def test_rotten_bytes_are_found_and_repaired() -> None:
    store = begun()
    for start in range(0, 100, 10):
        write(store, start, start + 10)
    store.status(StatusRequest(file_id="f", flush=True))
    store.rot("f", 15)
    store.rot("f", 40)
    answer = store.finish(FINISH)
    assert answer.state is TransferState.MISMATCH
    assert answer.damaged == ((10, 20), (40, 50))
    assert answer.held == answer.durable == ((0, 10), (20, 40), (50, 100))
    assert store.finish(FINISH).state is TransferState.RECEIVING
    write(store, 0, 100)
    assert store.finish(FINISH).state is TransferState.STORED
    assert store.stored == {"a": CONTENT}


def test_it_may_take_its_time() -> None:
    store = begun(MemoryStoreOptions(slow_answers=2))
    write(store, 0, 100)
    verifying, stored = TransferState.VERIFYING, TransferState.STORED
    states = [store.finish(FINISH).state for _ in range(4)]
    assert states == [verifying, verifying, stored, stored]
    asked = [store.stat(StatRequest(name="a", with_sha256=True)) for _ in range(3)]
    assert [answer.pending for answer in asked] == [True, True, False]
    assert [answer.sha256 for answer in asked] == [None, None, SHA256]


def test_it_gives_up_what_is_too_old() -> None:
    store = begun(MemoryStoreOptions(partial_lifetime=10))
    store.maintain(100)
    assert store.under_way == {"f"}
    store.maintain(108)
    status(store)
    store.maintain(117)
    assert store.under_way == {"f"}
    store.maintain(119)
    assert store.under_way == frozenset()


def test_it_forgets_what_was_stored_long_ago() -> None:
    store = begun(MemoryStoreOptions(partial_lifetime=10))
    write(store, 0, 100)
    store.finish(FINISH)
    store.maintain(100)
    assert store.finish(FINISH).state is TransferState.STORED
    store.maintain(111)
    with pytest.raises(RefusedError) as caught:
        store.finish(FINISH)
    assert caught.value.means(ErrorCode.UNKNOWN_TRANSFER)


def test_the_window_is_shared() -> None:
    options = MemoryStoreOptions(segment_size=10, window_each=50, window_total=100)
    store = MemoryStore(options)
    windows = []
    for number in range(8):
        store.open(OpenRequest(file_id=f"f{number}", name=f"{number}"))
        windows.append(store.limits.window)
    assert windows == [50, 50, 33, 25, 20, 20, 20, 20]
    store.maintain(100)
    assert store.limits.window == 20
    store.maintain(131)
    assert store.limits.window == 50


def test_a_segment_has_a_limit() -> None:
    store = begun(MemoryStoreOptions(segment_size=10))
    assert write(store, 0, 10).segment_size == 10
    with pytest.raises(RefusedError) as caught:
        write(store, 0, 11)
    assert caught.value.means(ErrorCode.INVALID)
    assert MemoryStore().limits.segment_size == SEGMENT_SIZE


def test_it_tells_what_it_has() -> None:
    store = begun()
    entry = BatchEntry(name="d/b", payload=CONTENT, sha256=SHA256)
    store.put([entry])
    assert store.stored == {"d/b": CONTENT}
    assert store.under_way == {"f"}
    assert store.store_id == "memory"

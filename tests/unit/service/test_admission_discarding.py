"""What is dropped is checked all the same, in little memory."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    FinishRequest,
    OpenRequest,
    SegmentRequest,
    StatusRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.interface import StoreLimits
from dxlfiletransferservice.admission import discarding
from dxlfiletransferservice.admission.discarding import AheadBudget, DiscardingStore
from tests.unit.client.cataloguing import directory, file, sha256
from tests.unit.service.admitting import denied

LIMITS = StoreLimits(segment_size=1000, window=10_000)


def store_of(most: int = 2**20) -> tuple[DiscardingStore, AheadBudget]:
    budget = AheadBudget(most)
    return DiscardingStore(lambda: LIMITS, budget), budget


def write(store: DiscardingStore, offset: int, payload: bytes) -> None:
    store.write(SegmentRequest(file_id="f", offset=offset, payload=payload))


def finish(store: DiscardingStore, content: bytes, digest: str | None = None) -> TransferState:
    request = FinishRequest(file_id="f", size=len(content), sha256=digest or sha256(content))
    return store.finish(request).state


@given(
    size=st.integers(0, 3000),
    segment=st.integers(100, 1000),
    seed=st.integers(0, 100),
    most=st.sampled_from([0, 500, 2**20]),
)
def test_parts_in_any_order(size: int, segment: int, seed: int, most: int) -> None:
    content = random.Random(seed).randbytes(size)
    store, budget = store_of(most)
    store.open(OpenRequest(file_id="f", name="a", size=size))
    offsets = list(range(0, size, segment)) * 2
    random.Random(seed).shuffle(offsets)

    for offset in offsets:
        write(store, offset, content[offset : offset + segment])

    assert finish(store, content) is TransferState.STORED
    assert finish(store, content) is TransferState.STORED
    assert finish(store, content + b"x") is TransferState.MISMATCH
    assert budget.take(most)


def test_another_content_is_noticed() -> None:
    store, _ = store_of()
    store.open(OpenRequest(file_id="f", name="a", size=3))
    write(store, 0, b"abx")

    assert finish(store, b"abc") is TransferState.MISMATCH
    store.abort(AbortRequest(file_id="f"))
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        store.status(StatusRequest(file_id="f"))


def test_without_room_only_the_content_is_believed() -> None:
    store, _ = store_of(most=0)
    store.open(OpenRequest(file_id="f", name="a"))
    write(store, 3, b"def")
    assert finish(store, b"abcdef") is TransferState.RECEIVING
    write(store, 0, b"abc")

    assert finish(store, b"abcdefg") is TransferState.RECEIVING
    assert finish(store, b"abc") is TransferState.MISMATCH
    assert finish(store, b"abcdef", "0" * 64) is TransferState.STORED


def test_what_breaks_limits() -> None:
    store, _ = store_of()
    store.open(OpenRequest(file_id="f", name="a", size=3))
    with denied(ErrorCode.OTHER_METADATA):
        store.open(OpenRequest(file_id="f", name="b", size=3))
    with denied(ErrorCode.UNSAFE_NAME):
        store.open(OpenRequest(file_id="g", name="../b", size=3))
    with denied(ErrorCode.INVALID):
        write(store, 1, b"abc")
    with denied(ErrorCode.INVALID):
        write(store, 0, bytes(1001))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    store, budget = store_of(most=50)
    for number in range(discarding.MAX_FILES):
        store.open(OpenRequest(file_id=f"f{number}", name="a"))
        store.write(SegmentRequest(file_id=f"f{number}", offset=1, payload=b"0123456789"))
    assert not budget.take(1)
    with denied(ErrorCode.BUSY):
        store.open(OpenRequest(file_id="one-more", name="a"))
    store.close()
    assert budget.take(50)

    store.open(OpenRequest(file_id="f", name="a"))
    for number in range(discarding.MAX_GAPS):
        write(store, 2 * number, b"x")
    with denied(ErrorCode.BUSY):
        write(store, 2 * discarding.MAX_GAPS + 2, b"x")

    monkeypatch.setattr(discarding, "ENDED_REMEMBERED", 10)
    store.close()
    for number in range(30):
        store.open(OpenRequest(file_id=f"f{number}", name="a"))
        done = store.finish(FinishRequest(file_id=f"f{number}", size=0, sha256=sha256(b"")))
        assert done.state is TransferState.STORED
    assert len(store._ended) == 10


def test_what_comes_after_the_end() -> None:
    store, _ = store_of()
    store.open(OpenRequest(file_id="f", name="a", size=1))
    write(store, 0, b"a")
    finish(store, b"a")

    answer = store.write(SegmentRequest(file_id="f", offset=0, payload=b"a"))
    assert (answer.state, answer.held) == (TransferState.STORED, ((0, 1),))
    assert store.status(StatusRequest(file_id="f")).state is TransferState.STORED
    # A new file of the same id begins anew.
    assert store.open(OpenRequest(file_id="f", name="a", size=1)).held == ()


def test_batches() -> None:
    store, _ = store_of()
    damaged = BatchEntry(name="a", payload=b"x", sha256="0" * 64)

    results = store.put([file("a", b"x"), directory("d"), damaged, file("../a")])

    assert [result.code for result in results] == [
        None,
        None,
        ErrorCode.CORRUPT,
        ErrorCode.UNSAFE_NAME,
    ]

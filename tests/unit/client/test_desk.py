import hashlib
from typing import TypeVar

import pytest

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.desk import ALL_VERBS, Desk
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchAnswer,
    BatchEntry,
    BatchRequest,
    DoneAnswer,
    EntryResult,
    FinishRequest,
    HelloAnswer,
    HelloRequest,
    ListAnswer,
    ListRequest,
    Message,
    OpenRequest,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    SegmentRequest,
    StatAnswer,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import Parcel, digest_of, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import REVISION, Verb, topic_of
from dxlfiletransferclient.testing import MemoryStore, MemoryStoreOptions

M = TypeVar("M", bound=Message)

CONTENT = b"0123456789"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

REQUESTS: dict[Verb, Message] = {
    Verb.HELLO: HelloRequest(),
    Verb.OPEN: OpenRequest(file_id="f", name="a/b", size=len(CONTENT)),
    Verb.SEGMENT: SegmentRequest(file_id="f", offset=0, payload=CONTENT),
    Verb.STATUS: StatusRequest(file_id="f", flush=True),
    Verb.FINISH: FinishRequest(file_id="f", size=len(CONTENT), sha256=SHA256),
    Verb.ABORT: AbortRequest(file_id="f"),
    Verb.BATCH: BatchRequest(entries=(BatchEntry(name="c", payload=CONTENT, sha256=SHA256),)),
    Verb.RETRIEVE: RetrieveRequest(name="a/b", offset=3, length=4),
    Verb.LIST: ListRequest(),
    Verb.STAT: StatRequest(name="a/b", with_sha256=True),
    Verb.REMOVE: RemoveRequest(name="a", recursive=True),
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def desk(store: MemoryStore) -> Desk:
    return Desk(store)


def asked(desk: Desk, verb: Verb, kind: type[M]) -> M:
    return decode(kind, desk.answer(verb, encode(REQUESTS[verb])))


def test_a_file_from_open_to_remove(desk: Desk, store: MemoryStore) -> None:
    assert asked(desk, Verb.OPEN, TransferAnswer).state is TransferState.RECEIVING
    assert asked(desk, Verb.SEGMENT, TransferAnswer).held == ((0, 10),)
    assert asked(desk, Verb.STATUS, TransferAnswer).durable == ((0, 10),)
    stored = asked(desk, Verb.FINISH, TransferAnswer)
    assert (stored.state, stored.size, stored.sha256) == (TransferState.STORED, 10, SHA256)
    assert store.stored == {"a/b": CONTENT}
    part = asked(desk, Verb.RETRIEVE, RetrieveAnswer)
    assert (part.offset, bytes(part.payload), part.version) == (3, b"3456", stored.version)
    assert asked(desk, Verb.STAT, StatAnswer).sha256 == SHA256
    assert [entry.name for entry in asked(desk, Verb.LIST, ListAnswer).entries] == ["a"]
    assert asked(desk, Verb.REMOVE, RemoveAnswer) == RemoveAnswer(removed=2)
    assert asked(desk, Verb.ABORT, DoneAnswer) == DoneAnswer()


def test_a_batch(desk: Desk, store: MemoryStore) -> None:
    assert asked(desk, Verb.BATCH, BatchAnswer).results == (
        EntryResult(state=TransferState.STORED),
    )
    assert store.stored == {"c": CONTENT}


def test_hello_tells_what_the_store_is() -> None:
    desk = Desk(MemoryStore(MemoryStoreOptions(store_id="mine", segment_size=7, window_each=21)))
    assert asked(desk, Verb.HELLO, HelloAnswer) == HelloAnswer(
        revision=REVISION,
        store_id="mine",
        segment_size=7,
        window=21,
        verbs="abort batch finish hello list open remove retrieve segment stat status",
    )


def test_hello_is_always_offered() -> None:
    desk = Desk(MemoryStore(), frozenset({Verb.LIST}))
    assert desk.verbs == {Verb.HELLO, Verb.LIST}
    assert asked(desk, Verb.HELLO, HelloAnswer).verbs == "hello list"


@pytest.mark.parametrize("verb", sorted(ALL_VERBS))
def test_what_was_damaged_is_not_carried_out(desk: Desk, store: MemoryStore, verb: Verb) -> None:
    request = encode(REQUESTS[verb])
    with pytest.raises(RefusedError) as caught:
        desk.answer(verb, Parcel(request.fields, bytes(request.payload) + b"!"))
    assert caught.value.means(ErrorCode.CORRUPT)
    assert (store.stored, store.under_way) == ({}, frozenset())


@pytest.mark.parametrize("verb", sorted(ALL_VERBS - {Verb.HELLO, Verb.LIST}))
def test_what_is_no_request_is_refused(desk: Desk, verb: Verb) -> None:
    with pytest.raises(RefusedError) as caught:
        desk.answer(verb, sealed({}))
    assert caught.value.means(ErrorCode.INVALID)


def test_what_the_store_refuses_is_refused(desk: Desk) -> None:
    with pytest.raises(RefusedError) as caught:
        asked(desk, Verb.STAT, StatAnswer)
    assert caught.value.means(ErrorCode.NOT_FOUND)


def test_topics() -> None:
    assert topic_of(Verb.OPEN, "/files/store") == "/files/store/v2/open"
    assert len({topic_of(verb) for verb in Verb}) == len(Verb)


class WithDigests(MemoryStore):
    """A store that makes use of the digests of segments."""

    digest: str | None = None

    def write(self, request: SegmentRequest) -> TransferAnswer:
        self.digest = request.payload_digest
        return super().write(request)


def test_a_store_gets_the_digest_that_was_checked() -> None:
    store = WithDigests()
    desk = Desk(store)
    asked(desk, Verb.OPEN, TransferAnswer)
    assert asked(desk, Verb.SEGMENT, TransferAnswer).held == ((0, 10),)
    assert store.digest == digest_of(CONTENT)


def test_a_store_gets_nothing_that_was_damaged() -> None:
    store = WithDigests()
    desk = Desk(store)
    asked(desk, Verb.OPEN, TransferAnswer)
    made = encode(REQUESTS[Verb.SEGMENT])
    with pytest.raises(RefusedError) as raised:
        desk.answer(Verb.SEGMENT, Parcel(made.fields, b"other bytes"))
    assert raised.value.means(ErrorCode.CORRUPT)
    assert store.digest is None

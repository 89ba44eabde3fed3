"""Version 2 of the service as a process of its own, with requests made by hand."""

import os
import uuid

import pytest
from dxlclient.client import DxlClient
from dxlclient.message import Request

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    DoneAnswer,
    Entry,
    FinishRequest,
    HelloAnswer,
    HelloRequest,
    Kind,
    ListAnswer,
    ListRequest,
    Message,
    OpenRequest,
    Overwrite,
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
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from tests.fabric import answer_of
from tests.integration.verbclient import VerbClient, parcel_in, sha256
from tests.services import Service
from tests.waiting import TIMEOUT, wait_until

MIB = 1_048_576


@pytest.fixture
def verbs(service: Service, dxl_client: DxlClient) -> VerbClient:
    """Asks the shared service."""
    return VerbClient(dxl_client, service.topic)


@pytest.fixture
def place() -> str:
    """A directory on the shared service that no other test uses, and an id for a file."""
    return uuid.uuid4().hex


def test_hello_tells_what_the_service_is(verbs: VerbClient) -> None:
    hello = verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer)
    assert set(hello.verbs.split()) == STORE_VERBS
    assert hello.segment_size == SEGMENT_SIZE
    assert SEGMENT_SIZE <= hello.window <= 64 * MIB
    assert hello.store_id
    assert verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer).store_id == hello.store_id


def test_answers_tell_which_instance_they_come_from(verbs: VerbClient, service: Service) -> None:
    response = verbs.send(Verb.HELLO, encode(HelloRequest()))
    assert response.service_id == service.service_id
    decode(HelloAnswer, parcel_in(response))


def test_a_file_is_stored_in_parts_that_come_in_any_order(
    verbs: VerbClient, service: Service, place: str
) -> None:
    content = os.urandom(2 * SEGMENT_SIZE + 12_345)
    name = f"{place}/sub/file"
    opened = verbs.open(place, name, len(content))
    assert (opened.state, opened.held) == (TransferState.RECEIVING, ())
    offsets = [2 * SEGMENT_SIZE, 0, SEGMENT_SIZE, 0]
    for offset in offsets:
        answer = verbs.segment(place, offset, content[offset:][:SEGMENT_SIZE])
    assert answer.held == ((0, len(content)),)
    assert not (service.storage / name).exists()
    flushed = verbs.ask(Verb.STATUS, StatusRequest(file_id=place, flush=True), TransferAnswer)
    assert flushed.durable == ((0, len(content)),)

    stored = verbs.finish(place, content)
    assert stored.state == TransferState.STORED
    assert (stored.size, stored.sha256) == (len(content), sha256(content))
    assert (service.storage / name).read_bytes() == content
    # The answer may get lost, so the client may ask again.
    assert verbs.finish(place, content) == stored

    parts = []
    for offset in range(0, len(content), SEGMENT_SIZE):
        request = RetrieveRequest(
            name=name, offset=offset, length=SEGMENT_SIZE, version=stored.version
        )
        part = verbs.ask(Verb.RETRIEVE, request, RetrieveAnswer)
        assert (part.offset, part.size, part.version) == (offset, len(content), stored.version)
        parts.append(bytes(part.payload))
    assert b"".join(parts) == content


def test_missing_parts_are_told_when_a_file_is_finished(verbs: VerbClient, place: str) -> None:
    verbs.open(place, f"{place}/file", 3000)
    verbs.segment(place, 2000, b"c" * 1000)
    answer = verbs.finish(place, b"a" * 2000 + b"c" * 1000)
    assert (answer.state, answer.held) == (TransferState.RECEIVING, ((2000, 3000),))
    verbs.segment(place, 0, b"a" * 2000)
    assert verbs.finish(place, b"a" * 2000 + b"c" * 1000).state == TransferState.STORED


def test_another_content_than_was_meant_is_not_stored(
    verbs: VerbClient, service: Service, place: str
) -> None:
    verbs.open(place, f"{place}/file", 4)
    verbs.segment(place, 0, b"sent")
    answer = verbs.finish(place, b"meant"[:4])
    assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ())
    assert not (service.storage / place / "file").exists()


def test_an_aborted_file_leaves_nothing(verbs: VerbClient, service: Service, place: str) -> None:
    before = set(service.unfinished())
    verbs.open(place, f"{place}/file")
    verbs.segment(place, 0, b"x")
    assert set(service.unfinished()) > before
    for _ in range(2):
        verbs.ask(Verb.ABORT, AbortRequest(file_id=place, reason="a test"), DoneAnswer)
    assert set(service.unfinished()) <= before
    assert verbs.refused(Verb.STATUS, StatusRequest(file_id=place)).means(
        ErrorCode.UNKNOWN_TRANSFER
    )


def test_small_files_come_in_a_batch_and_go_again(
    verbs: VerbClient, service: Service, place: str
) -> None:
    names = [f"{place}/b", f"{place}/a/deep/x", f"{place}/a/y"]
    entries = [
        BatchEntry(name=name, payload=name.encode(), sha256=sha256(name.encode())) for name in names
    ]
    empty = BatchEntry(kind=Kind.DIRECTORY, name=f"{place}/empty")
    results = verbs.batch(*entries, empty)
    assert [each.state for each in results] == [TransferState.STORED] * 4
    assert [(service.storage / each).read_bytes() for each in names] == [
        each.encode() for each in names
    ]
    assert (service.storage / place / "empty").is_dir()

    found: list[Entry] = []
    after: str | None = ""
    while after is not None:
        page = verbs.ask(
            Verb.LIST, ListRequest(name=place, recursive=True, after=after, limit=2), ListAnswer
        )
        assert len(page.entries) <= 2
        found += page.entries
        after = page.next
    assert [each.name for each in found] == [
        f"{place}/{name}" for name in ("a", "a/deep", "a/deep/x", "a/y", "b", "empty")
    ]

    stats: list[StatAnswer] = []

    def hashed() -> bool:
        request = StatRequest(name=f"{place}/b", with_sha256=True)
        stats.append(verbs.ask(Verb.STAT, request, StatAnswer))
        return not stats[-1].pending

    wait_until(hashed)
    assert stats[-1].sha256 == sha256(names[0].encode())
    assert stats[-1].entry == (found[4],)

    removed = verbs.ask(Verb.REMOVE, RemoveRequest(name=place, recursive=True), RemoveAnswer)
    assert (removed.removed, removed.more) == (7, False)
    assert not (service.storage / place).exists()


def test_the_failure_of_one_entry_is_none_of_the_others(verbs: VerbClient, place: str) -> None:
    content, digest = b"x", sha256(b"x")
    verbs.put(f"{place}/file", content)
    results = verbs.batch(
        BatchEntry(name=f"{place}/one", payload=content, sha256=digest),
        BatchEntry(name="../two", payload=content, sha256=digest),
        BatchEntry(name=f"{place}/three", payload=content, sha256=sha256(b"y")),
        BatchEntry(kind=Kind.LINK, name=f"{place}/four", target="one"),
        BatchEntry(name=f"{place}/file/five", payload=content, sha256=digest),
        BatchEntry(name=f"{place}/six", payload=content, sha256=digest),
    )
    assert [each.state for each in results] == [
        TransferState.STORED,
        None,
        None,
        None,
        None,
        TransferState.STORED,
    ]
    codes = [ErrorCode.of(each.code) for each in results if each.code is not None]
    assert codes[0] == ErrorCode.UNSAFE_NAME
    assert codes[2:] == [ErrorCode.NOT_ALLOWED, ErrorCode.WRONG_KIND]


def test_every_mistake_has_its_error(verbs: VerbClient, place: str) -> None:
    verbs.put(f"{place}/file", b"12345")
    verbs.open(place, f"{place}/under-way", 10)
    verbs.segment(place, 0, b"abc")
    other = uuid.uuid4().hex
    mistakes: list[tuple[Verb, Message, ErrorCode]] = [
        (
            Verb.OPEN,
            OpenRequest(file_id=place, name=f"{place}/else", size=10),
            ErrorCode.OTHER_METADATA,
        ),
        (Verb.OPEN, OpenRequest(file_id=other, name="../x"), ErrorCode.UNSAFE_NAME),
        (Verb.OPEN, OpenRequest(file_id=other, name=place), ErrorCode.WRONG_KIND),
        (
            Verb.OPEN,
            OpenRequest(file_id=other, name=f"{place}/file", size=7, overwrite=Overwrite.FAIL),
            ErrorCode.EXISTS,
        ),
        (
            Verb.SEGMENT,
            SegmentRequest(file_id=place, offset=1, payload=b"xyz"),
            ErrorCode.OTHER_BYTES,
        ),
        (Verb.SEGMENT, SegmentRequest(file_id=place, offset=8, payload=b"xyz"), ErrorCode.INVALID),
        (
            Verb.SEGMENT,
            SegmentRequest(file_id=other, offset=0, payload=b"x"),
            ErrorCode.UNKNOWN_TRANSFER,
        ),
        (Verb.STATUS, StatusRequest(file_id=other), ErrorCode.UNKNOWN_TRANSFER),
        (
            Verb.FINISH,
            FinishRequest(file_id=other, size=0, sha256=sha256(b"")),
            ErrorCode.UNKNOWN_TRANSFER,
        ),
        (
            Verb.RETRIEVE,
            RetrieveRequest(name=f"{place}/no", offset=0, length=1),
            ErrorCode.NOT_FOUND,
        ),
        (Verb.RETRIEVE, RetrieveRequest(name=place, offset=0, length=1), ErrorCode.WRONG_KIND),
        (
            Verb.RETRIEVE,
            RetrieveRequest(name=f"{place}/file", offset=0, length=1, version="other"),
            ErrorCode.CHANGED,
        ),
        (Verb.LIST, ListRequest(name=f"{place}/no"), ErrorCode.NOT_FOUND),
        (Verb.LIST, ListRequest(name=f"{place}/file"), ErrorCode.WRONG_KIND),
        (Verb.STAT, StatRequest(name="a/../.."), ErrorCode.UNSAFE_NAME),
        (Verb.STAT, StatRequest(name=f"{place}/no"), ErrorCode.NOT_FOUND),
        (Verb.REMOVE, RemoveRequest(name=place), ErrorCode.NOT_EMPTY),
        (Verb.REMOVE, RemoveRequest(name=f"{place}/no"), ErrorCode.NOT_FOUND),
        (Verb.REMOVE, RemoveRequest(name="/"), ErrorCode.UNSAFE_NAME),
    ]
    for verb, message, code in mistakes:
        error = verbs.refused(verb, message)
        assert error.means(code), (verb, message, error)
    status = verbs.ask(Verb.STATUS, StatusRequest(file_id=place), TransferAnswer)
    assert status.held == ((0, 3),)


def test_both_versions_share_their_files(
    verbs: VerbClient, service: Service, dxl_client: DxlClient, place: str
) -> None:
    version_1 = Request(service.topic)
    version_1.payload = b"by version 1"
    version_1.other_fields = {
        "segment_number": "1",
        "result": "store",
        "name": f"{place}/file",
        "size": "12",
        "hash_sha256": sha256(b"by version 1"),
    }
    assert answer_of(dxl_client.sync_request(version_1, timeout=TIMEOUT))["result"] == "store"
    request = RetrieveRequest(name=f"{place}/file", offset=0, length=100)
    assert verbs.ask(Verb.RETRIEVE, request, RetrieveAnswer).payload == b"by version 1"
    verbs.put(f"{place}/file", b"by version 2")
    assert (service.storage / place / "file").read_bytes() == b"by version 2"


def test_names_that_are_no_text_do_not_hide_the_others(
    verbs: VerbClient, service: Service, place: str
) -> None:
    verbs.put(f"{place}/a", b"1")
    verbs.put(f"{place}/z", b"1")
    try:
        (service.storage / place / os.fsdecode(b"not \xff text")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such names")
    page = verbs.ask(Verb.LIST, ListRequest(name=place), ListAnswer)
    assert {f"{place}/a", f"{place}/z"} <= {each.name for each in page.entries}
    assert page.next is None

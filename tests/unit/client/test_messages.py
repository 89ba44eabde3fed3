from dataclasses import fields
from typing import get_type_hints

import pytest

from dxlfiletransferclient.protocol.limits import (
    MAX_BATCH_ENTRIES,
    MAX_FILE_SIZE,
    MAX_PAGE_ENTRIES,
    SEGMENT_SIZE,
)
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    BatchRequest,
    Entry,
    EntryResult,
    FinishRequest,
    HelloAnswer,
    Kind,
    ListRequest,
    Message,
    OpenRequest,
    RefusalAnswer,
    RetrieveAnswer,
    RetrieveRequest,
    SegmentRequest,
    StatAnswer,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import CHECK, DIGEST
from tests.unit.client.messagestrategies import BY_KIND, KINDS

SHA256 = "0" * 64
ENTRY = Entry(name="a", kind=Kind.FILE, size=1, modified_ns=0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_attribute_travels_in_the_place_of_a_seal(kind: type[Message]) -> None:
    assert not {field.name for field in fields(kind)} & {CHECK, DIGEST}


@pytest.mark.parametrize("kind", KINDS)
def test_every_attribute_has_a_type_and_every_class_a_strategy(kind: type[Message]) -> None:
    assert get_type_hints(kind).keys() == {field.name for field in fields(kind)}
    assert kind in BY_KIND


@pytest.mark.parametrize("file_id", ["", "a" * 65, "a/b", "..", "a b", "\n", "a\n", "ä", "a.b"])
def test_a_file_id_that_could_be_anything_else_is_refused(file_id: str) -> None:
    with pytest.raises(ValueError, match="file_id"):
        OpenRequest(file_id=file_id, name="a")


@pytest.mark.parametrize("sha256", ["", "0" * 63, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_a_sha256_that_is_none_is_refused(sha256: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        FinishRequest(file_id="a", size=0, sha256=sha256)


@pytest.mark.parametrize("size", [-1, MAX_FILE_SIZE + 1])
def test_a_size_that_no_file_has_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size"):
        OpenRequest(file_id="a", name="a", size=size)
    with pytest.raises(ValueError, match="size"):
        FinishRequest(file_id="a", size=size, sha256=SHA256)
    with pytest.raises(ValueError, match="size"):
        Entry(name="a", kind=Kind.FILE, size=size, modified_ns=0)


@pytest.mark.parametrize("offset", [-1, MAX_FILE_SIZE])
def test_a_segment_outside_of_any_file_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match="offset"):
        SegmentRequest(file_id="a", offset=offset, payload=b"12")


def test_a_segment_needs_bytes() -> None:
    with pytest.raises(ValueError, match="payload"):
        SegmentRequest(file_id="a", offset=0, payload=b"")


@pytest.mark.parametrize("modified_ns", [-(2**63) - 1, 2**63])
def test_a_time_that_no_file_system_holds_is_refused(modified_ns: int) -> None:
    with pytest.raises(ValueError, match="modified_ns"):
        OpenRequest(file_id="a", name="a", modified_ns=modified_ns)
    with pytest.raises(ValueError, match="modified_ns"):
        BatchEntry(name="a", sha256=SHA256, modified_ns=modified_ns)
    with pytest.raises(ValueError, match="modified_ns"):
        Entry(name="a", kind=Kind.FILE, size=0, modified_ns=modified_ns)


@pytest.mark.parametrize("length", [0, SEGMENT_SIZE + 1])
def test_a_part_to_retrieve_has_a_length_that_fits_into_a_message(length: int) -> None:
    with pytest.raises(ValueError, match="length"):
        RetrieveRequest(name="a", offset=0, length=length)


def test_a_retrieved_part_fits_into_a_message() -> None:
    with pytest.raises(ValueError, match="payload"):
        RetrieveAnswer(offset=0, size=1, version="", payload=bytes(SEGMENT_SIZE + 1))


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE_ENTRIES + 1])
def test_a_page_has_a_limit(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        ListRequest(limit=limit)


@pytest.mark.parametrize("count", [0, MAX_BATCH_ENTRIES + 1])
def test_a_batch_has_some_entries_and_not_too_many(count: int) -> None:
    with pytest.raises(ValueError, match="number of entries"):
        BatchRequest(entries=(BatchEntry(name="a", sha256=SHA256),) * count)


def test_entries_of_a_batch_have_what_their_kind_needs() -> None:
    with pytest.raises(ValueError, match="sha256"):
        BatchEntry(name="a")
    with pytest.raises(ValueError, match="target"):
        BatchEntry(name="a", kind=Kind.LINK)
    with pytest.raises(ValueError, match="no content"):
        BatchEntry(name="a", kind=Kind.DIRECTORY, payload=b"1")


def test_a_result_has_either_a_state_or_a_code() -> None:
    with pytest.raises(ValueError, match="either"):
        EntryResult()
    with pytest.raises(ValueError, match="either"):
        EntryResult(state=TransferState.STORED, code=1)


def test_a_stat_answer_has_one_entry() -> None:
    with pytest.raises(ValueError, match="number of entries"):
        StatAnswer(entry=(ENTRY, ENTRY))  # type: ignore[arg-type]


@pytest.mark.parametrize(("segment_size", "window"), [(0, 1), (SEGMENT_SIZE + 1, 1), (1, 0)])
def test_a_service_takes_at_least_one_byte(segment_size: int, window: int) -> None:
    with pytest.raises(ValueError, match="must be 1"):
        TransferAnswer(state=TransferState.RECEIVING, segment_size=segment_size, window=window)
    with pytest.raises(ValueError, match="must be 1"):
        HelloAnswer(revision=0, store_id="", segment_size=segment_size, window=window, verbs="")


def test_nobody_has_to_wait_a_negative_time() -> None:
    with pytest.raises(ValueError, match="retry_after_ms"):
        RefusalAnswer(code=1, text="", retry_after_ms=-1)

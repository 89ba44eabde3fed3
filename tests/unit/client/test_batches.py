"""Batches: many small files in one payload."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import BatchEntry, BatchRequest, Kind
from dxlfiletransferclient.protocol.parcels import sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from tests.unit.client.messagestrategies import batch_entries


def file_of(name: str, content: bytes) -> BatchEntry:
    return BatchEntry(name=name, payload=content, sha256=hashlib.sha256(content).hexdigest())


def assert_invalid(payload: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(BatchRequest, sealed({}, payload))
    assert caught.value.means(ErrorCode.INVALID)


@given(st.lists(batch_entries, min_size=1, max_size=20))
def test_contents_come_back_with_their_entries(entries: list[BatchEntry]) -> None:
    found = decode(BatchRequest, encode(BatchRequest(entries=tuple(entries))))
    assert list(found.entries) == entries
    assert [bytes(entry.payload) for entry in found.entries] == [
        bytes(entry.payload) for entry in entries
    ]


def test_contents_are_not_copied() -> None:
    parcel = encode(BatchRequest(entries=(file_of("a", b"123"),)))
    (entry,) = decode(BatchRequest, parcel).entries
    assert isinstance(entry.payload, memoryview)
    assert entry.payload.obj is parcel.payload


def test_directories_and_links_take_no_content() -> None:
    entries = (
        BatchEntry(name="d", kind=Kind.DIRECTORY),
        BatchEntry(name="l", kind=Kind.LINK, target="d"),
        file_of("f", b"1"),
    )
    assert decode(BatchRequest, encode(BatchRequest(entries=entries))).entries == entries


def test_the_largest_batch_fits() -> None:
    room = MAX_PAYLOAD - len(bytes(encode(BatchRequest(entries=(file_of("a", b""),))).payload))
    # The length in the header has seven digits then and not one.
    whole = BatchRequest(entries=(file_of("a", bytes(room - 6)),))
    assert len(encode(whole).payload) == MAX_PAYLOAD
    with pytest.raises(ValueError, match="over the limit"):
        encode(BatchRequest(entries=(file_of("a", bytes(room - 5)),)))


@given(st.lists(batch_entries, min_size=1, max_size=3), st.data())
def test_a_batch_that_is_cut_is_refused(entries: list[BatchEntry], data: st.DataObject) -> None:
    payload = bytes(encode(BatchRequest(entries=tuple(entries))).payload)
    assert_invalid(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(st.lists(batch_entries, min_size=1, max_size=3), st.binary(min_size=1, max_size=5))
def test_a_batch_with_something_behind_it_is_refused(
    entries: list[BatchEntry], more: bytes
) -> None:
    assert_invalid(bytes(encode(BatchRequest(entries=tuple(entries))).payload) + more)


@pytest.mark.parametrize("length", ["-1", "3", "1.0", "true", "null", '"1"', "1e9", "9" * 30])
def test_a_length_that_is_not_there_is_refused(length: str) -> None:
    sha256 = hashlib.sha256(b"12").hexdigest()
    header = f'[{{"name": "a", "sha256": "{sha256}", "length": {length}}}]'.encode()
    assert_invalid(len(header).to_bytes(4, "big") + header + b"12")


@pytest.mark.parametrize("header", [b"", b"[]", b"{}", b"[1]", b"null", b"\xff", b"[{}]"])
def test_a_header_that_lists_no_entries_is_refused(header: bytes) -> None:
    assert_invalid(len(header).to_bytes(4, "big") + header)


def test_a_payload_in_the_header_is_not_believed() -> None:
    sha256 = hashlib.sha256(b"").hexdigest()
    header = f'[{{"name": "a", "sha256": "{sha256}", "payload": "1"}}]'.encode()
    found = decode(BatchRequest, sealed({}, len(header).to_bytes(4, "big") + header))
    assert bytes(found.entries[0].payload) == b""

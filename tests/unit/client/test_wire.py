import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient import wire
from dxlfiletransferclient.errors import InvalidRequestError, MalformedAnswerError
from dxlfiletransferclient.segments import Segment
from tests.unit.client.fabric import sha256

FIELDS = {
    "segment_number": "2",
    "file_id": "one",
    "result": "store",
    "name": "a/b",
    "size": "3",
    "hash_sha256": sha256(b"abc"),
}
GARBAGE: list[object] = [
    "x",
    "",
    "1.5",
    "9" * 10_000,
    b"1",
    True,
    1.0,
    [],
    {},
    object(),
    "\ud800",
    "\0",
    "../x",
    10**50,
]

anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.lists(st.integers())
    | st.sampled_from(GARBAGE)
)


def test_fields_of_a_first_segment() -> None:
    assert wire.segment_fields(Segment(1, b"abc", 3, None), None, "n") == {"segment_number": "1"}


def test_fields_of_a_later_segment() -> None:
    assert wire.segment_fields(Segment(2, b"abc", 6, None), "id", "n") == {
        "segment_number": "2",
        "file_id": "id",
    }


def test_fields_of_a_last_segment() -> None:
    assert wire.segment_fields(Segment(3, b"", 6, "abcd"), "id", "n") == {
        "segment_number": "3",
        "file_id": "id",
        "result": "store",
        "name": "n",
        "size": "6",
        "hash_sha256": "abcd",
    }


def test_fields_of_a_cancel() -> None:
    assert wire.cancel_fields("id") == {"file_id": "id", "result": "cancel"}


@pytest.mark.parametrize("name", ["a", "a/b", "ä" * 2048])
def test_names_that_can_be_sent(name: str) -> None:
    assert wire.check_name(name) == name


@pytest.mark.parametrize("name", ["", "ä" * 2049, "a\udcff"])
def test_names_that_cannot_be_sent(name: str) -> None:
    with pytest.raises(ValueError, match="file_name_on_server"):
        wire.check_name(name)


def test_a_name_that_is_no_text() -> None:
    with pytest.raises(TypeError, match="file_name_on_server"):
        wire.check_name(b"a")


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\0"])
def test_an_answer(end: bytes) -> None:
    payload = b'{"file_id": "a", "segments_received": 2, "result": "store"}' + end
    assert wire.parse_answer(payload) == wire.SegmentAnswer("a", 2, "store")


def test_an_answer_without_result() -> None:
    payload = b'{"file_id": "a", "segments_received": 2, "more": 1}'
    assert wire.parse_answer(payload) == wire.SegmentAnswer("a", 2, None)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b'{"segments_received": 1}', "'file_id'"),
        (b'{"file_id": "", "segments_received": 1}', "'file_id'"),
        (b'{"file_id": 5, "segments_received": 1}', "'file_id'"),
        (json.dumps({"file_id": "x" * 256, "segments_received": 1}).encode(), "'file_id'"),
        (b'{"file_id": "a"}', "'segments_received'"),
        (b'{"file_id": "a", "segments_received": "1"}', "'segments_received'"),
        (b'{"file_id": "a", "segments_received": true}', "'segments_received'"),
        (b'{"file_id": "a", "segments_received": 1, "result": "lost"}', "'result'"),
        (b'{"file_id": "a", "segments_received": 1, "result": []}', "'result'"),
    ],
)
def test_an_answer_that_makes_no_sense(payload: bytes, complaint: str) -> None:
    with pytest.raises(MalformedAnswerError, match=complaint) as raised:
        wire.parse_answer(payload)
    assert len(str(raised.value)) < 300


@given(st.binary() | st.text() | st.none())
def test_no_answer_raises_anything_else(payload: object) -> None:
    with pytest.raises(MalformedAnswerError):
        wire.parse_answer(payload)


def test_a_request_with_everything() -> None:
    request = wire.parse_request(FIELDS, b"abc")
    assert (request.file_id, request.number, request.result, request.payload) == (
        "one",
        2,
        "store",
        b"abc",
    )
    assert wire.parse_completion(request.fields) == wire.Completion("a/b", 3, sha256(b"abc"))


def test_a_request_with_nothing() -> None:
    request = wire.parse_request({}, None)
    assert (request.file_id, request.number, request.result, request.payload) == (
        None,
        None,
        None,
        b"",
    )


def test_empty_fields_count_as_missing() -> None:
    request = wire.parse_request({"file_id": "", "result": ""}, "")
    assert (request.file_id, request.result, request.payload) == (None, None, b"")


def test_hashes_are_compared_in_lower_case() -> None:
    fields = {**FIELDS, "hash_sha256": FIELDS["hash_sha256"].upper()}
    assert wire.parse_completion(fields).sha256 == FIELDS["hash_sha256"]


@pytest.mark.parametrize("field", ["name", "size", "hash_sha256"])
def test_a_completion_needs_all_its_fields(field: str) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != field}
    with pytest.raises(InvalidRequestError, match=f"'{field}'"):
        wire.parse_completion(fields)


@pytest.mark.parametrize("value", ["a/b", "a.b", "a\\b", "..", "é", "a" * 65, "a\n", 5, b"a"])
def test_file_ids_that_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"'file_id'"):
        wire.parse_request({"file_id": value}, b"")


@pytest.mark.parametrize("value", ["x", "", "1.5", "9" * 10_000, b"1", True, 1.0, []])
def test_numbers_that_are_none(value: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"'segment_number'.*integer"):
        wire.parse_request({"segment_number": value}, b"")
    with pytest.raises(InvalidRequestError, match=r"'size'.*integer"):
        wire.parse_completion({**FIELDS, "size": value})


@pytest.mark.parametrize("value", ["STORE", "delete", 1, b"store", ["store"]])
def test_results_that_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequestError, match=r"'result'"):
        wire.parse_request({"result": value}, b"")


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(), anything), anything)
def test_garbage_is_refused_with_one_kind_of_error_and_short(
    fields: dict[str, object], payload: object
) -> None:
    complaint = ""
    try:
        wire.parse_completion(wire.parse_request(fields, payload).fields)
    except InvalidRequestError as error:
        complaint = str(error)
    assert len(complaint) < 300


@pytest.mark.parametrize("payload", [5, [b"a"], "\ud800"])
def test_payloads_that_are_no_bytes(payload: object) -> None:
    with pytest.raises(InvalidRequestError, match="payload"):
        wire.parse_request({}, payload)


@pytest.mark.parametrize("fields", [None, [], "a", 5])
def test_fields_that_are_no_mapping(fields: object) -> None:
    with pytest.raises(InvalidRequestError, match="no mapping"):
        wire.parse_request(fields, b"")

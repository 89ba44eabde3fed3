import json
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import MAX_FILE_SIZE, MAX_PAYLOAD, MAX_RANGES
from dxlfiletransferclient.protocol.messages import (
    BatchAnswer,
    EntryResult,
    HelloRequest,
    ListAnswer,
    Message,
    OpenRequest,
    Overwrite,
    SegmentRequest,
    StatRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import CHECK, DIGEST, Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from tests.unit.client.messagestrategies import KINDS, anything, entries

HOSTILE_TEXTS = (
    "",
    "0",
    "-1",
    "1" * 25,
    "1_0",
    "\u0661",
    " 1",
    "1-2",
    "2-1",
    "0-5,5-6",
    "0-5,3-6",
    ",",
    "0-",
    "true",
    "\0",
    "\n",
    "a" * 70,
    "stored",
    "replace",
    "1e3",
    "nan",
)
FIELD_NAMES = sorted({name for kind in KINDS for name in kind.__dataclass_fields__})

hostile_fields = st.dictionaries(
    st.sampled_from(FIELD_NAMES) | st.text(max_size=5),
    st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=10),
    max_size=8,
).map(lambda fields: {name: value for name, value in fields.items() if name not in {CHECK, DIGEST}})
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(HOSTILE_TEXTS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*FIELD_NAMES, "length"]), inner, max_size=4)
    ),
    max_leaves=12,
)
json_payloads = json_values.map(lambda value: json.dumps(value).encode())
batch_payloads = st.builds(
    lambda header, extra, length: (len(header) + length).to_bytes(4, "big") + header + extra,
    json_payloads,
    st.binary(max_size=20),
    st.just(0) | st.integers(0, 2**32 - 1 - 2**20),
)
hostile_payloads = st.binary(max_size=40) | json_payloads | batch_payloads


def damaged_fields(fields: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Every way to flip one bit of a name or value that is still text then."""
    for name, value in fields.items():
        others = {other: text for other, text in fields.items() if other != name}
        for flipped in flipped_texts(name):
            yield {**others, flipped: value}
        for flipped in flipped_texts(value):
            yield {**others, name: flipped}


def decoded(kind: type[Message], parcel: Parcel) -> Message | RefusedError:
    """Return the message, or why it is none; other exceptions go on."""
    try:
        return decode(kind, parcel)
    except RefusedError as error:
        return error


def flipped_texts(text: str) -> Iterator[str]:
    for flipped in flipped_bytes(text.encode()):
        yield flipped.decode(errors="surrogateescape")


def flipped_bytes(data: bytes) -> Iterator[bytes]:
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


@settings(max_examples=500)
@given(anything)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    assert decode(type(message), encode(message)) == message


@settings(max_examples=100)
@given(anything)
def test_every_payload_fits_and_every_field_is_text(message: Message) -> None:
    parcel = encode(message)
    assert len(parcel.payload) <= MAX_PAYLOAD
    assert all(type(value) is str for value in parcel.fields.values())


@settings(max_examples=30, deadline=None)
@given(anything)
def test_any_flipped_bit_is_noticed(message: Message) -> None:
    parcel = encode(message)
    damaged = [Parcel(fields, parcel.payload) for fields in damaged_fields(parcel.fields)]
    damaged += [Parcel(parcel.fields, data) for data in flipped_bytes(bytes(parcel.payload))]
    for each in damaged:
        with pytest.raises(RefusedError) as caught:
            decode(type(message), each)
        assert caught.value.means(ErrorCode.CORRUPT)


@settings(max_examples=500)
@given(st.sampled_from(KINDS), hostile_fields, hostile_payloads)
def test_nothing_that_is_sealed_raises_anything_but_a_refusal(
    kind: type[Message], fields: dict[str, str], payload: bytes
) -> None:
    found = decoded(kind, sealed(fields, payload))
    if isinstance(found, RefusedError):
        assert found.means(ErrorCode.INVALID)
        assert found.message.isprintable()
    else:
        assert type(found) is kind


@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.text(st.characters(), max_size=9), st.text(st.characters(), max_size=9)),
    st.binary(max_size=40),
)
def test_nothing_that_is_not_sealed_is_read(
    kind: type[Message], fields: dict[str, str], payload: bytes
) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(kind, Parcel(fields, payload))
    assert caught.value.means(ErrorCode.CORRUPT)


@settings(max_examples=200)
@given(anything, st.sampled_from(KINDS))
def test_a_message_of_another_class_is_refused_or_fits(
    message: Message, kind: type[Message]
) -> None:
    found = decoded(kind, encode(message))
    assert type(found) is kind or (
        isinstance(found, RefusedError) and found.means(ErrorCode.INVALID)
    )


def test_fields_that_a_newer_peer_added_are_ignored() -> None:
    assert decode(HelloRequest, sealed({"novelty": "1"}, b"more")) == HelloRequest()
    answer = BatchAnswer(results=(EntryResult(state=TransferState.STORED),))
    newer = sealed({}, b'[{"state": "stored", "novelty": [1]}]')
    assert decode(BatchAnswer, newer) == answer


def test_what_has_its_default_may_be_left_out() -> None:
    found = decode(OpenRequest, sealed({"file_id": "a", "name": "n"}))
    assert found == OpenRequest(file_id="a", name="n", overwrite=Overwrite.REPLACE)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(RefusedError, match="missing 'name'"):
        decode(OpenRequest, sealed({"file_id": "a"}))


@pytest.mark.parametrize("text", ["", "+1", " 1", "1_000", "\u0661", "--1", "1.0", "9" * 21])
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="'offset'"):
        decode(SegmentRequest, sealed({"file_id": "a", "offset": text}, b"1"))


@pytest.mark.parametrize("text", ["", "yes", "True", "01"])
def test_what_is_neither_yes_nor_no_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="'with_sha256'"):
        decode(StatRequest, sealed({"name": "a", "with_sha256": text}))


@pytest.mark.parametrize(
    "text", ["5", "5-", "-5", "5-5", "5-4", "0-5,5-6", "0-5,4-6", "7-8,0-1", "0-1,", "a-b", "0-1,x"]
)
def test_ranges_that_are_none_are_refused(text: str) -> None:
    fields = {"state": "receiving", "segment_size": "1", "window": "1", "held": text}
    with pytest.raises(RefusedError) as caught:
        decode(TransferAnswer, sealed(fields))
    assert caught.value.means(ErrorCode.INVALID)


def test_of_many_ranges_the_first_are_told() -> None:
    many = tuple((each * 10, each * 10 + 5) for each in range(MAX_RANGES + 9))
    told = TransferAnswer(state=TransferState.RECEIVING, held=many, segment_size=1, window=1)
    assert decode(TransferAnswer, encode(told)).held == many[:MAX_RANGES]


def test_more_ranges_than_are_allowed_are_refused() -> None:
    text = ",".join(f"{each * 10}-{each * 10 + 5}" for each in range(MAX_RANGES + 1))
    fields = {"state": "receiving", "segment_size": "1", "window": "1", "held": text}
    with pytest.raises(RefusedError, match="more than 256"):
        decode(TransferAnswer, sealed(fields))


def test_the_largest_ranges_are_read() -> None:
    largest = ((0, 1), (MAX_FILE_SIZE - 1, MAX_FILE_SIZE))
    told = TransferAnswer(state=TransferState.RECEIVING, held=largest, segment_size=1, window=1)
    assert decode(TransferAnswer, encode(told)) == told


def test_a_deeply_nested_payload_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        decode(ListAnswer, sealed({}, b"[" * 200_000))
    assert caught.value.means(ErrorCode.INVALID)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"1", b"null", b"[1]", b"[null]", b"[[]]", b"[{}]", b"\xff", b'[{"name": 1}]'],
)
def test_a_payload_that_is_no_array_of_entries_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(ListAnswer, sealed({}, payload))
    assert caught.value.means(ErrorCode.INVALID)


@pytest.mark.parametrize("size", ["1.0", "true", '"1"', "null", "-1", "1e400", str(2**63)])
def test_a_size_in_a_payload_is_a_size(size: str) -> None:
    payload = f'[{{"name": "a", "kind": "file", "modified_ns": 0, "size": {size}}}]'
    with pytest.raises(RefusedError) as caught:
        decode(ListAnswer, sealed({}, payload.encode()))
    assert caught.value.means(ErrorCode.INVALID)


@given(st.lists(entries, max_size=3), st.sampled_from([bytes, bytearray, memoryview]))
def test_every_kind_of_payload_is_read(found: list[object], kind: type[bytes]) -> None:
    answer = ListAnswer(entries=tuple(found))  # type: ignore[arg-type]
    parcel = encode(answer)
    assert decode(ListAnswer, Parcel(parcel.fields, kind(bytes(parcel.payload)))) == answer

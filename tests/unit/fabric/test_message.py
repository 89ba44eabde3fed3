import base64
import json
from pathlib import Path

import dxlclient.message as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import message as ours
from dxlfabric.errors import MalformedMessageError
from dxlfabric.mqtt import Publish
from dxlfabric.packets import PacketReader

TRANSCRIPTS = Path(__file__).parents[2] / "data" / "fabric-transcripts"

TEXTS = st.text(max_size=40)
NAMES = st.text(min_size=1, max_size=12)
LISTS = st.lists(TEXTS, max_size=20)
CODES = st.integers(min_value=-(2**31), max_value=2**32 - 1)

COMMON = {
    "message_id": TEXTS,
    "source_client_id": TEXTS,
    "source_broker_id": TEXTS,
    "broker_ids": LISTS.map(tuple),
    "client_ids": LISTS.map(tuple),
    "payload": st.binary(max_size=70_000),
    "other_fields": st.dictionaries(NAMES, TEXTS, max_size=10),
    "source_tenant_id": TEXTS,
    "destination_tenant_ids": LISTS.map(tuple),
    "source_client_instance": TEXTS,
}
ANSWER = COMMON | {"request_message_id": TEXTS, "service_id": TEXTS}


def messages(version: int) -> st.SearchStrategy[ours.Message]:
    same: dict[str, st.SearchStrategy[object]] = {"version": st.just(version)}
    return st.one_of(
        st.builds(ours.Event, **COMMON, **same),
        st.builds(ours.Request, **COMMON, reply_to_topic=TEXTS, service_id=TEXTS, **same),
        st.builds(ours.Response, **ANSWER, **same),
        st.builds(ours.ErrorResponse, **ANSWER, error_code=CODES, error_message=TEXTS, **same),
    )


@given(messages(3))
def test_messages_come_back(message: ours.Message) -> None:
    assert ours.decode(ours.encode(message).join()) == message


@given(messages(0) | messages(1) | messages(2))
def test_earlier_versions_leave_out_what_they_do_not_have(message: ours.Message) -> None:
    read = ours.decode(ours.encode(message).join())
    assert (read.message_id, bytes(read.payload)) == (message.message_id, message.payload)
    assert read.other_fields == (message.other_fields if message.version >= 1 else {})
    assert read.source_tenant_id == (message.source_tenant_id if message.version >= 2 else "")
    assert read.source_client_instance == ""
    assert type(read) is type(message)


@given(messages(2))
def test_the_bytes_are_those_of_the_official_client(message: ours.Message) -> None:
    assert ours.encode(message).join() == in_official(message)._to_bytes()


@given(messages(2) | messages(3))
def test_the_official_client_reads_what_we_write(message: ours.Message) -> None:
    read = official.Message._from_bytes(ours.encode(message).join())
    assert read.message_type == message.message_type
    assert read.message_id == message.message_id
    assert read.payload == message.payload
    assert read.other_fields == message.other_fields
    assert tuple(read.client_ids) == message.client_ids
    assert tuple(read.destination_tenant_guids) == message.destination_tenant_ids
    if isinstance(message, ours.ErrorResponse):
        assert isinstance(read, official.ErrorResponse)
        assert (read.error_code, read.error_message) == (message.error_code, message.error_message)


@given(messages(3), st.data())
def test_any_part_of_a_message_is_read_or_refused(
    message: ours.Message, data: st.DataObject
) -> None:
    whole = ours.encode(message).join()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MalformedMessageError):
        ours.decode(part)


@given(st.binary(max_size=300))
def test_any_input_is_read_or_refused(data: bytes) -> None:
    try:
        message = ours.decode(data)
    except MalformedMessageError:
        return
    assert isinstance(message, ours.Message)


@given(messages(3), st.data())
def test_a_damaged_message_is_read_or_refused(message: ours.Message, data: st.DataObject) -> None:
    damaged = bytearray(ours.encode(message).join())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        ours.decode(damaged)
    except MalformedMessageError:
        return


def test_the_payload_is_a_view_of_the_input() -> None:
    data = ours.encode(ours.Event(message_id="{1}", payload=b"x" * 100_000)).join()
    payload = ours.decode(data).payload
    assert isinstance(payload, memoryview)
    assert payload.obj is data


def test_writing_passes_the_payload_on_as_it_is() -> None:
    payload = memoryview(bytearray(100_000))
    assert ours.encode(ours.Event(message_id="{1}", payload=payload)).payload is payload


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x04\x00", "version 4"),
        (b"\xff\x00", "version -1"),
        (b"\x02\x07", "7 is no type"),
        (b"\x02\x02\xa1a\xa0\xa0\x90\x90\xc4\x01a", "0xc4"),
    ],
)
def test_what_is_no_message(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessageError, match=complaint):
        ours.decode(data)


def test_a_field_without_value_is_refused() -> None:
    whole = ours.encode(ours.Event(message_id="{1}", version=1)).join()
    assert whole.endswith(b"\x90")
    with pytest.raises(MalformedMessageError, match="no value"):
        ours.decode(whole[:-1] + b"\x91\xa1a")


def test_an_unknown_version_is_not_written() -> None:
    with pytest.raises(ValueError, match="version 4"):
        ours.encode(ours.Event(message_id="{1}", version=4))


def recorded() -> list[bytes]:
    found = []
    for path in sorted(TRANSCRIPTS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if entry["packet"] == "PUBLISH" and "bytes" in entry:
                found.append(base64.b64decode(entry["bytes"]))
    return found


def test_every_recorded_message_is_written_as_it_was_read() -> None:
    packets = recorded()
    assert len(packets) > 100
    for packet in packets:
        (publish,) = PacketReader().feed(packet)
        assert isinstance(publish, Publish)
        assert ours.encode(ours.decode(publish.payload)).join() == publish.payload


def in_official(message: ours.Message) -> official.Message:
    """Build the same message with the official client's classes."""
    asked = official.Request("")
    vars(asked)["_message_id"] = getattr(message, "request_message_id", "")
    asked.service_id = getattr(message, "service_id", "")
    made: official.Message
    if isinstance(message, ours.Request):
        made = asked
        asked.reply_to_topic = message.reply_to_topic
    elif isinstance(message, ours.ErrorResponse):
        made = official.ErrorResponse(asked, message.error_code, message.error_message)
    elif isinstance(message, ours.Response):
        made = official.Response(asked)
    else:
        made = official.Event("")
    vars(made).update(
        _message_id=message.message_id,
        _source_client_id=message.source_client_id,
        _source_broker_id=message.source_broker_id,
    )
    made.broker_ids = list(message.broker_ids)
    made.client_ids = list(message.client_ids)
    made.payload = bytes(message.payload)
    made.other_fields = dict(message.other_fields)
    made.source_tenant_guid = message.source_tenant_id
    made.destination_tenant_guids = list(message.destination_tenant_ids)
    return made

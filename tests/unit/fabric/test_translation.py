"""The official client's messages by our codec: the same bytes, the same messages."""

from typing import Any

import dxlclient.message as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import message as codec
from dxlfabric.translation import from_bytes, to_pieces

TEXTS = st.text(max_size=40)
ATTRIBUTES = (
    "version",
    "message_type",
    "message_id",
    "source_client_id",
    "source_broker_id",
    "broker_ids",
    "client_ids",
    "payload",
    "other_fields",
    "source_tenant_guid",
    "destination_tenant_guids",
    "reply_to_topic",
    "service_id",
    "request_message_id",
    "error_code",
    "error_message",
)


@st.composite
def messages(draw: st.DrawFn) -> official.Message:
    request = official.Request("/a/topic")
    request.reply_to_topic = draw(TEXTS)
    request.service_id = draw(TEXTS)
    code = draw(st.integers(-(2**31), 2**31))
    message: official.Message = draw(
        st.sampled_from(
            [
                request,
                official.Response(request),
                official.ErrorResponse(request, code, draw(TEXTS)),
                official.Event("/a/topic"),
            ]
        )
    )
    message.payload = draw(st.one_of(st.binary(max_size=70_000), TEXTS))
    message.other_fields = draw(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=20))
    message.broker_ids = draw(st.lists(TEXTS, max_size=3))
    message.client_ids = draw(st.lists(TEXTS, max_size=3))
    message.source_tenant_guid = draw(TEXTS)
    message.destination_tenant_guids = draw(st.lists(TEXTS, max_size=3))
    return message


def attributes(message: official.Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ATTRIBUTES if hasattr(message, name)}


@given(messages())
def test_messages_are_written_as_the_official_client_does(message: official.Message) -> None:
    assert to_pieces(message).join() == message._to_bytes()


@given(messages())
def test_messages_are_read_as_the_official_client_does(message: official.Message) -> None:
    raw = message._to_bytes()
    read, expected = from_bytes(raw), official.Message._from_bytes(raw)
    assert isinstance(read, type(expected))
    assert attributes(read) == attributes(expected)
    assert type(read.payload) is bytes


def test_messages_as_brokers_write_them() -> None:
    raw = codec.encode(
        codec.Request(
            message_id="{1}",
            payload=b"content",
            source_client_id="client",
            source_client_instance="instance",
            version=codec.VERSION_OF_BROKERS,
        )
    ).join()
    read, expected = from_bytes(raw), official.Message._from_bytes(raw)
    assert attributes(read) == attributes(expected)


def test_payload_of_any_kind_of_bytes() -> None:
    message = official.Event("/a/topic")
    message.payload = memoryview(b"some content")[5:]  # type: ignore[assignment]
    assert from_bytes(to_pieces(message).join()).payload == b"content"


def test_what_only_the_official_client_can_write() -> None:
    message = official.Event("/a/topic")
    message.payload = None  # type: ignore[assignment]
    assert to_pieces(message).join() == message._to_bytes()


def test_text_that_is_not_there_is_read_as_empty() -> None:
    message = official.Request("/a/topic")
    message.service_id = None  # type: ignore[assignment]
    message.reply_to_topic = "/reply"
    read = from_bytes(message._to_bytes())
    assert isinstance(read, official.Request)
    assert (read.reply_to_topic, read.service_id) == ("/reply", "")


def test_what_only_the_official_client_can_read() -> None:
    raw = bytes([9]) + official.Event("/a/topic")._to_bytes()[1:]
    assert attributes(from_bytes(raw)) == attributes(official.Message._from_bytes(raw))


def test_what_is_no_message() -> None:
    with pytest.raises(Exception, match=r".*"):
        from_bytes(b"\xc1 no message")

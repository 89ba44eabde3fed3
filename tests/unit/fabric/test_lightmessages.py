"""Messages made without the official constructors are what those would have made."""

import copy
from typing import Any

import dxlclient.message as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import message as codec
from dxlfabric.lightmessages import new_response, payload_of, received

TEXTS = st.text(max_size=20)
SOME_TEXTS = st.lists(TEXTS, max_size=3).map(tuple)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "message_id": TEXTS,
    "source_client_id": TEXTS,
    "source_broker_id": TEXTS,
    "broker_ids": SOME_TEXTS,
    "client_ids": SOME_TEXTS,
    "payload": st.binary(max_size=200),
    "other_fields": st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=5),
    "source_tenant_id": TEXTS,
    "destination_tenant_ids": SOME_TEXTS,
    "source_client_instance": TEXTS,
    "version": st.integers(0, codec.VERSION_OF_BROKERS),
}
ANSWERS = COMMON | {"request_message_id": TEXTS, "service_id": TEXTS}
MESSAGES = st.one_of(
    st.builds(codec.Event, **COMMON),
    st.builds(codec.Request, **COMMON, reply_to_topic=TEXTS, service_id=TEXTS),
    st.builds(codec.Response, **ANSWERS),
    st.builds(
        codec.ErrorResponse, **ANSWERS, error_code=st.integers(-(2**31), 2**31), error_message=TEXTS
    ),
)


def attributes(message: official.Message, kind: type[official.Message]) -> dict[str, Any]:
    """Everything public that the official class has."""
    names = [name for name in dir(kind) if not name.startswith("_")]
    return {name: getattr(message, name) for name in names}


@given(MESSAGES)
def test_received_messages_are_as_the_official_client_reads_them(found: codec.Message) -> None:
    raw = codec.encode(found).join()
    expected = official.Message._from_bytes(raw)
    message = received(codec.decode(raw))
    assert isinstance(message, type(expected))
    assert attributes(message, type(expected)) == attributes(expected, type(expected))
    assert type(message.payload) is bytes
    assert message._to_bytes() == expected._to_bytes()


@pytest.mark.parametrize("kind", [codec.Event, codec.Request, codec.Response, codec.ErrorResponse])
def test_payload_is_a_view_until_somebody_wants_bytes(kind: type[codec.Message]) -> None:
    raw = codec.encode(kind(message_id="{1}", payload=b"content")).join()
    message = received(codec.decode(raw))
    view = payload_of(message)
    assert isinstance(view, memoryview)
    assert view.obj is raw
    assert message.payload == b"content"
    assert message.payload is message.payload
    assert payload_of(message) is view


def test_payload_can_be_set() -> None:
    message = received(codec.Event(message_id="{1}", payload=memoryview(b"content")))
    message.payload = b"other"
    assert (message.payload, payload_of(message)) == (b"other", b"other")
    message.payload = None  # type: ignore[assignment]
    assert message.payload is None
    assert payload_of(message) is None  # type: ignore[unreachable]


def test_payload_of_the_official_classes() -> None:
    message = official.Event("/a/topic")
    assert payload_of(message) == b""
    message.payload = b"content"
    assert payload_of(message) is message.payload


def test_lists_of_one_message_are_its_own() -> None:
    first, second = (received(codec.Event(message_id="{1}")) for _ in range(2))
    first.broker_ids.append("{broker}")
    first.client_ids.append("{client}")
    first.destination_tenant_guids.append("{tenant}")
    assert (second.broker_ids, second.client_ids) == ([], [])
    assert second.destination_tenant_guids == []
    request = official.Request("/a")
    response, other = new_response(request, "{1}"), new_response(request, "{2}")
    response.other_fields["name"] = "value"
    response.client_ids.append("{client}")
    assert (other.other_fields, other.client_ids) == ({}, [])


def test_a_received_message_can_be_copied() -> None:
    message = received(codec.Event(message_id="{1}", payload=memoryview(b"content")))
    again = copy.copy(message)
    again.payload = b"other"
    assert (message.payload, again.message_id) == (b"content", "{1}")


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_new_response(service: str, client: str, broker: str, reply_to: str) -> None:
    request = received(
        codec.Request(
            message_id="{1}",
            service_id=service,
            source_client_id=client,
            source_broker_id=broker,
            reply_to_topic=reply_to,
        )
    )
    assert isinstance(request, official.Request)
    expected = official.Response(request)
    response = new_response(request, expected.message_id)
    assert vars(response) == vars(expected)
    assert type(response) is official.Response
    assert response.request is request
    assert response._to_bytes() == expected._to_bytes()

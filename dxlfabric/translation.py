"""The official client's messages, written and read by this package's codec.

The official client packs and unpacks in pure Python, which takes more than two milliseconds for a
message of a megabyte; the codec takes a fraction of one, mostly for copying the payload once.
"""

from typing import Any

import dxlclient.message as official

from dxlfabric import message as codec
from dxlfabric.errors import MalformedMessageError


def to_bytes(message: official.Message) -> bytes:
    """Return a message as the official client would write it, byte for byte."""
    try:
        return codec.encode(_translated(message)).join()
    except (TypeError, ValueError, AttributeError):
        # What an attribute should not be, the official client may still have a way to write.
        return message._to_bytes()  # noqa: SLF001 - how the official client writes a message


def from_bytes(raw: bytes | memoryview) -> official.Message:
    """Return the message that the official client would read, its payload as ``bytes``.

    A text that is not there is empty, where the official client has ``None``.

    Raises:
        Exception: Whatever the official client raises where it cannot read a message either.
    """
    try:
        found = codec.decode(raw)
    except MalformedMessageError:
        # It is lenient where the codec is strict, for example with nothing in place of a text.
        return official.Message._from_bytes(bytes(raw))  # noqa: SLF001 - how it reads a message
    message = _empty(found)
    message.broker_ids = list(found.broker_ids)
    message.client_ids = list(found.client_ids)
    message.payload = bytes(found.payload)
    message.other_fields = found.other_fields
    message.source_tenant_guid = found.source_tenant_id
    message.destination_tenant_guids = list(found.destination_tenant_ids)
    _set(
        message,
        version=found.version,
        message_id=found.message_id,
        source_client_id=found.source_client_id,
        source_broker_id=found.source_broker_id,
    )
    return message


def _translated(message: official.Message) -> codec.Message:
    payload = message.payload
    common: dict[str, Any] = {
        "version": message.version,
        "message_id": message.message_id,
        "source_client_id": message.source_client_id,
        "source_broker_id": message.source_broker_id,
        "broker_ids": tuple(message.broker_ids),
        "client_ids": tuple(message.client_ids),
        "payload": payload.encode() if isinstance(payload, str) else payload,
        "other_fields": message.other_fields,
        "source_tenant_id": message.source_tenant_guid,
        "destination_tenant_ids": tuple(message.destination_tenant_guids),
    }
    if isinstance(message, official.Request):
        service_id, reply_to = message.service_id, message.reply_to_topic
        return codec.Request(**common, service_id=service_id, reply_to_topic=reply_to)
    if isinstance(message, official.Response):
        common["request_message_id"] = message.request_message_id
        common["service_id"] = message.service_id
    if isinstance(message, official.ErrorResponse):
        code, text = message.error_code, message.error_message
        return codec.ErrorResponse(**common, error_code=code, error_message=text)
    if isinstance(message, official.Response):
        return codec.Response(**common)
    return codec.Event(**common)


def _empty(found: codec.Message) -> official.Message:
    if isinstance(found, codec.Request):
        request = official.Request("")
        request.reply_to_topic = found.reply_to_topic
        request.service_id = found.service_id
        return request
    if isinstance(found, codec.ErrorResponse):
        error = official.ErrorResponse(None, found.error_code, found.error_message)
        _set(error, request_message_id=found.request_message_id, service_id=found.service_id)
        return error
    if isinstance(found, codec.Response):
        response = official.Response(None)
        _set(response, request_message_id=found.request_message_id, service_id=found.service_id)
        return response
    return official.Event("")


def _set(message: official.Message, **values: object) -> None:
    """Set what the official classes let only themselves set."""
    for name, value in values.items():
        setattr(message, f"_{name}", value)

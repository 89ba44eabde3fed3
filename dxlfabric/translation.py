"""The official client's messages, written and read by this package's codec.

The official client packs and unpacks in pure Python, which takes more than two milliseconds for a
message of a megabyte; the codec takes some hundredths of one.
"""

from typing import Any

import dxlclient.message as official

from dxlfabric import message as codec
from dxlfabric.errors import MalformedMessageError
from dxlfabric.lightmessages import payload_of, received


def to_pieces(message: official.Message) -> codec.Encoded:
    """Return a message as the official client would write it, byte for byte, in pieces.

    The payload is not copied: it must not change as long as the pieces are needed.
    """
    try:
        return codec.encode(_translated(message))
    except (TypeError, ValueError, AttributeError):
        # What an attribute should not be, the official client may still have a way to write.
        written: bytes = message._to_bytes()  # noqa: SLF001 - how it writes a message
        return codec.Encoded(written, b"", b"")


def from_bytes(raw: codec.Body) -> official.Message:
    """Return the message that the official client would read.

    Its payload is made ``bytes`` when it is asked for; :func:`.lightmessages.payload_of` has it as
    it came. A text that is not there is empty, where the official client has ``None``.

    Raises:
        Exception: Whatever the official client raises where it cannot read a message either.
    """
    try:
        found = codec.decode(raw)
    except MalformedMessageError:
        # It is lenient where the codec is strict, for example with nothing in place of a text.
        return official.Message._from_bytes(bytes(raw))  # noqa: SLF001 - how it reads a message
    return received(found)


def _bytes_of(payload: object) -> codec.Body:
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, bytearray):
        return bytes(payload)  # whoever has it may go on to change it
    if isinstance(payload, memoryview):
        plain = payload.contiguous and payload.itemsize == 1
        return payload if plain else bytes(payload)
    if isinstance(payload, bytes):
        return payload
    raise TypeError(f"a payload of type {type(payload).__name__} is the official client's business")


def _translated(message: official.Message) -> codec.Message:
    common: dict[str, Any] = {
        "version": message.version,
        "message_id": message.message_id,
        "source_client_id": message.source_client_id,
        "source_broker_id": message.source_broker_id,
        "broker_ids": tuple(message.broker_ids),
        "client_ids": tuple(message.client_ids),
        "payload": _bytes_of(payload_of(message)),
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

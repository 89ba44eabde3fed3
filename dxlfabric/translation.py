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
    except (TypeError, ValueError, AttributeError, KeyError):
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
    found = read(raw)
    return received(found) if isinstance(found, codec.Message) else found


def read(raw: codec.Body) -> codec.Message | official.Message:
    """Return a message as the codec has it, or as the official client where only that can read it.

    Raises:
        Exception: As :func:`from_bytes`.
    """
    try:
        return codec.decode(raw)
    except MalformedMessageError:
        # It is lenient where the codec is strict, for example with nothing in place of a text.
        return official.Message._from_bytes(bytes(raw))  # noqa: SLF001 - how it reads a message


def content_of(payload: object) -> codec.Body:
    """Return a payload as bytes that do not change, and that are copied only if they might.

    Raises:
        TypeError: It is neither bytes nor text.
    """
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, memoryview):
        plain = payload.contiguous and payload.itemsize == 1
        return payload if plain else bytes(payload)
    if isinstance(payload, bytearray):
        return bytes(payload)  # whoever has it may go on to change it
    if isinstance(payload, str):
        return payload.encode()
    raise TypeError(f"a payload of type {type(payload).__name__} is the official client's business")


def _translated(message: official.Message) -> codec.Message:
    # As the official client, which writes these and not the properties.
    held = message.__dict__
    common: dict[str, Any] = {
        "version": held["_version"],
        "message_id": held["_message_id"],
        "source_client_id": held["_source_client_id"],
        "source_broker_id": held["_source_broker_id"],
        "broker_ids": tuple(held["_broker_ids"]),
        "client_ids": tuple(held["_client_ids"]),
        "payload": content_of(payload_of(message)),
        "other_fields": held["_other_fields"],
        "source_tenant_id": held["_source_tenant_guid"],
        "destination_tenant_ids": tuple(held["_destination_tenant_guids"]),
    }
    number = message.message_type
    if number == codec.MessageType.EVENT:
        return codec.Event(**common)
    common["service_id"] = held["_service_id"]
    if number == codec.MessageType.REQUEST:
        return codec.Request(**common, reply_to_topic=held["_reply_to_topic"])
    common["request_message_id"] = held["_request_message_id"]
    if number == codec.MessageType.RESPONSE:
        return codec.Response(**common)
    code, text = held["_error_code"], held["_error_message"]
    return codec.ErrorResponse(**common, error_code=code, error_message=text)

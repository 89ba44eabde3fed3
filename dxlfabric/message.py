"""DXL messages: the envelope around every payload on the fabric.

The envelope is a row of packed objects. Version 0 has the identifiers, the payload and what the
message's type adds; version 1 appends other fields, version 2 tenants, version 3 the instance of
the client that sent it. Versions 0 to 3 are read and written; clients write 2 and brokers 3.

Nothing here touches the payload: it is read as a view of the input, and :func:`encode` gives it
back as the middle one of three pieces, to be written one after the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, NamedTuple

from dxlfabric.errors import MalformedMessageError
from dxlfabric.layout import Layout, look_over
from dxlfabric.packing import Unpacker, pack_integer, pack_text, pack_texts, raw_header

Body = bytes | bytearray | memoryview

VERSION_OF_CLIENTS = 2
"""What the official client writes."""

VERSION_OF_BROKERS = 3
"""What a broker writes, and the newest version there is."""


class MessageType(IntEnum):
    """The numbers of the message types on the wire."""

    REQUEST = 0
    RESPONSE = 1
    EVENT = 2
    ERROR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What all messages have; the topic is not part of a message but of the packet around it.

    Attributes:
        message_id: Identifier that the sender made up, usually a UUID in braces.
        source_client_id: SHA-1 of the sender's certificate; set by the broker.
        source_broker_id: Broker that took the message in; set by the broker.
        broker_ids: Brokers to deliver to; empty for all.
        client_ids: Clients to deliver to; empty for all that subscribe to the topic.
        payload: The content; a view of the input in a message that was read.
        other_fields: Named texts beside the payload, in the order of the wire.
        source_tenant_id: Tenant of the sender, where a fabric has tenants.
        destination_tenant_ids: Tenants to deliver to; empty for all.
        source_client_instance: The one connection that sent it; set by the broker.
        version: Version of the envelope, 0 to 3.
    """

    message_type: ClassVar[MessageType]

    message_id: str
    source_client_id: str = ""
    source_broker_id: str = ""
    broker_ids: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    payload: Body = b""
    other_fields: dict[str, str] = field(default_factory=dict)
    source_tenant_id: str = ""
    destination_tenant_ids: tuple[str, ...] = ()
    source_client_instance: str = ""
    version: int = VERSION_OF_CLIENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Message):
    """Goes to everyone who subscribes to the topic."""

    message_type: ClassVar[MessageType] = MessageType.EVENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message):
    """Goes to one instance of a service.

    Attributes:
        reply_to_topic: Topic for the answer.
        service_id: Instance to ask; empty to let the broker choose one.
    """

    message_type: ClassVar[MessageType] = MessageType.REQUEST

    reply_to_topic: str = ""
    service_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Message):
    """Answers a request.

    Attributes:
        request_message_id: Identifier of the request.
        service_id: Instance that answers.
    """

    message_type: ClassVar[MessageType] = MessageType.RESPONSE

    request_message_id: str = ""
    service_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse(Response):
    """Answers a request that failed.

    Attributes:
        error_code: A number of the service's choosing; the fabric's own are negative.
        error_message: What went wrong, for people.
    """

    message_type: ClassVar[MessageType] = MessageType.ERROR

    error_code: int = 0
    error_message: str = ""


class Encoded(NamedTuple):
    """A message in three pieces whose concatenation is its encoding."""

    head: bytes
    payload: Body
    tail: bytes

    def join(self) -> bytes:
        """Return the encoding in one piece, which copies the payload."""
        return b"".join(self)


_READERS: dict[int, Callable[..., Message]] = {
    MessageType.REQUEST: Request,
    MessageType.RESPONSE: Response,
    MessageType.EVENT: Event,
    MessageType.ERROR: ErrorResponse,
}


def decode(data: Body) -> Message:
    """Read one message.

    Args:
        data: The whole message. The result's payload is a view of it. Bytes behind the last field
            are ignored.

    Returns:
        A :class:`Request`, :class:`Response`, :class:`Event` or :class:`ErrorResponse`.

    Raises:
        MalformedMessageError: The data is no DXL message of version 0 to 3.
    """
    view = memoryview(data)
    try:
        return _of_layout(view, look_over(view))
    except (IndexError, ValueError):
        # It may be malformed, or well-formed in a way that is read object by object.
        return _unpacked(view)


def _of_layout(view: memoryview, found: Layout) -> Message:
    """Return the message that was looked over."""
    texts = found.texts
    flat = texts[found.fields_at : found.tenants_at]
    fields: dict[str, object] = {
        "version": found.version,
        "message_id": texts[0],
        "source_client_id": texts[1],
        "source_broker_id": texts[2],
        "broker_ids": tuple(texts[3 : found.clients_at]),
        "client_ids": tuple(texts[found.clients_at : found.own_at]),
        "payload": view[found.payload[0] : found.payload[1]],
        "other_fields": dict(zip(flat[::2], flat[1::2], strict=True)),
        "source_tenant_id": texts[found.tenants_at],
        "destination_tenant_ids": tuple(texts[found.tenants_at + 1 : found.instance_at]),
    }
    number = found.message_type
    if number == MessageType.REQUEST:
        fields["reply_to_topic"] = texts[found.own_at]
        fields["service_id"] = texts[found.own_at + 1]
    elif number != MessageType.EVENT:
        fields["request_message_id"] = texts[found.own_at]
        fields["service_id"] = texts[found.own_at + 1]
    if found.version >= VERSION_OF_BROKERS:
        fields["source_client_instance"] = texts[found.instance_at]
    return _READERS[number](**fields)


def _unpacked(view: memoryview) -> Message:
    """Read any message, object by object."""
    unpacker = Unpacker(view)
    version = unpacker.integer()
    if not 0 <= version <= VERSION_OF_BROKERS:
        raise MalformedMessageError(f"version {version} of a message is none of 0 to 3")
    number = unpacker.integer()
    make = _READERS.get(number)
    if make is None:
        raise MalformedMessageError(f"{number} is no type of a message")
    fields: dict[str, object] = {
        "version": version,
        "message_id": unpacker.text(),
        "source_client_id": unpacker.text(),
        "source_broker_id": unpacker.text(),
        "broker_ids": unpacker.texts(),
        "client_ids": unpacker.texts(),
        "payload": unpacker.raw(),
    }
    if number == MessageType.REQUEST:
        fields["reply_to_topic"] = unpacker.text()
        fields["service_id"] = unpacker.text()
    elif number != MessageType.EVENT:
        fields["request_message_id"] = unpacker.text()
        fields["service_id"] = unpacker.text()
    if number == MessageType.ERROR:
        fields["error_code"] = unpacker.integer()
        fields["error_message"] = unpacker.text()
    if version >= 1:
        fields["other_fields"] = _other_fields(unpacker.texts())
    if version >= 2:
        fields["source_tenant_id"] = unpacker.text()
        fields["destination_tenant_ids"] = unpacker.texts()
    if version >= 3:
        fields["source_client_instance"] = unpacker.text()
    return make(**fields)


def encode(message: Message) -> Encoded:
    """Write a message in the version that it names; fields of later versions are left out.

    Raises:
        ValueError: The version is none of 0 to 3, or a number does not fit.
    """
    if not 0 <= message.version <= VERSION_OF_BROKERS:
        raise ValueError(f"version {message.version} of a message is none of 0 to 3")
    head = b"".join(
        (
            bytes((message.version, message.message_type)),
            pack_text(message.message_id),
            pack_text(message.source_client_id),
            pack_text(message.source_broker_id),
            pack_texts(message.broker_ids),
            pack_texts(message.client_ids),
            raw_header(_length(message.payload)),
        )
    )
    return Encoded(head, message.payload, b"".join(_tail(message)))


def pack_particulars(message: Message) -> list[bytes]:
    """Return what only the message's type has, packed: it goes right behind the payload."""
    packed: list[bytes] = []
    if isinstance(message, Request):
        packed += (pack_text(message.reply_to_topic), pack_text(message.service_id))
    elif isinstance(message, Response):
        packed += (pack_text(message.request_message_id), pack_text(message.service_id))
    if isinstance(message, ErrorResponse):
        packed += (pack_integer(message.error_code), pack_text(message.error_message))
    return packed


def _tail(message: Message) -> list[bytes]:
    tail = pack_particulars(message)
    if message.version >= 1:
        flat = [text for pair in message.other_fields.items() for text in pair]
        tail.append(pack_texts(flat))
    if message.version >= 2:
        tail.append(pack_text(message.source_tenant_id))
        tail.append(pack_texts(message.destination_tenant_ids))
    if message.version >= 3:
        tail.append(pack_text(message.source_client_instance))
    return tail


def _other_fields(flat: tuple[str, ...]) -> dict[str, str]:
    if len(flat) % 2:
        raise MalformedMessageError("the last of the other fields has a name and no value")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _length(body: Body) -> int:
    return body.nbytes if isinstance(body, memoryview) else len(body)

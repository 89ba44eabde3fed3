"""MQTT packets, versions 3.1 and 3.1.1: the values, how they are written and how they are read.

``dxlfabric.packets`` cuts a byte stream into packets; this module knows
what is inside one.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from dxlfabric.errors import MalformedPacketError
from dxlfabric.message import Body

PROTOCOL_LEVELS = {"MQIsdp": 3, "MQTT": 4}
"""Protocol names and the one level that each of them has: MQTT 3.1 and 3.1.1."""

LARGEST_REMAINING_LENGTH = 0xFFF_FFFF
"""What four length bytes can say; the protocol's own limit."""

_SHORT = struct.Struct(">H")


class PacketType(IntEnum):
    """The numbers in the upper half of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ReturnCode(IntEnum):
    """A broker's answer to a connect packet."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORIZED = 5


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a client.

    Attributes:
        client_id: The client's name for itself.
        keep_alive: Seconds after which the client will have sent something; 0 for no promise.
        clean_session: Whether the client begins anew.
        protocol_name: ``MQTT``, or ``MQIsdp`` for version 3.1.
        protocol_level: 4, or 3 for version 3.1; others can be read, so that they can be refused.
    """

    packet_type: ClassVar[PacketType] = PacketType.CONNECT

    client_id: str
    keep_alive: int = 0
    clean_session: bool = True
    protocol_name: str = "MQTT"
    protocol_level: int = 4


@dataclass(frozen=True, slots=True)
class ConnAck:
    """A broker's answer to :class:`Connect`."""

    packet_type: ClassVar[PacketType] = PacketType.CONNACK

    return_code: int = ReturnCode.ACCEPTED
    session_present: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """A message on a topic. The payload of one that was read is a view of the input."""

    packet_type: ClassVar[PacketType] = PacketType.PUBLISH

    topic: str
    payload: Body
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    packet_id: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Asks for messages: pairs of topic filter and quality of service."""

    packet_type: ClassVar[PacketType] = PacketType.SUBSCRIBE

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SubAck:
    """Answers :class:`Subscribe` with the granted quality per filter."""

    packet_type: ClassVar[PacketType] = PacketType.SUBACK

    packet_id: int
    granted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ends subscriptions."""

    packet_type: ClassVar[PacketType] = PacketType.UNSUBSCRIBE

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One of the packets that hold an identifier and nothing else: PUBACK to PUBCOMP, UNSUBACK."""

    packet_type: PacketType
    packet_id: int


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the packets that hold nothing: PINGREQ, PINGRESP, DISCONNECT."""

    packet_type: PacketType


Packet = Connect | ConnAck | Publish | Subscribe | SubAck | Unsubscribe | Acknowledgement | Signal

_WITH_IDENTIFIER = {
    PacketType.PUBACK,
    PacketType.PUBREC,
    PacketType.PUBREL,
    PacketType.PUBCOMP,
    PacketType.UNSUBACK,
}
_EMPTY = {PacketType.PINGREQ, PacketType.PINGRESP, PacketType.DISCONNECT}
_PUBLISH: Final = int(PacketType.PUBLISH)
_FLAGS = {PacketType.PUBREL: 2, PacketType.SUBSCRIBE: 2, PacketType.UNSUBSCRIBE: 2}


def fixed_header(packet_type: PacketType, flags: int, remaining_length: int) -> bytes:
    """Return the one to five bytes that begin every packet.

    Raises:
        ValueError: The length is over :data:`LARGEST_REMAINING_LENGTH`.
    """
    if not 0 <= remaining_length <= LARGEST_REMAINING_LENGTH:
        raise ValueError(f"a packet of {remaining_length} bytes is more than MQTT allows")
    header = [(packet_type << 4) | flags]
    while remaining_length > 0x7F:
        header.append(remaining_length & 0x7F | 0x80)
        remaining_length >>= 7
    header.append(remaining_length)
    return bytes(header)


def publish_header(topic: str, length: int) -> bytes:
    """Return what goes before a payload of ``length`` bytes, published with quality of service 0.

    The payload itself is left to the caller, who can write it from where it lies.
    """
    name = _text(topic)
    return fixed_header(PacketType.PUBLISH, 0, len(name) + length) + name


def encode(packet: Packet) -> bytes:
    """Return a packet's bytes; the payload of a :class:`Publish` is copied into them."""
    match packet:
        case Publish():
            flags = (packet.duplicate << 3) | (packet.qos << 1) | packet.retain
            identifier = _SHORT.pack(packet.packet_id) if packet.qos else b""
            body = b"".join((_text(packet.topic), identifier, packet.payload))
            return fixed_header(PacketType.PUBLISH, flags, len(body)) + body
        case Connect():
            body = _connect_body(packet)
        case ConnAck():
            body = bytes((packet.session_present, packet.return_code))
        case Subscribe():
            pairs = [_text(name) + bytes((qos,)) for name, qos in packet.filters]
            body = _SHORT.pack(packet.packet_id) + b"".join(pairs)
        case SubAck():
            body = _SHORT.pack(packet.packet_id) + bytes(packet.granted)
        case Unsubscribe():
            body = _SHORT.pack(packet.packet_id) + b"".join(map(_text, packet.filters))
        case Acknowledgement():
            body = _SHORT.pack(packet.packet_id)
        case Signal():
            body = b""
    return fixed_header(packet.packet_type, _FLAGS.get(packet.packet_type, 0), len(body)) + body


def decode(first_byte: int, body: memoryview) -> Packet:
    """Read one packet.

    Args:
        first_byte: The packet's first byte: type and flags.
        body: What follows the length bytes, whole.

    Raises:
        MalformedPacketError: The bytes are no packet of MQTT 3.1 or 3.1.1.
    """
    if first_byte >> 4 == _PUBLISH:
        return _publish(first_byte & 0x0F, body)
    try:
        packet_type = PacketType(first_byte >> 4)
    except ValueError as error:
        raise MalformedPacketError(f"{first_byte >> 4} is no type of a packet") from error
    flags = first_byte & 0x0F
    cursor = _Cursor(body)
    if flags != _FLAGS.get(packet_type, 0):
        raise MalformedPacketError(f"{packet_type.name} with flags {flags}")
    packet = _other(packet_type, cursor)
    cursor.finish(packet_type)
    return packet


def _other(packet_type: PacketType, cursor: "_Cursor") -> Packet:
    if packet_type in _EMPTY:
        return Signal(packet_type)
    if packet_type in _WITH_IDENTIFIER:
        return Acknowledgement(packet_type, cursor.short())
    if packet_type is PacketType.CONNECT:
        return _connect(cursor)
    if packet_type is PacketType.CONNACK:
        session_present = cursor.byte()
        return ConnAck(cursor.byte(), bool(session_present & 1))
    packet_id = cursor.short()
    if packet_type is PacketType.SUBACK:
        return SubAck(packet_id, tuple(bytes(cursor.rest())))
    if not cursor.remaining:
        raise MalformedPacketError(f"{packet_type.name} without a topic")
    if packet_type is PacketType.UNSUBSCRIBE:
        return Unsubscribe(packet_id, tuple(_texts(cursor)))
    return Subscribe(packet_id, tuple(_filters(cursor)))


def _texts(cursor: "_Cursor") -> Iterator[str]:
    while cursor.remaining:
        yield cursor.text()


def _filters(cursor: "_Cursor") -> Iterator[tuple[str, int]]:
    while cursor.remaining:
        name = cursor.text()
        qos = cursor.byte()
        if qos > 2:
            raise MalformedPacketError(f"SUBSCRIBE with quality of service {qos}")
        yield name, qos


def _publish(flags: int, body: memoryview) -> Publish:
    qos = (flags >> 1) & 3
    if qos == 3:
        raise MalformedPacketError("PUBLISH with quality of service 3")
    size = len(body)
    topic_end = 2 + ((body[0] << 8) | body[1]) if size > 1 else 2
    if topic_end > size:
        raise _ends_early(body)
    topic = _read_text(body[2:topic_end])
    if not topic or "+" in topic or "#" in topic:
        raise MalformedPacketError(f"PUBLISH to {topic[:80]!r}, which is no name of a topic")
    start = topic_end
    packet_id = 0
    if qos:
        start += 2
        if start > size:
            raise _ends_early(body)
        packet_id = (body[topic_end] << 8) | body[topic_end + 1]
    return Publish(topic, body[start:], qos, bool(flags & 1), bool(flags & 8), packet_id)


def _connect(cursor: "_Cursor") -> Connect:
    protocol_name = cursor.text()
    protocol_level = cursor.byte()
    flags = cursor.byte()
    keep_alive = cursor.short()
    client_id = cursor.text()
    # A last will, user name and password are read over: the certificate says who a client is.
    if flags & 0x04:
        cursor.text()
        cursor.data()
    if flags & 0x80:
        cursor.text()
    if flags & 0x40:
        cursor.data()
    return Connect(client_id, keep_alive, bool(flags & 0x02), protocol_name, protocol_level)


def _connect_body(packet: Connect) -> bytes:
    fixed = bytes((packet.protocol_level, packet.clean_session << 1))
    keep_alive = _SHORT.pack(packet.keep_alive)
    return _text(packet.protocol_name) + fixed + keep_alive + _text(packet.client_id)


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 0xFFFF:
        raise ValueError(f"{text[:80]!r}… has {len(encoded)} bytes; MQTT allows 65535")
    return _SHORT.pack(len(encoded)) + encoded


def _read_text(encoded: memoryview) -> str:
    try:
        text = str(encoded, "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPacketError(f"text that is not UTF-8: {error.reason}") from error
    if "\0" in text:
        raise MalformedPacketError("text with a NUL character")
    return text


def _ends_early(body: memoryview) -> MalformedPacketError:
    return MalformedPacketError(f"a packet ends early, after {len(body)} bytes")


class _Cursor:
    __slots__ = ("_body", "_position")

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._position = 0

    @property
    def remaining(self) -> int:
        return len(self._body) - self._position

    def byte(self) -> int:
        return self._take(1)[0]

    def short(self) -> int:
        high, low = self._take(2)
        return (high << 8) | low

    def data(self) -> memoryview:
        return self._take(self.short())

    def text(self) -> str:
        return _read_text(self.data())

    def rest(self) -> memoryview:
        return self._take(self.remaining)

    def finish(self, packet_type: PacketType) -> None:
        if self.remaining:
            raise MalformedPacketError(f"{packet_type.name} with {self.remaining} bytes too many")

    def _take(self, count: int) -> memoryview:
        start = self._position
        if count > len(self._body) - start:
            raise _ends_early(self._body)
        self._position = start + count
        return self._body[start : start + count]

"""A client's conversation with its broker in MQTT, without its connection."""

import itertools
from typing import Final

from dxlfabric import mqtt
from dxlfabric.errors import MalformedPacketError
from dxlfabric.mqtt import PacketType

_LARGEST_ID: Final = 0xFFFF

_FROM_BROKERS: Final = frozenset(
    {
        PacketType.CONNACK,
        PacketType.PUBLISH,
        PacketType.SUBACK,
        PacketType.UNSUBACK,
        PacketType.PINGRESP,
    }
)


class SilentBrokerError(OSError):
    """A broker that has not answered a ping within the keep-alive interval."""


class ClientSession:
    r"""What a client has to say to its broker, and when.

    Args:
        client_id: The client's name for itself.
        keep_alive: Seconds without a word in one direction after which the client asks whether the
            broker is still there, and has an answer within as many; 0 for never.

    Example:
        >>> session = ClientSession("me", keep_alive=60)
        >>> session.begin(now=0.0)[:1]
        b'\x10'
        >>> session.due()
        60.0
    """

    def __init__(self, client_id: str, *, keep_alive: int) -> None:
        self._client_id = client_id
        self._keep_alive = keep_alive
        self._ids = itertools.cycle(range(1, _LARGEST_ID + 1))
        self._said = self._heard = 0.0
        self._pinged: float | None = None

    def begin(self, now: float) -> bytes:
        """Return the packet that begins the conversation."""
        self._said = self._heard = now
        self._pinged = None
        return mqtt.encode(mqtt.Connect(self._client_id, self._keep_alive))

    def subscribe(self, filter_: str) -> tuple[int, bytes]:
        """Return a packet that asks for messages, and the number that its answer will bear."""
        packet_id = next(self._ids)
        return packet_id, mqtt.encode(mqtt.Subscribe(packet_id, ((filter_, 0),)))

    def unsubscribe(self, filter_: str) -> tuple[int, bytes]:
        """Return a packet that ends a subscription, and the number that its answer will bear."""
        packet_id = next(self._ids)
        return packet_id, mqtt.encode(mqtt.Unsubscribe(packet_id, (filter_,)))

    def end(self) -> bytes:
        """Return the packet that ends the conversation."""
        return mqtt.encode(mqtt.Signal(PacketType.DISCONNECT))

    def said(self, now: float) -> None:
        """Note that something was sent."""
        self._said = now

    def heard(self, packet: mqtt.Packet, now: float) -> None:
        """Note what was received.

        Raises:
            MalformedPacketError: Only a client may say such a thing.
        """
        if packet.packet_type not in _FROM_BROKERS:
            raise MalformedPacketError(f"{packet.packet_type.name}, which only a client may send")
        self._heard = now
        self._pinged = None

    def due(self) -> float | None:
        """When to call :meth:`check`; ``None`` for never."""
        if not self._keep_alive:
            return None
        since = min(self._said, self._heard) if self._pinged is None else self._pinged
        return since + self._keep_alive

    def check(self, now: float) -> bytes:
        """Return what is to be sent because nothing was for long, if anything is.

        Raises:
            SilentBrokerError: The broker has not answered the last time.
        """
        due = self.due()
        if due is None or now < due:
            return b""
        if self._pinged is not None:
            raise SilentBrokerError(f"it has not answered for {self._keep_alive} seconds")
        self._pinged = now
        return mqtt.encode(mqtt.Signal(PacketType.PINGREQ))

"""One client's conversation with the broker in MQTT, without its connection."""

from collections.abc import Sequence
from dataclasses import dataclass

from dxlfabric import mqtt
from dxlfabric.mqtt import PacketType, ReturnCode
from dxlfabric.registry import ClientIdentity
from dxlfabric.routing import Delivery, Router
from dxlfabric.topics import is_filter

KEEP_ALIVE_FACTOR = 1.5
"""How much longer than its keep-alive a client may stay silent; the protocol's own number."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a packet brings about.

    Attributes:
        reply: Bytes for the client itself; they go out before the deliveries.
        deliveries: Packets for clients, maybe this one too.
        close: Why the connection ends now: an empty text for a goodbye; None if it goes on.
    """

    reply: bytes = b""
    deliveries: Sequence[Delivery] = ()
    close: str | None = None


_NOTHING = Reaction()


class Session:
    """Reacts to a client's packets.

    Args:
        router: Takes what the client publishes.
        client: Who the client is.
        subscription_limit: How many topic filters it may subscribe to.
    """

    def __init__(self, router: Router, client: ClientIdentity, *, subscription_limit: int) -> None:
        self._router = router
        self._client = client
        self._subscription_limit = subscription_limit
        self._connected = False
        self._keep_alive = 0

    @property
    def connected(self) -> bool:
        """Whether the client has introduced itself and was accepted."""
        return self._connected

    @property
    def silence_allowed(self) -> float | None:
        """Seconds the client may send nothing; None without a limit."""
        return self._keep_alive * KEEP_ALIVE_FACTOR or None

    def receive(self, packet: mqtt.Packet, now: float) -> Reaction:
        """Take one packet; ``now`` is Unix time in seconds."""
        if isinstance(packet, mqtt.Publish) and self._connected:
            deliveries = self._router.publish(self._client.instance, packet, now)
            return Reaction(deliveries=deliveries)
        if isinstance(packet, mqtt.Connect):
            return self._connect(packet)
        if not self._connected:
            return Reaction(close=f"{packet.packet_type.name} before CONNECT")
        match packet:
            case mqtt.Subscribe():
                return self._subscribe(packet)
            case mqtt.Unsubscribe():
                return self._unsubscribe(packet)
            case mqtt.Signal(PacketType.PINGREQ):
                return Reaction(mqtt.encode(mqtt.Signal(PacketType.PINGRESP)))
            case mqtt.Signal(PacketType.DISCONNECT):
                return Reaction(close="")
            case mqtt.Acknowledgement(
                PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBREL | PacketType.PUBCOMP
            ):
                return _NOTHING
        return Reaction(close=f"{packet.packet_type.name}, which only a broker may send")

    def end(self) -> Sequence[Delivery]:
        """Take the client out, once its connection is gone."""
        if not self._connected:
            return ()
        self._connected = False
        return self._router.disconnect(self._client.instance)

    def _connect(self, packet: mqtt.Connect) -> Reaction:
        if self._connected:
            return Reaction(close="a second CONNECT")
        if mqtt.PROTOCOL_LEVELS.get(packet.protocol_name) != packet.protocol_level:
            reply = mqtt.encode(mqtt.ConnAck(ReturnCode.UNACCEPTABLE_PROTOCOL))
            reason = f"protocol {packet.protocol_name[:20]!r} level {packet.protocol_level}"
            return Reaction(reply, close=f"{reason}; MQTT 3.1 and 3.1.1 are spoken here")
        if not packet.clean_session:
            return Reaction(close="a session to be kept; this broker keeps none (clean_session=0)")
        self._connected = True
        self._keep_alive = packet.keep_alive
        self._router.connect(self._client)
        return Reaction(mqtt.encode(mqtt.ConnAck()))

    def _subscribe(self, packet: mqtt.Subscribe) -> Reaction:
        instance = self._client.instance
        deliveries: list[Delivery] = []
        for filter_, _ in packet.filters:
            if not is_filter(filter_):
                return Reaction(close=f"a subscription to {filter_[:80]!r}, which is no filter")
            if self._router.subscription_count(instance) >= self._subscription_limit:
                return Reaction(close=f"more than {self._subscription_limit} subscriptions")
            deliveries += self._router.subscribe(instance, filter_)
        granted = tuple(qos for _, qos in packet.filters)
        return Reaction(mqtt.encode(mqtt.SubAck(packet.packet_id, granted)), deliveries)

    def _unsubscribe(self, packet: mqtt.Unsubscribe) -> Reaction:
        deliveries: list[Delivery] = []
        for filter_ in packet.filters:
            deliveries += self._router.unsubscribe(self._client.instance, filter_)
        reply = mqtt.encode(mqtt.Acknowledgement(PacketType.UNSUBACK, packet.packet_id))
        return Reaction(reply, deliveries)

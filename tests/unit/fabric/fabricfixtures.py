"""A router with clients, for tests without connections."""

import json
from dataclasses import dataclass, field
from typing import Any

from dxlfabric import topics
from dxlfabric.answers import BrokerDescription
from dxlfabric.message import ErrorResponse, Message, Request, Response, decode, encode
from dxlfabric.mqtt import Publish
from dxlfabric.packets import PacketReader
from dxlfabric.registry import ClientIdentity
from dxlfabric.routing import Delivery, Router

BROKER = "b0000000-0000-4000-8000-000000000000"
NOW = 1_800_000_000.0


def identity(name: str, connection: int = 1) -> ClientIdentity:
    return ClientIdentity(("ca", name), f"{name}:{connection}")


@dataclass
class Fabric:
    """Sends as clients and sorts what comes out by client."""

    router: Router = field(
        default_factory=lambda: Router(
            BrokerDescription(
                broker_id=BROKER, host_name="host", port=8883, version="test", started=int(NOW)
            )
        )
    )
    now: float = NOW

    def join(self, name: str, *filters: str, connection: int = 1) -> str:
        client = identity(name, connection)
        self.router.connect(client)
        self.router.subscribe(client.instance, reply_topic(client.instance))
        for filter_ in filters:
            self.router.subscribe(client.instance, filter_)
        return client.instance

    def send(self, instance: str, topic: str, message: Message) -> dict[str, list[Message]]:
        payload = encode(message).join()
        return received(self.router.publish(instance, Publish(topic, payload), self.now))

    def ask(
        self, instance: str, topic: str, content: Any, **fields: Any
    ) -> dict[str, list[Message]]:
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        request = Request(
            message_id="{r}", payload=payload, reply_to_topic=reply_topic(instance), **fields
        )
        return self.send(instance, topic, request)

    def register(
        self, instance: str, service_id: str, *service_topics: str, **more: Any
    ) -> dict[str, list[Message]]:
        for topic in service_topics:
            self.router.subscribe(instance, topic)
        content = {
            "serviceType": "/type",
            "serviceGuid": service_id,
            "requestChannels": list(service_topics),
            "ttlMins": 60,
            "metaData": {},
        } | more
        return self.ask(instance, topics.SERVICE_REGISTER, content)

    def services(self, instance: str) -> dict[str, Any]:
        (answer,) = self.ask(instance, topics.SERVICE_QUERY, {})[instance]
        found: dict[str, Any] = json.loads(bytes(answer.payload))["services"]
        return found


def reply_topic(instance: str) -> str:
    return topics.REPLY_PREFIX + instance


def packets(deliveries: list[Delivery]) -> dict[str, list[Publish]]:
    found: dict[str, list[Publish]] = {}
    for recipient, pieces in deliveries:
        (packet,) = PacketReader().feed(b"".join(pieces))
        assert isinstance(packet, Publish)
        found.setdefault(recipient, []).append(packet)
    return found


def received(deliveries: list[Delivery]) -> dict[str, list[Message]]:
    return {
        recipient: [decode(packet.payload) for packet in sent]
        for recipient, sent in packets(deliveries).items()
    }


def only_error(found: dict[str, list[Message]], instance: str) -> ErrorResponse:
    (message,) = found[instance]
    assert isinstance(message, ErrorResponse)
    return message


def only_response(found: dict[str, list[Message]], instance: str) -> Response:
    (message,) = found[instance]
    assert isinstance(message, Response)
    assert not isinstance(message, ErrorResponse)
    return message

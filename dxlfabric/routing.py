"""Where messages go: the heart of a broker, without its connections.

Calls come in the order in which packets arrive; each returns what to send to whom. A payload is
never decoded, and a large one never copied: what goes out refers to the buffer that it came in
with. Of the rest of a message, only what routing takes is read; those that the broker itself
answers are decoded.
"""

import logging
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from dxlfabric import topics
from dxlfabric.answers import (
    Answers,
    BrokerDescription,
    MessageRates,
    Notice,
    RefusedError,
    to_json,
    unregistered,
)
from dxlfabric.envelope import Envelope, Stamp
from dxlfabric.envelope import read as read_envelope
from dxlfabric.errors import MalformedMessageError
from dxlfabric.message import (
    VERSION_OF_BROKERS,
    Body,
    Encoded,
    ErrorResponse,
    Event,
    MessageType,
    Request,
    Response,
    decode,
    encode,
)
from dxlfabric.mqtt import Publish, publish_header
from dxlfabric.packing import array_header, pack_texts
from dxlfabric.pieces import SMALL_PIECE
from dxlfabric.registry import ClientIdentity, Registration, ServiceRegistry

logger = logging.getLogger(__name__)

SERVICE_NOT_FOUND = 0x80000001 - 0x1_0000_0000
"""Error code of a fabric that knows no instance for a request; negative on the wire."""

SERVICE_NOT_FOUND_TEXT = "unable to locate service for request"

_REQUEST: Final = int(MessageType.REQUEST)
_ERROR: Final = int(MessageType.ERROR)


class Delivery(NamedTuple):
    """One packet for one client.

    Attributes:
        recipient: Instance of the client.
        pieces: The packet's bytes, to be written one after the other. Several deliveries may share
            them.
    """

    recipient: str
    pieces: tuple[Body, ...]


class Router:
    """Routes requests, responses and events between the clients of one broker.

    Args:
        description: Facts about the broker, which it tells to those who ask.
    """

    def __init__(self, description: BrokerDescription) -> None:
        self._broker_id = description.broker_id
        self._to_one_here = pack_texts((description.broker_id,)) + array_header(1)
        self._started = description.started
        self._clients: dict[str, ClientIdentity] = {}
        self._stamps: dict[str, Stamp] = {}
        self._filters: dict[str, set[str]] = {}
        self._subscriptions = topics.Subscriptions()
        self._registry = ServiceRegistry()
        self._topic_changes = 0
        self._received = 0
        self._sent = 0
        self._rates = MessageRates()
        self._answers = Answers(
            description, self._registry, self._subscriptions, self._clients, self._rates
        )

    def connect(self, client: ClientIdentity) -> None:
        """Add a connection."""
        self._clients[client.instance] = client
        self._stamps[client.instance] = Stamp.of(client, self._broker_id)
        self._filters[client.instance] = set()

    def disconnect(self, instance: str) -> list[Delivery]:
        """Remove a connection and its subscriptions; its services stay registered."""
        deliveries: list[Delivery] = []
        self._clients.pop(instance, None)
        self._stamps.pop(instance, None)
        for filter_ in sorted(self._filters.pop(instance, ())):
            if self._subscriptions.remove(instance, filter_):
                deliveries += self._topic_changed(topics.TOPIC_REMOVED, filter_)
        return deliveries

    def subscription_count(self, instance: str) -> int:
        """Return how many filters a connection subscribes to."""
        return len(self._filters[instance])

    def subscribe(self, instance: str, filter_: str) -> list[Delivery]:
        """Add a subscription."""
        self._filters[instance].add(filter_)
        if not self._subscriptions.add(instance, filter_):
            return []
        return self._topic_changed(topics.TOPIC_ADDED, filter_)

    def unsubscribe(self, instance: str, filter_: str) -> list[Delivery]:
        """Remove a subscription, if there is one."""
        self._filters[instance].discard(filter_)
        if not self._subscriptions.remove(instance, filter_):
            return []
        return self._topic_changed(topics.TOPIC_REMOVED, filter_)

    def publish(self, instance: str, packet: Publish, now: float) -> list[Delivery]:
        """Route what a client published.

        Args:
            instance: The client's connection.
            packet: What it published. With a quality of service above 0 it is dropped, as on
                every DXL broker.
            now: Unix time in seconds.
        """
        self._received += 1
        if packet.qos:
            return []
        sender = self._clients[instance]
        if packet.topic.startswith(topics.EVENT_PREFIX):
            logger.warning(
                "refused: client %s published on %s, which is the broker's own",
                sender.client_id,
                packet.topic,
            )
            return []
        try:
            envelope = read_envelope(packet.payload)
        except MalformedMessageError:
            return self._relay(packet)
        if envelope.message_type == _REQUEST:
            return self._request(packet, envelope, sender, now)
        recipients = self._recipients(packet.topic, envelope)
        deliveries: list[Delivery] = []
        if recipients:
            stamped = envelope.stamped(self._stamps[instance])
            deliveries = self._send(recipients, packet.topic, stamped)
        if envelope.message_type == _ERROR:
            deliveries += self._disowned(packet, sender)
        return deliveries

    def sweep(self, now: float) -> list[Delivery]:
        """Remove services that were not renewed and measure rates; to be called now and then."""
        self._rates.measure(self._received, self._sent, now)
        expired = self._registry.remove_expired(now)
        return self._notify(unregistered(registration) for registration in expired)

    def _request(
        self, packet: Publish, envelope: Envelope, sender: ClientIdentity, now: float
    ) -> list[Delivery]:
        topic = packet.topic
        if topic in self._answers:
            return self._answer(packet, sender, now)
        if envelope.service_id:
            registration = self._registry.get(envelope.service_id)
        else:
            registration = self._registry.next(topic)
        if registration is None or topic not in registration.topics or not self._is_here(envelope):
            return self._not_found(packet, sender, envelope.service_id)
        if not self._takes(registration, topic):
            self._registry.remove(registration.service_id)
            deliveries = self._not_found(packet, sender, registration.service_id)
            return deliveries + self._notify([unregistered(registration)])
        instance = registration.owner.instance
        assigned = envelope.assigned(
            self._stamps[sender.instance],
            self._to_one_here + self._stamps[instance].instance,
            registration.service_id,
        )
        return self._send((instance,), topic, assigned)

    def _takes(self, registration: Registration, topic: str) -> bool:
        """Tell whether the client behind a registration is connected and listens."""
        return self._subscriptions.subscribes(registration.owner.instance, topic)

    def _is_here(self, envelope: Envelope) -> bool:
        return not envelope.broker_ids or self._broker_id in envelope.broker_ids

    def _answer(self, packet: Publish, sender: ClientIdentity, now: float) -> list[Delivery]:
        request = _decoded_request(packet)
        try:
            answer = self._answers.answer(packet.topic, bytes(request.payload), sender, now)
        except RefusedError as error:
            logger.warning("refused: client %s on %s: %s", sender.client_id, packet.topic, error)
            return self._reply(request, sender, self._error(request, sender, "", 0, str(error)))
        if answer is None:
            return []
        response = Response(**self._own(request, sender), payload=answer.payload)
        return self._notify(answer.notices) + self._reply(request, sender, response)

    def _disowned(self, packet: Publish, sender: ClientIdentity) -> list[Delivery]:
        """Remove a service whose own client says that it has no such service."""
        error = decode(packet.payload)
        assert isinstance(error, ErrorResponse)  # noqa: S101 - so says its envelope
        if error.error_code & 0xFFFF_FFFF != SERVICE_NOT_FOUND & 0xFFFF_FFFF:
            return []
        registration = self._registry.get(error.service_id)
        if registration is None or registration.owner.client_id != sender.client_id:
            return []
        self._registry.remove(registration.service_id)
        return self._notify([unregistered(registration)])

    def _not_found(
        self, packet: Publish, sender: ClientIdentity, service_id: str
    ) -> list[Delivery]:
        request = _decoded_request(packet)
        error = self._error(request, sender, service_id, SERVICE_NOT_FOUND, SERVICE_NOT_FOUND_TEXT)
        return self._reply(request, sender, error)

    def _error(
        self, request: Request, sender: ClientIdentity, service_id: str, code: int, text: str
    ) -> ErrorResponse:
        return ErrorResponse(
            **self._own(request, sender),
            service_id=service_id,
            error_code=code,
            error_message=text,
        )

    def _own(self, request: Request, sender: ClientIdentity) -> dict[str, Any]:
        """Return the fields of the broker's own answer to a request."""
        return {
            "version": VERSION_OF_BROKERS,
            "message_id": str(uuid.uuid4()),
            "source_client_id": self._broker_id,
            "source_broker_id": self._broker_id,
            "source_client_instance": self._broker_id,
            "broker_ids": (self._broker_id,),
            "client_ids": (sender.instance,),
            "request_message_id": request.message_id,
        }

    def _reply(
        self, request: Request, sender: ClientIdentity, response: Response
    ) -> list[Delivery]:
        topic = request.reply_to_topic
        if not topic or not self._subscriptions.subscribes(sender.instance, topic):
            return []
        return self._send((sender.instance,), topic, encode(response))

    def _topic_changed(self, event: str, filter_: str) -> list[Delivery]:
        if filter_.startswith(topics.REPLY_PREFIX):
            return []
        self._topic_changes += 1
        fields = {"changeCount": str(self._topic_changes), "startTime": str(self._started)}
        return self._notify([Notice(event, {"topic": filter_}, fields)])

    def _notify(self, notices: Iterable[Notice]) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for notice in notices:
            event = Event(
                version=VERSION_OF_BROKERS,
                message_id=str(uuid.uuid4()),
                source_client_id=self._broker_id,
                source_broker_id=self._broker_id,
                source_client_instance=self._broker_id,
                payload=to_json(notice.content),
                other_fields=notice.other_fields,
            )
            recipients = self._subscriptions.subscribers(notice.topic)
            deliveries += self._send(recipients, notice.topic, encode(event))
        return deliveries

    def _recipients(self, topic: str, envelope: Envelope) -> list[str]:
        """Return all subscribers, or those that the message names."""
        if not self._is_here(envelope):
            return []
        recipients = self._subscriptions.subscribers(topic)
        if not envelope.client_ids:
            return recipients
        named = set(envelope.client_ids)
        return [one for one in recipients if one in named or self._clients[one].client_id in named]

    def _relay(self, packet: Publish) -> list[Delivery]:
        """Send a payload that is no DXL message on as it is."""
        recipients = self._subscriptions.subscribers(packet.topic)
        return self._send(recipients, packet.topic, Encoded(b"", packet.payload, b""))

    def _send(self, recipients: Sequence[str], topic: str, message: Encoded) -> list[Delivery]:
        head, payload, tail = message
        header = publish_header(topic, len(head) + len(payload) + len(tail))
        pieces: tuple[Body, ...] = (header + head, payload, tail)
        if len(payload) <= SMALL_PIECE:
            pieces = (b"".join(pieces),)
        self._sent += len(recipients)
        return [Delivery(one, pieces) for one in recipients]


def _decoded_request(packet: Publish) -> Request:
    request = decode(packet.payload)
    assert isinstance(request, Request)  # noqa: S101 - so says its envelope
    return request

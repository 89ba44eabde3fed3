"""What a broker answers by itself: the service registry, and questions about the broker.

A request whose payload is no JSON object gets no answer at all, as on every DXL broker; one that
is understood and refused gets an error response that says why.
"""

import json
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

from dxlfabric import topics
from dxlfabric.errors import FabricError
from dxlfabric.registry import ClientIdentity, NotOwnerError, Registration, ServiceRegistry
from dxlfabric.topics import Subscriptions

LARGEST_REQUEST = 64 * 1024
"""Bytes of a request to the broker. What a registration says is kept, so it must not be large."""

SERVICES_PER_CLIENT = 1000
"""Registrations that one certificate may hold; a bound on memory, far above any real service."""

TOPICS_PER_SERVICE = 1000
"""Topics that one registration may name; a bound on memory, far above any real service."""

LONGEST_TTL_MINUTES = 365 * 24 * 60
"""Longest time to live: a year. Longer ones are a mistake of the caller."""


class RefusedError(FabricError):
    """A request to the broker that is well-formed but cannot be granted."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the broker tells everyone by an event.

    Attributes:
        topic: The event's topic.
        content: The event's payload, before it becomes JSON.
        other_fields: The event's other fields.
    """

    topic: str
    content: Mapping[str, Any]
    other_fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a request to the broker: a payload, and what others are told."""

    payload: bytes = b""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDescription:
    """Facts about a broker, as it tells them to those who ask.

    Attributes:
        broker_id: The broker's own identifier.
        host_name: Name of the machine.
        port: Port it listens on.
        version: Version of the program.
        started: Unix time at which it started, in seconds.
    """

    broker_id: str
    host_name: str
    port: int
    version: str
    started: int


@dataclass(slots=True)
class MessageRates:
    """Messages per second over the latest measured span."""

    incoming: float = 0.0
    outgoing: float = 0.0
    _counted: tuple[int, int] = (0, 0)
    _at: float | None = None

    def measure(self, received: int, sent: int, now: float) -> None:
        """Take the totals so far, at ``now`` (Unix time in seconds)."""
        if self._at is not None and now > self._at:
            span = now - self._at
            self.incoming = (received - self._counted[0]) / span
            self.outgoing = (sent - self._counted[1]) / span
        self._counted = (received, sent)
        self._at = now


def to_json(content: Mapping[str, Any]) -> bytes:
    """Return JSON as brokers write it: compact, sorted, one line."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def registration_content(registration: Registration, broker_id: str) -> dict[str, Any]:
    """Return what a broker tells about a registration, in events and in answers."""
    return {
        "brokerGuid": broker_id,
        "certificates": list(reversed(registration.owner.certificates)),
        "clientGuid": registration.owner.client_id,
        "clientInstanceGuid": registration.owner.instance,
        "managed": False,
        "metaData": dict(registration.metadata),
        "registrationTime": int(registration.registered_at),
        "requestChannels": list(registration.topics),
        "serviceGuid": registration.service_id,
        "serviceType": registration.service_type,
        "ttlMins": registration.ttl_minutes,
    }


class Answers:
    """Answers the requests on a broker's own topics.

    Args:
        description: Facts about the broker.
        registry: The services; registering and unregistering changes it.
        subscriptions: Who subscribes to what; read only.
        clients: Those who are connected; only their number matters.
        rates: Measured message rates.
    """

    def __init__(
        self,
        description: BrokerDescription,
        registry: ServiceRegistry,
        subscriptions: Subscriptions,
        clients: Sized,
        rates: MessageRates,
    ) -> None:
        self._broker = description
        self._registry = registry
        self._subscriptions = subscriptions
        self._clients = clients
        self._rates = rates
        self._handlers: dict[str, Callable[[dict[str, Any], ClientIdentity, float], Answer]] = {
            topics.SERVICE_REGISTER: self._register,
            topics.SERVICE_UNREGISTER: self._unregister,
            topics.SERVICE_QUERY: self._query_services,
            topics.BROKER_QUERY: self._query_brokers,
            topics.TOPIC_QUERY: self._query_topics,
            topics.BROKER_SUBSCRIPTIONS: self._count_subscriptions,
            topics.BROKER_HEALTH: self._health,
        }

    def __contains__(self, topic: str) -> bool:
        return topic in self._handlers

    def answer(
        self, topic: str, payload: bytes, sender: ClientIdentity, now: float
    ) -> Answer | None:
        """Answer one request.

        Args:
            topic: One of the broker's own topics.
            payload: The request's payload.
            sender: Who asks.
            now: Unix time in seconds.

        Returns:
            The answer, or None for a payload that is no JSON object.

        Raises:
            RefusedError: The request asks for what cannot be granted.
        """
        if len(payload) > LARGEST_REQUEST:
            raise RefusedError(
                f"a request of {len(payload)} bytes; a broker takes up to {LARGEST_REQUEST}"
            )
        try:
            parameters = json.loads(payload.rstrip(b"\0"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(parameters, dict):
            return None
        return self._handlers[topic](parameters, sender, now)

    def _register(self, parameters: dict[str, Any], sender: ClientIdentity, now: float) -> Answer:
        registration = Registration(
            service_id=_text(parameters, "serviceGuid"),
            service_type=_text(parameters, "serviceType"),
            topics=_topics(parameters),
            ttl_minutes=_ttl(parameters),
            metadata=_metadata(parameters),
            owner=sender,
            registered_at=now,
        )
        self._check_number(registration)
        try:
            self._registry.register(registration)
        except NotOwnerError as error:
            raise RefusedError(str(error)) from error
        content = registration_content(registration, self._broker.broker_id)
        return Answer(notices=(Notice(topics.SERVICE_REGISTERED, content),))

    def _check_number(self, registration: Registration) -> None:
        owner = registration.owner.client_id
        others = sum(
            one.owner.client_id == owner and one.service_id != registration.service_id
            for one in self._registry
        )
        if others >= SERVICES_PER_CLIENT:
            raise RefusedError(f"client {owner} has {others} services, which is the most allowed")

    def _unregister(
        self, parameters: dict[str, Any], sender: ClientIdentity, _now: float
    ) -> Answer:
        try:
            registration = self._registry.unregister(_text(parameters, "serviceGuid"), sender)
        except NotOwnerError:
            # Success all the same, as on every DXL broker: it tells nothing about the other's.
            return Answer()
        if registration is None:
            return Answer()
        return Answer(notices=(unregistered(registration),))

    def _query_services(
        self, parameters: dict[str, Any], _sender: ClientIdentity, _now: float
    ) -> Answer:
        service_id = parameters.get("serviceGuid")
        service_type = parameters.get("serviceType")
        found = {
            one.service_id: registration_content(one, self._broker.broker_id)
            | {"local": True, "unauthorizedChannels": []}
            for one in self._registry
            if service_id in (None, "", one.service_id)
            and service_type in (None, "", one.service_type)
        }
        return Answer(to_json({"services": found}))

    def _query_brokers(
        self, _parameters: dict[str, Any], _sender: ClientIdentity, _now: float
    ) -> Answer:
        broker = self._broker
        content = {
            "bridgeChildren": [],
            "bridges": [],
            "connectionLimit": 0,
            "guid": broker.broker_id,
            "hostname": broker.host_name,
            "policyHostname": "",
            "policyHub": "",
            "policyIpAddress": "",
            "policyPort": 0,
            "port": broker.port,
            "startTime": broker.started,
            "topicRouting": True,
            "ttlMins": 60,
            "version": broker.version,
            "webSocketPort": 0,
        }
        return Answer(to_json({"brokers": {broker.broker_id: content}}))

    def _query_topics(
        self, parameters: dict[str, Any], _sender: ClientIdentity, _now: float
    ) -> Answer:
        wanted = parameters.get("topics")
        if not isinstance(wanted, list):
            raise RefusedError("topics: a list of topics is needed")
        known = set(topics.listed(self._subscriptions.filters()))
        exists = bool(wanted) and all(isinstance(one, str) and one in known for one in wanted)
        return Answer(to_json({"count": len(known), "exists": exists}))

    def _count_subscriptions(
        self, parameters: dict[str, Any], _sender: ClientIdentity, _now: float
    ) -> Answer:
        topic = _text(parameters, "topic")
        return Answer(to_json({"count": len(self._subscriptions.subscribers(topic))}))

    def _health(self, _parameters: dict[str, Any], _sender: ClientIdentity, _now: float) -> Answer:
        content = {
            "connectedClients": len(self._clients),
            "incomingMessages": self._rates.incoming,
            "localServiceCounter": len(self._registry),
            "outgoingMessages": self._rates.outgoing,
            "startTime": self._broker.started,
        }
        return Answer(to_json(content))


def unregistered(registration: Registration) -> Notice:
    """Return the notice that a registration has ended, for whatever reason."""
    return Notice(topics.SERVICE_UNREGISTERED, {"serviceGuid": registration.service_id})


def _text(parameters: dict[str, Any], name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{name}: a text is needed")
    return value


def _topics(parameters: dict[str, Any]) -> tuple[str, ...]:
    values = parameters.get("requestChannels")
    if not isinstance(values, list) or not 0 < len(values) <= TOPICS_PER_SERVICE:
        raise RefusedError(f"requestChannels: a list of 1 to {TOPICS_PER_SERVICE} topics is needed")
    for value in values:
        if not isinstance(value, str) or not value or topics.has_wildcard(value):
            raise RefusedError(f"requestChannels: {str(value)[:80]!r} is no topic for requests")
    return tuple(dict.fromkeys(values))


def _ttl(parameters: dict[str, Any]) -> int:
    value = parameters.get("ttlMins", 60)
    if not isinstance(value, int) or not 0 < value <= LONGEST_TTL_MINUTES:
        raise RefusedError(f"ttlMins: a number from 1 to {LONGEST_TTL_MINUTES} is needed")
    return value


def _metadata(parameters: dict[str, Any]) -> dict[str, Any]:
    value = parameters.get("metaData", {})
    if not isinstance(value, dict):
        raise RefusedError("metaData: an object is needed")
    return value

"""A broker that is not trusted: it keeps what goes by, and does with it what it is told to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from unittest import mock

from dxlfabric import broker as brokers
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.errors import MalformedMessageError
from dxlfabric.message import (
    ErrorResponse,
    Message,
    Request,
    Response,
    decode,
    encode,
)
from dxlfabric.mqtt import Publish
from dxlfabric.routing import Delivery, Router
from dxlfiletransferclient.protocol.coding import encode_refusal
from dxlfiletransferclient.protocol.parcels import CHECK, DIGEST, Parcel, sealed
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from tests.fabric import Fabric


@dataclass(frozen=True, slots=True)
class Passing:
    """A message that goes by.

    Attributes:
        verb: What the request asks for, also of an answer.
        topic: Where it goes.
        message: The message.
        is_request: Whether it is a request, and not the answer to one.
    """

    verb: str
    topic: str
    message: Message
    is_request: bool

    @property
    def payload(self) -> bytes:
        return bytes(self.message.payload)

    @property
    def fields(self) -> dict[str, str]:
        """What it says beside its payload, without the digest."""
        told = self.message.other_fields
        return {name: value for name, value in told.items() if name not in (CHECK, DIGEST)}

    def changed(self, payload: bytes | None = None, **fields: str) -> "Passing":
        """Return it with another payload or other fields, and a digest that goes with them."""
        parcel = sealed({**self.fields, **fields}, self.payload if payload is None else payload)
        return self._with(self.message, parcel)

    def refused(self, error: RefusedError) -> "Passing":
        """Return an answer as if it was an error that nobody has proven."""
        kept = {each.name: getattr(self.message, each.name) for each in fields(self.message)}
        answer = ErrorResponse(**kept, error_code=error.code, error_message=error.message)
        return self._with(answer, encode_refusal(error))

    def _with(self, message: Message, parcel: Parcel) -> "Passing":
        changed = replace(message, payload=bytes(parcel.payload), other_fields=dict(parcel.fields))
        return replace(self, message=changed)


Meddling = Callable[[Passing], Sequence[Passing]]
"""Says what goes on in place of a message."""


def _nothing(passing: Passing) -> Sequence[Passing]:
    return (passing,)


@dataclass(slots=True)
class Wiretap:
    """What such a broker has seen, and what it does.

    Attributes:
        meddle: What it does with messages of the transfer; nothing at first.
        seen: All messages as they were sent to it.
    """

    meddle: Meddling = _nothing
    seen: list[Passing] = field(default_factory=list)
    _topics: dict[str, str] = field(default_factory=dict)

    def pass_on(self, packet: Publish) -> list[Publish]:
        """Return what to route in place of a packet."""
        try:
            message = decode(packet.payload)
        except MalformedMessageError:
            return [packet]
        passing = self._understood(packet.topic, message)
        if passing is None:
            return [packet]
        self.seen.append(passing)
        return [
            Publish(each.topic, b"".join(map(bytes, encode(each.message))))
            for each in self.meddle(passing)
        ]

    def _understood(self, topic: str, message: Message) -> Passing | None:
        if isinstance(message, Request):
            verb = topic.rpartition("/")[2]
            if verb not in set(Verb):
                return None
            self._topics[message.message_id] = verb
            # It outlives the memory that it was received into.
            message = replace(message, payload=bytes(message.payload))
            return Passing(verb, topic, message, is_request=True)
        if isinstance(message, Response) and not isinstance(message, ErrorResponse):
            known = self._topics.get(message.request_message_id)
            if known is not None:
                message = replace(message, payload=bytes(message.payload))
                return Passing(known, topic, message, is_request=False)
        return None

    def verbs(self) -> set[str]:
        """The verbs of all requests that were seen."""
        return {each.verb for each in self.seen if each.is_request}

    def everything(self) -> bytes:
        """All that was seen, one after the other, as it was sent."""
        parts: list[bytes] = []
        for each in self.seen:
            parts += [each.topic.encode(), each.payload]
            parts += [text.encode() for pair in each.message.other_fields.items() for text in pair]
        return b"\n".join(parts)

    def clear(self) -> None:
        """Forget everything, and meddle no more."""
        self.meddle = _nothing
        self.seen.clear()


@contextmanager
def untrusted_fabric(provisioned: Provisioned) -> Iterator[tuple[Fabric, Wiretap]]:
    """Give a fabric of one such broker."""
    tap = Wiretap()

    class MeddlingRouter(Router):
        def publish(self, instance: str, packet: Publish, now: float) -> list[Delivery]:
            return [
                delivery
                for each in tap.pass_on(packet)
                for delivery in super(MeddlingRouter, self).publish(instance, each, now)
            ]

    with (
        mock.patch.object(brokers, "Router", MeddlingRouter),
        EmbeddedBroker(provisioned.broker, broker_id=provisioned.broker_id) as broker,
    ):
        yield Fabric(broker, provisioned), tap

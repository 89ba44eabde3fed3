"""A memory bus with what tests ask on it."""

import json
from typing import TypeVar

from dxlfabric.topics import SERVICE_QUERY
from dxlfiletransferclient.exchange.bus import Reply
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    HelloRequest,
    Message,
    OpenRequest,
    SegmentRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.testing import (
    MemoryBus,
    MemoryStore,
    MemoryStoreOptions,
)

M = TypeVar("M", bound=Message)

SEGMENT = SegmentRequest(file_id="f", offset=0, payload=b"0123456789")


def store_of(store_id: str = "memory", **options: int) -> MemoryStore:
    return MemoryStore(MemoryStoreOptions(store_id=store_id, **options))  # type: ignore[arg-type]


def ask(bus: MemoryBus, verb: Verb, message: Message, service_id: str = "") -> int:
    return bus.ask(topic_of(verb), encode(message), service_id=service_id)


def hello(bus: MemoryBus, service_id: str = "") -> int:
    return ask(bus, Verb.HELLO, HelloRequest(), service_id)


def only(bus: MemoryBus, seconds: float = 10) -> Reply:
    """Return the one reply that comes within some seconds."""
    until = bus.now() + seconds
    replies = list(bus.wait(until))
    while bus.now() < until:
        replies += bus.wait(until)
    (reply,) = replies
    return reply


def answer_to(bus: MemoryBus, verb: Verb, message: Message, kind: type[M]) -> M:
    ask(bus, verb, message)
    reply = only(bus)
    assert reply.refusal is None
    return decode(kind, reply.parcel)


def open_file(bus: MemoryBus) -> None:
    answer_to(bus, Verb.OPEN, OpenRequest(file_id="f", name="a", size=1000), TransferAnswer)


def hello_codes(bus: MemoryBus, service_id: str = "") -> ErrorCode | None:
    hello(bus, service_id)
    reply = only(bus)
    return None if reply.refusal is None else ErrorCode.of(reply.refusal.code)


def services_on(bus: MemoryBus, query: object = None) -> dict[str, dict[str, object]]:
    payload = b"" if query is None else json.dumps(query).encode()
    bus.ask(SERVICE_QUERY, Parcel({}, payload))
    reply = only(bus)
    assert reply.service_id == ""
    assert bytes(reply.parcel.payload).endswith(b"\0")
    found = json.loads(bytes(reply.parcel.payload).rstrip(b"\0"))["services"]
    assert isinstance(found, dict)
    return found

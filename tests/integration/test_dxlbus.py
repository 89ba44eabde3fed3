"""The bus and the engine on a real broker, with a real service at the other end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from dxlclient.callbacks import RequestCallback, ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.message import ErrorResponse, Request, Response
from dxlclient.service import ServiceRegistrationInfo

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.exchange.bus import Reply
from dxlfiletransferclient.exchange.dxlbus import DxlBus, WrongThreadError
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import decode, encode, encode_refusal
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    DoneAnswer,
    HelloAnswer,
    SegmentRequest,
    StatusRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel, digest_of
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from tests.fabric import Connections, Fabric, new_topic
from tests.waiting import TIMEOUT, wait_until

Behaviour = Callable[[Verb, Parcel], Parcel | RefusedError | None]


class SmallService(RequestCallback):
    """A service on the fabric that answers as a test says; nothing for ``None``."""

    def __init__(self, client: DxlClient, topic: str, store_id: str = "store") -> None:
        super().__init__()
        self.topic = topic
        self.store_id = store_id
        self.requests: list[Verb] = []
        self.behaviour: Behaviour = lambda _verb, _parcel: encode(DoneAnswer())
        self._client = client
        self._registration = ServiceRegistrationInfo(client, SERVICE_TYPE)
        self._registered = False
        for verb in Verb:
            self._registration.add_topic(topic_of(verb, topic), self)

    @property
    def service_id(self) -> str:
        return self._registration.service_id

    def register(self) -> None:
        self._client.register_service_sync(self._registration, TIMEOUT)
        self._registered = True

    def unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._client.unregister_service_sync(self._registration, TIMEOUT)

    def on_request(self, request: Request) -> None:
        verb = Verb(request.destination_topic.rpartition("/")[2])
        self.requests.append(verb)
        content = request.payload
        assert isinstance(content, bytes)
        outcome = self._outcome(verb, Parcel(request.other_fields, content))
        if outcome is None:
            return
        if isinstance(outcome, RefusedError):
            response: Response = ErrorResponse(request, outcome.code, outcome.message)
            outcome = encode_refusal(outcome)
        else:
            response = Response(request)
        response.payload = bytes(outcome.payload)
        response.other_fields = dict(outcome.fields)
        self._client.send_response(response)

    def _outcome(self, verb: Verb, parcel: Parcel) -> Parcel | RefusedError | None:
        if verb is not Verb.HELLO:
            return self.behaviour(verb, parcel)
        return encode(
            HelloAnswer(
                revision=0,
                store_id=self.store_id,
                segment_size=SEGMENT_SIZE,
                window=64 * 2**20,
                verbs=" ".join(Verb),
            )
        )


@dataclass
class Segments:
    """A job that sends some segments, and calls something after each."""

    count: int
    size: int = SEGMENT_SIZE
    on_answer: Callable[[int], object] = lambda _done: None
    done: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    moves: int = 0
    error: BaseException | None = None

    @property
    def finished(self) -> bool:
        return self.error is not None or len(self.done) == self.count

    def next(self, room: int, now: float) -> Ask | None:
        missing = sorted(set(range(self.count)) - self.asked - self.done)
        if not missing or (room < self.size and self.asked):
            return None
        self.asked.add(missing[0])
        return Ask(Verb.SEGMENT, lambda: self._parcel(missing[0]), self.size, missing[0])

    def _parcel(self, number: int) -> Parcel:
        content = number.to_bytes(8, "big") * (self.size // 8)
        return encode(SegmentRequest(file_id="f", offset=number * self.size, payload=content))

    def due(self) -> float | None:
        return None

    def answered(self, ask: Ask, answer: Parcel, now: float) -> None:
        decode(DoneAnswer, answer)
        assert isinstance(ask.note, int)
        self.asked.discard(ask.note)
        self.done.add(ask.note)
        self.on_answer(len(self.done))

    def refused(self, ask: Ask, error: RefusedError, now: float) -> None:
        raise error

    def moved(self, now: float) -> None:
        self.moves += 1
        self.asked.clear()

    def failed(self, error: BaseException) -> None:
        self.error = error


@pytest.fixture
def bus(dxl_client: DxlClient) -> Iterator[DxlBus]:
    """A bus over the shared client, which remembers nothing of it afterwards."""
    with DxlBus(dxl_client) as bus:
        yield bus
    requests = vars(dxl_client)["_request_manager"]
    wait_until(lambda: requests.get_current_request_queue_size() == 0)
    assert requests.callback_map == {}


@pytest.fixture
def service(fabric: Fabric, connections: Connections) -> Iterator[SmallService]:
    service = SmallService(connections.open(fabric), new_topic())
    service.register()
    yield service
    service.unregister()


def reply_of(bus: DxlBus) -> Reply:
    (reply,) = bus.wait(bus.now() + TIMEOUT)
    return reply


def test_a_segment_of_full_size_goes_there_and_its_answer_comes_back(
    bus: DxlBus, service: SmallService
) -> None:
    arrived: list[SegmentRequest] = []

    def keep(_verb: Verb, parcel: Parcel) -> Parcel:
        arrived.append(decode(SegmentRequest, parcel))
        return encode(DoneAnswer())

    service.behaviour = keep
    content = bytes(range(256)) * (SEGMENT_SIZE // 256)
    parcel = encode(SegmentRequest(file_id="f", offset=3, payload=memoryview(content)))
    token = bus.ask(topic_of(Verb.SEGMENT, service.topic), parcel, service_id=service.service_id)
    reply = reply_of(bus)
    assert (reply.token, reply.refusal, reply.service_id) == (token, None, service.service_id)
    assert decode(DoneAnswer, reply.parcel) == DoneAnswer()
    (segment,) = arrived
    assert segment.offset == 3
    assert digest_of(segment.payload) == digest_of(content)


def test_an_answer_of_full_size_arrives(bus: DxlBus, service: SmallService) -> None:
    content = bytes(range(256)) * (SEGMENT_SIZE // 256)
    answer = encode(SegmentRequest(file_id="f", offset=0, payload=content))
    service.behaviour = lambda _verb, _parcel: answer
    bus.ask(topic_of(Verb.RETRIEVE, service.topic), Parcel({}))
    reply = reply_of(bus)
    assert reply.service_id == service.service_id
    assert decode(SegmentRequest, reply.parcel).payload == content


def test_errors_of_service_and_broker(bus: DxlBus, service: SmallService) -> None:
    service.behaviour = lambda _verb, _parcel: RefusedError(ErrorCode.BUSY, "wäit", 2.0)
    bus.ask(topic_of(Verb.STATUS, service.topic), encode(StatusRequest(file_id="f")))
    busy = reply_of(bus).refusal
    assert busy is not None
    assert (busy.code, busy.message, busy.retry_after) == (ErrorCode.BUSY, "wäit", 2.0)
    bus.ask(new_topic(), Parcel({}))
    nobody = reply_of(bus)
    assert nobody.refusal is not None
    assert nobody.refusal.means(ErrorCode.NO_SERVICE)
    assert nobody.service_id == ""


def test_what_is_not_answered_is_forgotten_by_the_client_too(
    bus: DxlBus, service: SmallService
) -> None:
    service.behaviour = lambda _verb, _parcel: None
    token = bus.ask(topic_of(Verb.STATUS, service.topic), Parcel({}))
    wait_until(lambda: service.requests == [Verb.STATUS])
    assert bus.wait(bus.now() + 0.1) == ()
    bus.forget(token)  # the fixture looks whether the client has


def test_the_thread_of_a_callback_is_turned_away(
    fabric: Fabric, connections: Connections, service: SmallService
) -> None:
    client = connections.open(fabric)
    raised: list[BaseException] = []
    over = threading.Event()

    class Meddling(ResponseCallback):
        def on_response(self, response: Response) -> None:
            with DxlBus(client) as bus:
                try:
                    Engine(bus, service.topic).connect()
                except WrongThreadError as error:
                    raised.append(error)
            over.set()

    client.async_request(Request(topic_of(Verb.HELLO, service.topic)), Meddling())
    assert over.wait(TIMEOUT)
    assert len(raised) == 1


def test_the_engine_finds_the_service_and_sends(bus: DxlBus, service: SmallService) -> None:
    job = Segments(40)
    engine = Engine(bus, service.topic)
    engine.run([job])
    assert job.error is None
    assert engine.service_id == service.service_id
    assert service.requests.count(Verb.SEGMENT) == 40


def test_nobody_there_is_clear_at_once(bus: DxlBus) -> None:
    topic = new_topic()
    began = bus.now()
    with pytest.raises(RefusedError, match=topic) as caught:
        Engine(bus, topic).connect()
    assert caught.value.means(ErrorCode.NO_SERVICE)
    assert bus.now() - began < EngineOptions().connect_timeout


def test_lost_answers_are_made_up_for(bus: DxlBus, service: SmallService) -> None:
    seen = 0

    def lossy(_verb: Verb, _parcel: Parcel) -> Parcel | None:
        nonlocal seen
        seen += 1
        return encode(DoneAnswer()) if seen % 10 else None

    service.behaviour = lossy
    job = Segments(40, 1000)
    Engine(bus, service.topic).run([job])
    assert job.error is None
    assert seen > 40


def test_a_service_that_is_replaced_is_found_again(
    bus: DxlBus, fabric: Fabric, connections: Connections, service: SmallService
) -> None:
    second = SmallService(connections.open(fabric), service.topic)

    def replace() -> None:
        service.behaviour = lambda _verb, _parcel: None
        service.unregister()
        second.register()

    threads: list[threading.Thread] = []

    def on_answer(done: int) -> None:
        if done == 10:
            threads.append(threading.Thread(target=replace))
            threads[0].start()

    job = Segments(60, on_answer=on_answer)
    engine = Engine(bus, service.topic)
    engine.run([job])
    threads[0].join(TIMEOUT)
    assert job.error is None
    assert job.moves == 1
    assert engine.service_id == second.service_id
    second.unregister()


def test_a_broker_that_is_killed_and_restarted_costs_a_pause_only(
    provisioned: Provisioned, connections: Connections
) -> None:
    with ExitStack() as brokers:
        first = EmbeddedBroker(provisioned.broker, broker_id=provisioned.broker_id)
        brokers.enter_context(first)
        fabric = Fabric(first, provisioned)
        service = SmallService(connections.open(fabric), new_topic())
        service.register()
        restarting: list[threading.Thread] = []

        def restart() -> None:
            brokers.pop_all().close()
            second = EmbeddedBroker(
                provisioned.broker, broker_id=provisioned.broker_id, port=first.port
            )
            brokers.enter_context(second)

        def on_answer(done: int) -> None:
            if done == 20:
                restarting.append(threading.Thread(target=restart))
                restarting[0].start()

        job = Segments(100, on_answer=on_answer)
        with DxlBus(connections.open(fabric)) as bus:
            Engine(bus, service.topic).run([job])
        restarting[0].join(TIMEOUT)
        assert job.error is None
        assert len(job.done) == 100
        # The clients have to go before their broker does.
        connections.close()


def test_rounds_go_on_while_nothing_comes(bus: DxlBus, service: SmallService) -> None:
    service.behaviour = lambda _verb, _parcel: None
    rounds: list[Any] = []

    class Enough(Exception):  # noqa: N818 - it is no error
        pass

    def each_round() -> None:
        rounds.append(bus.now())
        if len(rounds) > 8:
            raise Enough

    job = Segments(1, 8)
    with pytest.raises(Enough):
        Engine(bus, service.topic).run([job], each_round=each_round)
    assert isinstance(job.error, Enough)

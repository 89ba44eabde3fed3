"""What programs do with a client, done with ours and with the official one, in all pairs."""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from dxlclient.callbacks import EventCallback, RequestCallback, ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException, WaitTimeoutException
from dxlclient.message import ErrorResponse, Event, Request, Response
from dxlclient.service import ServiceRegistrationInfo
from pytest_mock import MockerFixture

from dxlfabric import message as codec
from dxlfabric import mqtt
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.client import FabricClient
from dxlfabric.lightmessages import payload_of
from tests.fabric import Connections, Fabric, new_topic, registered_services
from tests.integration.mqttpeers import Peer, broker_that
from tests.tlsservers import at, config_of, unused_port
from tests.waiting import TIMEOUT, wait_until

SERVICE_TYPE = "/test/fabricclient"
NO_SERVICE = -2147483647
"""The broker's code where nobody serves a topic: 0x80000001 as a signed number."""

KINDS = {"ours": FabricClient, "official": DxlClient}
BOTH_KINDS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
PAIRS = dict(
    zip(
        map("-".join, itertools.product(KINDS, KINDS)),
        itertools.product(KINDS.values(), KINDS.values()),
        strict=True,
    )
)


@pytest.fixture(scope="module", params=list(PAIRS.values()), ids=list(PAIRS))
def pair(
    request: pytest.FixtureRequest, fabric: Fabric, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DxlClient, DxlClient]]:
    """Two connected clients: one that asks and sends, and one that serves and listens."""
    opened = Connections(tmp_path_factory.mktemp("pair"))
    first, second = request.param
    yield opened.open(fabric, first), opened.open(fabric, second)
    opened.close()


@pytest.fixture
def near(pair: tuple[DxlClient, DxlClient]) -> DxlClient:
    return pair[0]


@pytest.fixture
def far(pair: tuple[DxlClient, DxlClient]) -> DxlClient:
    return pair[1]


class Events(EventCallback):
    """Keeps the events that come."""

    def __init__(self) -> None:
        super().__init__()
        self.found: queue.Queue[Event] = queue.Queue()

    def on_event(self, event: Event) -> None:
        self.found.put(event)

    def next(self) -> Event:
        return self.found.get(timeout=TIMEOUT)


class Responses(ResponseCallback):
    """Keeps the responses that come."""

    def __init__(self) -> None:
        super().__init__()
        self.found: queue.Queue[Response] = queue.Queue()

    def on_response(self, response: Response) -> None:
        self.found.put(response)

    def next(self) -> Response:
        return self.found.get(timeout=TIMEOUT)


class Serving(RequestCallback):
    """A service of one topic, which answers by a function, or with what it was sent."""

    def __init__(
        self, client: DxlClient, topic: str, answer: Callable[[Request], Response] | None = None
    ) -> None:
        super().__init__()
        self.client = client
        self.requests: list[Request] = []
        self.registration = ServiceRegistrationInfo(client, SERVICE_TYPE)
        self.registration.add_topic(topic, self)
        self._answer = answer or _echo

    def __enter__(self) -> "Serving":
        self.client.register_service_sync(self.registration, TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.unregister_service_sync(self.registration, TIMEOUT)

    @property
    def service_id(self) -> str:
        return self.registration.service_id

    def on_request(self, request: Request) -> None:
        self.requests.append(request)
        self.client.send_response(self._answer(request))


def _echo(request: Request) -> Response:
    response = Response(request)
    response.payload = request.payload
    response.other_fields = dict(request.other_fields)
    return response


def ask(client: DxlClient, topic: str, payload: bytes = b"") -> Response:
    request = Request(topic)
    request.payload = payload
    return client.sync_request(request, timeout=TIMEOUT)


def assert_nobody_serves(response: Response) -> None:
    assert isinstance(response, ErrorResponse)
    assert response.error_code == NO_SERVICE
    assert "unable to locate service" in response.error_message.lower()


def test_an_event_arrives_as_it_was_sent(near: DxlClient, far: DxlClient, fabric: Fabric) -> None:
    topic, events = new_topic(), Events()
    far.add_event_callback(topic, events)
    event = Event(topic)
    event.payload = b"content"
    event.other_fields = {"name": "välue", "empty": ""}
    event.broker_ids = [fabric.broker.broker_id]
    event.destination_tenant_guids = ["{tenant}"]
    near.send_event(event)
    found = events.next()
    far.remove_event_callback(topic, events)
    assert isinstance(found, Event)
    assert (found.destination_topic, found.payload) == (topic, b"content")
    assert found.message_id == event.message_id
    assert event.other_fields.items() <= found.other_fields.items()
    assert found.broker_ids == [fabric.broker.broker_id]
    assert found.destination_tenant_guids == ["{tenant}"]
    assert found.source_broker_id == fabric.broker.broker_id
    assert found.source_client_id


def test_events_go_where_they_are_meant_for(near: DxlClient, far: DxlClient) -> None:
    topic, events = new_topic(), Events()
    far.add_event_callback(topic, events)
    for brokers, clients in ((["{other}"], []), ([], ["{other}"]), ([], [])):
        event = Event(topic)
        event.broker_ids, event.client_ids = brokers, clients
        event.payload = b"for all" if not brokers + clients else b"for others"
        near.send_event(event)
    assert events.next().payload == b"for all"
    far.remove_event_callback(topic, events)


def test_events_of_a_wildcard_topic(near: DxlClient, far: DxlClient) -> None:
    topic, events = new_topic(), Events()
    far.add_event_callback(f"{topic}/#", events)
    near.send_event(Event(f"{topic}beside"))
    near.send_event(Event(f"{topic}/one"))
    near.send_event(Event(f"{topic}/two/three"))
    assert events.next().destination_topic == f"{topic}/one"
    assert events.next().destination_topic == f"{topic}/two/three"
    far.remove_event_callback(f"{topic}/#", events)


def test_events_end_with_the_subscription(near: DxlClient, far: DxlClient) -> None:
    topic, other, events, every = new_topic(), new_topic(), Events(), Events()
    far.add_event_callback(topic, events, False)
    far.add_event_callback(None, every)
    far.subscribe(topic)
    assert topic in far.subscriptions
    near.send_event(Event(topic))
    assert events.next().destination_topic == topic
    assert every.next().destination_topic == topic
    far.unsubscribe(topic)
    assert topic not in far.subscriptions
    far.subscribe(other)
    near.send_event(Event(topic))
    near.send_event(Event(other))
    assert every.next().destination_topic == other
    assert events.found.empty()
    far.unsubscribe(other)
    far.remove_event_callback(None, every)
    far.remove_event_callback(topic, events, False)


def test_a_request_and_its_response(near: DxlClient, far: DxlClient, fabric: Fabric) -> None:
    topic = new_topic()
    request = Request(topic)
    request.payload = b"ping"
    request.other_fields = {"name": "value"}
    with Serving(far, topic) as serving:
        assert serving.service_id in registered_services(near, SERVICE_TYPE)
        response = near.sync_request(request, timeout=TIMEOUT)
    assert not isinstance(response, ErrorResponse)
    assert response.payload == b"ping"
    assert response.other_fields["name"] == "value"
    assert response.request_message_id == request.message_id
    assert response.service_id == serving.service_id
    assert response.source_broker_id == fabric.broker.broker_id
    (heard,) = serving.requests
    assert (heard.message_id, heard.payload) == (request.message_id, b"ping")
    assert heard.reply_to_topic == request.reply_to_topic
    assert heard.service_id == serving.service_id
    assert heard.source_client_id
    assert_nobody_serves(ask(near, topic))


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_payloads_of_any_size(near: DxlClient, far: DxlClient, size: int) -> None:
    topic, content = new_topic(), bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    with Serving(far, topic) as serving:
        response = ask(near, topic, content)
    (request,) = serving.requests
    assert request.payload == response.payload == content
    assert payload_of(response) == content


@pytest.mark.parametrize(
    ("payload", "arrives"),
    [
        ("täxt", "täxt".encode()),
        (bytearray(b"bytes"), b"bytes"),
        (memoryview(b"some bytes")[5:], b"bytes"),
        (memoryview(b"\1\0\2\0").cast("H"), b"\1\0\2\0"),
        (["a", 1], [b"a", 1]),
        (None, b""),  # the broker makes this of it
        (7, 7),
    ],
)
def test_payloads_of_other_types(
    near: DxlClient, far: DxlClient, payload: object, arrives: object
) -> None:
    topic, events = new_topic(), Events()
    far.add_event_callback(topic, events)
    event = Event(topic)
    event.payload = payload  # type: ignore[assignment]
    near.send_event(event)
    near.send_event(Event(topic))
    assert events.next().payload == arrives
    assert events.next().payload == b""
    far.remove_event_callback(topic, events)


def test_requests_that_are_answered_later(near: DxlClient, far: DxlClient) -> None:
    topic, responses, every = new_topic(), Responses(), Responses()
    near.add_response_callback(None, every)
    with Serving(far, topic):
        requests = [Request(topic) for _ in range(20)]
        for request in requests:
            near.async_request(request, responses)
        found = {responses.next().request_message_id for _ in requests}
        seen = {every.next().request_message_id for _ in requests}
    near.remove_response_callback(None, every)
    assert found == seen == {request.message_id for request in requests}
    near.async_request(Request(topic), responses)
    assert_nobody_serves(responses.next())


def test_an_error_response(near: DxlClient, far: DxlClient) -> None:
    topic = new_topic()
    with Serving(far, topic, lambda request: ErrorResponse(request, 42, "nö")) as serving:
        response = ask(near, topic)
    assert isinstance(response, ErrorResponse)
    assert (response.error_code, response.error_message) == (42, "nö")
    assert response.service_id == serving.service_id


def test_a_service_that_stumbles_answers_the_next_request(near: DxlClient, far: DxlClient) -> None:
    topic = new_topic()

    def answer(request: Request) -> Response:
        if request.payload == b"stumble":
            raise RuntimeError("a service that stumbles")
        return Response(request)

    with Serving(far, topic, answer):
        stumbling = Request(topic)
        stumbling.payload = b"stumble"
        with pytest.raises(WaitTimeoutException):
            near.sync_request(stumbling, timeout=0.1)
        assert not isinstance(ask(near, topic), ErrorResponse)


def test_a_request_to_one_of_several_services(near: DxlClient, far: DxlClient) -> None:
    topic = new_topic()
    with Serving(far, topic) as first, Serving(near, topic) as second:
        for serving in (first, second):
            for _ in range(3):
                request = Request(topic)
                request.service_id = serving.service_id
                response = near.sync_request(request, timeout=TIMEOUT)
                assert response.service_id == serving.service_id
        anyone = {ask(near, topic).service_id for _ in range(4)}
    assert anyone == {first.service_id, second.service_id}


def test_a_service_of_several_topics(near: DxlClient, far: DxlClient) -> None:
    topics = [new_topic(), new_topic()]
    with Serving(far, topics[0]) as one:
        two = Serving(far, topics[1])
        two.registration.add_topics({topics[1] + "/more": two})
        with two:
            assert ask(near, topics[0]).service_id == one.service_id
            assert ask(near, topics[1]).service_id == two.service_id
            assert ask(near, topics[1] + "/more").service_id == two.service_id


@pytest.mark.parametrize("send", ["send_event", "send_response", "sync_request", "async_request"])
def test_what_cannot_be_sent(near: DxlClient, send: str) -> None:
    wrong = Request("/a") if send == "send_event" else Event("/a")
    with pytest.raises((ValueError, AttributeError)):
        getattr(near, send)(wrong)


@BOTH_KINDS
@pytest.mark.parametrize("threads", [1, 3])
def test_so_many_requests_are_answered_at_the_same_time(
    fabric: Fabric, connections: Connections, kind: type[DxlClient], threads: int
) -> None:
    def configure(config: DxlClientConfig) -> None:
        config.incoming_message_thread_pool_size = threads

    topic, met = new_topic(), threading.Barrier(threads)
    client = connections.open(fabric, kind, configure)

    def answer(request: Request) -> Response:
        met.wait(TIMEOUT)
        return Response(request)

    responses, asking = Responses(), connections.open(fabric)
    with Serving(client, topic, answer):
        for _ in range(threads):
            asking.async_request(Request(topic), responses)
        answers = [responses.next() for _ in range(threads)]
    assert not any(isinstance(each, ErrorResponse) for each in answers)


@BOTH_KINDS
def test_everything_is_there_again_after_the_broker_was_restarted(
    provisioned: Provisioned, connections: Connections, kind: type[DxlClient]
) -> None:
    def configure(config: DxlClientConfig) -> None:
        config.reconnect_delay = 0.05

    topic, events = new_topic(), Events()
    with EmbeddedBroker(provisioned.broker) as broker:
        port = broker.port
        client = connections.open(Fabric(broker, provisioned), kind, configure)
        client.add_event_callback(topic, events)
        serving = Serving(client, topic)
        client.register_service_sync(serving.registration, TIMEOUT)
    wait_until(lambda: not client.connected)
    with EmbeddedBroker(provisioned.broker, port=port) as broker:
        wait_until(lambda: client.connected)
        other = connections.open(Fabric(broker, provisioned))
        wait_until(lambda: serving.service_id in registered_services(other, SERVICE_TYPE))
        assert ask(other, topic, b"again").payload == b"again"
        other.send_event(Event(topic))
        assert events.next().destination_topic == topic
        connections.close()


@BOTH_KINDS
@pytest.mark.usefixtures("no_thread_left")
def test_a_client_that_is_disconnected_can_connect_again(
    fabric: Fabric, connections: Connections, kind: type[DxlClient]
) -> None:
    topic, client = new_topic(), connections.open(fabric, kind)
    with pytest.raises(DxlException, match="Already connected"):
        client.connect()
    client.disconnect()
    assert not client.connected
    client.connect()
    with Serving(client, topic):
        assert ask(client, topic, b"to itself").payload == b"to itself"
    connections.close()


@BOTH_KINDS
@pytest.mark.usefixtures("no_thread_left")
def test_connecting_can_be_tried_again(
    provisioned: Provisioned, mocker: MockerFixture, kind: type[DxlClient]
) -> None:
    """The broker accepts the connection and says nothing, the first time."""
    came: list[Peer] = []

    def converse(peer: Peer) -> None:
        came.append(peer)
        if len(came) > 1:
            peer.welcome()
        while True:
            packet = peer.receive()
            if isinstance(packet, mqtt.Subscribe):
                peer.send(mqtt.SubAck(packet.packet_id, (0,)))
            if isinstance(packet, mqtt.Unsubscribe):
                peer.send(mqtt.Acknowledgement(mqtt.PacketType.UNSUBACK, packet.packet_id))

    with broker_that(provisioned, converse) as port:
        with kind(config_of(provisioned.client.credentials, at(port))) as client:
            mocker.patch.object(client, "_DEFAULT_CONNECT_WAIT", 0.5)
            with pytest.raises(DxlException, match="Failed to establish"):
                client.connect()
            mocker.patch.object(client, "_DEFAULT_CONNECT_WAIT", TIMEOUT)
            client.connect()
            assert client.connected
        assert len(came) >= 2


@pytest.mark.usefixtures("no_thread_left")
def test_nobody_to_connect_to(provisioned: Provisioned) -> None:
    """The official client would leave a thread behind."""
    config = config_of(provisioned.client.credentials, at(unused_port()))
    config.connect_retries = 0
    with FabricClient(config) as client:
        client._DEFAULT_CONNECT_WAIT = 0.05
        with pytest.raises(DxlException, match="Failed to establish"):
            client.connect()
        with pytest.raises(DxlException, match="not currently connected"):
            client.register_service_sync(Serving(client, "/a").registration, TIMEOUT)
        client.send_event(Event("/a"))  # lost


@pytest.mark.usefixtures("no_thread_left")
class TestEnd:
    """Our client can be destroyed at any time."""

    def test_twice(self, fabric: Fabric, connections: Connections) -> None:
        client = connections.open(fabric)
        client.destroy()
        client.destroy()
        assert not client.connected

    def test_before_it_was_connected(self, provisioned: Provisioned) -> None:
        FabricClient(config_of(provisioned.client.credentials, at(unused_port()))).destroy()

    def test_while_a_request_waits(self, fabric: Fabric, connections: Connections) -> None:
        topic, came = new_topic(), threading.Event()
        client, other = connections.open(fabric), connections.open(fabric)

        class Silent(RequestCallback):
            def on_request(self, request: Request) -> None:
                came.set()

        silent = ServiceRegistrationInfo(other, SERVICE_TYPE)
        silent.add_topic(topic, Silent())
        other.register_service_sync(silent, TIMEOUT)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.sync_request, Request(topic), timeout=0.5)
            assert came.wait(TIMEOUT)
            client.destroy()
            assert isinstance(waiting.exception(TIMEOUT), WaitTimeoutException)
        connections.close()

    def test_while_messages_come(self, fabric: Fabric, connections: Connections) -> None:
        topic, events, stop = new_topic(), Events(), threading.Event()
        client, other = connections.open(fabric), connections.open(fabric)
        client.add_event_callback(topic, events)

        def send() -> None:
            while not stop.is_set():
                event = Event(topic)
                event.payload = bytes(50_000)
                other.send_event(event)

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            events.next()
            client.destroy()
            stop.set()
            sending.result(TIMEOUT)
        connections.close()

    def test_while_several_threads_send(self, fabric: Fabric, connections: Connections) -> None:
        topic, client = new_topic(), connections.open(fabric)
        sent, over = threading.Semaphore(0), threading.Event()

        def send() -> None:
            try:
                while not over.is_set():
                    client.send_event(Event(topic))
                    sent.release()
            except AttributeError:
                return  # what the official client leaves of itself

        with ThreadPoolExecutor(3) as pool:
            sending = [pool.submit(send) for _ in range(3)]
            assert sent.acquire(timeout=TIMEOUT)
            client.destroy()
            over.set()
            for each in sending:
                each.result(TIMEOUT)

    def test_after_the_connection_was_cut(self, fabric: Fabric, connections: Connections) -> None:
        client = connections.open(fabric)
        assert isinstance(client, FabricClient)
        client.config.reconnect_when_disconnected = False
        client.cut()
        wait_until(lambda: not client.connected)
        assert client.waiting_bytes == 0
        connections.close()


def test_listeners_take_responses_before_everybody_else(
    fabric: Fabric, connections: Connections
) -> None:
    client = connections.open(fabric)
    assert isinstance(client, FabricClient)
    others, topic = Responses(), new_topic()
    own = client.new_message_id()
    taken: queue.SimpleQueue[codec.Response | Response] = queue.SimpleQueue()

    def listen(response: codec.Response | Response) -> bool:
        if response.request_message_id != own:
            return False
        taken.put(response)
        return True

    client.add_response_callback(None, others)
    client.add_response_listener(listen)
    with Serving(client, topic):
        client.post_request(topic, own, b"content", other_fields={"name": "value"})
        other = Request(topic)
        client.async_request(other)
        assert taken.get(timeout=TIMEOUT).request_message_id == own
        while others.next().request_message_id != other.message_id:
            pass
        client.remove_response_listener(listen)
        own = client.new_message_id()
        client.post_request(topic, own, bytearray(b"content"), other_fields={})
        while others.next().request_message_id != own:
            pass
    assert taken.empty()


def test_responses_of_our_making(fabric: Fabric, connections: Connections) -> None:
    client, topic = connections.open(fabric), new_topic()
    assert isinstance(client, FabricClient)
    with Serving(client, topic, client.new_response) as serving:
        request = Request(topic)
        response = client.sync_request(request, timeout=TIMEOUT)
    assert response.request_message_id == request.message_id
    assert response.service_id == serving.service_id

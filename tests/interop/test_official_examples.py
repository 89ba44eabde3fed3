"""What the official client's documentation shows, one test for each example, with both clients."""

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from dxlclient.broker import Broker
from dxlclient.callbacks import EventCallback, RequestCallback, ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import Event, Message, Request, Response
from dxlclient.service import ServiceRegistrationInfo

from dxlfabric.client import FabricClient
from tests.fabric import Fabric, new_topic
from tests.waiting import TIMEOUT

SERVICE_TYPE = "/test/examples"


def bytes_of(message: Message) -> bytes:
    """What was sent, which is always bytes where it is received."""
    assert isinstance(message.payload, bytes)
    return message.payload


class Heard(EventCallback):
    """Keeps who has sent an event, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.events: queue.Queue[tuple[str, object]] = queue.Queue()

    def on_event(self, event: Event) -> None:
        self.events.put((event.source_client_id, event.payload))


class Pong(RequestCallback):
    """A service that answers every request with one word."""

    def __init__(self, client: DxlClient) -> None:
        super().__init__()
        self._client = client
        self.asked: queue.Queue[str] = queue.Queue()

    def on_request(self, request: Request) -> None:
        self.asked.put(bytes_of(request).decode())
        response = Response(request)
        response.payload = b"pong"
        self._client.send_response(response)


class Answered(ResponseCallback):
    """Keeps the services that have answered."""

    def __init__(self) -> None:
        super().__init__()
        self.services: queue.Queue[str] = queue.Queue()

    def on_response(self, response: Response) -> None:
        self.services.put(response.service_id)


@pytest.fixture(
    params=[FabricClient, DxlClient],
    ids=["ours", "official"],
    scope="module",
)
def kind(request: pytest.FixtureRequest) -> type[DxlClient]:
    found: type[DxlClient] = request.param
    return found


@pytest.fixture(scope="module")
def config(fabric: Fabric) -> DxlClientConfig:
    """A configuration that a program makes, from files and the broker's address."""
    files = fabric.provisioned.client.credentials
    return DxlClientConfig(
        broker_ca_bundle=str(files.authority),
        cert_file=str(files.certificate),
        private_key=str(files.private_key),
        brokers=[Broker.parse(f"ssl://127.0.0.1:{fabric.broker.port}")],
    )


@pytest.fixture(scope="module")
def client(kind: type[DxlClient], config: DxlClientConfig) -> Iterator[DxlClient]:
    """A connected client."""
    with kind(config) as client:
        client.connect()
        yield client


@pytest.fixture
def pong(client: DxlClient) -> Iterator[tuple[str, str, Pong]]:
    """A registered service: its topic, its id and what answers."""
    topic, callback = new_topic(), Pong(client)
    info = ServiceRegistrationInfo(client, SERVICE_TYPE)
    info.add_topic(topic, callback)
    client.register_service_sync(info, 10)
    yield topic, info.service_id, callback
    client.unregister_service_sync(info, 10)


def test_connecting(kind: type[DxlClient], config: DxlClientConfig) -> None:
    with kind(config) as client:
        client.connect()
        assert client.connected
        assert client.current_broker is not None


def test_configuration_file(kind: type[DxlClient], fabric: Fabric, tmp_path: Path) -> None:
    files = fabric.provisioned.client.credentials
    path = tmp_path / "dxlclient.config"
    broker = f"{fabric.broker.broker_id};{fabric.broker.port};no-such-host.invalid;127.0.0.1"
    path.write_text(
        f"[General]\nuseWebSocketBrokers=no\n"
        f"[Certs]\nBrokerCertChain={files.authority}\nCertFile={files.certificate}\n"
        f"PrivateKey={files.private_key}\n"
        f"[Brokers]\nmybroker={broker}\n[BrokersWebSockets]\nmybroker={broker}\n"
    )
    config = DxlClientConfig.create_dxl_config_from_file(str(path))
    with kind(config) as client:
        client.connect()
        assert client.current_broker is not None
        assert client.current_broker.unique_id == fabric.broker.broker_id


def test_configuration_that_is_changed_and_written(
    kind: type[DxlClient], fabric: Fabric, tmp_path: Path
) -> None:
    path = fabric.write_configuration(tmp_path / "dxlclient.config")
    config = DxlClientConfig.create_dxl_config_from_file(str(path))
    other = fabric.provisioned.service.credentials
    config.cert_file, config.private_key = str(other.certificate), str(other.private_key)
    config.write(str(path))
    assert f"CertFile = {other.certificate}" in path.read_text()
    with kind(DxlClientConfig.create_dxl_config_from_file(str(path))) as client:
        client.connect()
        assert client.connected


def test_event_callback_and_an_event(client: DxlClient) -> None:
    topic, heard = new_topic(), Heard()
    client.add_event_callback(topic, heard)
    event = Event(topic)
    event.payload = b"testing"
    client.send_event(event)
    sender, payload = heard.events.get(timeout=TIMEOUT)
    assert sender
    assert payload == b"testing"


def test_subscription_apart_from_its_callback(client: DxlClient) -> None:
    topic, heard = new_topic(), Heard()
    client.add_event_callback(topic, heard, False)
    assert topic not in client.subscriptions
    client.subscribe(topic)
    client.send_event(Event(topic))
    assert heard.events.get(timeout=TIMEOUT)[1] == b""


def test_request_whose_response_goes_to_a_callback(
    client: DxlClient, pong: tuple[str, str, Pong]
) -> None:
    topic, service_id, _ = pong
    answered = Answered()
    client.async_request(Request(topic), answered)
    assert answered.services.get(timeout=TIMEOUT) == service_id


def test_service_and_a_request_to_it(client: DxlClient, pong: tuple[str, str, Pong]) -> None:
    topic, _, callback = pong
    request = Request(topic)
    request.payload = b"ping"
    response = client.sync_request(request)
    assert response.message_type != Message.MESSAGE_TYPE_ERROR
    assert bytes_of(response).decode() == "pong"
    assert callback.asked.get(timeout=TIMEOUT) == "ping"

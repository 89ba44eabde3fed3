"""The client of the service: what waits to be sent is bounded, and its end is orderly."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from dxlclient.callbacks import RequestCallback, ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.message import ErrorResponse, Request, Response
from dxlclient.service import ServiceRegistrationInfo
from pytest_mock import MockerFixture

from dxlfabric.configuration import (
    BrokerAddress,
    load_configuration,
    write_client_configuration,
)
from dxlfabric.line import Line
from dxlfiletransferservice import serviceclient
from dxlfiletransferservice.serviceclient import ServiceClient
from tests.fabric import Fabric, new_topic, registered_services
from tests.processes import Processes
from tests.waiting import TIMEOUT, wait_until

SERVICE_TYPE = "/test/serviceclient"
MIB = 1_048_576


class Slow(RequestCallback):
    """Answers when it is told to."""

    def __init__(self, client: DxlClient) -> None:
        super().__init__()
        self._client = client
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def on_request(self, request: Request) -> None:
        self.begun.release()
        assert self.go_on.wait(TIMEOUT)
        self._client.send_response(Response(request))


class Answers(ResponseCallback):
    """Keeps the answers to several requests."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Response] = []

    def on_response(self, response: Response) -> None:
        self.received.append(response)


@pytest.fixture
def client(fabric: Fabric, tmp_path: Path) -> Iterator[ServiceClient]:
    """A connected client that carries out one request at a time."""
    path = fabric.write_configuration(tmp_path / "dxlclient.config", as_service=True)
    config = load_configuration(path)
    config.incoming_message_thread_pool_size = 1
    with ServiceClient(config) as connected:
        connected.connect()
        yield connected


def register(client: ServiceClient, topic: str, callback: RequestCallback) -> str:
    info = ServiceRegistrationInfo(client, SERVICE_TYPE)
    info.add_topic(topic, callback)
    client.register_service_sync(info, TIMEOUT)
    return info.service_id


def test_what_has_come_is_answered_before_the_end(
    client: ServiceClient, dxl_client: DxlClient
) -> None:
    topic, answers, slow = new_topic(), Answers(), Slow(client)
    service_id = register(client, topic, slow)
    for _ in range(5):
        dxl_client.async_request(Request(topic), answers)
    # The broker answers in order: when it answers this, it has passed on all five.
    assert service_id in registered_services(dxl_client, SERVICE_TYPE)
    assert slow.begun.acquire(timeout=TIMEOUT)
    with ThreadPoolExecutor(1) as pool:
        ending: Future[None] = pool.submit(client.retire, service_id)
        # The broker has taken it off when it knows it no more; its answer waits with the requests.
        wait_until(lambda: service_id not in registered_services(dxl_client, SERVICE_TYPE))
        assert not ending.done()
        refused = dxl_client.sync_request(Request(topic), timeout=TIMEOUT)
        assert isinstance(refused, ErrorResponse)
        slow.go_on.set()
        ending.result(TIMEOUT)
    client.destroy()
    wait_until(lambda: len(answers.received) == 5)
    assert not any(isinstance(each, ErrorResponse) for each in answers.received)


def test_the_wait_for_what_has_come_ends(
    client: ServiceClient,
    dxl_client: DxlClient,
    mocker: MockerFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mocker.patch.object(serviceclient, "DRAIN_TIMEOUT", 0.05)
    topic, slow = new_topic(), Slow(client)
    service_id = register(client, topic, slow)
    mocker.patch.object(client, "sync_request")  # its answer would wait behind the slow request
    dxl_client.async_request(Request(topic), Answers())
    assert slow.begun.acquire(timeout=TIMEOUT)
    client.retire(service_id)
    assert "Some requests that came before the end are not answered" in caplog.text
    mocker.stopall()
    slow.go_on.set()


def test_a_broker_that_does_not_answer_is_left(
    client: ServiceClient, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    topic, slow = new_topic(), Slow(client)
    service_id = register(client, topic, slow)
    mocker.patch.object(serviceclient, "UNREGISTER_TIMEOUT", 0.0)
    client.retire(service_id)
    assert not client.connected
    assert "the broker did not confirm the end of the service" in caplog.text
    client.retire(service_id)


BROKER = """
import signal, sys
from pathlib import Path
from dxlfabric.line import Line
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.line import Line
from dxlfabric.certificates import provision

with EmbeddedBroker(provision(Path(sys.argv[1])).broker) as broker:
    print("port", broker.port, flush=True)
    signal.pause()
"""


def test_answers_for_a_broker_that_hangs_do_not_keep_it_from_ending(
    fabric: Fabric, processes: Processes, tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch.object(serviceclient, "UNREGISTER_TIMEOUT", 0.2)
    broker = processes.start_python("-c", BROKER, fabric.provisioned.home)
    port = int(broker.wait_for_line("port ").split()[1])
    path = tmp_path / "hanging.config"
    address = BrokerAddress(fabric.broker.broker_id, "127.0.0.1", port)
    write_client_configuration(path, fabric.provisioned.service.credentials, address)
    with ServiceClient(load_configuration(path)) as client:
        client.connect()
        service_id = register(client, new_topic(), Slow(client))
        broker.process.send_signal(signal.SIGSTOP)
        # More than the buffers of the system take.
        for _ in range(30):
            client.send_response(large_answer())
        client.retire(service_id)
        assert not client.connected


def large_answer() -> Response:
    """An answer of nearly the largest size, which nobody waits for."""
    request = Request(new_topic())
    request.reply_to_topic = new_topic()
    answer = Response(request)
    answer.payload = bytes(MIB - 10_000)
    return answer


def test_answers_that_wait_are_counted_until_they_are_sent(
    client: ServiceClient, mocker: MockerFixture
) -> None:
    mocker.patch.object(serviceclient, "CROWDED_BYTES", 3 * MIB // 2)
    crowded = [client.crowded]
    # While the network takes nothing, everything waits.
    full = mocker.patch.object(Line, "_flush")
    for _ in range(2):
        client.send_response(large_answer())
        crowded.append(client.crowded)
    mocker.stop(full)
    client.send_response(large_answer())
    assert crowded == [False, False, True]
    wait_until(lambda: not client.crowded)


def test_answers_are_dropped_when_too_many_wait(
    client: ServiceClient,
    dxl_client: DxlClient,
    mocker: MockerFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic, answers, slow = new_topic(), Answers(), Slow(client)
    slow.go_on.set()
    register(client, topic, slow)
    mocker.patch.object(serviceclient, "FULL_BYTES", -1)
    dxl_client.async_request(Request(topic), answers)
    wait_until(lambda: "Dropped the answer to request" in caplog.text)
    mocker.patch.object(serviceclient, "FULL_BYTES", MIB)
    response = dxl_client.sync_request(Request(topic), timeout=TIMEOUT)
    assert not isinstance(response, ErrorResponse)
    assert answers.received == []

import contextlib
import socket
import threading
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException
from dxlclient.message import ErrorResponse, Request
from pytest_mock import MockerFixture

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Credentials, Provisioned
from dxlfabric.client import FabricClient
from dxlfabric.configuration import load_configuration
from dxlfabric.connection import connect
from dxlfabric.diagnosis import open_socket
from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfabric.mqtt import ConnAck, encode
from tests.fabric import Fabric
from tests.tlsservers import (
    SHORT,
    TIMEOUT,
    at,
    config_of,
    read_until_closed,
    server,
    server_context,
    unused_port,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_left")


@pytest.fixture
def pause(mocker: MockerFixture) -> MagicMock:
    """What passes the time between two attempts; other modules sleep as ever."""
    clock = mocker.patch("dxlfabric.connection.time")
    clock.monotonic = time.monotonic
    sleep: MagicMock = clock.sleep
    return sleep


@pytest.fixture
def configuration(provisioned: Provisioned, broker: EmbeddedBroker, tmp_path: Path) -> Path:
    """A client configuration for the running broker."""
    return Fabric(broker, provisioned).write_configuration(tmp_path / "dxlclient.config")


def test_connected_client_gets_answers(provisioned: Provisioned, broker: EmbeddedBroker) -> None:
    with connect(config_of(provisioned.client.credentials, at(broker.port))) as client:
        assert isinstance(client, DxlClient)
        assert client.connected
        response = client.sync_request(Request("/nobody/serves/this"), timeout=TIMEOUT)
        assert isinstance(response, ErrorResponse)
        with pytest.raises(DxlException, match="Already connected"):
            client.connect()


def test_configuration_file_is_enough(configuration: Path, broker: EmbeddedBroker) -> None:
    for name in (configuration, str(configuration)):
        with connect(name, timeout=TIMEOUT) as client:
            assert client.current_broker is not None
            assert client.current_broker.unique_id == broker.broker_id


def test_settings_for_later_are_those_of_the_configuration(
    provisioned: Provisioned, broker: EmbeddedBroker
) -> None:
    dead = at(unused_port())
    config = config_of(provisioned.client.credentials, dead, at(broker.port))
    config.connect_retries = 7
    with connect(config, timeout=TIMEOUT) as client:
        assert client.config.connect_retries == 7
        assert client.config.reconnect_when_disconnected
        assert client.config.brokers == config.brokers
        assert client.current_broker is config.brokers[1]


def test_client_reconnects_by_itself(provisioned: Provisioned) -> None:
    with EmbeddedBroker(provisioned.broker) as broker:
        port = broker.port
        config = config_of(provisioned.client.credentials, at(port))
        config.reconnect_delay = 0.1
        client = connect(config)
    with client:
        wait_until(lambda: not client.connected)
        with EmbeddedBroker(provisioned.broker, port=port):
            wait_until(lambda: client.connected)
            response = client.sync_request(Request("/nobody/serves/this"), timeout=TIMEOUT)
    assert isinstance(response, ErrorResponse)


def test_small_packets_are_sent_at_once() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        open_socket("127.0.0.1", listener.getsockname()[1], timeout=TIMEOUT) as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_second_address_is_tried(provisioned: Provisioned, broker: EmbeddedBroker) -> None:
    address = Broker("no-such-host.invalid", ip_address="127.0.0.1", port=broker.port)
    with connect(config_of(provisioned.client.credentials, address)) as client:
        assert client.connected


@pytest.mark.parametrize("silent", [True, False])
def test_broker_that_stops_answering_after_the_first_look(
    provisioned: Provisioned, silent: bool
) -> None:
    """The first connection is welcomed, the client's own is not: no thread may be left."""
    context = server_context(provisioned.broker)
    welcomed: list[bool] = []

    def welcome_once(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1024)
            if not welcomed:
                welcomed.append(True)
                secured.sendall(encode(ConnAck()))
            if silent:
                read_until_closed(secured)

    with server(welcome_once) as port, pytest.raises(ConnectError, match=f"127.0.0.1:{port}: it "):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=SHORT)
    assert welcomed


def test_broker_that_comes_late_is_tried_again(provisioned: Provisioned, pause: MagicMock) -> None:
    port = unused_port()
    with contextlib.ExitStack() as stack:

        def start_broker(_: float) -> None:
            stack.enter_context(EmbeddedBroker(provisioned.broker, port=port))

        pause.side_effect = start_broker
        config = config_of(provisioned.client.credentials, at(port))
        with connect(config, timeout=TIMEOUT, retries=5, retry_delay=0.25) as client:
            assert client.connected
        pause.assert_called_once_with(0.25)


def test_retries_end(provisioned: Provisioned, pause: MagicMock) -> None:
    config = config_of(provisioned.client.credentials, at(unused_port()))
    with pytest.raises(ConnectError, match="nobody listens"):
        connect(config, timeout=TIMEOUT, retries=3)
    assert pause.call_count == 3


def test_no_retry_where_it_cannot_help(
    provisioned: Provisioned, foreign: Provisioned, pause: MagicMock
) -> None:
    with (
        EmbeddedBroker(foreign.broker) as broker,
        pytest.raises(ConnectError, match="certificate is not accepted"),
    ):
        connect(
            config_of(provisioned.client.credentials, at(broker.port)), timeout=TIMEOUT, retries=3
        )
    pause.assert_not_called()


def test_no_retry_after_the_time_out(provisioned: Provisioned, pause: MagicMock) -> None:
    config = config_of(provisioned.client.credentials, at(unused_port()))
    with pytest.raises(ConnectError):
        connect(config, timeout=1.0, retries=3, retry_delay=1.0)
    pause.assert_not_called()


def test_configuration_that_cannot_be_used(provisioned: Provisioned, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.config"):
        connect(tmp_path / "none.config")
    with pytest.raises(ConfigurationError, match="no broker is named"):
        connect(config_of(provisioned.client.credentials))
    gone = Credentials(provisioned.broker.authority, tmp_path / "gone.crt", tmp_path / "gone.key")
    with pytest.raises(ConfigurationError, match=r"CertFile: .*gone\.crt"):
        connect(config_of(gone, at(1)))


def test_official_client_takes_the_configuration_as_it_is(configuration: Path) -> None:
    with DxlClient(DxlClientConfig.create_dxl_config_from_file(str(configuration))) as client:
        client.connect()
        assert client.connected
        response = client.sync_request(Request("/nobody/serves/this"), timeout=TIMEOUT)
        assert isinstance(response, ErrorResponse)


def test_client_can_be_destroyed_while_it_tries_to_reconnect(provisioned: Provisioned) -> None:
    with EmbeddedBroker(provisioned.broker) as broker:
        client = connect(config_of(provisioned.client.credentials, at(broker.port)))
    wait_until(lambda: not client.connected)
    client.destroy()
    assert not client.connected


def test_client_can_be_destroyed_while_it_tries_to_connect(
    provisioned: Provisioned, mocker: MockerFixture
) -> None:
    config = config_of(provisioned.client.credentials, at(unused_port()))
    failed = threading.Event()
    mocker.patch("dxlclient.client.logger.error", side_effect=lambda *_: failed.set())
    client = FabricClient(config)
    errors: list[BaseException] = []

    def try_for_ever() -> None:
        try:
            client.connect()
        except DxlException as error:
            errors.append(error)

    thread = threading.Thread(target=try_for_ever, daemon=True)
    thread.start()
    assert failed.wait(TIMEOUT)
    client.destroy()
    thread.join(TIMEOUT)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_client_class_can_be_used_on_its_own(configuration: Path) -> None:
    with FabricClient(load_configuration(configuration)) as client:
        client.connect()
        assert client.connected


def test_a_thread_that_is_taken_away_while_disconnecting(
    provisioned: Provisioned, mocker: MockerFixture
) -> None:
    """The base class looks at its connecting thread twice; connect() may end it in between."""
    client = FabricClient(config_of(provisioned.client.credentials, at(unused_port())))
    disconnect = mocker.patch.object(DxlClient, "_disconnect", side_effect=[AttributeError, None])
    client._disconnect()
    assert disconnect.call_count == 2
    mocker.stop(disconnect)
    client.destroy()

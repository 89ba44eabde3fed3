"""Our client and TLS: new and old brokers, host names, proxies that do not count."""

import socket
import ssl
from functools import partial
from pathlib import Path

import pytest
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException
from dxlclient.message import ErrorResponse, Request

from dxlfabric import mqtt, mqttclient, websockets
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.client import FabricClient
from dxlfabric.configuration import (
    HOST_NAME_SETTING,
    BrokerAddress,
    load_configuration,
    write_client_configuration,
)
from dxlfabric.connection import connect
from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfabric.mqtt import PacketType
from dxlfabric.mqttclient import MqttClient
from dxlfabric.opening import open_line
from tests.integration.mqttpeers import Peer
from tests.tlsservers import (
    SHORT,
    at,
    config_of,
    read_until_closed,
    server,
    server_context,
)
from tests.waiting import TIMEOUT

pytestmark = pytest.mark.usefixtures("no_thread_left")

ELSEWHERE = "127.0.0.2"
"""An address of this machine that the broker's certificate does not name."""


def answer_everything(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Be a broker as far as it takes to be connected to."""
    with context.wrap_socket(connection, server_side=True) as secured:
        peer = Peer(secured)
        peer.welcome()
        while True:
            packet = peer.receive()
            match packet:
                case mqtt.Subscribe(number, filters):
                    peer.send(mqtt.SubAck(number, (0,) * len(filters)))
                case mqtt.Unsubscribe(number):
                    peer.send(mqtt.Acknowledgement(PacketType.UNSUBACK, number))


def agreed(client: DxlClient) -> tuple[str | None, str]:
    """Version and cipher of a client's connection."""
    assert isinstance(client, FabricClient)
    assert isinstance(client._client, MqttClient)
    assert client._client._line is not None
    stream = client._client._line._stream._stream
    cipher = stream.cipher()
    assert cipher is not None
    return stream.version(), cipher[0]


def configured(
    provisioned: Provisioned, broker: EmbeddedBroker, path: Path, *, host: str, general: str = ""
) -> Path:
    """Write a client configuration with something of its own in its general section."""
    files = provisioned.client.credentials
    write_client_configuration(path, files, BrokerAddress(broker.broker_id, host, broker.port))
    path.write_text(f"[General]\n{general}\n" + path.read_text())
    return path


def test_the_newest_version_is_used(provisioned: Provisioned, broker: EmbeddedBroker) -> None:
    with connect(config_of(provisioned.client.credentials, at(broker.port))) as client:
        assert agreed(client)[0] == "TLSv1.3"


def test_brokers_that_take_one_old_cipher(provisioned: Provisioned) -> None:
    context = server_context(provisioned.broker)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        server(lambda connection: answer_everything(connection, context)) as port,
        connect(config_of(provisioned.client.credentials, at(port))) as client,
    ):
        assert client.connected
        assert agreed(client) == ("TLSv1.2", "AES128-SHA256")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_brokers_of_older_versions_are_refused(provisioned: Provisioned) -> None:
    context = server_context(provisioned.broker)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    config = config_of(provisioned.client.credentials)
    config.connect_retries = 0
    with server(lambda connection: answer_everything(connection, context)) as port:
        config.brokers = [at(port)]
        with pytest.raises(ConnectError, match="no TLS version or cipher in common"):
            connect(config)
        with FabricClient(config) as client:
            client._DEFAULT_CONNECT_WAIT = 0.05
            with pytest.raises(DxlException):
                client.connect()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_broker_that_proves_its_name(
    provisioned: Provisioned, broker: EmbeddedBroker, tmp_path: Path, host: str
) -> None:
    setting = f"{HOST_NAME_SETTING} = yes"
    path = configured(provisioned, broker, tmp_path / "config", host=host, general=setting)
    with connect(path) as client:
        assert client.connected
    with FabricClient(load_configuration(path)) as client:
        client.connect()
        assert isinstance(
            client.sync_request(Request("/nobody/serves/this"), timeout=TIMEOUT), ErrorResponse
        )


def test_a_broker_under_another_name(provisioned: Provisioned, tmp_path: Path) -> None:
    setting = f"{HOST_NAME_SETTING} = yes"
    with EmbeddedBroker(provisioned.broker, host=ELSEWHERE) as broker:
        path = configured(provisioned, broker, tmp_path / "yes", host=ELSEWHERE, general=setting)
        with pytest.raises(ConnectError, match="certificate is not accepted") as caught:
            connect(path)
        assert str(caught.value).startswith(f"broker {ELSEWHERE}:{broker.port}: ")
        config = load_configuration(path)
        config.connect_retries = 0
        with FabricClient(config) as client:
            client._DEFAULT_CONNECT_WAIT = 0.05
            with pytest.raises(DxlException):
                client.connect()


@pytest.mark.parametrize("general", ["", f"{HOST_NAME_SETTING} = no", f"{HOST_NAME_SETTING}=False"])
def test_any_name_will_do_by_default(
    provisioned: Provisioned, tmp_path: Path, general: str
) -> None:
    with EmbeddedBroker(provisioned.broker, host=ELSEWHERE) as broker:
        path = configured(provisioned, broker, tmp_path / "no", host=ELSEWHERE, general=general)
        with connect(path) as client:
            assert client.connected


def test_a_setting_that_is_neither_yes_nor_no(
    provisioned: Provisioned, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    setting = f"{HOST_NAME_SETTING} = perhaps"
    path = configured(provisioned, broker, tmp_path / "c", host="localhost", general=setting)
    with pytest.raises(ConfigurationError, match=rf"{HOST_NAME_SETTING}.*'perhaps'"):
        connect(path)
    config = DxlClientConfig.create_dxl_config_from_file(str(path))
    with pytest.raises(ConfigurationError, match=HOST_NAME_SETTING):
        FabricClient(config).destroy()


@pytest.mark.parametrize("use_websockets", [False, True])
def test_a_broker_that_never_finishes_the_handshake(
    provisioned: Provisioned, monkeypatch: pytest.MonkeyPatch, use_websockets: bool
) -> None:
    monkeypatch.setattr(websockets, "OPEN_TIMEOUT", SHORT)
    monkeypatch.setattr(mqttclient, "open_line", partial(open_line, timeout=SHORT))
    monkeypatch.setattr(DxlClientConfig, "use_websockets", use_websockets)
    config = config_of(provisioned.client.credentials)
    config.connect_retries = 0
    with server(read_until_closed) as port:
        config.brokers = config.websocket_brokers = [at(port)]
        with FabricClient(config) as client:
            client._DEFAULT_CONNECT_WAIT = 0.05
            with pytest.raises(DxlException, match="Failed to establish"):
                client.connect()

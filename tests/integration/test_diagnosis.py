import socket
import ssl

import pytest
from pytest_mock import MockerFixture

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Credentials, Provisioned
from dxlfabric.connection import connect
from dxlfabric.errors import ConnectError
from dxlfabric.mqtt import ConnAck, encode
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

pytestmark = pytest.mark.usefixtures("no_thread_left")


def test_nobody_listens(provisioned: Provisioned) -> None:
    port = unused_port()
    with pytest.raises(ConnectError, match=f"broker 127.0.0.1:{port}: nobody listens there"):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=TIMEOUT)


def test_each_broker_is_named(provisioned: Provisioned) -> None:
    with server(lambda connection: connection.sendall(b"hello\r\n")) as port:
        config = config_of(provisioned.client.credentials, at(unused_port()), at(port))
        with pytest.raises(ConnectError, match=rf"nobody listens.*; broker 127\.0\.0\.1:{port}: "):
            connect(config, timeout=TIMEOUT)


def test_host_name_does_not_resolve(provisioned: Provisioned) -> None:
    config = config_of(provisioned.client.credentials, at(8883, "no-such-host.invalid"))
    with pytest.raises(
        ConnectError, match=r"no-such-host\.invalid:8883: the host name .* resolved"
    ):
        connect(config, timeout=TIMEOUT)


def test_host_name_that_cannot_be_one(provisioned: Provisioned) -> None:
    config = config_of(provisioned.client.credentials, at(8883, "x" * 70 + ".example"))
    with pytest.raises(ConnectError, match="cannot be resolved"):
        connect(config, timeout=TIMEOUT)


def test_network_is_unreachable(provisioned: Provisioned, mocker: MockerFixture) -> None:
    mocker.patch("socket.socket.connect", side_effect=OSError(101, "Network is unreachable"))
    with pytest.raises(ConnectError, match=r"cannot be reached \(Network is unreachable\)"):
        connect(config_of(provisioned.client.credentials, at(8883)), timeout=TIMEOUT)


def test_no_answer_to_the_first_packet(provisioned: Provisioned, mocker: MockerFixture) -> None:
    mocker.patch("socket.socket.connect", side_effect=TimeoutError("timed out"))
    with pytest.raises(ConnectError, match=r"no answer within 2 s; .* firewall"):
        connect(config_of(provisioned.client.credentials, at(8883)), timeout=2.0)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
def test_not_a_tls_server(provisioned: Provisioned, greeting: bytes) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(greeting)
        read_until_closed(connection)

    with server(greet) as port, pytest.raises(ConnectError, match="does not speak TLS"):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=TIMEOUT)


def test_closed_during_the_handshake(provisioned: Provisioned) -> None:
    with (
        server(lambda connection: None) as port,
        pytest.raises(ConnectError, match="closed the connection during the TLS handshake"),
    ):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=TIMEOUT)


def test_silent_server(provisioned: Provisioned) -> None:
    with (
        server(read_until_closed) as port,
        pytest.raises(ConnectError, match=f":{port}: it accepts connections but has not answered"),
    ):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=SHORT)


def test_broker_of_another_authority(provisioned: Provisioned, foreign: Provisioned) -> None:
    files = provisioned.client.credentials
    with EmbeddedBroker(foreign.broker) as broker, pytest.raises(ConnectError) as caught:
        connect(config_of(files, at(broker.port)), timeout=TIMEOUT)
    assert "its certificate is not accepted" in str(caught.value)
    assert str(files.authority) in str(caught.value)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_certificate_of_another_authority(
    provisioned: Provisioned, foreign: Provisioned, version: str
) -> None:
    """With TLS 1.3, the refusal comes only after the client's side of the handshake is done."""
    client = foreign.client.credentials
    files = Credentials(provisioned.broker.authority, client.certificate, client.private_key)
    context = server_context(provisioned.broker)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    def shake_hands(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            read_until_closed(secured)

    with server(shake_hands) as port, pytest.raises(ConnectError) as caught:
        connect(config_of(files, at(port)), timeout=TIMEOUT)
    assert "refuses the client certificate" in str(caught.value)
    assert str(client.certificate) in str(caught.value)


def test_embedded_broker_refuses_a_foreign_certificate(
    provisioned: Provisioned, foreign: Provisioned, broker: EmbeddedBroker
) -> None:
    client = foreign.client.credentials
    files = Credentials(provisioned.broker.authority, client.certificate, client.private_key)
    with pytest.raises(ConnectError, match="refuses the client certificate"):
        connect(config_of(files, at(broker.port)), timeout=TIMEOUT)


def test_nothing_in_common(provisioned: Provisioned) -> None:
    context = server_context(provisioned.broker)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True)

    with (
        server(shake_hands) as port,
        pytest.raises(ConnectError, match="no TLS version or cipher in common"),
    ):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection before it answered"),
        (encode(ConnAck(3)), "not available at present"),
        (encode(ConnAck(5)), "does not allow this client"),
        (encode(ConnAck(77)), "refuses, with code 77"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no MQTT broker"),
        (b"\xff\xff\xff\xff\xff", "no MQTT broker"),
        (b"\xd0\x00", "no MQTT broker"),
    ],
)
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_answer_that_is_no_welcome(
    provisioned: Provisioned, answer: bytes, message: str, version: str
) -> None:
    context = server_context(provisioned.broker)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    def refuse(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1024)
            secured.sendall(answer)

    with server(refuse) as port, pytest.raises(ConnectError, match=message):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=TIMEOUT)


def test_no_answer_after_the_handshake(provisioned: Provisioned) -> None:
    context = server_context(provisioned.broker)

    def listen(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            read_until_closed(secured)

    with (
        server(listen) as port,
        pytest.raises(ConnectError, match="it accepts connections but has not answered"),
    ):
        connect(config_of(provisioned.client.credentials, at(port)), timeout=SHORT)

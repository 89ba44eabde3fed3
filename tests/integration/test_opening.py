"""Making a client's connection: how it comes about, and what is in the way."""

import gc
import socket
import ssl
import warnings
from collections.abc import Callable

import pytest

from dxlfabric import mqtt
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.clientsession import ClientSession
from dxlfabric.line import Line
from dxlfabric.opening import open_line
from dxlfabric.tls import client_context
from tests.integration.mqttpeers import http_proxy
from tests.tlsservers import SHORT, TIMEOUT, read_until_closed, server, unused_port
from tests.tlsservers import server_context as old_server_context

pytestmark = pytest.mark.usefixtures("no_thread_left")

HOST = "127.0.0.1"

HTTP_PROXY = 3
"""What the library for proxies calls one for HTTP."""


@pytest.fixture
def context(provisioned: Provisioned) -> ssl.SSLContext:
    return client_context(provisioned.client.credentials)


def proxy_at(port: int) -> dict[str, object]:
    """A proxy, as the official client names it."""
    return {
        "proxy_type": HTTP_PROXY,
        "proxy_addr": HOST,
        "proxy_port": port,
        "proxy_rdns": True,
        "proxy_username": "user",
        "proxy_password": "secret",
    }


def assert_welcomed(line: Line) -> None:
    line.send([ClientSession("me", keep_alive=0).begin(0.0)])
    assert next(iter(line.receive(TIMEOUT))) == mqtt.ConnAck()


def test_a_broker_is_there(broker: EmbeddedBroker, context: ssl.SSLContext) -> None:
    line = open_line(HOST, broker.port, context)
    assert_welcomed(line)
    line.close()


def test_through_a_proxy(broker: EmbeddedBroker, context: ssl.SSLContext) -> None:
    with http_proxy() as (port, heard):
        line = open_line(HOST, broker.port, context, proxy=proxy_at(port))
        assert line._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert_welcomed(line)
        line.close()
    (request,) = heard
    assert request.startswith(f"CONNECT {HOST}:{broker.port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic dxnlcjpzzwnyzxq=\r\n" in request.lower()


def test_a_proxy_that_refuses(context: ssl.SSLContext) -> None:
    with http_proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, heard):
        with pytest.raises(OSError, match="407"):
            open_line(HOST, 8883, context, proxy=proxy_at(port))
        assert heard


def test_a_proxy_that_is_not_there(context: ssl.SSLContext) -> None:
    with pytest.raises(OSError, match="proxy"):
        open_line(HOST, 8883, context, proxy=proxy_at(unused_port()))


def test_a_proxy_that_says_nothing(context: ssl.SSLContext) -> None:
    with (
        warnings.catch_warnings(action="ignore", category=ResourceWarning),
        server(read_until_closed) as port,
    ):
        with pytest.raises(OSError, match="timed out"):
            open_line(HOST, 8883, context, proxy=proxy_at(port), timeout=SHORT)
        gc.collect()  # the library leaves the end of its connection to this


def test_nobody_listens(context: ssl.SSLContext) -> None:
    with pytest.raises(ConnectionRefusedError):
        open_line(HOST, unused_port(), context)


def test_no_such_host(context: ssl.SSLContext) -> None:
    with pytest.raises(socket.gaierror):
        open_line("no-such-host.invalid", 8883, context)


def say_a_little(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x03\x40\x00\x02")  # a record that does not end
    read_until_closed(connection)


@pytest.mark.parametrize("converse", [read_until_closed, say_a_little])
def test_a_handshake_that_does_not_end(
    context: ssl.SSLContext, converse: Callable[[socket.socket], None]
) -> None:
    with server(converse) as port, pytest.raises(TimeoutError):
        open_line(HOST, port, context, timeout=SHORT)


def say_goodbye(connection: socket.socket) -> None:
    connection.recv(1024)


def test_a_peer_that_goes_away(context: ssl.SSLContext) -> None:
    with server(say_goodbye) as port, pytest.raises(ConnectionResetError):
        open_line(HOST, port, context)


def speak_another_protocol(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example.org ESMTP\r\n")
    read_until_closed(connection)


def test_a_peer_that_does_not_speak_tls(context: ssl.SSLContext) -> None:
    with server(speak_another_protocol) as port, pytest.raises(ssl.SSLError):
        open_line(HOST, port, context)


def test_a_broker_of_another_fabric_is_refused_and_told_so(
    provisioned: Provisioned, foreign: Provisioned
) -> None:
    told: list[str] = []
    theirs = old_server_context(foreign.broker)

    def converse(connection: socket.socket) -> None:
        try:
            theirs.wrap_socket(connection, server_side=True).close()
        except ssl.SSLError as error:
            told.append(error.reason or "")

    context = client_context(provisioned.client.credentials)
    with server(converse) as port, pytest.raises(ssl.SSLCertVerificationError):
        open_line(HOST, port, context)
    assert told == ["TLSV1_ALERT_UNKNOWN_CA"]


def test_a_name_that_cannot_be_announced(
    context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo
    with server(read_until_closed) as port:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _, *rest, **named: look_up(HOST, *rest, **named)
        )
        with pytest.raises(OSError, match=r"'\.broker' cannot be announced"):
            open_line(".broker", port, context)

"""The official client's MQTT layer through WebSockets: what waits in it, and how it ends."""

import socket
import ssl
from typing import Any

import pahoproxy.client as paho
import pytest
from pytest_mock import MockerFixture

from dxlfabric import websockets
from dxlfabric.opening import OPEN_TIMEOUT
from dxlfabric.websockets import WebSocketTransport

PUBLISH = 0x30


def transport() -> WebSocketTransport:
    return WebSocketTransport("me", None)


def queue(waiting: WebSocketTransport, *packets: bytes) -> None:
    for number, packet in enumerate(packets):
        waiting._packet_queue(PUBLISH, packet, number, 0)  # type: ignore[attr-defined]


def test_bytes_that_wait() -> None:
    waiting = transport()
    assert waiting.waiting == 0
    queue(waiting, bytes(10), bytes(200))
    assert waiting.waiting == 210
    packet: dict[str, Any] = waiting._current_out_packet or waiting._out_packet[0]
    packet["to_process"] -= 4  # as when a part was sent
    assert waiting.waiting == 206


def test_messages_are_published_in_one_piece(mocker: MockerFixture) -> None:
    sending = transport()
    publish = mocker.patch.object(sending, "publish")
    publish.return_value.rc = paho.MQTT_ERR_SUCCESS  # type: ignore[attr-defined]
    assert sending.post("/a/topic", [b"one", memoryview(b"two"), b""]) == 0
    publish.assert_called_once_with("/a/topic", b"onetwo", 0)


def test_without_a_connection_messages_are_lost_and_said_to_be() -> None:
    assert transport().post("/a/topic", [b"content"]) == paho.MQTT_ERR_NO_CONN  # type: ignore[attr-defined]


def test_network_thread_is_woken_when_it_has_to_stop() -> None:
    stopping: Any = transport()
    woken: list[bytes] = []

    class Thread:
        def join(self) -> None:
            assert stopping._thread_terminate
            woken.append(stopping._sockpairR.recv(16))

    stopping._thread = Thread()
    stopping.loop_stop()
    assert (woken, stopping._thread) == ([b"0"], None)


def test_network_thread_that_was_woken_often_enough() -> None:
    stopping: Any = transport()

    class Thread:
        def join(self) -> None:
            pass

    full = False
    while not full:
        try:
            stopping._sockpairW.send(bytes(4096))
        except BlockingIOError:
            full = True
    stopping._thread = Thread()
    stopping.loop_stop()
    assert stopping._thread is None


def test_stopping_without_a_network_thread() -> None:
    assert transport().loop_stop() == paho.MQTT_ERR_INVAL  # type: ignore[attr-defined]


def test_cutting_ends_the_connection_below() -> None:
    near, far = socket.socketpair()
    with near, far:
        cutting = transport()
        cutting.cut()  # there is no connection yet
        cutting._sock = type("Wrapped", (), {"_socket": near})()
        cutting.cut()
        assert far.recv(1) == b""
        cutting.cut()
        cutting._sock = None


def test_handshakes_end_in_time_and_leave_no_socket(mocker: MockerFixture) -> None:
    mocker.patch.object(websockets, "OPEN_TIMEOUT", 0.05)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport().tls_set_context(context)
    near, far = socket.socketpair()
    with near, far:
        secured = context.wrap_socket(near, server_hostname="broker", do_handshake_on_connect=False)
        with secured:
            with pytest.raises(TimeoutError):
                secured.do_handshake()
            assert secured.fileno() == -1


def test_connections_go_through_the_proxy_that_is_configured(mocker: MockerFixture) -> None:
    direct = mocker.patch.object(websockets, "open_socket")
    through = mocker.patch.object(paho.Client, "_create_socket_connection")
    connecting: Any = transport()
    connecting._host, connecting._port = "broker", 443
    assert connecting._create_socket_connection() is direct.return_value
    direct.assert_called_once_with("broker", 443, timeout=OPEN_TIMEOUT)
    mocker.patch.object(connecting, "_get_proxy", return_value={"proxy_addr": "proxy"})
    assert connecting._create_socket_connection() is through.return_value

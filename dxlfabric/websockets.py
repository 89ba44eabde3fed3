"""The official client's MQTT layer through WebSockets, made to connect and to end within bounds."""

import contextlib
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import pahoproxy.client as paho

from dxlfabric.diagnosis import open_socket
from dxlfabric.message import Body
from dxlfabric.opening import OPEN_TIMEOUT


class WebSocketTransport(paho.Client):
    """What our client talks to its broker by where the configuration asks for WebSockets.

    Args:
        client_id: The client's name for itself.
        userdata: What callbacks get as their second argument.
    """

    def __init__(self, client_id: str, userdata: object) -> None:
        super().__init__(
            client_id=client_id,
            clean_session=True,
            userdata=userdata,
            protocol=paho.MQTTv311,
            transport="websockets",
        )

    @property
    def waiting(self) -> int:
        """Bytes that wait to be taken by the network."""
        with self._out_packet_mutex:
            packets = list(self._out_packet)
        current = self._current_out_packet
        if current is not None:
            packets.append(current)
        return sum(packet["to_process"] for packet in packets)

    def cut(self) -> None:
        """Have the connection end as if it had been lost; from any thread."""
        connection: Any = self._sock
        if connection is not None:
            with contextlib.suppress(OSError):
                connection._socket.shutdown(socket.SHUT_RDWR)  # noqa: SLF001 - what it wraps

    def post(self, topic: str, pieces: Iterable[Body]) -> int:
        """Send a message; see :meth:`.mqttclient.MqttClient.post`."""
        return self.publish(topic, b"".join(pieces), 0).rc

    def tls_set_context(self, context: ssl.SSLContext | None = None) -> None:
        """Use a TLS context, and end handshakes in time."""
        if context is not None:
            context.sslsocket_class = _PromptSocket
        super().tls_set_context(context)

    def loop_stop(self, force: bool = False) -> int | None:  # noqa: FBT001, FBT002 - the base class's
        """Stop the network thread, and wake it; left alone, it notices up to a second later."""
        if self._thread is not None:
            self._thread_terminate = True
            with contextlib.suppress(BlockingIOError):  # so many wake it already
                self._sockpairW.send(b"0")
        return super().loop_stop(force)

    def _create_socket_connection(self) -> socket.socket:
        if self._get_proxy():
            connection: socket.socket = super()._create_socket_connection()
            return connection
        return open_socket(self._host, self._port, timeout=OPEN_TIMEOUT)


class _PromptSocket(ssl.SSLSocket):
    """A TLS connection whose handshake ends in time."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's signature
        self.settimeout(OPEN_TIMEOUT)
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

"""The other end of a client's connection: TLS and MQTT by hand, and proxies to get there."""

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from dxlfabric import mqtt
from dxlfabric.certificates import Provisioned
from dxlfabric.errors import MalformedPacketError
from dxlfabric.line import MOST_WAITING, Line
from dxlfabric.mqtt import PacketType
from dxlfabric.opening import open_line
from dxlfabric.packets import PacketReader
from dxlfabric.tls import client_context, server_context
from tests.tlsservers import server
from tests.waiting import TIMEOUT

SMALL_BUFFER = 64 * 1024
"""Bytes that a peer's system takes in for a peer that does not read."""


class Peer:
    """One client's connection, seen by its broker."""

    def __init__(self, secured: ssl.SSLSocket) -> None:
        self.socket = secured
        self._reader = PacketReader()
        self._packets: deque[mqtt.Packet] = deque()

    def send(self, *packets: mqtt.Packet) -> None:
        """Send packets in one go."""
        self.socket.sendall(b"".join(mqtt.encode(packet) for packet in packets))

    def receive(self) -> mqtt.Packet:
        """Wait for the next packet.

        Raises:
            ConnectionError: The client has ended the connection.
        """
        while not self._packets:
            data = self.socket.recv(SMALL_BUFFER)
            if not data:
                raise ConnectionError("ended by the client")
            self._packets.extend(self._reader.feed(data))
        return self._packets.popleft()

    def expect(self, packet_type: PacketType) -> mqtt.Packet:
        """Wait for the next packet of a type; others are dropped."""
        while True:
            packet = self.receive()
            if packet.packet_type is packet_type:
                return packet

    def welcome(self) -> mqtt.Connect:
        """Let the client in, and return how it introduced itself."""
        packet = self.receive()
        assert isinstance(packet, mqtt.Connect)
        self.send(mqtt.ConnAck())
        return packet


@contextmanager
def broker_that(provisioned: Provisioned, converse: Callable[[Peer], None]) -> Iterator[int]:
    """Run a broker that does something with each client, one after the other."""
    context = server_context(provisioned.broker)

    def secured(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as stream:
            converse(Peer(stream))

    with server(secured) as port:
        yield port


@contextmanager
def linked(
    provisioned: Provisioned, *, most_waiting: float = MOST_WAITING
) -> Iterator[tuple[Line, ssl.SSLSocket]]:
    """Yield a line and its other end, whose system takes in little as long as nobody reads."""
    context = server_context(provisioned.broker)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        listener.settimeout(TIMEOUT)

        def accept() -> ssl.SSLSocket:
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT)
            return context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)

        accepted = pool.submit(accept)
        line = open_line(
            "127.0.0.1",
            listener.getsockname()[1],
            client_context(provisioned.client.credentials),
            most_waiting=most_waiting,
        )
        try:
            with accepted.result(TIMEOUT) as far:
                yield line, far
        finally:
            line.close()


class Receiving:
    """A thread that receives from a line, as a client's own does, until it ends or is stopped."""

    def __init__(self, line: Line) -> None:
        self.packets: list[mqtt.Packet] = []
        self.failure: OSError | MalformedPacketError | None = None
        self._line = line
        self._stopping = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Receiving":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._line.wake()
        self.join()

    def join(self) -> None:
        """Wait until the thread has ended by itself."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self.packets.extend(self._line.receive(None))
        except (OSError, MalformedPacketError) as error:
            self.failure = error


@contextmanager
def http_proxy(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Iterator[tuple[int, list[bytes]]]:
    """Run a proxy that connects or says no; yield its port and what it has heard."""
    heard: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        heard.append(request)
        connection.sendall(answer)
        if b" 200 " not in answer:
            return
        host, _, port = request.split()[1].decode().partition(":")
        with socket.create_connection((host, int(port)), TIMEOUT) as onward:
            back = threading.Thread(target=_carry, args=(onward, connection))
            back.start()
            _carry(connection, onward)
            back.join(TIMEOUT)

    with server(converse) as port:
        yield port, heard


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(SMALL_BUFFER):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

"""A client that sends bytes and reads packets: what a test needs to see the wire itself."""

import contextlib
import socket
import ssl
import struct
from collections import deque
from types import TracebackType
from typing import Self

from dxlfabric import mqtt
from dxlfabric.credentials import Credentials
from dxlfabric.packets import PacketReader
from tests.waiting import TIMEOUT


class RawClient:
    """One TLS connection to a broker."""

    def __init__(self, port: int, credentials: Credentials, *, receive_buffer: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(credentials.authority)
        context.load_cert_chain(credentials.certificate, credentials.private_key)
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(TIMEOUT)
        plain.connect(("127.0.0.1", port))
        self.socket = context.wrap_socket(plain)
        self.certificate = credentials.certificate
        self._reader = PacketReader()
        self._packets: deque[mqtt.Packet] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def connect(self, client_id: str = "raw", keep_alive: int = 0) -> Self:
        """Introduce itself and wait for the broker's welcome."""
        self.send(mqtt.Connect(client_id, keep_alive))
        assert self.receive() == mqtt.ConnAck()
        return self

    def subscribe(self, *filters: str) -> None:
        """Subscribe and wait for the acknowledgement."""
        self.send(mqtt.Subscribe(1, tuple((filter_, 0) for filter_ in filters)))
        assert self.receive() == mqtt.SubAck(1, (0,) * len(filters))

    def send(self, packet: mqtt.Packet) -> None:
        """Send a packet."""
        self.socket.sendall(mqtt.encode(packet))

    def receive(self) -> mqtt.Packet:
        """Wait for the next packet.

        Raises:
            ConnectionError: The broker has closed the connection.
        """
        while not self._packets:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("closed by the broker")
            self._packets.extend(self._reader.feed(data))
        return self._packets.popleft()

    def wait_closed(self) -> None:
        """Wait until the broker closes the connection; packets on the way are dropped."""
        try:
            while self.socket.recv(65_536):
                pass
        except TimeoutError:
            raise
        except OSError:
            return

    def vanish(self) -> None:
        """Go away as a killed process does, and wait until the broker has noticed."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.wait_closed()
        self.socket.close()

    def reset(self) -> None:
        """Go away with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

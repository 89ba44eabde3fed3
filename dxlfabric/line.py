"""A client's TLS connection to its broker: any thread sends, one thread receives.

Whoever sends encrypts and writes by himself as long as the network takes it, so that nothing waits
for another thread; what the network does not take at once is left to the thread that receives.
"""

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from dxlfabric import mqtt
from dxlfabric.errors import BrokerError
from dxlfabric.message import Body
from dxlfabric.packets import PacketReader
from dxlfabric.tls import SecureStream

RECEIVE_SIZE: Final = 256 * 1024
"""Bytes taken from the network at a time, into one buffer. A smaller one costs more system calls
per message; a larger one would not stay in the processor's cache until it is decrypted."""

SEND_SIZE: Final = 256 * 1024
"""Bytes encrypted and handed to the system at a time, for the same reasons."""

MOST_WAITING: Final = 64 * 1024 * 1024
"""Bytes that may wait to be sent before whoever sends more has to wait himself. As much as a large
window of requests; without a bound, a slow network would fill the memory."""

SEND_TIMEOUT: Final = 60.0
"""Seconds that a sender waits for room; a broker that takes nothing for so long is as good as
lost."""

SMALL_PIECE: Final = 4096
"""Bytes up to which pieces are joined before they are encrypted: a copy is cheaper than a TLS
record of its own, which takes some microseconds."""

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""After two minutes of silence of the peer's system, a connection counts as lost. MQTT's own
keep-alive is half an hour in DXL."""


class LineFullError(BrokerError):
    """The broker has taken nothing for so long that no more can be kept for it."""


class Line:
    """A TLS connection to a broker, after the handshake.

    Args:
        connection: The TCP connection; it is closed with the line.
        stream: TLS, its handshake done.
        most_waiting: Bytes that may wait to be sent before :meth:`send` waits.
    """

    def __init__(
        self,
        connection: socket.socket,
        stream: SecureStream,
        *,
        most_waiting: float = MOST_WAITING,
    ) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._stream = stream
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[Body] = deque()
        self._waiting_bytes = 0
        self._encrypted = memoryview(b"")
        self._full = False
        self._lost = False
        self._closed = False
        self._reader = PacketReader()
        self._buffer = memoryview(bytearray(RECEIVE_SIZE))
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end in (self._wake_receiver, self._wake_sender):
            end.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._selector.register(connection, selectors.EVENT_READ)
        self._watched = selectors.EVENT_READ
        _keep_alive(connection)

    @property
    def waiting(self) -> int:
        """Bytes that wait to be taken by the network."""
        return self._waiting_bytes + len(self._encrypted)

    def send(self, pieces: Iterable[Body]) -> bool:
        """Send bytes, given in pieces, from any thread; they must not change afterwards.

        Returns:
            Whether they are on their way; not if the connection is lost.

        Raises:
            LineFullError: Too much waits already, for :data:`SEND_TIMEOUT` seconds.
        """
        if self.waiting > self._most_waiting:
            self._wait_for_room()
        with self._lock:
            if self._lost:
                return False
            for piece in pieces:
                if len(piece):
                    self._waiting.append(piece)
                    self._waiting_bytes += len(piece)
            must_wake = not self._full and self._flush()
            lost = self._lost
        if must_wake:
            self.wake()
        return not lost

    def _wait_for_room(self) -> None:
        if not self._wait_until(lambda: self.waiting <= self._most_waiting, SEND_TIMEOUT):
            raise LineFullError(
                f"{self.waiting} bytes have waited to be sent for {SEND_TIMEOUT:g} seconds: the "
                "broker takes nothing"
            )

    def drain(self, timeout: float) -> bool:
        """Wait until everything was taken by the network, or the connection is lost.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it came to that in time.
        """
        return self._wait_until(lambda: not self.waiting, timeout)

    def receive(self, timeout: float | None) -> Iterator[mqtt.Packet]:
        """Wait for bytes or :meth:`wake` and yield complete packets; in one thread only.

        Args:
            timeout: Seconds to wait at most; ``None`` for no limit.

        Raises:
            OSError: The connection was lost; ``ConnectionError`` if the broker has ended it.
            MalformedPacketError: The broker does not speak MQTT.
        """
        self._watch()
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._wake_receiver:
                self._forget_wakes()
                continue
            if events & selectors.EVENT_WRITE:
                with self._lock:
                    self._flush()
            if events & selectors.EVENT_READ:
                yield from self._take_in()

    def wake(self) -> None:
        """End :meth:`receive`, or the next one; from any thread."""
        # When so many wake it already, or it is closed, there is nothing to do.
        with contextlib.suppress(OSError):
            self._wake_sender.send(b"\0")

    def cut(self) -> None:
        """Have the receiving thread notice that the connection is lost; from any thread."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self, farewell: bytes = b"") -> None:
        """End the connection; nobody may receive meanwhile or afterwards.

        Args:
            farewell: Last bytes to send, if nothing waits before them.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(OSError):
                if farewell and not self.waiting and not self._lost:
                    self._stream.write(farewell)
                    self._stream.say_goodbye()
                    self._socket.send(self._stream.take())
            self._lose()
            self._selector.close()
            for each in (self._socket, self._wake_receiver, self._wake_sender):
                each.close()

    def _take_in(self) -> Iterator[mqtt.Packet]:
        """Decrypt what has arrived, and yield the packets that are complete with it."""
        try:
            count = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        if not count:
            raise ConnectionResetError("the broker has ended the connection")
        fed = False
        while True:
            with self._lock:
                if not fed:
                    self._stream.feed(self._buffer[:count])
                    fed = True
                filled = self._stream.read_into(self._reader.buffer())
                if self._stream.pending and not self._full:
                    self._flush()  # what TLS itself has to say
            if filled is None:
                return
            if not filled:
                raise ConnectionResetError("the broker has ended the connection")
            yield from self._reader.wrote(filled)

    def _flush(self) -> bool:
        """Encrypt and send as much as the network takes; the lock is held.

        Returns:
            Whether something is left.
        """
        self._full = False
        if self._lost:
            return False
        try:
            while True:
                if not self._encrypted:
                    if not (self._waiting or self._stream.pending):
                        return False
                    self._encrypt_some()
                sent = self._socket.send(self._encrypted)
                self._encrypted = self._encrypted[sent:]
        except BlockingIOError:
            self._full = True
        except OSError:
            # The thread that receives notices it too, and says why.
            self._lose()
        return self._full

    def _lose(self) -> None:
        """Forget what waits: the connection is lost; the lock is held."""
        self._lost = True
        self._waiting.clear()
        self._waiting_bytes = 0
        self._encrypted = memoryview(b"")

    def _encrypt_some(self) -> None:
        room = SEND_SIZE
        while self._waiting and room > 0:
            piece = self._next_piece(room)
            room -= len(piece)
            self._waiting_bytes -= len(piece)
            self._stream.write(piece)
        self._encrypted = memoryview(self._stream.take())

    def _next_piece(self, room: int) -> Body:
        """Take what is to be encrypted next: part of a large piece, or some small ones."""
        piece = self._waiting.popleft()
        if len(piece) > room:
            view = memoryview(piece)
            self._waiting.appendleft(view[room:])
            return view[:room]
        if len(piece) > SMALL_PIECE or not self._waiting:
            return piece
        small = [piece]
        size = len(piece)
        while self._waiting and size + len(self._waiting[0]) <= SMALL_PIECE:
            small.append(self._waiting.popleft())
            size += len(small[-1])
        return b"".join(small) if len(small) > 1 else piece

    def _watch(self) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._full else 0)
        if wanted != self._watched:
            self._selector.modify(self._socket, wanted)
            self._watched = wanted

    def _forget_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_receiver.recv(4096):
                pass

    def _wait_until(self, done: Callable[[], bool], timeout: float) -> bool:
        """Send until a condition holds or the connection is lost; return whether that came.

        It does not rely on the thread that receives, which may be busy.
        """
        deadline = time.monotonic() + timeout
        while not (done() or self._lost):
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            try:
                _wait_writable(self._socket, min(rest, 1.0))
            except (OSError, ValueError):  # it was closed meanwhile
                continue
            with self._lock:
                self._flush()
        return True


def _wait_writable(connection: socket.socket, timeout: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        selector.select(timeout)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option: int | None = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

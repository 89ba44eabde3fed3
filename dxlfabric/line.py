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
from dxlfabric.pieces import next_piece
from dxlfabric.tls import SecureStream

RECEIVE_SIZE: Final = 256 * 1024
"""Bytes taken from the network at a time, into one buffer. A smaller one costs more system calls
per message; a larger one would not stay in the processor's cache until it is decrypted."""

SEND_SIZE: Final = 256 * 1024
"""Bytes encrypted and handed to the system at a time, for the same reasons."""

LONGEST_TURN: Final = 4 * 1024 * 1024
"""Bytes that one thread sends before the one that receives has its turn: some large messages."""

MOST_WAITING: Final = 64 * 1024 * 1024
"""Bytes that may wait to be sent before whoever sends more has to wait himself. As much as a large
window of requests; without a bound, a slow network would fill the memory."""

SEND_TIMEOUT: Final = 60.0
"""Seconds that a sender waits for room; a broker that takes nothing for so long is as good as
lost."""

_LOOK_SECONDS: Final = 0.005

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
        self._books = threading.Lock()
        """Held for moments: guards the end of what waits, and the count of its bytes."""
        self._lock = threading.Lock()
        """Held while bytes are encrypted, decrypted or written."""
        self._waiting: deque[Body] = deque()
        self._waiting_bytes = 0
        self._encrypted = memoryview(b"")
        self._full = False
        self._receiver_waits = False
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
        self._watches_writing = False
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
        if self._waiting_bytes + len(self._encrypted) > self._most_waiting:
            self._wait_for_room()
        full_pieces = [piece for piece in pieces if piece]
        size = sum(map(len, full_pieces))
        with self._books:
            if self._lost:
                return False
            self._waiting.extend(full_pieces)
            self._waiting_bytes += size
        self._flush_unless_busy()
        return not self._lost

    def _wait_for_room(self) -> None:
        if not self._wait_until(lambda: self.waiting <= self._most_waiting, SEND_TIMEOUT):
            raise LineFullError(
                f"{self.waiting} bytes still wait to be sent after {SEND_TIMEOUT:g} seconds: the "
                "broker takes nothing, or hardly anything"
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
        if self._full != self._watches_writing:
            self._watch()
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._wake_receiver:
                self._forget_wakes()
                continue
            if events & selectors.EVENT_WRITE:
                self._full = False
            if events & selectors.EVENT_READ:
                yield from self._take_in()
        if self._encrypted or self._waiting:
            self._flush_unless_busy()

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
            self._receiver_waits = True  # senders without a pause would keep the lock for ever
            with self._lock:
                self._receiver_waits = False
                if not fed:
                    self._stream.feed(self._buffer[:count])
                    fed = True
                filled = self._stream.read_into(self._reader.buffer())
                drained = self._stream.drained
                if self._stream.pending:  # TLS itself has something to say
                    self._encrypted = memoryview(bytes(self._encrypted) + self._stream.take())
            if self._encrypted or self._waiting:  # what others want to send meanwhile
                self._flush_unless_busy()
            if filled is None:
                return
            if not filled:
                raise ConnectionResetError("the broker has ended the connection")
            yield from self._reader.wrote(filled)
            if drained:
                return

    def _flush_unless_busy(self) -> None:
        """Encrypt and send what waits as far as the network takes it.

        Where another thread is at it, or decrypts, it looks for what waits when it is done.
        """
        while self._encrypted or self._waiting:
            if self._full or self._lost or self._receiver_waits:
                return
            if not self._lock.acquire(blocking=False):
                return
            try:
                left = self._flush()
            finally:
                self._lock.release()
            if left:
                self.wake()
                return

    def _flush(self) -> bool:
        """Encrypt and send as much as the network takes; the lock is held.

        Nobody does so for the others for long: there may be no end of what they send.

        Returns:
            Whether something is left for the thread that receives.
        """
        if self._lost:
            return False
        turn = LONGEST_TURN
        try:
            while (self._encrypted or self._waiting) and not self._receiver_waits and turn > 0:
                if not self._encrypted:
                    self._encrypt_some()
                sent = self._socket.send(self._encrypted)
                self._encrypted = self._encrypted[sent:]
                turn -= sent
            self._full = False
        except BlockingIOError:
            self._full = True
        except OSError:
            # The thread that receives notices it too, and says why.
            self._lose()
        return self._full or turn <= 0

    def _lose(self) -> None:
        """Forget what waits: the connection is lost; the lock is held."""
        with self._books:
            self._lost = True
            self._waiting.clear()
            self._waiting_bytes = 0
        self._encrypted = memoryview(b"")

    def _encrypt_some(self) -> None:
        taken = 0
        while self._waiting and taken < SEND_SIZE:
            # Whoever sends meanwhile adds to the other end.
            piece = next_piece(self._waiting, SEND_SIZE - taken)
            taken += len(piece)
            self._stream.write(piece)
        self._encrypted = memoryview(self._stream.take())
        with self._books:
            self._waiting_bytes -= taken

    def _watch(self) -> None:
        self._watches_writing = self._full
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._watches_writing else 0)
        self._selector.modify(self._socket, wanted)

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
            if time.monotonic() >= deadline:
                return False
            try:
                if _is_writable(self._socket, _LOOK_SECONDS):
                    self._full = False
            except (OSError, ValueError):  # it was closed meanwhile
                continue
            self._flush_unless_busy()
            if not done():
                time.sleep(_LOOK_SECONDS)  # others send, or the network is slow
        return True


def _is_writable(connection: socket.socket, timeout: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        return bool(selector.select(timeout))


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option: int | None = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

"""Passes TCP connections on to a broker and holds back what they carry, in both directions.

Usage: delay.py PORT MILLISECONDS. Listens on a port of its own on 127.0.0.1, prints ``ready PORT``
and ends with its standard input. Each direction holds up to 64 MiB, far more than is under way.
"""

import socket
import sys
import threading
import time
from collections import deque

READ_SIZE = 256 * 1024
MOST_HELD = 64 * 1024 * 1024
CONNECT_SECONDS = 30.0


class _Line:
    """One direction of a connection: a thread that reads, and one that writes later."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        self._source = source
        self._target = target
        self._delay = delay
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = threading.Condition()
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self) -> None:
        piece = b"some"
        while piece:
            try:
                piece = self._source.recv(READ_SIZE)
            except OSError:
                piece = b""
            with self._changed:
                self._changed.wait_for(lambda: self._held < MOST_HELD)
                self._pieces.append((time.monotonic() + self._delay, piece))
                self._held += len(piece)
                self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces)
                due, piece = self._pieces.popleft()
                self._held -= len(piece)
                self._changed.notify_all()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not piece:
                    self._target.shutdown(socket.SHUT_WR)
                    return
                self._target.sendall(piece)
            except OSError:
                self._source.close()
                return


def main() -> None:
    """Do what the module says."""
    port, milliseconds = (int(argument) for argument in sys.argv[1:])
    listener = socket.create_server(("127.0.0.1", 0))
    print("ready", listener.getsockname()[1], flush=True)
    threading.Thread(
        target=_accept, args=(listener, port, milliseconds / 1000), daemon=True
    ).start()
    sys.stdin.read()


def _accept(listener: socket.socket, port: int, delay: float) -> None:
    while True:
        client, _ = listener.accept()
        broker = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
        broker.settimeout(None)
        for each in (client, broker):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Line(client, broker, delay)
        _Line(broker, client, delay)


if __name__ == "__main__":
    main()

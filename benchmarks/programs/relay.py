"""One of three programs that move a file through a relay over two mutual-TLS connections.

Usage::

    relay.py relay   CA CERTIFICATE KEY
    relay.py receive CA CERTIFICATE KEY PORT FILE
    relay.py send    CA CERTIFICATE KEY PORT FILE

The relay prints ``ready PORT`` and passes on what its second connection sends to its first, and
the answer back. The receiver prints ``ready`` once it is connected, hashes and writes what comes,
flushes the file, answers with its SHA-256, and stays until its standard input ends. The sender
hashes and sends the file, compares, and prints a JSON object: ``seconds`` from its connection to
the answer, ``cpu`` seconds and ``peak`` memory in bytes.

Plain blocking sockets, as simple as it goes without giving speed away: large reused buffers, and
the hash in a thread of its own, which does not hold the others up.
"""

import hashlib
import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

PIECE = 256 * 1024
"""Bytes that are read, hashed and written at once."""

PIECES = 4
"""Buffers that go round."""

LENGTH_BYTES = 8
DIGEST_BYTES = 32
HOST = "127.0.0.1"


def relay(context: ssl.SSLContext) -> None:
    """Pass on what comes."""
    with socket.create_server((HOST, 0)) as listener:
        print("ready", listener.getsockname()[1], flush=True)
        receiver = _secured(listener.accept()[0], context)
        sender = _secured(listener.accept()[0], context)
    with receiver, sender:
        header = memoryview(bytearray(LENGTH_BYTES))
        _fill(sender, header)
        receiver.sendall(header)
        missing = int.from_bytes(header)
        buffer = memoryview(bytearray(PIECE))
        while missing:
            missing -= _pass_on(sender, receiver, buffer[:missing])
        _pass_on(receiver, sender, buffer[:DIGEST_BYTES])
    sys.stdin.read()


def _pass_on(source: ssl.SSLSocket, target: ssl.SSLSocket, buffer: memoryview) -> int:
    _fill(source, buffer)
    target.sendall(buffer)
    return len(buffer)


def receive(context: ssl.SSLContext, port: int, path: str) -> None:
    """Store what comes."""
    line = _connected(context, port)
    print("ready", flush=True)
    header = memoryview(bytearray(LENGTH_BYTES))
    _fill(line, header)
    missing = int.from_bytes(header)

    def pieces(buffer: memoryview) -> int:
        nonlocal missing
        piece = buffer[:missing]
        _fill(line, piece)
        missing -= len(piece)
        return len(piece)

    file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with _Hash() as digest:
        for piece in digest.of_all(pieces):
            os.write(file, piece)
    os.fsync(file)
    os.close(file)
    line.sendall(digest.value)
    sys.stdin.read()


def send(context: ssl.SSLContext, port: int, path: str) -> None:
    """Send a file, and print what it took."""
    began, before = time.perf_counter(), _cpu()
    line = _connected(context, port)
    with open(path, "rb", buffering=0) as file, _Hash() as digest:  # noqa: PTH123
        line.sendall(os.fstat(file.fileno()).st_size.to_bytes(LENGTH_BYTES))
        for piece in digest.of_all(file.readinto):
            line.sendall(piece)
    answer = memoryview(bytearray(DIGEST_BYTES))
    _fill(line, answer)
    found = {"seconds": time.perf_counter() - began, "cpu": _cpu() - before}
    if bytes(answer) != digest.value:
        sys.exit("what was stored differs from what was sent")
    peak = _peak()
    print(json.dumps({**found, "peak": peak}))


class _Hash:
    """Hashes pieces in a thread of its own, while others send or store them."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._filled: Queue[memoryview | None] = Queue()
        self._free: Queue[memoryview] = Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Hash":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._filled.put(None)
        self._thread.join()

    @property
    def value(self) -> bytes:
        return self._sha256.digest()

    def of_all(self, fill: Callable[[memoryview], int]) -> Iterator[memoryview]:
        """Yield pieces as they come, until there are none; each is good until the next."""
        whole = [memoryview(bytearray(PIECE)) for _ in range(PIECES)]
        for buffer in whole:
            self._free.put(buffer)
        while True:
            buffer = self._free.get()
            size = fill(buffer)
            if not size:
                return
            self._filled.put(buffer[:size])
            yield buffer[:size]

    def _run(self) -> None:
        while (piece := self._filled.get()) is not None:
            self._sha256.update(piece)
            self._free.put(memoryview(piece.obj))


def _fill(line: ssl.SSLSocket, buffer: memoryview) -> None:
    size = 0
    while size < len(buffer):
        count = line.recv_into(buffer[size:])
        if not count:
            sys.exit("the connection ended too soon")
        size += count


def _connected(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    return _secured(socket.create_connection((HOST, port)), context)


def _secured(line: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = context.protocol is ssl.PROTOCOL_TLS_SERVER
    return context.wrap_socket(line, server_side=server, server_hostname=None if server else HOST)


def _context(role: str, ca: str, certificate: str, key: str) -> ssl.SSLContext:
    server = role == "relay"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    return context


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    # The system's other figure for it is that of the program that started this one, if larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Do what the module says."""
    role, ca, certificate, key, *rest = sys.argv[1:]
    context = _context(role, ca, certificate, key)
    if role == "relay":
        relay(context)
    else:
        port, path = rest
        {"receive": receive, "send": send}[role](context, int(port), path)


if __name__ == "__main__":
    main()

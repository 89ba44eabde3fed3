"""Opens a client's TLS connection to a broker, within given times."""

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Final

import socks

from dxlfabric.diagnosis import open_socket
from dxlfabric.line import MOST_WAITING, Line
from dxlfabric.tls import SecureStream

OPEN_TIMEOUT: Final = 10.0
"""Seconds for TCP, and again for TLS. Left alone, the official client waits for as long as its
keep-alive interval, half an hour."""

_HANDSHAKE_SIZE: Final = 16 * 1024


def open_line(
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    timeout: float = OPEN_TIMEOUT,
    proxy: Mapping[str, object] | None = None,
    most_waiting: float = MOST_WAITING,
) -> Line:
    """Connect to a broker and make TLS of it.

    Args:
        host: Host name or IP address.
        port: TCP port.
        context: The client's certificate, and who is trusted.
        timeout: Seconds for TCP, and again for TLS.
        proxy: The proxy to go through, as arguments of ``socks.create_connection``; ``None`` for
            the direct way.
        most_waiting: Bytes that may wait to be sent before senders wait.

    Raises:
        OSError: There is no connection (``TimeoutError``, ``socket.gaierror``, …), the proxy does
            not make one, or TLS fails (``ssl.SSLError``).
    """
    if proxy is None:
        connection = open_socket(host, port, timeout=timeout)
    else:
        connection = socks.create_connection((host, port), timeout=timeout, **proxy)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        stream = _secured(connection, host, context, timeout)
        return Line(connection, stream, most_waiting=most_waiting)
    except BaseException:
        connection.close()
        raise


def _secured(
    connection: socket.socket, host: str, context: ssl.SSLContext, timeout: float
) -> SecureStream:
    """Go through the TLS handshake."""
    try:
        stream = SecureStream(context, host=host)
    except ValueError as error:
        raise OSError(f"{host!r} cannot be announced to a broker: {error}") from error
    deadline = time.monotonic() + timeout
    done = False
    while not done:
        try:
            done = stream.handshake() is not None
        finally:
            _send_pending(connection, stream, deadline)  # also the reason why it failed
        if not done:
            stream.feed(_received(connection, deadline))
    return stream


def _send_pending(connection: socket.socket, stream: SecureStream, deadline: float) -> None:
    if stream.pending:
        _allow(connection, deadline)
        connection.sendall(stream.take())


def _received(connection: socket.socket, deadline: float) -> bytes:
    _allow(connection, deadline)
    data = connection.recv(_HANDSHAKE_SIZE)
    if not data:
        raise ConnectionResetError("the broker ended the connection during the TLS handshake")
    return data


def _allow(connection: socket.socket, deadline: float) -> None:
    rest = deadline - time.monotonic()
    if rest <= 0:
        raise TimeoutError("the TLS handshake took too long")
    connection.settimeout(rest)

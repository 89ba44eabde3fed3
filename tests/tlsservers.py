"""Servers that are no brokers, and client configurations for them."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

from dxlclient.broker import Broker
from dxlclient.client_config import DxlClientConfig

from dxlfabric.certificates import Credentials

TIMEOUT = 10.0
"""Seconds to wait for something that takes a moment."""

SHORT = 0.5
"""Seconds for attempts that can only end by their time-out."""

Conversation = Callable[[socket.socket], None]
"""What a server does with a connection."""


def config_of(files: Credentials, *brokers: Broker) -> DxlClientConfig:
    """A client configuration, as a program makes it."""
    names = (str(files.authority), str(files.certificate), str(files.private_key))
    return DxlClientConfig(*names, list(brokers))


def at(port: int, host: str = "127.0.0.1") -> Broker:
    """A broker's address."""
    return Broker(host, port=port)


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server(converse: Conversation) -> Iterator[int]:
    """Run a server that has the same conversation with each client, one after the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if ended.is_set():
                    return
                connection.settimeout(TIMEOUT)
                with contextlib.suppress(OSError):
                    converse(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield port
    finally:
        ended.set()
        socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
        thread.join(TIMEOUT)
        listener.close()


def server_context(files: Credentials) -> ssl.SSLContext:
    """TLS as a broker speaks it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.private_key)
    context.load_verify_locations(files.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_ciphers("AES128-SHA256")
    return context


def read_until_closed(connection: socket.socket) -> None:
    """Wait until the client has had enough."""
    while connection.recv(1024):
        pass

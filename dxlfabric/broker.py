"""A DXL broker inside a Python program: for one machine, for trying out, and for tests.

It behaves as the OpenDXL broker does wherever a client can see it. A fabric of several brokers, and
anything that must outlive this program, is the OpenDXL broker's business.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from dxlfabric.answers import BrokerDescription
from dxlfabric.buffers import Buffers
from dxlfabric.chains import certificate_chain
from dxlfabric.channel import RECEIVE_SIZE, BrokerLimits, Channel
from dxlfabric.credentials import Credentials
from dxlfabric.errors import BrokerError
from dxlfabric.pressure import Pressure
from dxlfabric.registry import ClientIdentity
from dxlfabric.routing import Delivery, Router
from dxlfabric.tls import server_context

logger = logging.getLogger(__name__)

VERSION = "6.0.1-embedded"
"""What the broker calls its version: that of the OpenDXL broker whose behaviour it follows."""

BACKLOG = 512
"""Connections that the system keeps waiting until they are accepted: a fleet that comes back."""

SWEEP_SECONDS = 1.0
"""Seconds between checks for silent, stalled and expired things; a check costs microseconds per
client."""

START_SECONDS = 30.0
"""Seconds that a program waits for a broker in its own thread to start or to stop."""

_ACCEPT_TURNS = 3

CLOSE_SECONDS = 5.0
"""Seconds that stopping waits for connections to be taken down."""


class EmbeddedBroker:
    """A DXL broker on one address, as a context manager.

    ``async with`` runs it in the running event loop; ``with`` runs it in a thread of its own.

    Args:
        credentials: CA certificates whose clients are let in, and the broker's own certificate and
            private key.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose one.
        broker_id: The broker's identifier on the fabric, a UUID; a new one by default.
        limits: Bounds on what clients may cost.

    Attributes:
        host: Address it listens on.
        port: Port it listens on; the real one once it runs.
        broker_id: Its identifier on the fabric.
        limits: Its bounds.
        router: What routes its messages; made at the start.
        receive_buffer: Memory that all connections receive into, one after the other.
        buffers: Memory for large packets of all connections.

    Raises:
        CertificateError: Entering: certificates or key cannot be used.
        BrokerError: Entering: the address cannot be listened on.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from dxlfabric.certificates import provision
        >>> with TemporaryDirectory() as home:
        ...     with EmbeddedBroker(provision(Path(home)).broker) as broker:
        ...         print(broker.port > 0)
        True
    """

    router: Router

    def __init__(
        self,
        credentials: Credentials,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        broker_id: str | None = None,
        limits: BrokerLimits | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.broker_id = broker_id or str(uuid.uuid4())
        self.limits = limits or BrokerLimits()
        self.receive_buffer = memoryview(bytearray(RECEIVE_SIZE))
        self.buffers = Buffers()
        self._credentials = credentials
        self._authorities: bytes = b""
        self._chains: dict[bytes, tuple[str, ...]] = {}
        self._open: set[Channel] = set()
        self._channels: dict[str, Channel] = {}
        self._pressure = Pressure()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._thread: _BrokerThread | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = _BrokerThread(self)
        self._thread.begin()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    async def start(self) -> None:
        """Begin to listen; raises as entering does."""
        context = server_context(self._credentials)
        self._authorities = self._credentials.authority.read_bytes()
        listener = self._listen()
        self.port = listener.getsockname()[1]
        self.router = Router(
            BrokerDescription(
                broker_id=self.broker_id,
                host_name=socket.gethostname(),
                port=self.port,
                version=VERSION,
                started=int(time.time()),
            )
        )
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Channel(self, context), sock=listener, backlog=BACKLOG
        )
        self._sweeping = loop.create_task(self._sweep())
        logger.info("broker %s listens on %s port %d", self.broker_id, self.host, self.port)

    async def stop(self) -> None:
        """End all connections and stop listening."""
        if self._server is None or self._sweeping is None:
            return
        self._server.close()
        self._server = None
        self._sweeping.cancel()
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)  # what was accepted just now is still being made a connection
        closed = [channel.closed for channel in self._open]
        for channel in list(self._open):
            channel.close(flush=False)
        await asyncio.wait([self._sweeping, *closed], timeout=CLOSE_SECONDS)
        logger.info("broker %s has stopped", self.broker_id)

    def identify(self, certificate: bytes) -> ClientIdentity:
        """Return who a certificate in DER form belongs to, as a new instance."""
        chain = self._chains.get(certificate)
        if chain is None:
            chain = certificate_chain(certificate, [self._authorities])
            if len(self._chains) >= self.limits.connections:
                self._chains.clear()
            self._chains[certificate] = chain
        return ClientIdentity(chain, f"{chain[-1]}:{uuid.uuid4()}")

    def opened(self, channel: Channel) -> bool:
        """Take note of a new connection; return whether there is room for it."""
        is_room = len(self._open) < self.limits.connections
        if not is_room:
            logger.warning("refused: %s: %d clients are connected", channel.peer, len(self._open))
        self._open.add(channel)
        return is_room

    def joined(self, channel: Channel) -> None:
        """Take note that a channel's client is known now."""
        if channel.identity is not None:
            self._channels[channel.identity.instance] = channel

    def left(self, channel: Channel) -> None:
        """Take note that a channel is gone."""
        self._open.discard(channel)
        if channel.identity is not None:
            self._channels.pop(channel.identity.instance, None)
            self._resume(self._pressure.forget(channel.identity.instance))

    def drained(self, channel: Channel) -> None:
        """Let those go on whom a slow client has held up."""
        if channel.identity is not None:
            self._resume(self._pressure.release(channel.identity.instance))

    def deliver(self, deliveries: Iterable[Delivery], cause: Channel | None) -> None:
        """Send packets to their recipients; hold up who caused them where one is too slow."""
        for delivery in deliveries:
            channel = self._channels.get(delivery.recipient)
            if channel is None:
                continue
            channel.send(delivery.pieces)
            if channel.congested and cause is not None:
                self._hold(cause, delivery.recipient)

    def _hold(self, cause: Channel, slow: str) -> None:
        if cause.identity is not None and self._pressure.hold(cause.identity.instance, slow):
            cause.pause()

    def _resume(self, instances: Iterable[str]) -> None:
        for instance in instances:
            channel = self._channels.get(instance)
            if channel is not None:
                channel.resume()

    def _listen(self) -> socket.socket:
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise BrokerError(
                f"the broker cannot listen on {self.host} port {self.port}: "
                f"{error.strerror or error}; choose another port, or end what uses it"
            ) from error
        return listener

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.deliver(self.router.sweep(time.time()), None)
            now = time.monotonic()
            for channel in list(self._open):
                channel.check(now)


class _BrokerThread:
    """Runs a broker in an event loop of its own thread."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._started: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="dxl-broker", daemon=True)

    def begin(self) -> None:
        self._thread.start()
        try:
            self._started.result(START_SECONDS)
        except TimeoutError as error:
            raise BrokerError(f"the broker did not start within {START_SECONDS:g} s") from error

    def end(self) -> None:
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)
        if self._thread.is_alive():
            raise BrokerError(f"the broker did not stop within {START_SECONDS:g} s")

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await self._broker.start()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the start
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await self._broker.stop()

"""Dials the brokers that destinations are reached by, each once for all who send there."""

import copy
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfabric.configuration import load_configuration
from dxlfabric.connection import connect
from dxlfabric.errors import ConfigurationError, ConnectError

CONNECT_SECONDS: Final = 10.0
"""Seconds for a connection to come about. Couriers try again for ever, with pauses."""

IDLE_SECONDS: Final = 60.0
"""Seconds for which a connection that nobody uses is kept: the next transfer to the same place
often comes soon, and a connection costs a handshake of some hundredths of seconds and a thread."""

END_SECONDS: Final = 5.0
"""Seconds that the end of connections is waited for; it goes on without that."""

LONGEST_RECONNECT_DELAY: Final = 5.0
"""Seconds between attempts to get a lost connection back, at most."""

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine that stand for each other where configurations are looked for."""

Place = tuple[str, int]
"""Address and port of a broker."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Line:
    """A connection to one broker.

    Attributes:
        changed: Is held to look at what follows, and notified when somebody is through with it.
        busy: Whether somebody dials.
        attempts: How often somebody has dialled.
        error: Why the last attempt has failed; ``None`` if it has not.
        client: The connection; ``None`` if there is none.
        users: How many use it, or wait for it.
        left: When the last one has left it.
    """

    changed: threading.Condition = field(default_factory=threading.Condition)
    busy: bool = False
    attempts: int = 0
    error: Exception | None = None
    client: DxlClient | None = None
    users: int = 0
    left: float = 0.0


class Dialling:
    """Dials with the server's own configuration, or one that names the broker.

    Args:
        own: The server's own ``dxlclient.config``: its certificates are shown to every broker that
            no other configuration names.
        fabrics: Directory of further ones (``*.config``), each for the brokers that it names. It
            need not exist, and is looked into for each new connection.
        clock: Returns the time in seconds, on a clock that never goes back.

    Example:
        >>> dialling = Dialling(Path("dxlclient.config"), Path("fabrics"))  # doctest: +SKIP
        >>> with dialling.client("receiver01", 8886) as client:  # doctest: +SKIP
        ...     print(client.connected)
        True
    """

    def __init__(
        self, own: Path, fabrics: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._own = own
        self._fabrics = fabrics
        self._clock = clock
        self._guard = threading.Lock()
        self._lines: dict[Place, _Line] = {}
        self._closed = False

    @contextmanager
    def client(self, address: str, port: int) -> Iterator[DxlClient]:
        """Give a client that is connected to a broker; it gets a lost connection back by itself.

        Args:
            address: Host name or IP address of the broker.
            port: Its port.

        Raises:
            ConfigurationError: A configuration cannot be used.
            ConnectError: The broker cannot be reached, or does not take this server.
        """
        place = (address, port)
        line = self._entered(place)
        try:
            with self._turn(line):
                client = line.client = self._connected(line, place)
            self._check_open(line)
            yield client
        finally:
            with self._guard:
                line.users -= 1
                line.left = self._clock()

    def maintain(self) -> None:
        """End connections that nobody has used for a while."""
        limit = self._clock() - IDLE_SECONDS
        with self._guard:
            idle = {
                place: line
                for place, line in self._lines.items()
                if not line.users and line.left <= limit
            }
            for place in idle:
                del self._lines[place]
        _end(idle.values())

    def refuse(self) -> None:
        """Connect nobody any more, and let go of who waits for that; connections stay."""
        with self._guard:
            self._closed = True
            lines = list(self._lines.values())
        for line in lines:
            with line.changed:
                line.changed.notify_all()

    def close(self) -> None:
        """End all connections."""
        self.refuse()
        with self._guard:
            lines, self._lines = self._lines, {}
        _end(lines.values())

    @contextmanager
    def _turn(self, line: _Line) -> Iterator[None]:
        """Have a line alone, after whoever dials; what has become of that counts for all who wait.

        Raises:
            ConfigurationError: The attempt of another one has failed so, or the server ends.
            ConnectError: The attempt of another one has failed, or does not end.
        """
        with line.changed:
            attempts = line.attempts
            if not line.changed.wait_for(lambda: not line.busy or self._closed, CONNECT_SECONDS):
                raise ConnectError("another attempt to connect to the broker is still under way")
            if self._closed:
                raise ConfigurationError("the server is ending")
            if line.attempts != attempts and line.error is not None:
                raise type(line.error)(str(line.error))
            line.busy = True
        error: Exception | None = None
        try:
            yield
        except (ConfigurationError, ConnectError) as failure:
            error = failure
            raise
        finally:
            with line.changed:
                line.busy, line.error = False, error
                line.attempts += 1
                line.changed.notify_all()

    def _connected(self, line: _Line, place: Place) -> DxlClient:
        if line.client is not None and not line.client.connected:
            if self._is_shared(line):
                raise ConnectError("the connection to the broker was lost")
            # It may hang in an attempt that cannot succeed, after a change of certificates say; a
            # fresh one tells why.
            line.client.destroy()
            line.client = None
        return line.client or self._dialled(place)

    def _entered(self, place: Place) -> _Line:
        with self._guard:
            if self._closed:
                raise ConfigurationError("the server is ending")
            line = self._lines.setdefault(place, _Line())
            line.users += 1
            return line

    def _is_shared(self, line: _Line) -> bool:
        """Whether others wait for the connection to come back: it is not to be taken from them."""
        with self._guard:
            return line.users > 1

    def _check_open(self, line: _Line) -> None:
        """Raise if everything was closed while a connection came about, and end that."""
        with self._guard:
            closed, kept = self._closed, line in self._lines.values()
        if closed:
            if not kept:
                _end([line])
            raise ConfigurationError("the server is ending")

    def _dialled(self, place: Place) -> DxlClient:
        config = configuration_for(place, self._own, self._fabrics)
        try:
            return connect(config, timeout=CONNECT_SECONDS)
        except ConnectError as error:
            if "certificate" not in str(error):
                raise
            raise ConnectError(
                f"{error}; if that broker is of another fabric, put a client configuration of it "
                f"into the directory {self._fabrics.name!r} of the server's state"
            ) from error


def configuration_for(place: Place, own: Path, fabrics: Path) -> DxlClientConfig:
    """Return the configuration with which a broker is dialled; it names that broker alone.

    Args:
        place: Address and port of the broker.
        own: The server's own configuration.
        fabrics: Directory of further ones.

    Raises:
        ConfigurationError: It cannot be used. One that has nothing to do with this broker is left
            out, with a line in the log.
    """
    for path in sorted(fabrics.glob("*.config")):
        try:
            config = load_configuration(path)
        except ConfigurationError as error:
            _logger.warning("A configuration of another fabric is left out: %s", error)
            continue
        if any(_is_at(broker, place) for broker in config.brokers):
            return _only(config, place)
    return _only(load_configuration(own), place)


def _is_at(broker: Broker, place: Place) -> bool:
    address, port = place
    if broker.port != port:
        return False
    hosts = {broker.host_name.lower(), broker.ip_address or broker.host_name.lower()}
    if hosts & LOCAL_HOSTS:
        hosts |= LOCAL_HOSTS
    return address.lower() in hosts


def _only(config: DxlClientConfig, place: Place) -> DxlClientConfig:
    address, port = place
    changed = copy.copy(config)
    changed.brokers = [Broker(address, None, "", port)]
    # Clients with one identifier throw each other out, and the server's own is in use.
    changed._client_id = f"{{{uuid.uuid4()}}}"  # noqa: SLF001 - a seam of the official client
    changed.reconnect_delay_max = min(config.reconnect_delay_max, LONGEST_RECONNECT_DELAY)
    return changed


def _end(lines: Iterable[_Line]) -> None:
    """End connections, all at the same time: each takes seconds where the broker has vanished."""
    clients = [line.client for line in lines if line.client is not None]
    threads = [
        threading.Thread(target=client.destroy, name="dxlft-hangup", daemon=True)
        for client in clients
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + END_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

"""Dials the brokers that destinations are reached by, each once for all who send there."""

import copy
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfabric.configuration import load_configuration
from dxlfabric.connection import connect
from dxlfabric.errors import ConfigurationError

CONNECT_SECONDS: Final = 10.0
"""Seconds for a connection to come about. Couriers try again for ever, with pauses."""

IDLE_SECONDS: Final = 60.0
"""Seconds for which a connection that nobody uses is kept: the next transfer to the same place
often comes soon, and a connection costs a handshake of some hundredths of seconds and a thread."""

LONGEST_RECONNECT_DELAY: Final = 5.0
"""Seconds between attempts to get a lost connection back, at most."""

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names of this machine that stand for each other where configurations are looked for."""

Place = tuple[str, int]
"""Address and port of a broker."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Line:
    """A connection to one broker."""

    turn: threading.Lock
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
            with line.turn:
                if line.client is not None and not line.client.connected:
                    # It may hang in an attempt that cannot succeed, after a change of certificates
                    # say; a fresh one tells why.
                    line.client.destroy()
                    line.client = None
                if line.client is None:
                    line.client = self._dialled(place)
                client = line.client
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

    def close(self) -> None:
        """End all connections."""
        with self._guard:
            lines, self._lines = self._lines, {}
            self._closed = True
        _end(lines.values())

    def _entered(self, place: Place) -> _Line:
        with self._guard:
            if self._closed:
                raise ConfigurationError("the server is ending")
            line = self._lines.setdefault(place, _Line(threading.Lock()))
            line.users += 1
            return line

    def _dialled(self, place: Place) -> DxlClient:
        config = configuration_for(place, self._own, self._fabrics)
        return connect(config, timeout=CONNECT_SECONDS)


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
    for line in lines:
        if line.client is not None:
            line.client.destroy()

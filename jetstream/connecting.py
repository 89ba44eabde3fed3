"""How an API is connected: a client of the fabric, and a session with the server on it."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dxlfiletransferclient.control.caller import ControlClient
from dxlfiletransferclient.control.constants import (
    DEFAULT_API_PORT,
    DEFAULT_SERVER_ADDRESS,
    DEFAULT_TIMEOUT_SECONDS,
)
from dxlfiletransferclient.control.dialing import Configuration, dial
from dxlfiletransferclient.control.errors import ConnectError
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from jetstream.syncinterface import Connection

logger = logging.getLogger("jetstream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a server is, and with what to connect to it.

    Attributes:
        address: Host name or IP address; ``None`` for the brokers of the configuration, or the
            default.
        port: TCP port; ``None`` for the default.
        config: The client configuration, or its path; ``None`` for that of this machine's server.
        server: Name or uid of the server; ``None`` for the only one.
        public_key: The key that it must have; ``None`` for the one that it tells.
        timeout: Seconds for connecting, and for each call.
    """

    address: str | None = None
    port: int | None = None
    config: Configuration | None = None
    server: str | None = None
    public_key: str | None = None
    timeout: float = DEFAULT_TIMEOUT_SECONDS

    def __str__(self) -> str:
        name = f"the server {self.server} at " if self.server else ""
        if self.address is None and self.port is None and self.config is not None:
            return f"{name}the brokers of the configuration"
        return f"{name}{self.address or DEFAULT_SERVER_ADDRESS}:{self.port or DEFAULT_API_PORT}"


class ServerConnection:
    """A connection to a server, with all that it stands on; a ``syncinterface.Connection``.

    Args:
        client: Calls the commands.
        ends: Ends what the client stands on.
    """

    def __init__(self, client: ControlClient, ends: contextlib.ExitStack) -> None:
        self._client = client
        self._ends = ends

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._client.connected

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Call a command."""
        return self._client.call(command, arguments, timeout=timeout)

    def log_on(self, arguments: Mapping[str, Any]) -> None:
        """Log on."""
        self._client.log_on(arguments)

    def adopt(self, ticket: str) -> None:
        """Use the ticket of a log-on."""
        self._client.adopt(ticket)

    def close(self) -> None:
        """Take leave of the server, and end the connection."""
        with self._ends:
            self._client.close()


def open_connection(settings: Settings) -> Connection:
    """Connect to a server.

    Raises:
        ConnectError: There is no way to it.
    """
    with contextlib.ExitStack() as ends:
        dxl_client = dial(
            settings.address, settings.port, config=settings.config, timeout=settings.timeout
        )
        ends.callback(dxl_client.destroy)
        bus = ends.enter_context(DxlBus(dxl_client))
        try:
            client = ControlClient(
                bus,
                server=settings.server,
                public_key=settings.public_key,
                timeout=settings.timeout,
            )
        except ValueError as error:
            raise ConnectError(f"'serverPublicKey': {error}") from error
        client.connect()
        logger.debug("connected to %s", settings)
        return ServerConnection(client, ends.pop_all())

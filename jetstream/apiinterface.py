"""The way in: an API to one server, and what makes it."""

# ruff: noqa: N803 - the names of the API

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from dxlfiletransferclient.control.constants import (
    DEFAULT_TIMEOUT_SECONDS,
)
from dxlfiletransferclient.control.dialing import Configuration
from dxlfiletransferclient.control.errors import NotConnectedError
from jetstream.connecting import Settings, open_connection
from jetstream.recvinterface import RecvInterface
from jetstream.sendinterface import SendInterface
from jetstream.serverinterface import ServerInterface
from jetstream.syncinterface import Connection, SyncInterface

logger = logging.getLogger("jetstream")


class Jetstream:
    """Makes APIs to transfer servers.

    Example:
        >>> api = Jetstream().api("localhost", 8886)
        >>> api.connected
        False
    """

    def api(
        self,
        address: str | None = None,
        port: int | None = None,
        *,
        config: Configuration | None = None,
        server: str | None = None,
        serverPublicKey: str | None = None,
        timeoutSeconds: float = DEFAULT_TIMEOUT_SECONDS,
        waitTimeoutSeconds: float | None = None,
    ) -> "APIInterface":
        """Return an API to a server; it is not connected yet.

        Args:
            address: Host name or IP address of the server: of the broker that it is reached by.
                ``localhost`` by default, or the brokers of ``config`` if that is given.
            port: Its TCP port; 8886 by default.
            config: A DXL client configuration (``dxlclient.config``), or its path: with whose
                certificate to connect. By default the one that the server on this machine has made,
                in the directory that ``DXLFT_HOME`` names or in that of the user.
            server: Name or uid of the server, where several are reached by the same broker.
            serverPublicKey: The key that the server must have, as its server information tells it.
                By default the one that it tells when the API connects, and no other one later.
            timeoutSeconds: Seconds in which a connection has to come about, and each call has to be
                answered; above 0.
            waitTimeoutSeconds: Seconds that ``waitForManifest``, ``waitForTransfer`` and
                ``getRequestResult`` may take; ``None`` for as long as it takes.

        Raises:
            ValueError: A time-out is not above 0.

        Example:
            >>> api = Jetstream().api("files.example.com", timeoutSeconds=30)
        """
        for name, value in (("timeout", timeoutSeconds), ("waitTimeout", waitTimeoutSeconds)):
            if value is not None and not value > 0:
                raise ValueError(f"'{name}Seconds' must be greater than 0")
        settings = Settings(
            address=address,
            port=port,
            config=config,
            server=server,
            public_key=serverPublicKey,
            timeout=timeoutSeconds,
        )
        return APIInterface(settings, waitTimeoutSeconds=waitTimeoutSeconds)


JetStream = Jetstream
"""The same; releases from 2.0 on write it so."""


@dataclass(slots=True)
class _State:
    connection: Connection | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class APIInterface:
    """An API to one server. ``Jetstream().api(…)`` makes it.

    It may be used by several threads; calls are made one after another. As a context manager it
    connects if it is not connected yet, and disconnects in the end.

    Args:
        settings: Where the server is, and with what to connect.
        waitTimeoutSeconds: Seconds that waits may take; ``None`` for any number.
        connect: Makes connections.

    Attributes:
        server: Logging on, requests, and the server itself.
        send: Everything about sending files.
        recv: What the server receives from others.

    Example:
        >>> with Jetstream().api() as api:  # doctest: +SKIP
        ...     api.server.auth("jsmith", "secret")
        ...     print(len(api.send.getTransfers()))
    """

    def __init__(
        self,
        settings: Settings,
        *,
        waitTimeoutSeconds: float | None = None,
        connect: Callable[[Settings], Connection] = open_connection,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._state = _State()
        sync = SyncInterface(self._connection, wait_timeout=waitTimeoutSeconds)
        self.server = ServerInterface(self, sync, logger)
        self.send = SendInterface(self, sync, logger)
        self.recv = RecvInterface(self, sync, logger)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<{type(self).__name__} to {self._settings}, {state}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection; one that was lost comes back by itself if it can."""
        connection = self._state.connection
        return connection is not None and connection.connected

    def connect(self) -> None:
        """Connect to the server; does nothing if that was done.

        Raises:
            ConnectError: There is no way to the server, there are several servers to choose from,
                or it is of another release. The text says what helps.

        Example:
            >>> api.connect()  # doctest: +SKIP
        """
        with self._state.lock:
            if self._state.connection is None:
                self._state.connection = self._connect(self._settings)

    def disconnect(self) -> None:
        """End the connection, and with it the log-on; does nothing if there is none.

        Calls of other threads that wait for the server end with a ``NotConnectedError``. What was
        begun goes on at the server.

        Example:
            >>> api.disconnect()  # doctest: +SKIP
        """
        with self._state.lock:
            connection, self._state.connection = self._state.connection, None
        if connection is not None:
            connection.close()

    def _connection(self) -> Connection:
        connection = self._state.connection
        if connection is None:
            raise NotConnectedError(
                f"not connected to {self._settings}: call connect() first, or use the API in a "
                "with statement"
            )
        return connection

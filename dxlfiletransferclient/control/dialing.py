"""Makes the connection on which a transfer server is called."""

import copy
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfabric import errors as fabric
from dxlfabric.configuration import load_configuration
from dxlfabric.connection import connect
from dxlfiletransferclient.control.configuration import (
    HOME_VARIABLE,
    client_configuration,
    home_directory,
)
from dxlfiletransferclient.control.constants import DEFAULT_API_PORT, DEFAULT_SERVER_ADDRESS
from dxlfiletransferclient.control.errors import ConnectError
from dxlfiletransferclient.errors import brief

HIGHEST_PORT = 65535
"""The highest port that TCP has."""

LONGEST_RECONNECT_DELAY = 2.0
"""Seconds between attempts to get a lost connection back, at most: a program that waits for its
server shall not wait for a minute longer than the server needs to start. An attempt costs a packet
or two."""

Configuration = DxlClientConfig | os.PathLike[str] | str
"""A client configuration, or the name of a ``dxlclient.config`` file."""


def dial(
    address: str | None = None,
    port: int | None = None,
    *,
    config: Configuration | None = None,
    timeout: float,
) -> DxlClient:
    """Return a client that is connected to the broker of a transfer server.

    Args:
        address: Host name or IP address of the broker. By default those in the configuration if
            one is given, otherwise ``localhost``.
        port: Its TCP port; 8886 by default where an address is given.
        config: The client's certificates, and its brokers as far as no address is given. By default
            the configuration that a server on this machine has made in its home.
        timeout: Seconds for everything but the look-up of host names.

    Returns:
        The client; it gets a lost connection back by itself. Destroy it in the end.

    Raises:
        ConnectError: There is no such configuration, or no connection; the text names address,
            port and file, and the way out.

    Example:
        >>> with dial("server.example.com", timeout=10) as client:  # doctest: +SKIP
        ...     print(client.connected)
        True
    """
    found, origin = _found(config)
    if config is None or address is not None or port is not None:
        brokers = [_broker(address, port)]
    else:
        brokers = found.brokers
    settings = _with_brokers(found, brokers)
    try:
        return connect(settings, timeout=timeout)
    except (fabric.ConnectError, fabric.ConfigurationError) as error:
        raise ConnectError(
            f"no transfer server can be reached: {error} (client configuration: {origin})"
        ) from error


def _found(config: Configuration | None) -> tuple[DxlClientConfig, str]:
    """Return the configuration, and where it comes from."""
    if isinstance(config, DxlClientConfig):
        return config, "the one that was given"
    if config is None:
        path = client_configuration(home_directory())
        if not path.is_file():
            raise ConnectError(
                f"{path}: there is no such client configuration. On the machine of a server, start "
                f'"dxlft server" once as this user, or let {HOME_VARIABLE} name its home; '
                "elsewhere, pass a client configuration of its fabric as 'config'"
            )
    else:
        path = Path(config).expanduser().absolute()
    try:
        return load_configuration(path), str(path)
    except fabric.ConfigurationError as error:
        raise ConnectError(f"the client configuration cannot be used: {error}") from error


def _broker(address: Any, port: Any) -> Broker:
    host = DEFAULT_SERVER_ADDRESS if address is None else address
    number = DEFAULT_API_PORT if port is None else port
    if not isinstance(host, str) or not host or not host.isprintable() or " " in host:
        raise ConnectError(f"the address is {brief(host)}, but must be a host name or IP address")
    if type(number) is not int or not 1 <= number <= HIGHEST_PORT:
        raise ConnectError(f"the port is {brief(number)}, but must be from 1 to {HIGHEST_PORT}")
    return Broker(host.removeprefix("[").removesuffix("]"), None, "", number)


def _with_brokers(config: DxlClientConfig, brokers: Sequence[Broker]) -> DxlClientConfig:
    changed = copy.copy(config)
    if changed.use_websockets:
        changed.websocket_brokers = list(brokers)
    else:
        changed.brokers = list(brokers)
    # Clients with one identifier throw each other out, and a program may pass the same one twice.
    changed._client_id = f"{{{uuid.uuid4()}}}"  # noqa: SLF001 - a seam of the official client
    changed.reconnect_delay_max = min(config.reconnect_delay_max, LONGEST_RECONNECT_DELAY)
    return changed

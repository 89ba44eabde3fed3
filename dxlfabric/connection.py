"""Connects the official client to a fabric, or says within a given time why that fails."""

import logging
import os
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException

from dxlfabric.client import FabricClient
from dxlfabric.configuration import check_configuration, client_context, load_configuration
from dxlfabric.diagnosis import Obstacle, find_obstacle
from dxlfabric.errors import ConnectError

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 15.0
"""Seconds for a connection to come about. A broker nearby takes some hundredths; a slow line with
a lost packet or two needs several seconds."""

RETRY_DELAY = 1.0
"""Seconds between two attempts; a broker that is being restarted is back after about one."""

MOST_PROBES = 8
"""Brokers of one configuration that are tried at the same time, each in a thread of its own."""


def connect(
    config: DxlClientConfig | os.PathLike[str] | str,
    *,
    timeout: float = CONNECT_TIMEOUT,
    retries: int = 0,
    retry_delay: float = RETRY_DELAY,
) -> DxlClient:
    """Return an official client that is connected to the fabric.

    The fastest of the configured brokers that takes the client is used; the others remain for
    reconnecting, which the client does by itself as its configuration says.

    Args:
        config: A configuration, or the name of a ``dxlclient.config`` file.
        timeout: Seconds for everything, further attempts included. The look-up of host names is
            the system's and may add its own.
        retries: Further attempts (0 or more) when the reason may pass by itself, as a broker that
            is not there yet.
        retry_delay: Seconds between attempts.

    Returns:
        The connected client. Destroy it when it is no longer needed, best by ``with``; its
        ``config`` is a copy of the one given.

    Raises:
        ConfigurationError: The configuration cannot be used; the message names file and setting.
        ConnectError: No broker could be reached, or none takes this client; the message names each
            broker and the reason. No thread and no connection is left behind.

    Example:
        >>> with connect("client/dxlclient.config", timeout=5) as client:  # doctest: +SKIP
        ...     client.subscribe("/my/topic")
    """
    deadline = time.monotonic() + timeout
    if isinstance(config, DxlClientConfig):
        origin = "client configuration"
        check_configuration(config, origin)
    else:
        path = Path(config).absolute()
        origin = str(path)
        config = load_configuration(path)
    context = client_context(config, origin)
    brokers = _reachable(config, context, deadline, retries, retry_delay)
    try:
        return _connected_client(config, brokers, deadline)
    except (DxlException, OSError) as error:
        obstacle = find_obstacle(brokers[0], config, context, timeout=RETRY_DELAY)
        if obstacle is None:
            where = f"{brokers[0].host_name}:{brokers[0].port}"
            reason = "it answers, but the client could not connect in time"
            obstacle = Obstacle(where, f"{reason} ({error})")
        raise ConnectError(str(obstacle)) from error


def _reachable(
    config: DxlClientConfig,
    context: ssl.SSLContext,
    deadline: float,
    retries: int,
    retry_delay: float,
) -> Sequence[Broker]:
    """Return the brokers that take the client; tries again as long as that makes sense."""
    if config.use_websockets and config.proxy_addr:
        return config.brokers  # only the client itself knows the way through its proxy
    for attempts_left in range(retries, -1, -1):
        obstacles = _survey(config, context, deadline - time.monotonic())
        reachable = [broker for broker, obstacle in obstacles if obstacle is None]
        if reachable:
            return reachable
        found = [obstacle for _, obstacle in obstacles if obstacle]
        hopeful = attempts_left and any(obstacle.passing for obstacle in found)
        if not hopeful or time.monotonic() + retry_delay >= deadline:
            break
        logger.info("%s; trying again in %g s", found[0], retry_delay)
        time.sleep(retry_delay)
    raise ConnectError("; ".join(map(str, found)))


def _survey(
    config: DxlClientConfig, context: ssl.SSLContext, timeout: float
) -> list[tuple[Broker, Obstacle | None]]:
    def look(broker: Broker) -> tuple[Broker, Obstacle | None]:
        return broker, find_obstacle(broker, config, context, timeout=timeout)

    if len(config.brokers) == 1:
        return [look(config.brokers[0])]
    with ThreadPoolExecutor(min(len(config.brokers), MOST_PROBES)) as threads:
        return list(threads.map(look, config.brokers))


def _connected_client(
    config: DxlClientConfig, brokers: Sequence[Broker], deadline: float
) -> DxlClient:
    client = FabricClient(config)
    try:
        client.connect_once(brokers, deadline)
    except BaseException:
        client.destroy()
        raise
    return client

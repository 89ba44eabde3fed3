"""Clients of the control API without the package around it, to call what that would not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dxlfiletransferclient.control.caller import ControlClient
from dxlfiletransferclient.control.dialing import dial
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from tests.integration.transferstage import HOST, StagedServer
from tests.waiting import TIMEOUT


@contextmanager
def control_client(
    server: StagedServer, credentials: Mapping[str, Any] | None = None
) -> Iterator[ControlClient]:
    """Give a connected client.

    Args:
        server: The server to call.
        credentials: What to log on with, if anything.
    """
    dxl_client = dial(HOST, server.port, config=server.configuration, timeout=TIMEOUT)
    try:
        with DxlBus(dxl_client) as bus:
            client = ControlClient(bus, timeout=TIMEOUT)
            client.connect()
            if credentials is not None:
                client.log_on(credentials)
            try:
                yield client
            finally:
                client.close()
    finally:
        dxl_client.destroy()

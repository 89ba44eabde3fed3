"""How a command becomes a client of the fabric."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dxlfabric.connection import connect
from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.exchange.dxlbus import DxlBus
from dxlfiletransferservice.command.console import shown
from dxlfiletransferservice.home import Home


@contextmanager
def connected_client(config: Path | None, home: Path | None) -> Iterator[FileTransferClient]:
    """Give a file transfer client that is connected.

    Args:
        config: Configuration of the DXL client; that in the home by default.
        home: The home; the user's by default.

    Raises:
        ConfigurationError: There is no such configuration, or it cannot be used.
        ConnectError: The fabric cannot be reached, or refuses the client.
    """
    with connect(_configuration(config, home)) as dxl_client:
        yield FileTransferClient(dxl_client)


@contextmanager
def connected_bus(config: Path | None, home: Path | None) -> Iterator[DxlBus]:
    """Give a bus that is connected; arguments and errors are those of :func:`connected_client`."""
    with connect(_configuration(config, home)) as dxl_client, DxlBus(dxl_client) as bus:
        yield bus


def _configuration(config: Path | None, home: Path | None) -> Path:
    if config is not None:
        return config
    path = Home.at(home).client_configuration
    if not path.exists():
        raise ConfigurationError(
            f'{shown(path)}: there is no such client configuration; start "dxlft server", or '
            "name one with --config"
        )
    return path

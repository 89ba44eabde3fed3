"""Where the transfer server of a home keeps its state."""

from dataclasses import dataclass
from pathlib import Path

from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.command.console import shown
from dxlfiletransferservice.home import Home, settings_file
from dxlfiletransferservice.settings import read_settings
from dxlfiletransferservice.transferserver import KEY_NAME, TICKET_NAME
from dxlfiletransferservice.transferserversettings import TransferServerSettings


@dataclass(frozen=True, slots=True)
class ServerState:
    """Where the state of a transfer server is.

    Attributes:
        directory: The state directory, as an absolute path.
        database: The database, as SQLAlchemy names it.
    """

    directory: Path
    database: str

    @property
    def ticket(self) -> Path:
        """File with the ticket of whoever runs the server."""
        return self.directory / TICKET_NAME

    @property
    def key(self) -> Path:
        """File with the server's private key."""
        return self.directory / KEY_NAME


def state_of(home: Home) -> ServerState:
    """Return where the transfer server of a home keeps its state, or is going to.

    Raises:
        ConfigurationError: Its settings cannot be read; or there are settings for a server with a
            broker and for one that joins a fabric, which name different places.
    """
    found: dict[ServerState, Path] = {}
    for directory in (home.service, home.joined_service):
        path = settings_file(directory)
        if path.exists():
            found.setdefault(_state(home, read_settings(path).transfer_server), path)
    if len(found) > 1:
        first, second = (shown(path) for path in found.values())
        raise ConfigurationError(
            f"{first} and {second} name different places for the state of the transfer server: "
            "make stateDir and database in [TransferServer] the same, or remove the file that no "
            "server uses"
        )
    return next(iter(found), _state(home, TransferServerSettings()))


def _state(home: Home, settings: TransferServerSettings) -> ServerState:
    directory = (settings.state_dir or home.state).absolute()
    return ServerState(directory, settings.database_in(directory))

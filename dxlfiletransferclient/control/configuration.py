"""Where programs on this machine find the client configuration of their transfer server."""

import os
from pathlib import Path
from typing import Final

import platformdirs

from dxlfabric.certificates import CONFIGURATION_NAME

HOME_VARIABLE: Final = "DXLFT_HOME"
"""Environment variable that names the home: the directory in which a server keeps everything."""

_APPLICATION: Final = "dxlft"


def home_directory(path: Path | None = None) -> Path:
    """Return the home as an absolute path, whether it exists or not.

    Args:
        path: Where it is. By default what the environment variable ``DXLFT_HOME`` says, or a
            directory of the current user: ``~/.local/share/dxlft`` on Linux.

    Example:
        >>> home_directory(Path("/srv/dxlft"))
        PosixPath('/srv/dxlft')
    """
    if path is None:
        named = os.environ.get(HOME_VARIABLE)
        path = Path(named) if named else platformdirs.user_data_path(_APPLICATION, appauthor=False)
    return path.expanduser().absolute()


def client_configuration(home: Path) -> Path:
    """Return where the configuration lies that clients on this machine use by default.

    Args:
        home: The home.

    Example:
        >>> client_configuration(Path("/srv/dxlft"))
        PosixPath('/srv/dxlft/client/dxlclient.config')
    """
    return home / "client" / CONFIGURATION_NAME

"""The configuration directory of the service that ``dxlft server`` runs."""

import re
from pathlib import Path
from typing import Final

from dxlfabric.configuration import load_configuration
from dxlfabric.durablefiles import make_private_directory, write_file
from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.configdirectory import CLIENT_FILE, SETTINGS_FILE, packaged_default
from dxlfiletransferservice.settings import read_settings

_STORAGE: Final = re.compile(r"^storageDir[ \t]*[=:].*$", re.IGNORECASE | re.MULTILINE)


def write_settings(directory: Path, storage: Path | None, default: Path) -> None:
    """Make the settings of the service, or change where it stores files.

    Args:
        directory: The configuration directory, which exists.
        storage: Where files shall be stored; None for where the settings say.
        default: Where files are stored if there are no settings yet.

    Raises:
        ConfigurationError: The settings do not name a directory for the files, or cannot name this
            one.
        OSError: The settings cannot be read or written.
    """
    path = directory / SETTINGS_FILE
    if path.exists():
        if storage is None:
            return
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    else:
        text = packaged_default(SETTINGS_FILE).decode()
    wanted = (storage or default).absolute()
    if not str(wanted).isprintable() or str(wanted) != str(wanted).strip():
        raise ConfigurationError(f"{str(wanted)!r}: settings cannot express such a path")
    line = f"storageDir={wanted}".replace("%", "%%")
    changed, found = _STORAGE.subn(lambda _: line, text, count=1)
    if not found:
        raise ConfigurationError(f"{path}: [General] storageDir is missing; add it")
    if changed != text or not path.exists():
        write_file(path, changed.encode(errors="surrogateescape"))
    if storage is not None and read_settings(path).storage_dir != wanted:
        raise ConfigurationError(
            f"{path}: [General] storageDir is not where it belongs; correct it"
        )


def write_joining_configuration(directory: Path, configuration: Path) -> None:
    """Make a service use the fabric that a client configuration names.

    The configuration is copied, with absolute names of its files, so that the service finds them.

    Args:
        directory: The configuration directory of the service; made if it is missing.
        configuration: The ``dxlclient.config`` for that fabric.

    Raises:
        ConfigurationError: The configuration cannot be used.
        OSError: The copy cannot be written.
    """
    config = load_configuration(configuration)
    make_private_directory(directory)
    config.write(str(directory / CLIENT_FILE))

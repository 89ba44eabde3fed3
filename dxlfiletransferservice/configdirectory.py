"""The directory that holds the configuration of a service."""

import re
from importlib import resources
from pathlib import Path
from typing import Final

from dxlfabric.errors import ConfigurationError

CLIENT_FILE: Final = "dxlclient.config"
"""How to reach the fabric: the settings of the DXL client."""

SETTINGS_FILE: Final = "dxlfiletransferservice.config"
"""The settings of the service itself."""

LOGGING_FILE: Final = "logging.config"
"""Where the log goes; may be missing."""

_PLACEHOLDER: Final = re.compile("<[^<>=]*>")
_TO_FILL_IN: Final = {
    CLIENT_FILE: f"[Certs] and [Brokers] in {CLIENT_FILE}",
    SETTINGS_FILE: f"[General] storageDir in {SETTINGS_FILE}",
}


def packaged_default(name: str) -> bytes:
    """Return one of the packaged files that a configuration directory begins with."""
    packaged = resources.files("dxlfiletransferservice").joinpath("_config", "app", name)
    return packaged.read_bytes()


def create_missing_files(directory: Path) -> list[str]:
    """Complete a configuration directory from the packaged defaults.

    Files that exist are left as they are. `LOGGING_FILE`, which may be missing, is created only in
    a directory without any file.

    Args:
        directory: The configuration directory; created if it does not exist.

    Returns:
        The names of the files that were created.

    Raises:
        ConfigurationError: The directory or a file cannot be created.
    """
    created = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_new = not any(each.is_file() for each in directory.iterdir())
        for name in (CLIENT_FILE, SETTINGS_FILE, *((LOGGING_FILE,) if is_new else ())):
            path = directory / name
            if not path.exists():
                path.write_bytes(packaged_default(name))
                created.append(name)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or directory}: cannot be created: {error.strerror or error}"
        ) from error
    return created


def require_complete(directory: Path) -> None:
    """Make sure that a configuration directory has all its files.

    Args:
        directory: The configuration directory.

    Raises:
        ConfigurationError: Files were missing. They exist now, and the message says which settings
            in them must be filled in.
    """
    created = create_missing_files(directory)
    if created:
        settings = " and ".join(_TO_FILL_IN[name] for name in created if name in _TO_FILL_IN)
        raise ConfigurationError(
            f"{directory}: created {', '.join(created)}; fill in {settings}, then start again"
        )


def require_filled_in(directory: Path) -> None:
    """Make sure that the client configuration is no template any more.

    Args:
        directory: The configuration directory.

    Raises:
        ConfigurationError: ``dxlclient.config`` cannot be read or still holds placeholders; the
            message names the settings.
    """
    path = directory / CLIENT_FILE
    try:
        names = placeholders(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    if names:
        raise ConfigurationError(
            f"{path}: fill in {', '.join(names)}, which still have the placeholders of the template"
        )


def placeholders(text: str) -> list[str]:
    r"""Return the names of the settings whose values still hold a placeholder such as ``<port>``.

    Args:
        text: A client configuration.

    Example:
        >>> placeholders("CertFile=<path to the client certificate>\nPrivateKey=client.key")
        ['CertFile']
    """
    settings = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return [name.strip() for name, _, value in settings if _PLACEHOLDER.search(value)]

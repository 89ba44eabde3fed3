"""Settings of the transfer server: where it keeps its state, and whom it lets in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferservice.inifile import Section

TRANSFER_SERVER_NAMES: Final = (
    "stateDir",
    "database",
    "serverName",
    "requireAuthentication",
    "leastCipher",
    "defaultCipher",
)
"""The settings in the section ``[TransferServer]``."""

DATABASE_NAME: Final = "server.db"
"""The database in the state directory, unless the settings name another one."""

MAX_SERVER_NAME: Final = 64
"""Characters of a server's name."""

_CIPHERS: Final = {
    "none": Cipher.NONE,
    "authenticated": Cipher.AUTHENTICATED,
    "aes128": Cipher.AES_128,
    "aes256": Cipher.AES_256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferServerSettings:
    """What the section ``[TransferServer]`` says.

    Attributes:
        state_dir: Directory of the server's key, database and triggers; ``None`` for no transfer
            server: the service stores files, and nothing else.
        database: The database as SQLAlchemy names it; ``None`` for SQLite in the state directory.
        server_name: What people call the server; ``None`` for the name of the machine.
        require_authentication: Whether files are only taken from who shows a user's password or an
            API token.
        least_cipher: The least protection of a session that the server takes part in.
        default_cipher: The least protection of transfers that do not say otherwise.
    """

    state_dir: Path | None = None
    database: str | None = None
    server_name: str | None = None
    require_authentication: bool = False
    least_cipher: Cipher = Cipher.NONE
    default_cipher: Cipher = Cipher.AES_128

    def database_in(self, state_dir: Path) -> str:
        """Return the database as SQLAlchemy names it.

        Args:
            state_dir: The state directory, as an absolute path.
        """
        return self.database or f"sqlite:///{state_dir / DATABASE_NAME}"


def parse_transfer_server(section: Section) -> TransferServerSettings:
    """Return what the section ``[TransferServer]`` says.

    Raises:
        ConfigurationError: A value is malformed or out of range.
    """
    name = section.text("serverName")
    if len(name) > MAX_SERVER_NAME or not name.isprintable():
        raise section.error(
            "serverName", f"= {brief(name)}; allowed are up to {MAX_SERVER_NAME} characters"
        )
    return TransferServerSettings(
        state_dir=section.directory("stateDir"),
        database=section.text("database") or None,
        server_name=name or None,
        require_authentication=section.yes_or_no("requireAuthentication", default=False),
        least_cipher=_cipher(section, "leastCipher", Cipher.NONE),
        default_cipher=_cipher(section, "defaultCipher", Cipher.AES_128),
    )


def _cipher(section: Section, setting: str, default: Cipher) -> Cipher:
    text = section.text(setting)
    if not text:
        return default
    found = _CIPHERS.get(text.lower())
    if found is None:
        raise section.error(setting, f"= {brief(text)}; allowed is one of {', '.join(_CIPHERS)}")
    return found

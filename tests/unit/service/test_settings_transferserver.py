"""The settings of the transfer server."""

from pathlib import Path

import pytest

from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferservice.inifile import parse_ini
from dxlfiletransferservice.settings import parse_settings
from dxlfiletransferservice.transferserversettings import TransferServerSettings


def parse(*lines: str) -> TransferServerSettings:
    text = "\n".join(["[General]", "storageDir=/srv/files", "[TransferServer]", *lines])
    return parse_settings(parse_ini(text, source="example"), source="example").transfer_server


def test_there_is_no_transfer_server_unless_it_has_a_place() -> None:
    assert parse() == TransferServerSettings()
    assert parse().state_dir is None


def test_everything_can_be_set() -> None:
    assert parse(
        "stateDir=/srv/state",
        "database=postgresql+psycopg://host/name",
        "serverName=north",
        "requireAuthentication=yes",
        "leastCipher=authenticated",
        "defaultCipher=AES256",
    ) == TransferServerSettings(
        state_dir=Path("/srv/state"),
        database="postgresql+psycopg://host/name",
        server_name="north",
        require_authentication=True,
        least_cipher=Cipher.AUTHENTICATED,
        default_cipher=Cipher.AES_256,
    )


def test_the_database_is_in_the_state_directory_by_default() -> None:
    assert parse().database_in(Path("/srv/state")) == "sqlite:////srv/state/server.db"
    assert parse("database=sqlite:////x.db").database_in(Path("/srv")) == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("leastCipher=rot13", r"leastCipher = 'rot13'; allowed is one of none, authenticated"),
        ("requireAuthentication=perhaps", "allowed is yes or no"),
        ("serverName=" + "x" * 65, "allowed are up to 64 characters"),
        ("statedri=/x", "did you mean stateDir"),
    ],
)
def test_what_is_wrong_is_named(line: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse(line)

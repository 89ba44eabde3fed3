"""The configuration directory is completed from the packaged defaults, never overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest

from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.configdirectory import (
    create_missing_files,
    placeholders,
    require_complete,
    require_filled_in,
)
from dxlfiletransferservice.inifile import parse_ini, read_parser
from dxlfiletransferservice.settings import parse_settings

ROOT = Path(__file__).parents[3]
PACKAGED = ROOT / "dxlfiletransferservice" / "_config" / "app"
ALL_FILES = ["dxlclient.config", "dxlfiletransferservice.config", "logging.config"]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_directory_to_copy_holds_the_packaged_defaults() -> None:
    assert names(ROOT / "config") == names(PACKAGED) == ALL_FILES
    for name in ALL_FILES:
        assert (ROOT / "config" / name).read_bytes() == (PACKAGED / name).read_bytes()


def test_a_missing_directory_is_created_with_its_parents(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    assert create_missing_files(directory) == ALL_FILES
    for name in ALL_FILES:
        assert (directory / name).read_bytes() == (PACKAGED / name).read_bytes()
    assert create_missing_files(directory) == []


def test_existing_files_stay_and_logging_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "dxlclient.config").write_text("mine")
    assert create_missing_files(tmp_path) == ["dxlfiletransferservice.config"]
    assert (tmp_path / "dxlclient.config").read_text() == "mine"
    assert names(tmp_path) == ALL_FILES[:2]


def test_what_was_created_has_to_be_filled_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_complete(tmp_path / "new")
    message = str(caught.value)
    assert f"{tmp_path / 'new'}: created dxlclient.config, dxlfiletransferservice.config" in message
    assert "fill in [Certs] and [Brokers] in dxlclient.config and [General] storageDir" in message
    require_complete(tmp_path / "new")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=f"{directory}.*: cannot be created: "):
            require_complete(directory)


def test_placeholders_in_the_client_configuration_are_named(tmp_path: Path) -> None:
    create_missing_files(tmp_path)
    with pytest.raises(ConfigurationError, match="BrokerCertChain, CertFile, PrivateKey, broker1"):
        require_filled_in(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("[Certs]\nCertFile=client.crt\n", []),
        ("#CertFile=<path>\n", []),
        ("CertFile=<path-to-dxlcert>\nPrivateKey = <path>\n", ["CertFile", "PrivateKey"]),
        ("<CertFile>", []),
        ("b=<id>;<port>;host\n", ["b"]),
    ],
)
def test_placeholders_are_found_in_values_only(text: str, found: list[str]) -> None:
    assert placeholders(text) == found


def test_the_packaged_settings_lack_only_the_storage_directory() -> None:
    parser = read_parser(PACKAGED / "dxlfiletransferservice.config")
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "General": {"storagedir": ""},
        "Transfers": {},
        "Quota": {},
        "Access": {},
        "TransferServer": {},
        "IncomingMessagePool": {},
        "MessageCallbackPool": {},
    }


def test_the_commented_settings_show_every_known_name_with_its_default() -> None:
    text = (PACKAGED / "dxlfiletransferservice.config").read_text()
    shown = [line[1:] for line in text.splitlines() if line.startswith(";")]
    assert shown == [
        "workingDir=<storageDir>/.workdir",
        "storeTopic=/opendxl-file-transfer/service/file-transfer/file/store",
        "partialFileLifetimeHours=24",
        "checkpointMegabytes=32",
        "checkpointSeconds=2",
        "windowMegabytes=64",
        "segmentBytes=1040384",
        "totalMegabytes=",
        "fileMegabytes=",
        "keepFreeMegabytes=0",
        "retrieve=yes",
        "list=yes",
        "remove=yes",
        "symbolicLinks=no",
        "stateDir=",
        "database=",
        "serverName=",
        "requireAuthentication=no",
        "leastCipher=none",
        "defaultCipher=aes128",
        "queueSize=128",
        "threadCount=",
        "queueSize=128",
        "threadCount=",
    ]


def test_the_commented_settings_are_the_defaults() -> None:
    text = (PACKAGED / "dxlfiletransferservice.config").read_text()
    text = text.replace("storageDir=\n", "storageDir=/srv/files\n")
    shown = text.replace("\n;", "\n").replace("<storageDir>", "/srv/files")
    default = parse_settings(parse_ini(text, source="as it is"), source="as it is")
    settings = parse_settings(parse_ini(shown, source="as shown"), source="as shown")
    assert replace(settings, working_dir=None) == default

from pathlib import Path

import pytest

from dxlfabric.certificates import Provisioned
from dxlfabric.configuration import load_configuration
from dxlfabric.errors import ConfigurationError
from dxlfiletransferservice.command.servicedirectory import (
    write_joining_configuration,
    write_settings,
)
from dxlfiletransferservice.settings import read_settings

NAME = "dxlfiletransferservice.config"


def storage_of(directory: Path) -> Path:
    return read_settings(directory / NAME).storage_dir


@pytest.mark.parametrize("name", ["files", "a b", "50%", "é ü", "a;b#c", "a=b", r"a\1b"])
def test_first_start_makes_complete_settings(tmp_path: Path, name: str) -> None:
    write_settings(tmp_path, None, tmp_path / name)
    assert storage_of(tmp_path) == tmp_path / name
    assert "partialFileLifetimeHours" in (tmp_path / NAME).read_text()


def test_what_a_person_has_written_stays(tmp_path: Path) -> None:
    text = "# mine\n[General]\nstorageDir = /elsewhere\npartialFileLifetimeHours = 1\n"
    (tmp_path / NAME).write_text(text)
    write_settings(tmp_path, None, tmp_path / "default")
    assert (tmp_path / NAME).read_text() == text


def test_option_changes_the_directory_alone(tmp_path: Path) -> None:
    text = "# mine\n[General]\nstorageDir : /elsewhere\npartialFileLifetimeHours = 1\n"
    (tmp_path / NAME).write_text(text)
    write_settings(tmp_path, tmp_path / "wanted", tmp_path / "default")
    assert storage_of(tmp_path) == tmp_path / "wanted"
    assert (tmp_path / NAME).read_text() == text.replace(
        "storageDir : /elsewhere", f"storageDir={tmp_path}/wanted"
    )


def test_option_is_relative_to_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, Path("wanted"), tmp_path / "default")
    assert storage_of(tmp_path) == tmp_path / "wanted"


@pytest.mark.parametrize("name", ["a\nb", "a ", "a\x1b"])
def test_path_that_settings_cannot_express(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot express such a path"):
        write_settings(tmp_path, tmp_path / name, tmp_path / "default")
    assert not (tmp_path / NAME).exists()


def test_settings_without_the_directory(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[General]\n")
    with pytest.raises(ConfigurationError, match=r"storageDir is missing; add it"):
        write_settings(tmp_path, tmp_path / "wanted", tmp_path / "default")


def test_settings_with_the_directory_in_the_wrong_place(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[General]\nstorageDir = a\n b\n")
    with pytest.raises(ConfigurationError, match=NAME):
        write_settings(tmp_path, tmp_path / "wanted", tmp_path / "default")


def test_copy_of_a_configuration_finds_its_files(tmp_path: Path, provisioned: Provisioned) -> None:
    given = provisioned.client.credentials.certificate.parent / "relative.config"
    given.write_text(
        "[Certs]\nBrokerCertChain=ca-bundle.crt\nCertFile=client.crt\nPrivateKey=client.key\n"
        "[Brokers]\nb=b;8883;localhost\n"
    )
    write_joining_configuration(tmp_path / "joined", given)
    copy = load_configuration(tmp_path / "joined" / "dxlclient.config")
    assert copy.cert_file == str(provisioned.client.credentials.certificate)
    assert copy.brokers[0].host_name == "localhost"

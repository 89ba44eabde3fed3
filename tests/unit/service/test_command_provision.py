from pathlib import Path

import pytest
from typer.testing import Result

from dxlfabric.configuration import load_configuration
from dxlfiletransferservice.command import ExitCode
from tests.unit.service.dxlft import run_dxlft


def provision(*arguments: str | Path) -> Result:
    return run_dxlft(["provision", *(str(each) for each in arguments)])


def test_first_and_second_run(tmp_path: Path) -> None:
    arguments = ("--home", tmp_path, "--host", "files.example", "--client", "alice", "--port", 9000)

    first = provision(*map(str, arguments))
    second = provision(*map(str, arguments))

    assert first.exit_code == second.exit_code == 0
    assert f"wrote {tmp_path}/fabric/ca.key\n" in first.stdout
    assert f"client alice: {tmp_path}/clients/alice/dxlclient.config\n" in first.stdout
    assert "wrote" not in second.stdout
    assert f"everything in {tmp_path} is good already" in second.stdout
    broker = load_configuration(tmp_path / "clients/alice/dxlclient.config").brokers[0]
    assert (broker.host_name, broker.port) == ("files.example", 9000)


def test_home_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(tmp_path / "home"))
    assert provision().exit_code == 0
    assert (tmp_path / "home/client/dxlclient.config").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "a b"], "'a b' is neither a host name nor an IP address"),
        (["--client", "../a"], "'../a' is no name for a client"),
    ],
)
def test_name_that_cannot_be_used(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = provision("--home", tmp_path, *arguments)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert result.stderr.startswith(f"dxlft: {words}")


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = provision("--home", tmp_path / "file")
    assert result.exit_code == ExitCode.HOME
    assert f"the home {tmp_path}/file cannot be used: " in result.stderr
    assert "--home or DXLFT_HOME" in result.stderr

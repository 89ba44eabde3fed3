from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from pytest_mock import MockerFixture
from typer.testing import CliRunner, Result

from dxlfabric.errors import ConnectError
from dxlfiletransferclient import FileSendResult, FileSendSegmentResult, ServiceError
from dxlfiletransferservice.command import ExitCode, app
from dxlfiletransferservice.command.send import names_on_server

Behaviour = Callable[[Path], None]


class Client:
    """Stands in for the client: takes note of what it is asked to send."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.sent: list[tuple[Path, str, int]] = []
        self._behaviour = behaviour

    def send_file_request(
        self, path: Path, name: str, size: int, callback: Callable[[FileSendSegmentResult], None]
    ) -> FileSendResult:
        self._behaviour(path)
        self.sent.append((path, name, size))
        callback(FileSendSegmentResult("id", 1, "store", 1))
        return FileSendResult("id", path.stat().st_size, {"sha256": f"hash of {path.name}"})


@pytest.fixture
def client(mocker: MockerFixture) -> Client:
    client = Client(lambda _: None)
    mocker.patch("dxlfiletransferservice.command.send.connect", side_effect=lambda _: nullcontext())
    mocker.patch("dxlfiletransferservice.command.send.FileTransferClient", return_value=client)
    return client


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    names = ["a.txt", "b [red].txt", "é ü.txt"]
    for count, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * count)
    return [tmp_path / name for name in names]


def send(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["send", "--config", "c", *(str(each) for each in arguments)])


@pytest.mark.parametrize(
    ("files", "to", "names"),
    [
        (["a"], None, ["a"]),
        (["d/a", "/e/b"], None, ["a", "b"]),
        (["d/a"], "b", ["b"]),
        (["d/a"], "e/b", ["e/b"]),
        (["d/a"], "e/", ["e/a"]),
        (["d/a", "b"], "e", ["e/a", "e/b"]),
        (["d/a", "b"], "e/f/", ["e/f/a", "e/f/b"]),
    ],
)
def test_names_on_the_server(files: list[str], to: str | None, names: list[str]) -> None:
    assert names_on_server([Path(each) for each in files], to) == names


@pytest.mark.parametrize("to", [None, "e", "e/"])
def test_two_files_with_one_name(to: str | None) -> None:
    with pytest.raises(typer.BadParameter, match="2 files would be stored as"):
        names_on_server([Path("d/a"), Path("b"), Path("e/a")], to)


def test_each_file_gets_a_line_at_the_end(client: Client, files: list[Path]) -> None:
    result = send(*files, "--to", "in", "--segment-size", "1000")

    assert result.exit_code == 0
    assert client.sent == [(path, f"in/{path.name}", 1000) for path in files]
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    for path, line in zip(files, lines, strict=True):
        size = path.stat().st_size
        assert line.startswith(f"in/{path.name}: {size} bytes, SHA-256 hash of {path.name}, ")
        assert line.endswith(" MB/s")


def test_default_segments_are_large(client: Client, files: list[Path]) -> None:
    assert send(files[0]).exit_code == 0
    assert client.sent == [(files[0], "a.txt", 921_600)]


def test_others_are_sent_after_one_has_failed(client: Client, files: list[Path]) -> None:
    def refuse(path: Path) -> None:
        if path == files[0]:
            raise ServiceError("no room", 0)

    client._behaviour = refuse
    missing = files[0].with_name("missing")

    result = send(files[0], missing, files[0].parent, files[1])

    assert result.exit_code == ExitCode.FAILURE
    assert [name for _, name, _ in client.sent] == ["b [red].txt"]
    assert len(result.stdout.splitlines()) == 1
    problems = [line for line in result.stderr.splitlines() if line.startswith("dxlft: ")]
    assert problems == [
        f"dxlft: {missing}: No such file or directory",
        f"dxlft: {files[0].parent}: is a directory; name the files in it",
        f"dxlft: {files[0]}: Error: no room (0)",
    ]


def test_nothing_is_connected_to_for_what_cannot_be_read(tmp_path: Path) -> None:
    result = send(tmp_path / "missing", "--home", tmp_path / "no home")
    assert result.exit_code == ExitCode.FAILURE
    assert result.stderr.splitlines() == [
        f"dxlft: {tmp_path / 'missing'}: No such file or directory"
    ]


def test_interrupt_ends_it_and_says_what_was_done(client: Client, files: list[Path]) -> None:
    def interrupt(path: Path) -> None:
        if path == files[1]:
            raise KeyboardInterrupt

    client._behaviour = interrupt
    result = send(*files)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert [name for _, name, _ in client.sent] == ["a.txt"]
    assert result.stdout.startswith("a.txt: 0 bytes")
    assert result.stderr.splitlines()[-1] == "dxlft: interrupted"


def test_no_fabric(mocker: MockerFixture, files: list[Path]) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.send.connect",
        side_effect=ConnectError("broker a:1: nobody listens there"),
    )
    result = send(*files)
    assert result.exit_code == ExitCode.NO_FABRIC
    assert result.stderr == "dxlft: broker a:1: nobody listens there\n"


def test_home_without_a_configuration(tmp_path: Path, files: list[Path]) -> None:
    result = CliRunner().invoke(app, ["send", str(files[0]), "--home", str(tmp_path)])
    assert result.exit_code == ExitCode.CONFIGURATION
    assert f"{tmp_path}/client/dxlclient.config: there is no such" in result.stderr
    assert 'start "dxlft server"' in result.stderr


def test_configuration_that_is_missing(tmp_path: Path, files: list[Path]) -> None:
    result = send(*files, "--config", tmp_path / "none")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert f"dxlft: {tmp_path}/none: there is no such client configuration\n" == result.stderr

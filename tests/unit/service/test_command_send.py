import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfabric.errors import ConnectError
from dxlfiletransferclient import NoAnswerError, NotConnectedError
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.outcomes import Result as Ending
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.sending.options import Links, SendOptions
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.send import destination_of, name_for_standard_input
from dxlfiletransferservice.command.standardinput import StandardInput
from tests.fakeclient import Call, FakeClient, outcome
from tests.unit.service.dxlft import run_dxlft
from tests.waiting import wait_until

GOES_ON = "dxlft: interrupted; the same command goes on where this one stopped"


@pytest.fixture
def client(mocker: MockerFixture) -> FakeClient:
    client = FakeClient()
    place = "dxlfiletransferservice.command.connecting"
    mocker.patch(f"{place}.connect", side_effect=lambda _: nullcontext())
    mocker.patch(f"{place}.FileTransferClient", return_value=client)
    return client


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    names = ["a.txt", "b [red].txt", "é ü.txt"]
    for count, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * count)
    return [tmp_path / name for name in names]


def send(*arguments: str | Path, standard_input: bytes | None = None) -> Result:
    command = ["send", "--config", "c", *(str(each) for each in arguments)]
    return run_dxlft(command, input=standard_input)


def problems(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("dxlft: ")]


def killed_once_cancelled(number: int) -> Callable[[Call], None]:
    """Return what a transfer does that gets a signal."""

    def during(call: Call) -> None:
        os.kill(os.getpid(), number)
        wait_until(lambda: call.cancel.cancelled)
        call.cancel.check()

    return during


@pytest.mark.parametrize(
    ("paths", "to", "destination"),
    [
        (["a"], None, ""),
        (["d/a", "/e/b"], None, ""),
        (["d/a"], "b", "b"),
        (["d/a"], "e/b", "e/b"),
        (["d/a"], "e/", "e/"),
        (["d/a", "b"], "e", "e/"),
        (["d/a", "b"], "e/f/", "e/f/"),
    ],
)
def test_destination(paths: list[str], to: str | None, destination: str) -> None:
    assert destination_of(paths, to) == destination


@pytest.mark.parametrize("to", [None, "e", "e/"])
def test_two_files_with_one_name(to: str | None) -> None:
    with pytest.raises(typer.BadParameter, match="2 files would be stored as"):
        destination_of(["d/a", "b", "e/a"], to)


def test_path_that_is_empty(client: FakeClient, files: list[Path]) -> None:
    for paths in ([""], [str(files[0]), ""]):
        result = send(*paths)
        assert result.exit_code == ExitCode.USAGE
        assert "a PATH is empty" in result.stderr
    assert client.calls == []


def test_empty_tree_says_so(client: FakeClient, tmp_path: Path) -> None:
    result = send(f"{tmp_path}/.")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 files, 0 bytes, ")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.txt"], GOES_ON),
        (["pipe"], "dxlft: interrupted"),
        (
            ["pipe", "a.txt"],
            f"{GOES_ON}, but begins pipes and devices anew",
        ),
    ],
)
def test_what_is_said_of_pipes_when_it_is_interrupted(
    client: FakeClient, files: list[Path], tmp_path: Path, names: list[str], words: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    client.during = killed_once_cancelled(signal.SIGINT)
    result = send(*(files[0].with_name(name) for name in names))
    assert result.exit_code == ExitCode.INTERRUPTED
    assert problems(result) == [words]


@pytest.mark.parametrize("to", ["../a", "/a", "b/../../a/"])
def test_destination_outside_the_storage(to: str) -> None:
    with pytest.raises(typer.BadParameter, match="file name '"):
        destination_of(["a"], to)


def test_each_file_gets_a_line_at_the_end(client: FakeClient, files: list[Path]) -> None:
    client.outcomes = [outcome(f"in/{path.name}", path) for path in reversed(files)]

    result = send(*files, "--to", "in", "--segment-size", "1000")

    assert result.exit_code == 0
    (call,) = client.calls
    assert call.what == [str(path) for path in files]
    assert call.where == "in/"
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    for path, line in zip(files, lines, strict=True):
        start = f"in/{path.name}: 10 bytes, SHA-256 hash of in/{path.name}, "
        assert line.startswith(start)
        assert line.endswith(" MB/s")
    assert result.stderr == "100 % of 30 bytes, 0 of 3 files, 1.5 MB/s\n"


def test_defaults(client: FakeClient, files: list[Path]) -> None:
    assert send(files[0]).exit_code == 0
    assert client.calls[0].options == SendOptions()


def test_options(client: FakeClient, files: list[Path]) -> None:
    arguments = ["--overwrite", "newer", "--links", "keep", "--segment-size", "7"]
    assert send(files[0], *arguments, "--patience", "2.5").exit_code == 0
    assert client.calls[0].options == SendOptions(
        overwrite=Overwrite.NEWER,
        links=Links.KEEP,
        segment_size=7,
        engine=EngineOptions(patience=2.5),
    )


def test_content_of_a_directory_alone(client: FakeClient, tmp_path: Path) -> None:
    assert send(f"{tmp_path}/.").exit_code == 0
    assert client.calls[0].what == [f"{tmp_path}/."]


def test_tree_ends_with_a_summary(client: FakeClient, tmp_path: Path) -> None:
    client.outcomes = [outcome(f"d/{name}", tmp_path / name) for name in "abc"]
    result = send(tmp_path)
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.startswith("3 files, 30 bytes, ")


def test_tree_with_a_line_for_each_file(client: FakeClient, tmp_path: Path) -> None:
    client.outcomes = [outcome(f"d/{name}", tmp_path / name) for name in "abc"]
    result = send(tmp_path, "--verbose")
    assert [line[:4] for line in result.stdout.splitlines()] == ["d/a:", "d/b:", "d/c:", "3 fi"]


def test_others_are_sent_after_one_has_failed(client: FakeClient, files: list[Path]) -> None:
    missing = files[0].with_name("missing")
    client.outcomes = [
        outcome(files[0].name, files[0], result=Ending.FAILED, error=ValueError("no room")),
        outcome(files[1].name, files[1]),
    ]

    result = send(files[0], missing, files[1], "--to", "in")

    assert result.exit_code == ExitCode.FAILURE
    (call,) = client.calls
    assert (call.what, call.where) == ([str(files[0]), str(files[1])], "in/")
    assert len(result.stdout.splitlines()) == 1
    assert problems(result) == [
        f"dxlft: {missing}: No such file or directory",
        f"dxlft: {files[0]}: no room",
    ]


def test_missing_file_counts_even_if_the_others_are_stored(
    client: FakeClient, files: list[Path]
) -> None:
    client.outcomes = [outcome(files[0].name, files[0])]
    result = send(files[0], "missing", "--to", "in")
    assert result.exit_code == ExitCode.FAILURE
    assert client.calls[0].where == "in/"
    assert result.stdout.startswith("a.txt: 10 bytes")


def test_nothing_is_connected_to_for_what_is_not_there(tmp_path: Path) -> None:
    result = send(tmp_path / "missing", "--home", tmp_path / "no home")
    assert result.exit_code == ExitCode.FAILURE
    assert result.stderr == f"dxlft: {tmp_path / 'missing'}: No such file or directory\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_and_says_what_was_done(
    client: FakeClient, files: list[Path], number: int
) -> None:
    client.outcomes = [outcome(files[0].name, files[0])]
    client.during = killed_once_cancelled(number)
    before = signal.getsignal(number)

    result = send(*files)

    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stdout.startswith("a.txt: 10 bytes")
    assert result.stderr.splitlines() == [GOES_ON]
    assert signal.getsignal(number) is before


def test_interrupt_while_connecting(mocker: MockerFixture, files: list[Path]) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.connecting.connect",
        side_effect=lambda _: os.kill(os.getpid(), signal.SIGTERM),
    )
    result = send(files[0])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == "dxlft: interrupted\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(NoAnswerError("nobody answers"), 1), (NotConnectedError("the connection is lost"), 3)],
)
def test_failure_of_everything_comes_after_what_was_done(
    client: FakeClient, files: list[Path], error: Exception, code: int
) -> None:
    def fail(_: Call) -> None:
        raise error

    client.outcomes = [outcome(files[0].name, files[0])]
    client.during = fail
    result = send(*files)
    assert result.exit_code == code
    assert result.stdout.startswith("a.txt: 10 bytes")
    assert result.stderr == f"dxlft: {error}\n"


def test_no_fabric(mocker: MockerFixture, files: list[Path]) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.connecting.connect",
        side_effect=ConnectError("broker a:1: nobody listens there"),
    )
    result = send(*files)
    assert result.exit_code == ExitCode.NO_FABRIC
    assert result.stderr == "dxlft: broker a:1: nobody listens there\n"


def test_home_without_a_configuration(tmp_path: Path, files: list[Path]) -> None:
    result = run_dxlft(["send", str(files[0]), "--home", str(tmp_path)])
    assert result.exit_code == ExitCode.CONFIGURATION
    assert f"{tmp_path}/client/dxlclient.config: there is no such" in result.stderr
    assert 'start "dxlft server"' in result.stderr


def test_configuration_that_is_missing(tmp_path: Path, files: list[Path]) -> None:
    result = send(*files, "--config", tmp_path / "none")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert f"dxlft: {tmp_path}/none: there is no such client configuration\n" == result.stderr


class Pipe:
    """Standard input: the reading end of a pipe."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.reader, self.writer = os.pipe()
        mocker.patch(
            "dxlfiletransferservice.command.send.StandardInput",
            side_effect=lambda cancel: StandardInput(cancel, self.reader),
        )

    def write(self, data: bytes) -> None:
        os.write(self.writer, data)

    def close(self) -> None:
        os.close(self.writer)


@pytest.fixture
def pipe(mocker: MockerFixture) -> Pipe:
    return Pipe(mocker)


def test_standard_input(client: FakeClient, pipe: Pipe) -> None:
    pipe.write(b"0123456789")
    pipe.close()
    result = send("-", "--to", "in/a")
    assert result.exit_code == 0
    assert client.streamed == [b"0123", b"4567", b"89"]
    assert client.calls[0].where == "in/a"
    assert result.stdout.startswith("in/a: 10 bytes, SHA-256 hash of in/a, ")


def test_interrupt_while_nothing_comes_on_standard_input(client: FakeClient, pipe: Pipe) -> None:
    client.during = lambda _: os.kill(os.getpid(), signal.SIGINT)
    result = send("-", "--to", "in/a")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr == "dxlft: interrupted\n"
    assert result.stdout == ""
    pipe.close()


def test_reading_ends_when_it_is_cancelled() -> None:
    reader, writer = os.pipe()
    cancel = Cancellation()
    os.write(writer, b"abc")
    stream = StandardInput(cancel, reader)
    assert stream.read(2) == b"ab"
    cancel.cancel()
    with pytest.raises(TransferCancelledError):
        stream.read(2)
    os.close(reader)
    os.close(writer)


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(typer.BadParameter, match="is closed"):
        name_for_standard_input(["-"], "a")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-"], "add --to NAME"),
        (["-", "--to", "in/"], "add --to NAME"),
        (["-", "--to", "../a"], "'../a' leads out of the storage directory"),
        (["-", "a", "--to", "b"], "cannot be sent with other paths"),
    ],
)
def test_standard_input_needs_a_name_and_no_company(arguments: list[str], words: str) -> None:
    result = send(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr

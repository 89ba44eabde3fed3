import io
import os
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.outcomes import Result as Ending
from dxlfiletransferclient.protocol.messages import Entry, Kind, Overwrite
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferservice.command import ExitCode
from tests.fakeclient import Call, FakeClient, outcome
from tests.unit.service.dxlft import run_dxlft
from tests.waiting import wait_until


@pytest.fixture
def client(mocker: MockerFixture) -> FakeClient:
    client = FakeClient()
    place = "dxlfiletransferservice.command.connecting"
    mocker.patch(f"{place}.connect", side_effect=lambda _: nullcontext())
    mocker.patch(f"{place}.FileTransferClient", return_value=client)
    return client


def get(*arguments: str | Path) -> Result:
    return run_dxlft(["get", "--config", "c", *(str(each) for each in arguments)])


def entry(name: str, kind: Kind = Kind.FILE) -> Entry:
    return Entry(name=name, kind=kind, size=10, modified_ns=0)


def test_defaults(client: FakeClient) -> None:
    assert get("a").exit_code == 0
    (call,) = client.calls
    assert (call.what, call.where) == (["a"], ".")
    assert call.options == GetOptions()


def test_options(client: FakeClient) -> None:
    arguments = ["--overwrite", "keep", "--links", "keep", "--segment-size", "7"]
    assert get("a", "b", "-o", "x/y/", *arguments, "--patience", "2.5").exit_code == 0
    (call,) = client.calls
    assert (call.what, call.where) == (["a", "b"], "x/y/")
    assert call.options == GetOptions(
        overwrite=Overwrite.KEEP,
        links=Links.KEEP,
        segment_size=7,
        engine=EngineOptions(patience=2.5),
    )


@pytest.mark.parametrize("arguments", [[""], ["a", ""], ["a", "-o", ""]])
def test_nothing_may_be_empty(client: FakeClient, arguments: list[str]) -> None:
    result = get(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "is empty; write . for" in result.stderr
    assert client.calls == []


def test_named_files_get_a_line_each(client: FakeClient) -> None:
    client.outcomes = [outcome("d/a", "a"), outcome("b", "b", result=Ending.UNCHANGED)]
    result = get("b", "./d//a")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == "b: 10 bytes, SHA-256 hash of b, unchanged"
    assert second.startswith("d/a: 10 bytes, SHA-256 hash of d/a, ")


def test_directory_gets_a_summary(client: FakeClient) -> None:
    client.outcomes = [outcome(f"d/{name}", name) for name in "abc"]
    result = get("d")
    (line,) = result.stdout.splitlines()
    assert line.startswith("3 files, 30 bytes, ")


def test_failures_are_told(client: FakeClient) -> None:
    error = PermissionError(13, "Permission denied", "here/a")
    client.outcomes = [
        outcome("a", "here/a", result=Ending.FAILED, error=error),
        outcome("c", "here/c", result=Ending.FAILED, error=ValueError("nothing of this name")),
        outcome("b", "here/b"),
    ]
    result = get("a", "b", "c", "-o", "here")
    assert result.exit_code == ExitCode.FAILURE
    assert [line for line in result.stderr.splitlines() if line.startswith("dxlft: ")] == [
        "dxlft: here/a: Permission denied",
        "dxlft: c: nothing of this name",
    ]
    assert result.stdout.startswith("b: 10 bytes")


def test_signal(client: FakeClient) -> None:
    def during(call: Call) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: call.cancel.cancelled)
        call.cancel.check()

    client.during = during
    result = get("a")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "the same command goes on where this one stopped" in result.stderr


def test_file_to_standard_output(client: FakeClient) -> None:
    content = bytes(range(256)) * 20_000

    def during(call: Call) -> None:
        Path(call.where).write_bytes(content)

    client.entries = [entry("d/a")]
    client.outcomes = [outcome("d/a", "somewhere")]
    client.during = during
    result = get("d/a", "-o", "-")
    assert result.exit_code == 0
    assert result.stdout_bytes == content
    assert result.stderr.splitlines()[-1].startswith("d/a: 10 bytes, SHA-256 hash of d/a, ")
    assert not Path(client.calls[0].where).parent.exists()


def test_nothing_is_written_of_a_file_that_failed(client: FakeClient) -> None:
    client.entries = [entry("a")]
    client.outcomes = [outcome("a", None, result=Ending.FAILED, error=ValueError("differs"))]
    client.during = lambda call: Path(call.where).touch()
    result = get("a", "-o", "-")
    assert result.exit_code == ExitCode.FAILURE
    assert result.stdout == ""
    assert "dxlft: a: differs" in result.stderr


def test_reader_of_the_file_has_left(client: FakeClient, mocker: MockerFixture) -> None:
    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    client.entries = [entry("a")]
    client.during = lambda call: Path(call.where).touch()
    mocker.patch("shutil.copyfileobj", side_effect=lambda *_: Closed().write(b""))
    result = get("a", "-o", "-")
    assert result.exit_code == ExitCode.FAILURE
    assert "dxlft: " not in result.stderr


@pytest.mark.parametrize("kind", [Kind.DIRECTORY, Kind.LINK])
def test_standard_output_takes_files_alone(client: FakeClient, kind: Kind) -> None:
    client.entries = [entry("d", kind)]
    result = get("d", "-o", "-")
    assert result.exit_code == ExitCode.USAGE
    assert f"d is a {kind.value}" in result.stderr
    assert client.calls == []


def test_standard_output_takes_one_file(client: FakeClient) -> None:
    result = get("a", "b", "-o", "-")
    assert result.exit_code == ExitCode.USAGE
    assert "one file alone" in result.stderr

"""``dxlft ls``, ``stat`` and ``rm``."""

import json
from contextlib import nullcontext

import pytest
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfiletransferclient import NoAnswerError, NotConnectedError
from dxlfiletransferclient.protocol.messages import Entry, Kind
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.ls import time_of
from tests.fakeclient import FakeClient
from tests.unit.service.dxlft import run_dxlft

NOON = 1_777_636_800_000_000_000
"""2026-05-01, 12:00 UTC, in nanoseconds since 1970."""

NAMES = ["d/a file", "d/b\n\x1b[31m\r", "d/é"]


@pytest.fixture
def client(mocker: MockerFixture) -> FakeClient:
    client = FakeClient()
    place = "dxlfiletransferservice.command.connecting"
    mocker.patch(f"{place}.connect", side_effect=lambda _: nullcontext())
    mocker.patch(f"{place}.FileTransferClient", return_value=client)
    client.entries = [
        Entry(name="d", kind=Kind.DIRECTORY, size=0, modified_ns=NOON),
        *(
            Entry(name=name, kind=Kind.FILE, size=10**size, modified_ns=NOON, version=f"v{size}")
            for size, name in enumerate(NAMES)
        ),
        Entry(name="run", kind=Kind.FILE, size=7, modified_ns=-1, executable=True, version="v"),
        Entry(name="to", kind=Kind.LINK, size=0, modified_ns=NOON, target="d/é"),
    ]
    return client


def run(*arguments: str) -> Result:
    command, *others = arguments
    return run_dxlft([command, "--config", "c", *others])


def problems(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("dxlft: ")]


def test_ls_shows_names(client: FakeClient) -> None:
    result = run("ls")
    assert result.exit_code == 0
    assert result.stdout == "d\nrun\nto\n"


def test_ls_below_a_directory_has_a_line_for_each(client: FakeClient) -> None:
    result = run("ls", "d")
    assert result.stdout == "d/a file\nd/b\ufffd\x1b[31m\ufffd\nd/é\n"


def test_ls_of_everything(client: FakeClient) -> None:
    assert len(run("ls", "-R").stdout.splitlines()) == len(client.entries)


def test_ls_of_an_empty_directory(client: FakeClient) -> None:
    result = run("ls", "empty")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["run", "to"])
def test_ls_of_what_is_no_directory(client: FakeClient, name: str) -> None:
    assert run("ls", name).stdout == f"{name}\n"


def test_ls_with_raw_names(client: FakeClient) -> None:
    result = run("ls", "d", "--null")
    assert result.stdout_bytes.decode().split("\0") == [*NAMES, ""]


def test_ls_in_detail(client: FakeClient) -> None:
    assert run("ls", "-l").stdout.splitlines() == [
        "directory               0 2026-05-01T12:00:00Z - d",
        "file                    7 1969-12-31T23:59:59Z x run",
        "link                    0 2026-05-01T12:00:00Z - to -> d/é",
    ]


def test_ls_in_detail_is_no_list_of_raw_names(client: FakeClient) -> None:
    result = run("ls", "-l", "-0")
    assert result.exit_code == ExitCode.USAGE
    assert "leave out --long" in result.stderr


@pytest.mark.parametrize(
    ("modified_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOON + 999_999_999, "2026-05-01T12:00:00Z"),
        (2**63 - 1, "2262-04-11T23:47:16Z"),
        (-(2**63), "1677-09-21T00:12:43Z"),
        (2**80, "?"),
    ],
)
def test_times(modified_ns: int, text: str) -> None:
    assert time_of(modified_ns) == text


def test_stat_of_a_file(client: FakeClient) -> None:
    result = run("stat", "run")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "name: run",
        "kind: file",
        "size: 7",
        "modified: 1969-12-31T23:59:59Z",
        "executable: yes",
        "version: v",
        "sha256: hash of run",
    ]


def test_stat_of_other_kinds(client: FakeClient) -> None:
    assert run("stat", "d", "to").stdout.splitlines() == [
        "name: d",
        "kind: directory",
        "modified: 2026-05-01T12:00:00Z",
        "",
        "name: to",
        "kind: link",
        "modified: 2026-05-01T12:00:00Z",
        "target: d/é",
    ]


def test_stat_shows_names_safely(client: FakeClient) -> None:
    assert run("stat", NAMES[1]).stdout.splitlines()[0] == "name: d/b\ufffd\ufffd[31m\ufffd"


def test_stat_as_json(client: FakeClient) -> None:
    lines = run("stat", "--json", "run", NAMES[1], "d").stdout.splitlines()
    facts = [json.loads(line) for line in lines]
    assert facts[0] == {
        "name": "run",
        "kind": "file",
        "size": 7,
        "modified": "1969-12-31T23:59:59Z",
        "modified_ns": -1,
        "executable": True,
        "target": None,
        "version": "v",
        "sha256": "hash of run",
    }
    assert facts[1]["name"] == NAMES[1]
    assert facts[2]["size"] is None


@pytest.mark.parametrize("command", ["stat", "rm"])
def test_what_is_not_there_does_not_stop_the_others(client: FakeClient, command: str) -> None:
    result = run(command, "none\n", "run", "more")
    assert result.exit_code == ExitCode.FAILURE
    assert "run" in result.stdout
    assert problems(result) == [
        "dxlft: none\ufffd: nothing of this name is stored",
        "dxlft: more: nothing of this name is stored",
    ]


def test_reason_in_full(client: FakeClient) -> None:
    assert "Traceback (most recent call last)" in run("rm", "none", "--verbose").stderr


@pytest.mark.parametrize("command", ["stat", "rm"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotConnectedError("the reason"), ExitCode.NO_FABRIC),
        (NoAnswerError("the reason"), ExitCode.FAILURE),
        (RefusedError(ErrorCode.NO_SERVICE, "the reason"), ExitCode.FAILURE),
        (RefusedError(ErrorCode.NOT_ALLOWED, "the reason"), ExitCode.FAILURE),
    ],
)
def test_what_holds_for_every_name_is_told_once(
    client: FakeClient, command: str, error: Exception, code: ExitCode
) -> None:
    client.failure = error
    result = run(command, "run", "d")
    assert result.exit_code == code
    assert problems(result) == ["dxlft: the reason"]


def test_rm(client: FakeClient) -> None:
    result = run("rm", "run", "to")
    assert result.exit_code == 0
    assert client.removed == [("run", False), ("to", False)]
    assert result.stdout == "removed run\nremoved to\n"


def test_rm_of_a_directory(client: FakeClient) -> None:
    result = run("rm", "-r", "d")
    assert client.removed == [("d", True)]
    assert result.stdout == "removed d (4 files, links and directories)\n"

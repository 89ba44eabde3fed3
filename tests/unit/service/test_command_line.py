"""The command line as a whole: help, usage errors, exit codes."""

from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfabric.errors import (
    BrokerError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    FabricError,
)
from dxlfiletransferclient import NoAnswerError, NotConnectedError
from dxlfiletransferservice import get_version
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.exitcodes import exit_code_for
from dxlfiletransferservice.command.interrupts import InterruptedTransferError
from dxlfiletransferservice.home import HomeError, HomeInUseError
from dxlfiletransferservice.supervisor import ProcessFailedError
from tests.processes import ROOT
from tests.unit.service.dxlft import run_dxlft

COMMANDS = [
    *("provision", "broker", "server", "send", "get", "ls", "stat", "rm", "demo"),
    *("share", "api"),
]


def run(*arguments: str | Path) -> Result:
    return run_dxlft([str(each) for each in arguments])


def problem(result: Result) -> str:
    """The one line that a command has written on standard error."""
    (line,) = result.stderr.splitlines()
    assert line.startswith("dxlft: ")
    return line


def test_help_names_commands_environment_and_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for word in (*COMMANDS, "DXLFT_HOME", *(code.meaning for code in ExitCode)):
        assert word in result.stdout
    assert run().stdout == result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples_and_options(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"\n  Examples:\n    dxlft {command}" in result.stdout
    assert "--home DIR" in result.stdout
    assert "--verbose" in result.stdout
    assert "stop-with-stdin" not in result.stdout
    assert "\b" not in result.stdout
    assert "\\b" not in result.stdout


def test_version() -> None:
    assert run("--version").stdout == f"dxlft {get_version()}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["--bogus"], "No such option"),
        (["send"], "Missing argument 'PATH'. (see dxlft send --help)"),
        (["send", "a", "--segment-size", "0"], "--segment-size"),
        (["send", "a", "--segment-size", "1048576"], "--segment-size"),
        (["send", "a", "--segment-size", "many"], "--segment-size"),
        (["send", "a", "--to", ""], "--to needs a name"),
        (["send", "x/a", "y/a"], "2 files would be stored as 'a'"),
        (["send", "a", "--to", "../b"], "'../b' leads out of the storage directory"),
        (["send", "a", "--overwrite", "never"], "--overwrite"),
        (["send", "a", "--links", "copy"], "--links"),
        (["send", "a", "--patience", "0"], "--patience"),
        (["get"], "Missing argument 'NAME'. (see dxlft get --help)"),
        (["get", "a", "--links", "follow"], "--links"),
        (["get", "../a"], "'../a' leads out of the storage directory"),
        (["get", "x/a", "y/a"], "'x/a' and 'y/a' would both become 'a'"),
        (["ls", "a", "b"], "unexpected extra argument"),
        (["stat"], "Missing argument 'NAME'"),
        (["rm"], "Missing argument 'NAME'"),
        (["server", "--port", "65536"], "--port"),
        (["server", "--port", "-1"], "--port"),
        (["server", "--config", "a", "--port", "1"], "--config leaves out"),
        (["server", "--config", "a", "--host", "::"], "--config leaves out"),
        (["broker", "surplus"], "surplus"),
        (["provision", "--port", "0"], "--port"),
        (["demo", "none.bin"], "none.bin: No such file or directory"),
        (["demo", "/"], "/: is a directory; name a file"),
    ],
)
def test_usage_error_is_one_line(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert words in problem(result)
    assert result.stdout == ""


def test_every_exit_code_is_explained() -> None:
    documented = (ROOT / "docs" / "command-line.md").read_text()
    for code in ExitCode:
        assert code.meaning
        assert f"| {int(code)} | {code.meaning} |" in documented


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectError("x"), 3),
        (NotConnectedError("x"), 3),
        (NoAnswerError("x"), 1),
        (InterruptedTransferError("x"), 130),
        (HomeInUseError("x"), 4),
        (HomeError("x"), 4),
        (ConfigurationError("x"), 5),
        (CertificateError("x"), 5),
        (BrokerError("x"), 6),
        (ProcessFailedError("x", 5), 5),
        (ProcessFailedError("x", 0), 1),
        (ProcessFailedError("x", -9), 1),
        (ProcessFailedError("x", None), 1),
        (FabricError("x"), 1),
        (OSError("x"), 1),
    ],
)
def test_exit_code_of_an_error(error: Exception, code: int) -> None:
    assert exit_code_for(error) == code


def test_unforeseen_error_is_one_line_too(mocker: MockerFixture) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.provision.provision", side_effect=RuntimeError("two\nlines")
    )
    result = run("provision")
    assert result.exit_code == ExitCode.FAILURE
    assert problem(result) == "dxlft: two lines"


def test_verbose_shows_the_traceback(mocker: MockerFixture) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.provision.provision", side_effect=RuntimeError("reason")
    )
    result = run("provision", "--verbose")
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1] == "dxlft: reason"


def test_interrupt(mocker: MockerFixture) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.provision.provision", side_effect=KeyboardInterrupt
    )
    result = run("provision")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert problem(result) == "dxlft: interrupted"


def test_reader_of_the_output_has_left(mocker: MockerFixture) -> None:
    mocker.patch("dxlfiletransferservice.command.provision.say", side_effect=BrokenPipeError)
    mocker.patch("dxlfiletransferservice.command.provision.provision")
    result = run("provision")
    assert result.exit_code == ExitCode.FAILURE
    assert result.stderr == ""

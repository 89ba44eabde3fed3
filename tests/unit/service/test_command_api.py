import json
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.api import as_json
from tests.unit.service.controlledserver import ControlledServer, controlled_server, problem

TRICKY: dict[str, Any] = {"name": "ä\x1b[31m\u202e\x85", "list": [1, None, {"x": "\n"}]}


@pytest.fixture
def server(mocker: MockerFixture, tmp_path: Path) -> ControlledServer:
    made = controlled_server(mocker, tmp_path)
    made.answers["test"] = lambda given: given
    return made


def test_arguments_of_the_command_line(server: ControlledServer) -> None:
    result = server.run("api", "test", '{"limit": 5, "x": {"y": [null]}}')
    assert json.loads(result.stdout) == {"limit": 5, "x": {"y": [None]}}
    assert len(result.stdout.splitlines()) == 1


def test_arguments_of_standard_input(server: ControlledServer) -> None:
    result = server.run("api", "test", "-", input='{\n"password":\n"secret"}\n')
    assert json.loads(result.stdout) == {"password": "secret"}


def test_no_arguments(server: ControlledServer) -> None:
    assert server.run("api", "test").stdout == "{}\n"


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "{'a': 1}"])
def test_arguments_that_are_no_object(server: ControlledServer, text: str) -> None:
    for arguments, more in [([text], {}), (["-"], {"input": text})]:
        result = server.run("api", "test", *arguments, **more)
        assert result.exit_code == ExitCode.USAGE
        assert "(see dxlft api --help)" in problem(result)
    assert server.clients == []


def test_too_much_on_standard_input(server: ControlledServer) -> None:
    result = server.run("api", "test", "-", input=" " * 1_000_001)
    assert "more than 1,000,000 bytes" in problem(result)


def test_unknown_command_is_one_line(server: ControlledServer) -> None:
    result = server.run("api", "bogus")
    assert (result.exit_code, result.stdout) == (ExitCode.FAILURE, "")
    assert result.stderr == "dxlft: no command bogus\n"


def test_results_of_requests(server: ControlledServer) -> None:
    server.answers["doAsync"] = lambda _: server.request({"done": True})
    assert server.run("api", "doAsync").stdout == '{"requestId": 1}\n'
    assert server.run("api", "doAsync", "--wait").stdout == '{"done": true}\n'
    server.answers["test"] = [1]
    assert server.run("api", "test", "--wait").stdout == "[1]\n"


def test_json_for_programs_is_one_line_of_ascii() -> None:
    text = as_json(TRICKY)
    assert json.loads(text) == TRICKY
    assert text.isascii()
    assert text.isprintable()


def test_json_for_people_is_indented_and_harmless(mocker: MockerFixture) -> None:
    mocker.patch("sys.stdout.isatty", return_value=True)
    text = as_json(TRICKY)
    assert json.loads(text) == TRICKY
    assert len(text.splitlines()) > 5
    assert "ä" in text
    assert all(each.isprintable() for each in text.split("\n"))

"""Who commands call, and as whom."""

import getpass
import warnings
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.control.errors import (
    AuthenticationError,
    CallTimeoutError,
    CommandError,
    ConnectionLostError,
    ErrorKind,
    ServerChoiceError,
)
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.controlling import ControlOptions, controlled
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.upkeep.serverinformation import server_uid
from tests.unit.service.controlledserver import (
    TICKET,
    ControlledServer,
    controlled_server,
    problem,
)


@pytest.fixture
def server(mocker: MockerFixture, tmp_path: Path) -> ControlledServer:
    made = controlled_server(mocker, tmp_path)
    made.answers["test"] = "found"
    return made


def test_whoever_runs_the_server_needs_no_password(server: ControlledServer) -> None:
    result = server.run("api", "test")
    assert result.stdout == '"found"\n'
    assert server.clients == [{"server": None, "public_key": server.public_key, "ticket": TICKET}]
    assert server.log_ons == []
    assert server.closed == 1


def test_ticket_goes_to_the_server_of_the_home_alone(server: ControlledServer) -> None:
    def several(options: dict[str, Any]) -> None:
        if options["server"] is None:
            raise ServerChoiceError("there are several")

    server.connect = several
    database = Database(f"sqlite:///{server.home / 'state' / 'server.db'}")
    uid = server_uid(database)
    database.close()
    assert server.run("api", "test").exit_code == 0
    assert [each["server"] for each in server.clients] == [None, uid]
    assert {each["public_key"] for each in server.clients} == {server.public_key}


def test_server_that_was_named_is_not_looked_for(server: ControlledServer) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise ServerChoiceError("none of that name")

    server.connect = refuse
    result = server.run("api", "test", "--server", "other")
    assert problem(result) == "dxlft: none of that name"
    assert [each["server"] for each in server.clients] == ["other"]


def test_no_server_has_run(server: ControlledServer) -> None:
    (server.home / "state" / "local.ticket").unlink()
    result = server.run("api", "test")
    assert result.exit_code == ExitCode.FAILURE
    assert problem(result).startswith(
        f"dxlft: no transfer server has run in the home {server.home}"
    )
    assert server.clients == []


def test_ticket_of_somebody_else(server: ControlledServer, mocker: MockerFixture) -> None:
    mocker.patch(
        "dxlfiletransferservice.command.controlling.read_local_ticket",
        side_effect=PermissionError(13, "Permission denied"),
    )
    assert "cannot be read (Permission denied): only whoever runs the server" in problem(
        server.run("api", "test")
    )


def test_server_that_was_started_anew(server: ControlledServer) -> None:
    def answer(_: dict[str, Any]) -> str:
        if server.clients[-1]["ticket"] == TICKET:
            server.write_ticket("another ticket")
            raise AuthenticationError("the log-on has ended")
        return "found"

    server.answers["test"] = answer
    result = server.run("api", "test")
    assert result.stdout == '"found"\n'
    assert [each["ticket"] for each in server.clients] == [TICKET, "another ticket"]
    assert server.closed == 2


def test_ticket_that_is_good_for_nothing(server: ControlledServer) -> None:
    server.answers["test"] = AuthenticationError("the log-on has ended")
    assert problem(server.run("api", "test")) == "dxlft: the log-on has ended"
    assert len(server.clients) == 1


def test_user_with_the_password_of_the_environment(server: ControlledServer) -> None:
    result = server.run("api", "test", "--user", "ann", env={"DXLFT_API_PASSWORD": "secret"})
    assert result.exit_code == 0
    assert server.log_ons == [{"userName": "ann", "password": "secret"}]
    assert server.clients == [{"server": None}]


def test_user_who_is_asked(server: ControlledServer, mocker: MockerFixture) -> None:
    ask = mocker.patch("getpass.getpass", return_value="typed")
    result = server.run("api", "test", "--user", "ann", env={"DXLFT_API_PASSWORD": None})
    assert result.exit_code == 0
    assert server.log_ons == [{"userName": "ann", "password": "typed"}]
    ask.assert_called_once_with("The password of ann: ")


def test_nobody_to_ask(server: ControlledServer, mocker: MockerFixture) -> None:
    def warn(_: str) -> str:
        warnings.warn("no terminal", getpass.GetPassWarning, stacklevel=1)
        return "shown while it is typed"

    mocker.patch("getpass.getpass", side_effect=warn)
    result = server.run("api", "test", "--user", "ann", env={"DXLFT_API_PASSWORD": None})
    assert problem(result).endswith("set the environment variable DXLFT_API_PASSWORD")
    assert server.log_ons == []


def test_user_is_not_logged_on_again(server: ControlledServer) -> None:
    server.answers["test"] = AuthenticationError("the log-on has ended")
    environment = {"DXLFT_API_PASSWORD": "secret"}
    assert server.run("api", "test", "--user", "ann", env=environment).exit_code == 1
    assert len(server.log_ons) == 1


def test_rights_of_a_superuser(server: ControlledServer) -> None:
    server.answers["server.superuser"] = None
    assert server.run("api", "test", "--superuser").exit_code == 0
    assert [name for name, _ in server.calls] == ["server.superuser", "test"]


def test_requests_are_waited_for(server: ControlledServer) -> None:
    with controlled(ControlOptions(home=server.home)) as control:
        server.answers["doAsync"] = lambda given: server.request(given["x"], rounds=5)
        assert control.carry_out("doAsync", {"x": 7}) == 7
        server.answers["doAsync"] = server.request(CommandError("failed", ErrorKind.STATE))
        with pytest.raises(CommandError, match="failed"):
            control.carry_out("doAsync")


def test_lists_are_fetched_page_by_page(server: ControlledServer) -> None:
    def page(given: dict[str, Any]) -> list[dict[str, Any]]:
        begin = int(given.get("after", 0)) + 1
        return [{"id": str(number)} for number in range(begin, min(begin + 2, 6))]

    with controlled(ControlOptions(home=server.home)) as control:
        server.answers["list"] = page
        assert [each["id"] for each in control.objects("list", "id")] == ["1", "2", "3", "4", "5"]
        assert [each["id"] for each in control.objects("list", "id", after="3")] == ["4", "5"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x"), ExitCode.FAILURE),
        (CallTimeoutError("x"), ExitCode.FAILURE),
        (ServerChoiceError("x"), ExitCode.FAILURE),
        (ConnectionLostError("x"), ExitCode.NO_FABRIC),
    ],
)
def test_exit_codes(server: ControlledServer, error: Exception, code: ExitCode) -> None:
    server.answers["test"] = error
    assert server.run("api", "test").exit_code == code
    assert server.closed == 1

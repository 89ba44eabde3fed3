from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.identity.identitycommands import IdentityCommands
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import requests as request_table
from dxlfiletransferservice.control.upkeep.events import EventLog
from dxlfiletransferservice.control.upkeep.requests import Requests
from tests.unit.service.identities import START_US, Control, call_of, controlled
from tests.waiting import wait_until


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path, stored=True) as made:
        yield made


@pytest.fixture
def root(control: Control) -> Login:
    login = control.session()
    control.call(login, "server.auth", userName="root", password="hidden")
    control.call(login, "server.superuser")
    return login


def _who(login: Login) -> Principal | None:
    return login.principal


def _refused(control: Control, login: Login, command: str, **values: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        control.call(login, command, **values)
    return caught.value


def test_logging_on_and_off(control: Control) -> None:
    login = control.session()
    answer = control.call(login, "server.auth", userName="ann", password="secret")
    assert _who(login) == Principal("ann")
    assert answer == {"ticket": login.ticket}
    assert control.access.by_ticket(answer["ticket"]) == Principal("ann")
    assert control.call(login, "server.ticket") == answer
    assert control.call(login, "server.logout") is None
    assert _who(login) is None
    with pytest.raises(AuthenticationError):
        control.access.by_ticket(answer["ticket"])
    assert _refused(control, login, "server.ticket").kind is ErrorKind.NOT_AUTHENTICATED


def test_logging_on_with_tokens(control: Control) -> None:
    login = control.session()
    token = control.api_token("ann", password="pass")
    control.call(login, "server.auth", token=token, password="pass")
    found = _who(login)
    assert found is not None
    assert found.token == token.partition(".")[0]
    control.call(login, "server.auth", token=control.shared_token("ann"))
    assert found != _who(login)
    assert _who(login) == control.access.by_ticket(login.ticket or "")


def test_wrong_password_leaves_the_session_as_it_was(control: Control) -> None:
    before = Principal("root", may_raise=True)
    login = control.session(before)
    for values in ({"userName": "ann", "password": "wrong"}, {"token": "1-000000000000.x"}):
        with pytest.raises(AuthenticationError):
            control.call(login, "server.auth", **values)
        assert _who(login) == before


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "logging on needs userName and password, or a token"),
        ({"userName": "ann"}, "logging on needs userName and password, or a token"),
        ({"password": "hunter2"}, "logging on needs userName and password, or a token"),
        ({"userName": "ann", "password": "hunter2", "token": "x"}, "and not both"),
        ({"userName": 7, "password": "hunter2"}, "'userName'"),
        ({"userName": "ann", "password": 7}, "'password' must be text of 1 to 1024"),
        ({"userName": "ann", "password": "hunter2" * 1000}, "'password' must be text"),
        ({"token": "hunter2" * 1000}, "'token' must be text of 1 to 256 characters"),
        ({"userName": "ann", "password": "hunter2", "x": 1}, "takes no argument 'x'"),
    ],
)
@pytest.mark.parametrize("command", ["server.auth", "server.authAsync"])
def test_wrong_arguments_show_no_secret(
    command: str, values: dict[str, Any], text: str, control: Control
) -> None:
    with pytest.raises(CommandError, match=text) as caught:
        control.call(control.session(), command, **values)
    assert caught.value.kind is ErrorKind.INVALID
    assert "hunter2" not in str(caught.value)
    assert control.requests.waiting == []


def test_logging_on_as_a_request(control: Control) -> None:
    login = control.session()
    answer = control.call(login, "server.authAsync", userName="ann", password="secret")
    assert answer == {"requestId": 1}
    assert _who(login) is None
    ((_, run, stored),) = control.requests.waiting
    assert stored is False
    assert run() is None
    assert _who(login) == Principal("ann")
    ticket = control.call(login, "server.ticket")["ticket"]
    assert control.access.by_ticket(ticket) == Principal("ann")


def test_logging_on_as_a_request_fails_in_it(control: Control) -> None:
    login = control.session()
    control.call(login, "server.authAsync", userName="ann", password="wrong")
    ((_, run, _),) = control.requests.waiting
    with pytest.raises(AuthenticationError):
        run()
    assert _who(login) is None


def test_request_keeps_neither_password_nor_ticket(stored: Control, tmp_path: Path) -> None:
    stored.users.set_password("ann", "hunter2hunter2")
    requests, events = Requests(stored.database), EventLog(stored.database)
    commands = IdentityCommands(stored.access, stored.users, requests, events)
    handlers = commands.handlers()
    requests.start(handlers, stored.access.refreshed)
    login = stored.session()
    call = call_of(login, "server.authAsync", userName="ann", password="hunter2hunter2")
    handlers["server.authAsync"](call)
    wait_until(lambda: requests.look(login, 1, 1).structure["processing"] is False)
    assert requests.look(login, 1, 1).status == "complete"
    assert requests.look(login, 1, 1).result is None
    requests.close()
    assert login.principal == Principal("ann")
    with stored.database.read() as connection:
        row = connection.execute(select(request_table)).one()
    assert row.result is None
    assert "hunter2" not in repr(tuple(row))
    for path in tmp_path.glob("server.db*"):
        assert b"hunter2" not in path.read_bytes()
        assert (login.ticket or "-").encode() not in path.read_bytes()


def test_superuser_is_raised_by_itself(control: Control) -> None:
    login = control.session()
    control.call(login, "server.auth", userName="root", password="hidden")
    error = _refused(control, login, "server.getUsers")
    assert "call server.superuser first" in str(error)
    assert control.call(login, "server.superuser") is None
    assert [user["userName"] for user in control.call(login, "server.getUsers")] == [
        "ann",
        "bob",
        "root",
    ]


def test_users_are_made_changed_and_removed(control: Control, root: Login) -> None:
    made = control.call(root, "server.createUser", userName="cid", password="pw")
    assert made == {"userName": "cid", "superuser": False, "creationTime": START_US}
    login = control.session()
    control.call(login, "server.auth", userName="cid", password="pw")
    control.call(root, "server.setPassword", userName=made, password="new")
    assert _refused(control, login, "server.ticket").kind is ErrorKind.NOT_AUTHENTICATED
    control.call(login, "server.auth", userName="cid", password="new")
    assert control.call(root, "server.deleteUser", userName=made) is None
    assert _refused(control, login, "server.ticket").kind is ErrorKind.NOT_AUTHENTICATED
    assert _refused(control, root, "server.deleteUser", userName="cid").kind is ErrorKind.NOT_FOUND
    names = [name for name, *_ in control.events.recorded]
    assert names == ["userAdded", "userDeleted"]


def test_lists_of_users_go_in_pages(control: Control, root: Login) -> None:
    first = control.call(root, "server.getUsers", limit=1)
    assert [user["userName"] for user in first] == ["ann"]
    second = control.call(root, "server.getUsers", after=first[-1])
    assert [user["userName"] for user in second] == ["bob", "root"]
    assert control.call(root, "server.getUsers", after="root") == []
    assert control.call(root, "server.getUsers", before="bob", limit=0) == first


def test_own_password_needs_the_old_one(control: Control) -> None:
    login = control.session()
    control.call(login, "server.auth", userName="ann", password="secret")
    change = {"userName": "ann", "password": "new"}
    error = _refused(control, login, "server.setPassword", **change)
    assert "needs the argument 'oldPassword'" in str(error)
    error = _refused(control, login, "server.setPassword", oldPassword="wrong", **change)
    assert (error.kind, str(error)) == (ErrorKind.NOT_ALLOWED, "the old password is wrong")
    control.call(login, "server.setPassword", oldPassword="secret", **change)
    # Whoever has changed it goes on.
    control.call(login, "server.ticket")
    control.call(control.session(), "server.auth", userName="ann", password="new")


USERS_FOR_SUPERUSERS: list[tuple[str, dict[str, Any]]] = [
    ("server.getUsers", {}),
    ("server.createUser", {"userName": "eve", "password": "x", "superuser": True}),
    ("server.deleteUser", {"userName": "root"}),
    ("server.setPassword", {"userName": "root", "password": "x", "oldPassword": "hidden"}),
    ("server.getSandboxMappings", {}),
    ("server.setSandboxMapping", {"userName": "ann", "mapping": {}}),
    ("server.superuser", {}),
]


@pytest.mark.parametrize(("command", "values"), USERS_FOR_SUPERUSERS)
def test_others_may_not(command: str, values: dict[str, Any], control: Control) -> None:
    token = control.access.by_token(control.api_token("root"), None, peer="peer")
    for principal in (Principal("ann"), token):
        error = _refused(control, control.session(principal), command, **values)
        assert error.kind is ErrorKind.NOT_ALLOWED
    error = _refused(control, control.session(), command, **values)
    assert error.kind is ErrorKind.NOT_AUTHENTICATED
    assert control.users.get("eve") is None
    assert control.access.by_password("root", "hidden", peer="peer").may_raise


def test_unknown_users_are_told_to_superusers_alone(control: Control, root: Login) -> None:
    for name in ("ann2", "root"):
        error = _refused(
            control,
            control.session(Principal("ann")),
            "server.setPassword",
            userName=name,
            password="x",
            oldPassword="y",
        )
        assert str(error) == "only a superuser may change the password of another user"
    error = _refused(control, root, "server.setPassword", userName="ann2", password="x")
    assert str(error) == "there is no user 'ann2'"


@pytest.mark.parametrize("name", [None, 7, {}, {"userName": 7}, ["ann"]])
def test_user_of_a_wrong_type(name: Any, control: Control, root: Login) -> None:
    error = _refused(control, root, "server.deleteUser", userName=name)
    assert error.kind is ErrorKind.INVALID
    assert "'userName'" in str(error)

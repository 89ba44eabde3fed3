from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.identity.users import Users, is_user_name
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import tokens, users
from tests.unit.service.identities import CHEAP, START_US, Control, controlled


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path, stored=True) as made:
        yield made


@pytest.mark.parametrize(
    "name", ["a", "jsmith", "J.Smith@example.org", "_x", "7", "a-b", "a" * 64, "a..b"]
)
def test_names(name: str) -> None:
    assert is_user_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "@a", "a/b", "a b", "a\n", "\u00e4", "a" * 65, "a\0", "%u", "a\\b"],
)
def test_names_that_nobody_can_have(name: str, control: Control) -> None:
    assert not is_user_name(name)
    with pytest.raises(CommandError, match="cannot be the name of a user: it must have 1 to 64"):
        control.users.add(name, "secret")
    assert control.users.get(name) is None


def test_added_users_are_there_for_other_processes_too(stored: Control, tmp_path: Path) -> None:
    added = stored.users.add("cid", "secret", superuser=True)
    assert added.structure == {"userName": "cid", "superuser": True, "creationTime": START_US}
    other = Database(f"sqlite:///{tmp_path}/server.db")
    assert Users(other, Passwords(CHEAP)).get("cid") == added
    other.close()
    assert stored.users.get("Cid") is None


def test_password_is_nowhere(control: Control) -> None:
    added = control.users.add("cid", "hunter2hunter2")
    assert "hunter2" not in repr(added)
    assert added.password_hash not in repr(added)
    with control.database.read() as connection:
        rows = connection.execute(select(users)).all()
    assert "hunter2" not in repr(rows)


def test_second_user_of_a_name_is_refused_and_changes_nothing(control: Control) -> None:
    first = control.users.get("ann")
    with pytest.raises(CommandError, match="there is a user 'ann' already") as caught:
        control.users.add("ann", "other", superuser=True)
    assert caught.value.kind is ErrorKind.STATE
    assert control.users.get("ann") == first


def test_same_call_adds_once(control: Control) -> None:
    first = control.users.add("cid", "secret", call_id="call")
    assert control.users.add("cid", "secret", call_id="call") == first


def test_wrong_passwords_are_refused(control: Control) -> None:
    with pytest.raises(CommandError, match="password is empty"):
        control.users.add("cid", "")
    with pytest.raises(CommandError, match="password is empty"):
        control.users.set_password("ann", "")


def test_pages_go_by_name(control: Control) -> None:
    control.users.remove("root")
    for name in ("dan", "cid"):
        control.users.add(name, "secret")
    names = [user.name for user in control.users.page(limit=2)]
    assert names == ["ann", "bob"]
    assert [user.name for user in control.users.page(after="bob")] == ["cid", "dan"]
    assert [user.name for user in control.users.page(before="cid", after="ann")] == ["bob"]


def test_removed_user_loses_log_ons_and_tokens_and_others_do_not(control: Control) -> None:
    for name in ("ann", "bob"):
        control.shared_token(name)
        control.api_token(name)
    tickets = {name: control.logins.issue(Principal(name)) for name in ("ann", "bob")}
    control.users.remove("ann")
    assert control.users.get("ann") is None
    assert control.logins.find(tickets["ann"]) is None
    assert control.logins.find(tickets["bob"]) is not None
    with control.database.read() as connection:
        owners = connection.execute(
            select(tokens.c.owner, func.count()).group_by(tokens.c.owner)
        ).all()
    assert [tuple(each) for each in owners] == [("bob", 2)]


def test_changed_password_ends_log_ons_by_password(control: Control) -> None:
    token = control.api_token("ann")
    by_token = control.logins.issue(control.access.by_token(token, None, peer="peer"))
    mine, other = (control.logins.issue(Principal("ann")) for _ in range(2))
    local = control.logins.issue(Principal("ann", superuser=True), local=True)
    control.users.set_password("ann", "other", keep_ticket=mine)
    assert control.logins.find(other) is None
    for ticket in (mine, by_token, local):
        assert control.logins.find(ticket) is not None
    assert control.access.by_password("ann", "other", peer="peer") == Principal("ann")


@pytest.mark.parametrize("name", ["nobody", "", "../x"])
def test_unknown_users(name: str, control: Control) -> None:
    changes: list[Callable[[], None]] = [
        lambda: control.users.remove(name),
        lambda: control.users.set_password(name, "secret"),
        lambda: control.users.set_superuser(name, superuser=True),
    ]
    for change in changes:
        with pytest.raises(CommandError, match="there is no user") as caught:
            change()
        assert caught.value.kind is ErrorKind.NOT_FOUND

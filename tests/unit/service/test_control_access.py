import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.identity.localticket import LocalTicket, read_local_ticket
from dxlfiletransferservice.control.identity.passwords import Cost, Passwords
from dxlfiletransferservice.control.identity.users import Users
from dxlfiletransferservice.control.identity.wronglogins import WRONG_PASSWORD, WRONG_TOKEN
from dxlfiletransferservice.control.principals import Principal
from tests.unit.service.identities import Control, controlled


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path, stored=True) as made:
        yield made


def _text(control: Control, user: str, password: str, peer: str = "peer") -> str:
    with pytest.raises(AuthenticationError) as caught:
        control.access.by_password(user, password, peer=peer)
    return caught.value.message


def test_right_password(control: Control) -> None:
    assert control.access.by_password("ann", "secret", peer="peer") == Principal("ann")
    found = control.access.by_password("root", "hidden", peer="peer")
    assert found == Principal("root", may_raise=True)


@pytest.mark.parametrize("user", ["ann", "Ann", "nobody", "", "..", "a" * 100_000, "\ud800"])
def test_wrong_ones_are_told_apart_by_nothing(user: str, control: Control) -> None:
    texts = [_text(control, user, "wrong") for _ in range(5)]
    assert texts == [WRONG_PASSWORD] * 4 + ["too many wrong passwords; try again in 1 second"]


def test_unknown_user_costs_a_comparison_too(control: Control, mocker: MockerFixture) -> None:
    verify = mocker.spy(control.passwords, "verify")
    _text(control, "ann", "wrong")
    _text(control, "nobody", "wrong")
    assert verify.call_count == 2


def test_right_password_is_refused_while_slowed_down_and_then_resets(control: Control) -> None:
    for _ in range(4):
        _text(control, "ann", "wrong", peer="attacker")
    assert _text(control, "ann", "secret").startswith("too many wrong passwords")
    control.clock.advance(1)
    control.access.by_password("ann", "secret", peer="peer")
    assert _text(control, "ann", "wrong", peer="attacker") == WRONG_PASSWORD


def test_peer_that_has_just_shown_the_password_is_not_kept_out_by_others(
    control: Control,
) -> None:
    control.access.by_password("ann", "secret", peer="peer")
    for _ in range(4):
        _text(control, "ann", "wrong", peer="attacker")
    assert control.access.by_password("ann", "secret", peer="peer") == Principal("ann")
    assert _text(control, "ann", "secret", peer="attacker").startswith("too many")
    control.users.set_password("ann", "changed")
    assert _text(control, "ann", "secret").startswith("too many")


def test_thousand_log_ons_of_a_peer_cost_one_comparison(
    control: Control, mocker: MockerFixture
) -> None:
    verify = mocker.spy(control.passwords, "verify")
    for _ in range(1000):
        control.access.by_password("ann", "secret", peer="peer")
    assert verify.call_count == 1
    control.clock.advance(3600)
    control.access.by_password("ann", "secret", peer="peer")
    assert verify.call_count == 2


def test_crowd_gets_no_more_tries_than_one_after_the_other(stored: Control) -> None:
    texts: list[str] = []
    start = threading.Barrier(12)

    def attempt(number: int) -> None:
        start.wait(10)
        try:
            stored.access.by_password("ann", f"wrong{number}", peer=f"peer{number}")
        except CommandError as error:
            texts.append(error.message)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Two are compared at once, so one more than the four can have got in.
    assert 4 <= texts.count(WRONG_PASSWORD) <= 5
    assert len(texts) == 12


def test_other_cost_is_kept_anew(control: Control, tmp_path: Path) -> None:
    dear = Users(control.database, Passwords(Cost(rounds=2, memory_kib=8, lanes=1)))
    dear.set_password("ann", "secret")
    control.access.by_password("ann", "secret", peer="peer")
    found = control.users.get("ann")
    assert found is not None
    assert "t=1," in found.password_hash
    control.access.by_password("ann", "secret", peer="another peer")


def test_token_stands_for_its_maker_with_what_it_permits(control: Control) -> None:
    token = control.api_token("ann", permissions=["upload"], path="/data")
    found = control.access.by_token(token, None, peer="peer")
    assert (found.user, found.token, found.path) == ("ann", token.partition(".")[0], "/data")
    assert found.permissions == frozenset({"upload"})
    assert not found.may("download")
    assert not found.may_raise
    assert found.manifest_id is None
    again = control.access.by_token(token, None, peer="peer")
    assert found.token_session != again.token_session


def test_shared_token_opens_its_manifest(control: Control) -> None:
    found = control.access.by_token(control.shared_token("ann"), None, peer="peer")
    assert found.manifest_id == 1
    assert found.permissions == frozenset({"download"})
    assert found.path is None


def test_tokens_that_are_wrong_are_told_apart_by_nothing(control: Control) -> None:
    shared = control.shared_token("ann", password="pass", timeLimitSeconds=60)
    gone = control.shared_token("ann")
    control.call(
        control.session(Principal("ann")), "send.deleteSharedToken", token=gone.partition(".")[0]
    )
    token_id, _, secret = shared.partition(".")
    attempts: list[tuple[str, str | None]] = [
        ("", None),
        (".", None),
        (token_id, None),
        (f"{token_id}.", None),
        (f"{token_id}.{secret[:-1]}", "pass"),
        (f"9-{token_id[2:]}.{secret}", "pass"),
        (f"{token_id}.{secret}.", "pass"),
        (secret, "pass"),
        (shared, "wrong"),
        (gone, None),
        ("x" * 100_000, None),
        ("\ud800.\ud800", None),
    ]
    for at, (token, password) in enumerate(attempts):
        with pytest.raises(AuthenticationError) as caught:
            control.access.by_token(token, password, peer=f"peer{at}")
        assert caught.value.message == WRONG_TOKEN
    control.access.by_token(shared, "pass", peer="peer")
    control.clock.advance(60)
    with pytest.raises(AuthenticationError) as caught:
        control.access.by_token(shared, "pass", peer="peer")
    assert caught.value.message == WRONG_TOKEN


def test_password_of_a_token_is_asked_for_and_slowed_down(control: Control) -> None:
    token = control.api_token("ann", password="pass")
    with pytest.raises(AuthenticationError, match=r"^this token needs its password$"):
        control.access.by_token(token, None, peer="peer")
    for at in range(4):
        with pytest.raises(AuthenticationError, match="or its password is wrong"):
            control.access.by_token(token, "wrong", peer=f"peer{at}")
    with pytest.raises(AuthenticationError, match="too many wrong passwords"):
        control.access.by_token(token, "pass", peer="peer")
    control.clock.advance(1)
    assert control.access.by_token(token, "pass", peer="peer").user == "ann"


def test_guessing_tokens_is_slowed_down(control: Control) -> None:
    for _ in range(21):
        with pytest.raises(AuthenticationError, match=r"^the token or its"):
            control.access.by_token("1-000000000000.x", None, peer="peer")
    with pytest.raises(AuthenticationError, match="too many wrong passwords"):
        control.access.by_token(control.api_token("ann"), None, peer="peer")


def test_ticket_gives_back_who_has_logged_on(control: Control) -> None:
    token = control.access.by_token(control.api_token("ann", path="/x"), None, peer="peer")
    for principal in (Principal("ann"), Principal("root", may_raise=True), token):
        login = Login("session", "peer")
        ticket = control.access.log_on(login, principal)
        assert login.principal == principal
        assert control.access.by_ticket(ticket) == principal


def test_session_raises_itself_and_stays_so(control: Control) -> None:
    login = control.session(control.access.by_password("root", "hidden", peer="peer"))
    control.access.raise_to_superuser(login)
    raised = Principal("root", superuser=True, may_raise=True)
    assert login.principal == raised
    assert control.access.by_ticket(login.ticket or "") == raised
    assert control.access.by_password("root", "hidden", peer="peer").superuser is False
    control.users.set_superuser("root", superuser=False)
    control.access.refresh(login)
    assert login.principal == Principal("root")


def test_others_cannot_raise_themselves(control: Control) -> None:
    token = control.access.by_token(control.api_token("root"), None, peer="peer")
    for principal in (Principal("ann"), token, None):
        login = control.session(principal)
        with pytest.raises(CommandError, match="may not become superuser") as caught:
            control.access.raise_to_superuser(login)
        assert caught.value.kind is ErrorKind.NOT_ALLOWED
        assert login.principal == principal


def test_local_ticket_is_a_superuser_without_being_a_user(control: Control) -> None:
    local = Principal("me", superuser=True, may_raise=True, local=True)
    ticket = control.logins.issue(local, local=True)
    assert control.access.by_ticket(ticket) == local


@pytest.mark.parametrize("what", ["removed", "password", "token", "expired", "logout", "day"])
def test_log_on_ends(what: str, control: Control) -> None:
    token = control.api_token("ann", timeLimitSeconds=60)
    by_token = what in ("token", "expired")
    principal: Any = Principal("ann")
    if by_token:
        principal = control.access.by_token(token, None, peer="peer")
    login = control.session(principal)
    ticket = login.ticket or ""
    control.access.refresh(login)
    assert login.principal == principal
    if what == "removed":
        control.users.remove("ann")
    elif what == "password":
        control.users.set_password("ann", "other")
    elif what == "token":
        owner = control.session(Principal("ann"))
        control.call(owner, "server.deleteAPIToken", token=token)
    elif what == "expired":
        control.clock.advance(60)
    elif what == "logout":
        other = Login("other", "peer", control.access.by_ticket(ticket), ticket)
        control.access.log_off(other)
    else:
        control.clock.advance(86_400)
    with pytest.raises(AuthenticationError, match="the log-on has ended: log on again"):
        control.access.by_ticket(ticket)
    control.access.refresh(login)
    assert (login.principal, login.ticket) == (None, None)


def test_rights_that_somebody_has_left(control: Control) -> None:
    raised = Principal("root", superuser=True, may_raise=True)
    token = control.api_token("ann", permissions=["upload"])
    by_token = control.access.by_token(token, None, peer="peer")
    assert control.access.refreshed(raised) == raised
    assert control.access.refreshed(by_token) == by_token
    assert control.access.refreshed(Principal("ann")) == Principal("ann")

    control.users.set_superuser("root", superuser=False)
    assert control.access.refreshed(raised) == Principal("root")
    owner = control.session(Principal("ann"))
    control.call(owner, "server.deleteAPIToken", token=token)
    assert control.access.refreshed(by_token) is None
    control.users.remove("ann")
    assert control.access.refreshed(Principal("ann")) is None


def test_who_runs_the_server_keeps_his_rights_as_long_as_he_does(
    control: Control, tmp_path: Path
) -> None:
    path = tmp_path / "ticket"
    LocalTicket(control.logins, "me").write(path)
    local = control.access.by_ticket(read_local_ticket(path) or "")
    assert local.superuser
    # A user of that name who was removed is somebody else.
    assert control.access.refreshed(Principal("me", superuser=True)) is None
    LocalTicket(control.logins, "me").write(path)
    assert control.access.refreshed(local) == local
    LocalTicket(control.logins, "other").write(path)
    assert control.access.refreshed(local) is None


def test_logging_on_again_ends_the_log_on_before(control: Control) -> None:
    login = control.session(Principal("root"))
    before = login.ticket or ""
    control.access.log_on(login, Principal("ann"))
    with pytest.raises(AuthenticationError):
        control.access.by_ticket(before)
    assert control.access.by_ticket(login.ticket or "").user == "ann"

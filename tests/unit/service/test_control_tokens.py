import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity import tokens as tokens_module
from dxlfiletransferservice.control.identity.tokens import TokenKind, Tokens, structure_of
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import manifests, redemptions
from dxlfiletransferservice.control.tables import tokens as table
from tests.unit.service.identities import Control, controlled

ANN = Principal("ann")


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path) as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Control]:
    with controlled(tmp_path, stored=True) as made:
        yield made


def _id(whole: str) -> str:
    return whole.partition(".")[0]


def _counted(database: Database, token: str) -> tuple[int, int]:
    with database.read() as connection:
        count = connection.scalar(select(table.c.download_count).where(table.c.id == token))
        rows = connection.scalar(
            select(func.count()).select_from(redemptions).where(redemptions.c.token == token)
        )
    return count or 0, rows or 0


def _all_at_once(count: int, work: Callable[[int], None]) -> None:
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(10)
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_only_a_hash_of_the_secret_is_kept(stored: Control, tmp_path: Path) -> None:
    whole = stored.shared_token("ann", password="hunter2")
    secret = whole.partition(".")[2]
    assert len(secret) >= 43
    for path in tmp_path.rglob("server.db*"):
        assert secret.encode() not in path.read_bytes()
        assert b"hunter2" not in path.read_bytes()
    row = stored.tokens.get(TokenKind.SHARED, ANN, _id(whole))
    assert secret not in repr(structure_of(row))


def test_redeemed_up_to_the_limit(control: Control) -> None:
    token = _id(control.shared_token("ann", downloadLimit=2))
    for admission in ("a", "b", "a", "b"):
        control.access.redeem(token, admission)
    with pytest.raises(AuthenticationError, match="cannot be used any more"):
        control.access.redeem(token, "c")
    control.access.redeem(token, "a")
    assert _counted(control.database, token) == (2, 2)


def test_what_was_counted_before_is_not_given_once_more(control: Control) -> None:
    token = _id(control.shared_token("ann", downloadLimit=2))
    with control.database.write() as connection:
        control.access.redeem_within(connection, token, "a")
    with control.database.write() as connection, pytest.raises(AuthenticationError):
        control.access.redeem_within(connection, token, "a")
    assert _counted(control.database, token) == (1, 1)


def test_redeemed_without_a_limit(control: Control) -> None:
    token = _id(control.shared_token("ann"))
    for number in range(20):
        control.access.redeem(token, str(number))
    assert _counted(control.database, token) == (20, 20)


def test_expired_token_is_not_redeemed_but_what_was_goes_on(control: Control) -> None:
    token = _id(control.shared_token("ann", timeLimitSeconds=60))
    control.access.redeem(token, "a")
    control.clock.advance(60)
    with pytest.raises(AuthenticationError, match="cannot be used any more"):
        control.access.redeem(token, "b")
    control.access.redeem(token, "a")
    assert _counted(control.database, token) == (1, 1)


def test_only_shared_tokens_that_are_there_are_redeemed(control: Control) -> None:
    api = _id(control.api_token("ann"))
    shared = _id(control.shared_token("ann"))
    control.access.redeem(shared, "a")
    control.tokens.delete(TokenKind.SHARED, ANN, shared)
    for token in (api, shared, "", "1", "x" * 1000):
        with pytest.raises(AuthenticationError, match="cannot be used any more"):
            control.access.redeem(token, "a")
    # What was counted goes with the token.
    assert _counted(control.database, shared) == (0, 0)


def test_redeemed_exactly_by_many_threads_of_two_processes(stored: Control, tmp_path: Path) -> None:
    token = _id(stored.shared_token("ann", downloadLimit=7))
    other = Database(f"sqlite:///{tmp_path}/server.db")
    sides = [stored.tokens, Tokens(other, clock=stored.clock.microseconds)]
    counted: list[str] = []
    refused: list[str] = []

    def redeem(number: int) -> None:
        for admission in range(6):
            name = f"{number // 2}-{admission}"
            try:
                sides[number % 2].redeem(token, name)
            except AuthenticationError:
                refused.append(name)
            else:
                counted.append(name)

    _all_at_once(8, redeem)
    other.close()
    # Each name came twice, once on each side, and either both were let in or neither.
    assert len(set(counted)) == 7
    assert len(counted) == 14
    assert len(refused) == 8 * 6 - 14
    assert not set(counted) & set(refused)
    assert _counted(stored.database, token) == (7, 7)


def test_crash_before_the_end_counts_nothing(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = _id(control.shared_token("ann", downloadLimit=1))
    failing = Tokens(control.database, clock=control.clock.microseconds)

    def crash(connection: Connection, token: str, admission: str) -> None:
        with_count(connection, token, admission)
        raise KeyboardInterrupt

    with_count = failing._count
    monkeypatch.setattr(failing, "_count", crash)
    with pytest.raises(KeyboardInterrupt):
        failing.redeem(token, "a")
    assert _counted(control.database, token) == (0, 0)
    control.access.redeem(token, "a")
    assert _counted(control.database, token) == (1, 1)


def test_counted_by_another_process_at_the_same_moment(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other databases than SQLite let two processes get as far as inserting the same row."""
    token = _id(control.shared_token("ann"))
    control.tokens.redeem(token, "a")

    def too_late(*_: object) -> None:
        raise IntegrityError("insert", {}, Exception("duplicate key"))

    monkeypatch.setattr(tokens_module, "_is_redeemed", _first_not())
    monkeypatch.setattr(control.tokens, "_count", too_late)
    control.tokens.redeem(token, "a")
    monkeypatch.setattr(tokens_module, "_is_redeemed", lambda *_: False)
    with pytest.raises(AuthenticationError, match="cannot be used any more"):
        control.tokens.redeem(token, "b")
    assert _counted(control.database, token) == (1, 1)


def _first_not() -> Callable[..., bool]:
    answers = iter([False, True])
    return lambda *_: next(answers)


def test_redemption_needs_its_token(control: Control) -> None:
    with pytest.raises(IntegrityError), control.database.write() as connection:
        connection.execute(insert(redemptions).values(token="1-000000000000", admission="a"))


def test_same_call_makes_one_token_with_another_secret(control: Control) -> None:
    login = control.session(ANN)
    first = control.call(login, "server.createAPIToken", "call-7", description="x")
    second = control.call(login, "server.createAPIToken", "call-7", description="x")
    assert _id(first["token"]) == _id(second["token"])
    assert control.tokens.good(first["token"]) is None
    assert control.tokens.good(second["token"]) is not None
    assert len(control.tokens.page(TokenKind.API, ANN)) == 1


def test_call_id_of_somebody_else_gives_nothing_away(control: Control) -> None:
    control.call(control.session(ANN), "server.createAPIToken", "call-7")
    bob = control.session(Principal("bob"))
    with pytest.raises(CommandError, match="used for another call before"):
        control.call(bob, "server.createAPIToken", "call-7")
    manifest = control.manifest("ann")
    with pytest.raises(CommandError, match="used for another call before"):
        control.call(control.session(ANN), "send.createSharedToken", "call-7", manifestId=manifest)


def test_pages_go_by_age_and_survive_what_is_deleted_meanwhile(control: Control) -> None:
    made = [_id(control.api_token("ann")) for _ in range(5)]
    shown = [row.id for row in control.tokens.page(TokenKind.API, ANN, limit=2)]
    assert shown == made[:2]
    control.tokens.delete(TokenKind.API, ANN, made[1])
    shown = [row.id for row in control.tokens.page(TokenKind.API, ANN, after=made[1])]
    assert shown == made[2:]
    shown = [row.id for row in control.tokens.page(TokenKind.API, ANN, before=made[3])]
    assert shown == [made[0], made[2]]
    with pytest.raises(CommandError) as caught:
        control.tokens.page(TokenKind.API, ANN, after="x")
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_id_is_not_given_twice(control: Control) -> None:
    first = _id(control.api_token("ann"))
    with control.database.write() as connection:
        connection.execute(delete(table))
    assert _id(control.api_token("ann")) != first


def test_what_was_deleted_cannot_be_fetched_any_more(control: Control) -> None:
    token = _id(control.shared_token("ann"))
    control.tokens.redeem(token, "a")
    with control.database.write() as connection:
        connection.execute(update(manifests).values(deleted=True))
    with pytest.raises(AuthenticationError, match="cannot be used any more"):
        control.tokens.redeem(token, "b")
    control.tokens.redeem(token, "a")  # what has begun goes on

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from sqlalchemy import func, select

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.localticket import LocalTicket, read_local_ticket
from dxlfiletransferservice.control.identity.logins import EXTENSION_SECONDS, TICKET_SECONDS, Logins
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import logins as table
from tests.unit.service.identities import Clock

ANN = Principal("ann")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/server.db")
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(database: Database, clock: Clock) -> Logins:
    return Logins(database, clock=clock.microseconds, most=5)


def test_only_a_hash_is_kept(logins: Logins, database: Database, tmp_path: Path) -> None:
    ticket = logins.issue(ANN)
    with database.read() as connection:
        assert ticket not in repr(connection.execute(select(table)).all())
    for path in tmp_path.iterdir():
        assert ticket.encode() not in path.read_bytes()


def test_ticket_ends_a_day_after_its_last_use(logins: Logins, clock: Clock) -> None:
    ticket = logins.issue(ANN)
    for _ in range(5):
        clock.advance(TICKET_SECONDS - 1)
        assert logins.find(ticket) is not None
    clock.advance(TICKET_SECONDS)
    assert logins.find(ticket) is None


def test_use_is_written_now_and_then(
    logins: Logins, database: Database, clock: Clock, mocker: MockerFixture
) -> None:
    ticket = logins.issue(ANN)
    write = mocker.spy(database, "write")
    for _ in range(10):
        clock.advance(EXTENSION_SECONDS / 10 - 1)
        logins.find(ticket)
    assert write.call_count == 0
    clock.advance(10)
    logins.find(ticket)
    assert write.call_count == 1


@pytest.mark.parametrize("ticket", ["", "x", "x" * 100_000, "\ud800", "%"])
def test_wrong_tickets(ticket: str, logins: Logins) -> None:
    logins.issue(ANN)
    assert logins.find(ticket) is None


def test_tickets_of_a_user_and_of_a_token_are_bounded(
    logins: Logins, database: Database, clock: Clock
) -> None:
    held = [logins.issue(Principal("ann", token="1-00"))]
    held.append(logins.issue(Principal("bob")))
    held.append(logins.issue(ANN, local=True))
    mine = []
    for _ in range(20):
        clock.advance(1)
        mine.append(logins.issue(ANN))
    assert all(logins.find(ticket) is not None for ticket in (*held, *mine[-5:]))
    assert all(logins.find(ticket) is None for ticket in mine[:-5])
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(table)) == 8


def test_dropped_ticket(logins: Logins) -> None:
    first, second = logins.issue(ANN), logins.issue(ANN)
    logins.drop(first)
    assert logins.find(first) is None
    assert logins.find(second) is not None


def test_local_ticket_is_private_and_replaced_at_each_start(
    logins: Logins, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "local.ticket"
    assert read_local_ticket(path) is None
    LocalTicket(logins, "ann").write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = read_local_ticket(path) or ""
    clock.advance(1000 * TICKET_SECONDS)
    row = logins.find(first)
    assert row is not None
    assert (row.user, row.superuser, row.local) == ("ann", True, True)
    other = logins.issue(Principal("bob"))
    LocalTicket(logins, "ann").write(path)
    assert logins.find(first) is None
    assert logins.find(other) is not None
    second = read_local_ticket(path)
    assert second is not None
    assert logins.find(second) is not None


def test_local_ticket_that_cannot_be_written_leaves_the_one_before(
    logins: Logins, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "state" / "local.ticket"
    path.parent.mkdir()
    LocalTicket(logins, "ann").write(path)
    first = read_local_ticket(path) or ""
    with pytest.raises(OSError, match="No such file"):
        LocalTicket(logins, "ann").write(tmp_path / "missing" / "local.ticket")
    assert logins.find(first) is not None
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_damaged_local_ticket_is_no_good_one(
    content: bytes, logins: Logins, tmp_path: Path
) -> None:
    path = tmp_path / "local.ticket"
    path.write_bytes(content)
    found = read_local_ticket(path)
    assert found is None or logins.find(found) is None

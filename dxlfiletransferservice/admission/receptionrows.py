"""The rows of the transfers that others send here. The callers give connections, and times."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from dxlfiletransferservice.admission.receptionstructures import ERROR, RECEIVING
from dxlfiletransferservice.control.tables import receptions

GIVEN_UP_AT_ONCE: Final = 500
"""Transfers that are given up at once at most, so that nobody waits long for the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A transfer as it is announced.

    Attributes:
        sender_key: Public key of the sender.
        transfer_id: Its id there.
        user: Who has authenticated it; ``None`` for nobody.
        total_size: Bytes of all files.
        destination_path: Directory below which everything goes.
        client_id: Client of the fabric from which it comes.
    """

    sender_key: str
    transfer_id: str
    user: str | None
    total_size: int
    destination_path: str
    client_id: str

    def columns(self) -> dict[str, Any]:
        """Return the columns that may be others each time."""
        return {
            "user": self.user,
            "total_size": self.total_size,
            "destination_path": self.destination_path,
            "source_ip": self.client_id,
        }


def row_of(connection: Connection, number: int) -> Row[Any] | None:
    """Return the row with a number, if it is still there."""
    return connection.execute(select(receptions).where(receptions.c.id == number)).first()


def announced(connection: Connection, newcomer: Newcomer, now_us: int) -> tuple[Row[Any], bool]:
    """Make the row of a transfer, or bring it up to date; returns whether it is new.

    One that has ended stays as it is: it may come again only because an answer got lost.
    """
    mine = (receptions.c.sender_key == newcomer.sender_key) & (
        receptions.c.transfer_id == newcomer.transfer_id
    )
    found = connection.execute(select(receptions.c.status).where(mine)).first()
    if found is None:
        values = {
            "sender_key": newcomer.sender_key,
            "transfer_id": newcomer.transfer_id,
            "status": RECEIVING,
            "created": now_us,
        }
        connection.execute(insert(receptions).values(**values, **newcomer.columns()))
    elif found.status == RECEIVING:
        connection.execute(update(receptions).where(mine).values(**newcomer.columns()))
    return connection.execute(select(receptions).where(mine)).one(), found is None


def begun_again(
    connection: Connection, number: int, newcomer: Newcomer, now_us: int
) -> Row[Any] | None:
    """Let a transfer that has ended begin anew, and return its row."""
    connection.execute(
        update(receptions)
        .where(receptions.c.id == number)
        .values(
            status=RECEIVING,
            error_message="",
            bytes_received=0,
            created=now_us,
            **newcomer.columns(),
        )
    )
    return row_of(connection, number)


def ended(connection: Connection, number: int, status: str, text: str) -> Row[Any] | None:
    """Let a transfer end, and return its row; ``None`` if it has ended before."""
    changed = connection.execute(
        update(receptions)
        .where(receptions.c.id == number, receptions.c.status == RECEIVING)
        .values(status=status, error_message=text)
    )
    return row_of(connection, number) if changed.rowcount else None


def given_up(
    connection: Connection, limit_us: int, text: str, except_for: Collection[int]
) -> list[Row[Any]]:
    """Let transfers fail of which nothing was heard since some time, and return their rows."""
    columns = receptions.c
    silent = func.coalesce(columns.last_receive, columns.created) < limit_us
    # A session may have ended in which nothing was received.
    unbroken = or_(columns.last_error.is_(None), columns.last_error < limit_us)
    query = select(columns.id).where(columns.status == RECEIVING, silent, unbroken)
    numbers = connection.scalars(query.limit(GIVEN_UP_AT_ONCE)).all()
    rows = [ended(connection, each, ERROR, text) for each in numbers if each not in except_for]
    return [row for row in rows if row is not None]

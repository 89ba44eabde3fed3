"""Tickets: by which a program that has logged on goes on in a new session, after a restart say."""

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import logins

TICKET_SECONDS: Final = 24 * 3600
"""Seconds after its last use for which a ticket is good."""

EXTENSION_SECONDS: Final = 3600
"""Seconds by which the end of a ticket has to move before that is written: once an hour, and not
with each command."""

MOST_TICKETS: Final = 1000
"""Tickets of one user, and of one token, at most; the one that would end first goes. It bounds
what a program costs that logs on again and again."""

_SECOND: Final = 1_000_000
_TICKET_BYTES: Final = 32


def hash_of(secret: str) -> str:
    """Return what is kept of a ticket, or of a token's secret: they are too long to be guessed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Logins:
    """The tickets in a database, of which only hashes are kept.

    Args:
        database: The database.
        clock: Returns the time in microseconds since 1970.
        most: Tickets of one user, and of one token, at most.

    Example:
        >>> logins = Logins(Database("sqlite://"))
        >>> ticket = logins.issue(Principal("ann"))
        >>> logins.find(ticket).user
        'ann'
        >>> logins.drop(ticket)
        >>> logins.find(ticket) is None
        True
    """

    def __init__(
        self, database: Database, *, clock: Callable[[], int] = now_us, most: int = MOST_TICKETS
    ) -> None:
        self._database = database
        self._clock = clock
        self._most = most

    def issue(self, principal: Principal, *, local: bool = False) -> str:
        """Make a ticket for somebody who has just logged on.

        Args:
            principal: Who it is.
            local: Whether it is for the one who runs the server: such a ticket does not end.

        Returns:
            The ticket, which cannot be read from the database again.
        """
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        now = self._clock()
        values = {
            "ticket_hash": hash_of(ticket),
            "user": principal.user,
            "superuser": principal.superuser,
            "token": principal.token,
            "token_session": principal.token_session,
            "local": local,
            "created": now,
            "expires": None if local else now + TICKET_SECONDS * _SECOND,
        }
        with self._database.write() as connection:
            connection.execute(insert(logins).values(values))
            if not local:
                self._drop_beyond(connection, principal)
        return ticket

    def find(self, ticket: str) -> Row[Any] | None:
        """Return what is known of a ticket, and count that as a use; ``None`` if it is not good."""
        now = self._clock()
        hashed = hash_of(ticket)
        with self._database.read() as connection:
            row = connection.execute(select(logins).where(logins.c.ticket_hash == hashed)).first()
        if row is None or row.expires is None:
            return row
        if row.expires <= now:
            return None
        wanted = now + TICKET_SECONDS * _SECOND
        if wanted - row.expires >= EXTENSION_SECONDS * _SECOND:
            with self._database.write() as connection:
                connection.execute(
                    update(logins).where(logins.c.ticket_hash == hashed).values(expires=wanted)
                )
        return row

    def is_local(self, user: str) -> bool:
        """Whether there is a ticket for somebody of that name as the one who runs the server."""
        query = select(logins.c.user).where(logins.c.user == user, logins.c.local)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def raise_to_superuser(self, ticket: str) -> None:
        """Note that the session of a ticket has raised itself."""
        with self._database.write() as connection:
            connection.execute(
                update(logins).where(logins.c.ticket_hash == hash_of(ticket)).values(superuser=True)
            )

    def drop(self, ticket: str) -> None:
        """Make a ticket good for nothing."""
        with self._database.write() as connection:
            connection.execute(delete(logins).where(logins.c.ticket_hash == hash_of(ticket)))

    def drop_other_local(self, ticket: str) -> None:
        """Make all tickets good for nothing that were made for those who ran the server before."""
        with self._database.write() as connection:
            connection.execute(
                delete(logins).where(logins.c.local, logins.c.ticket_hash != hash_of(ticket))
            )

    def _drop_beyond(self, connection: Connection, principal: Principal) -> None:
        kept = (
            select(logins.c.ticket_hash)
            .where(
                logins.c.user == principal.user,
                logins.c.token.is_not_distinct_from(principal.token),
                logins.c.local.is_(False),
            )
            .order_by(logins.c.expires.desc(), logins.c.created.desc())
            .offset(self._most)
        )
        beyond = connection.scalars(kept).all()
        if beyond:
            connection.execute(delete(logins).where(logins.c.ticket_hash.in_(beyond)))


def forget_logins(
    connection: Connection, *, user: str, by_password: bool = False, keep_ticket: str | None = None
) -> None:
    """Make the tickets of a user good for nothing, but not those of who runs the server.

    Args:
        connection: A connection that writes.
        user: The user.
        by_password: Only those of log-ons with the password; otherwise also those with tokens.
        keep_ticket: One that stays.
    """
    gone = delete(logins).where(logins.c.user == user, logins.c.local.is_(False))
    if by_password:
        gone = gone.where(logins.c.token.is_(None))
    if keep_ticket is not None:
        gone = gone.where(logins.c.ticket_hash != hash_of(keep_ticket))
    connection.execute(gone)


def forget_token_logins(connection: Connection, token: str) -> None:
    """Make the tickets of log-ons with a token good for nothing.

    Args:
        connection: A connection that writes.
        token: Id of the token.
    """
    connection.execute(delete(logins).where(logins.c.token == token))

"""Users: who may log on with a password."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.identity.logins import forget_logins
from dxlfiletransferservice.control.identity.passwords import Passwords, check_password
from dxlfiletransferservice.control.tables import tokens, users

MAX_USER_NAME: Final = 64
"""Characters of a user's name at most."""

_USER_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log on with a password.

    Attributes:
        name: The name; letters count as large or small.
        superuser: Whether its sessions may raise themselves to superuser.
        created_us: When it was added, in microseconds since 1970.
        password_hash: What is kept of the password.
    """

    name: str
    superuser: bool
    created_us: int | None
    password_hash: str = field(repr=False)

    @property
    def structure(self) -> dict[str, Any]:
        """What commands tell of it."""
        return {
            "userName": self.name,
            "superuser": self.superuser,
            "creationTime": self.created_us,
        }


def is_user_name(name: str) -> bool:
    """Whether users may have this name: it can be a part of a path, and of a command line.

    Example:
        >>> is_user_name("j.smith@example.org"), is_user_name(".."), is_user_name("-x")
        (True, False, False)
    """
    return _USER_NAME.fullmatch(name) is not None


class Users:
    """The users in a database. Several processes may work at one, the server among them.

    Args:
        database: The database.
        passwords: Makes what is kept of passwords.
        clock: Returns the time in microseconds since 1970.

    Example:
        >>> from dxlfiletransferservice.control.identity.passwords import Cost
        >>> users = Users(Database("sqlite://"), Passwords(Cost(rounds=1, memory_kib=8, lanes=1)))
        >>> users.add("ann", "secret").superuser
        False
        >>> users.get("Ann") is None
        True
    """

    def __init__(
        self, database: Database, passwords: Passwords, *, clock: Callable[[], int] = now_us
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._clock = clock

    def add(
        self, name: str, password: str, *, superuser: bool = False, call_id: str | None = None
    ) -> User:
        """Add a user.

        Args:
            name: 1 to 64 letters of ASCII, digits and ``._@-``; the first is a letter, a digit or
                ``_``.
            password: 1 to 1024 characters.
            superuser: Whether its sessions may raise themselves to superuser.
            call_id: Names the call that does it; the same call does it once.

        Raises:
            CommandError: The name or password cannot be one, there is a user of that name, or too
                many passwords are being worked at.
        """
        if not is_user_name(name):
            raise CommandError(
                f"{brief(name)} cannot be the name of a user: it must have 1 to {MAX_USER_NAME} "
                "of the letters A to Z and a to z, digits and '.', '_', '@', '-', and begin with a "
                "letter, a digit or '_'"
            )
        user = User(name, superuser, self._clock(), self._kept_of(password))
        values = {
            "name": name,
            "password_hash": user.password_hash,
            "superuser": superuser,
            "created": user.created_us,
            "call_id": call_id,
        }
        try:
            with self._database.write() as connection:
                known = _of_call(connection, call_id)
                if known is not None and known.name == name:
                    return _user(known)
                connection.execute(insert(users).values(values))
        except IntegrityError as error:
            text = f"there is a user {brief(name)} already"
            raise CommandError(text, ErrorKind.STATE) from error
        return user

    def remove(self, name: str) -> None:
        """Remove a user, and all tokens and log-ons of it.

        What it has made stays, and its transfers go on. So does its sandbox, which then holds for
        whoever gets the name next.

        Raises:
            CommandError: There is no such user.
        """
        _check_known(name)
        with self._database.write() as connection:
            gone = connection.execute(delete(users).where(users.c.name == name))
            if gone.rowcount == 0:
                raise not_found("user", name)
            connection.execute(delete(tokens).where(tokens.c.owner == name))
            forget_logins(connection, user=name)

    def set_password(self, name: str, password: str, *, keep_ticket: str | None = None) -> None:
        """Change a user's password, and end what has logged on with the one before.

        Log-ons with tokens of the user go on.

        Args:
            name: The user.
            password: 1 to 1024 characters.
            keep_ticket: Ticket of a log-on that goes on: the one that changes the password.

        Raises:
            CommandError: There is no such user, the password cannot be one, or too many passwords
                are being worked at.
        """
        _check_known(name)
        kept = self._kept_of(password)
        with self._database.write() as connection:
            changed = connection.execute(
                update(users).where(users.c.name == name).values(password_hash=kept)
            )
            if changed.rowcount == 0:
                raise not_found("user", name)
            forget_logins(connection, user=name, by_password=True, keep_ticket=keep_ticket)

    def set_superuser(self, name: str, *, superuser: bool) -> None:
        """Say whether the sessions of a user may raise themselves to superuser.

        Those that have raised themselves lose it with the next command that they call.

        Raises:
            CommandError: There is no such user.
        """
        _check_known(name)
        with self._database.write() as connection:
            changed = connection.execute(
                update(users).where(users.c.name == name).values(superuser=superuser)
            )
        if changed.rowcount == 0:
            raise not_found("user", name)

    def get(self, name: str) -> User | None:
        """Return a user; ``None`` if there is none of that name."""
        if not is_user_name(name):
            return None
        with self._database.read() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).first()
        return None if row is None else _user(row)

    def page(
        self, *, before: str | None = None, after: str | None = None, limit: int = MAX_PAGE
    ) -> list[User]:
        """Return users in the order of their names.

        Args:
            before: Only those whose names come before this one.
            after: Only those whose names come after this one.
            limit: Users at most.

        Raises:
            CommandError: ``before`` or ``after`` can be no user's name.
        """
        for name in (before, after):
            if name is not None:
                _check_known(name)
        query = select(users).order_by(users.c.name).limit(limit)
        if before is not None:
            query = query.where(users.c.name < before)
        if after is not None:
            query = query.where(users.c.name > after)
        with self._database.read() as connection:
            return [_user(row) for row in connection.execute(query)]

    def keep_anew(self, user: User, password: str) -> None:
        """Keep a password, which was just compared, at the cost of today. In a slot.

        Args:
            user: The user as it was read.
            password: The right password.
        """
        kept = self._passwords.hash(password)
        with self._database.write() as connection:
            connection.execute(
                update(users)
                .where(users.c.name == user.name, users.c.password_hash == user.password_hash)
                .values(password_hash=kept)
            )

    def _kept_of(self, password: str) -> str:
        check_password(password)
        with self._passwords.slot():
            return self._passwords.hash(password)


def _check_known(name: str) -> None:
    """Raise for a name that no user can have, which not every database takes as text."""
    if not is_user_name(name):
        raise not_found("user", name)


def _of_call(connection: Connection, call_id: str | None) -> Row[Any] | None:
    if call_id is None:
        return None
    return connection.execute(select(users).where(users.c.call_id == call_id)).first()


def _user(row: Row[Any]) -> User:
    return User(row.name, row.superuser, row.created, row.password_hash)

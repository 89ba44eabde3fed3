"""Which servers may send transfers to this one."""

import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.sealing.keys import check_public_key
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.properties import keep_property, property_value
from dxlfiletransferservice.control.tables import authorized_clients

MAX_SENDERS: Final = 100_000
"""Keys that may be listed. They are kept in memory, some hundred bytes each."""

_PROPERTY: Final = "onlyAuthorizedClients"


class AuthorizedSenders:
    """The list of senders, and whether only those on it may send.

    It is read once and kept in memory, since every request of a sender asks; implements
    ``admission.senders.AuthorizedSenders``.

    Args:
        database: Where it is kept.
        clock: Returns the time in microseconds since 1970.

    Example:
        >>> senders = AuthorizedSenders(Database("sqlite://"))
        >>> senders.restrict(only_listed=True)
        >>> senders.restricted, senders.allows("dxlft1-anything")
        (True, False)
    """

    def __init__(self, database: Database, *, clock: Callable[[], int] = now_us) -> None:
        self._database = database
        self._clock = clock
        self._changing = threading.Lock()
        with database.read() as connection:
            self._restricted = bool(property_value(connection, _PROPERTY))
            self._keys = _keys(connection)

    @property
    def restricted(self) -> bool:
        """Whether only listed senders may send."""
        return self._restricted

    def allows(self, public_key: str) -> bool:
        """Whether the sender with this key is listed."""
        return public_key in self._keys

    def add(self, public_key: str) -> None:
        """Put a sender on the list; it may be there already.

        Raises:
            CommandError: That is no key, or the list is full.
        """
        key = checked_key(public_key)
        with self._changing:
            if key in self._keys:
                return
            if len(self._keys) >= MAX_SENDERS:
                raise CommandError(f"{MAX_SENDERS} clients are authorized: remove some first")
            with self._database.write() as connection:
                values = {"public_key": key, "created": self._clock()}
                connection.execute(insert(authorized_clients).values(values))
            self._keys = self._keys | {key}

    def remove(self, public_key: str) -> None:
        """Take a sender off the list.

        Raises:
            CommandError: That is no key, or it is not on the list.
        """
        key = checked_key(public_key)
        with self._changing:
            with self._database.write() as connection:
                this = authorized_clients.c.public_key == key
                removed = connection.execute(delete(authorized_clients).where(this)).rowcount
            self._keys = self._keys - {key}
        if not removed:
            raise not_found("authorized client", key)

    def restrict(self, *, only_listed: bool) -> None:
        """Say whether only listed senders may send."""
        with self._changing:
            with self._database.write() as connection:
                keep_property(connection, _PROPERTY, only_listed)
            self._restricted = only_listed


def _keys(connection: Connection) -> frozenset[str]:
    return frozenset(connection.scalars(select(authorized_clients.c.public_key)))


def checked_key(public_key: str) -> str:
    """Return a public key as it is compared.

    Raises:
        CommandError: It is none.
    """
    try:
        return check_public_key(public_key)
    except ValueError as error:
        raise CommandError(str(error)) from error

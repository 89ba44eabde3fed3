"""Who asks, and what they may see."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, true


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        user: The user that has logged on, or in whose name a token was made.
        superuser: Whether the session has raised itself to superuser.
        may_raise: Whether it may do so.
        token: Id of the token by which it has logged on; ``None`` for a password.
        token_session: Tells sessions of one token apart.
        permissions: What the token permits; ``None`` for everything.
        path: Directory that the token is confined to, below the user's own sandbox.
        manifest_id: The manifest that a shared token opens, and nothing else.
        local: Whether it is whoever runs the server, who need not be a user.
    """

    user: str
    superuser: bool = False
    may_raise: bool = False
    token: str | None = None
    token_session: str | None = None
    permissions: frozenset[str] | None = None
    path: str | None = None
    manifest_id: int | None = None
    local: bool = False

    def may(self, permission: str) -> bool:
        """Whether it may do what a permission of API tokens is about."""
        return self.permissions is None or permission in self.permissions

    def owns(self, row: Any) -> bool:
        """Whether it may see and change what a row of an owned table is about."""
        if self.superuser:
            return True
        if row.owner != self.user:
            return False
        return self.token is None or row.owner_token == self.token

    def own(self, table: Table) -> ColumnElement[bool]:
        """Return the condition for the rows of an owned table that it may see and change."""
        if self.superuser:
            return true()
        mine = table.c.owner == self.user
        return mine if self.token is None else and_(mine, table.c.owner_token == self.token)

    def columns(self) -> dict[str, str | None]:
        """Return the values of the columns that say whose something new is."""
        return {
            "owner": self.user,
            "owner_token": self.token,
            "owner_token_session": self.token_session,
        }


def owner_fields(row: Any) -> dict[str, str | None]:
    """Return the fields of a structure that say whose it is."""
    return {
        "owner": row.owner,
        "ownerToken": row.owner_token,
        "ownerTokenSession": row.owner_token_session,
    }

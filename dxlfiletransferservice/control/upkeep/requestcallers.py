"""Whose requests are: who is shown them, and in whose name the server goes on with them."""

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Row

from dxlfiletransferservice.control.commands import Login
from dxlfiletransferservice.control.principals import Principal


def turn_of(login: Login) -> str:
    """Return who waits for his own requests only: a user, a token, or a session before log-on."""
    principal = login.principal
    if principal is None:
        return f"session {login.session}"
    return f"user {principal.user}" if principal.token is None else f"token {principal.token}"


def visible_to(login: Login, row: Row[Any]) -> bool:
    """Whether somebody is shown a request.

    Args:
        login: Who asks: the session that made it before log-on, its owner, or a superuser is.
        row: The request.
    """
    if row.session is not None and row.session == login.session:
        return True
    return login.principal is not None and login.principal.owns(row)


def stored(principal: Principal | None) -> dict[str, Any] | None:
    """Return somebody as JSON can hold him; ``None`` for nobody."""
    if principal is None:
        return None
    values = asdict(principal)
    if principal.permissions is not None:
        values["permissions"] = sorted(principal.permissions)
    return values


def restored(values: dict[str, Any] | None) -> Principal | None:
    """Return somebody as :func:`stored` has noted him, by this or another version."""
    if values is None:
        return None
    known = {each.name: values[each.name] for each in fields(Principal) if each.name in values}
    if known.get("permissions") is not None:
        known["permissions"] = frozenset(known["permissions"])
    return Principal(**known)

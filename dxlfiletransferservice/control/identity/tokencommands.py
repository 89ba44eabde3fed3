"""Commands for shared tokens and API tokens."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from dxlfiletransferclient.control.constants import MAX_PAGE, PERMISSIONS
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.arguments import MAX_ID, Arguments
from dxlfiletransferservice.control.commands import Call, Handler, not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.identity.sandboxes import Sandboxes
from dxlfiletransferservice.control.identity.secretarguments import (
    optional_secret,
    optional_token_id,
    token_id,
)
from dxlfiletransferservice.control.identity.sourceguard import check_prefix
from dxlfiletransferservice.control.identity.tokens import TokenKind, Tokens, structure_of
from dxlfiletransferservice.control.pages import fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.rights import demand
from dxlfiletransferservice.control.seams import Events
from dxlfiletransferservice.control.tables import manifests

LONGEST_LIFE_SECONDS: Final = 100 * 365 * 24 * 3600
"""Seconds until a token expires at most: as good as for ever, and still a time."""

MAX_DOWNLOADS: Final = 2**31 - 1
"""Highest limit of downloads, as the database can hold it."""

_SECOND: Final = 1_000_000


class TokenCommands:
    """The commands for tokens; a ``CommandGroup``.

    Args:
        database: Where manifests and tokens are.
        tokens: The tokens.
        passwords: Makes what is kept of passwords.
        sandboxes: Checks the directories of API tokens.
        events: The event log.
        clock: Returns the time in microseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        passwords: Passwords,
        sandboxes: Sandboxes,
        events: Events,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._sandboxes = sandboxes
        self._events = events
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the full names of their commands."""
        shared, api = TokenKind.SHARED, TokenKind.API
        return {
            "send.createSharedToken": self._create_shared,
            "send.getSharedToken": lambda call: self._get(call, shared),
            "send.getSharedTokens": lambda call: self._page(call, shared),
            "send.updateSharedToken": self._update_shared,
            "send.deleteSharedToken": lambda call: self._delete(call, shared),
            "server.createAPIToken": self._create_api,
            "server.getAPIToken": lambda call: self._get(call, api),
            "server.getAPITokens": lambda call: self._page(call, api),
            "server.deleteAPIToken": lambda call: self._delete(call, api),
        }

    def _create_shared(self, call: Call) -> dict[str, Any]:
        """Make a token that opens ``manifestId``; return its structure with the whole token.

        The manifest must be complete. The token is its owner's, also if a superuser makes it.
        """
        principal = _account(call)
        demand(principal, "createLinks", "make shared tokens")
        manifest = call.arguments.object_id("manifestId", "manifestId")
        shown = call.arguments.value("manifestId")
        limit = call.arguments.optional_integer("downloadLimit", least=1, most=MAX_DOWNLOADS)
        values = self._common(call.arguments) | {"manifest_id": manifest, "download_limit": limit}
        password = optional_secret(call.arguments, "password")
        call.arguments.finish()
        values["password_hash"] = self._kept_of(password)
        with self._database.write() as connection:
            row = _complete_manifest(connection, principal, manifest, shown)
            values |= _owner(principal, row)
            made = self._tokens.create(
                connection, TokenKind.SHARED, principal, call.call_id, values
            )
        return self._made(*made)

    def _create_api(self, call: Call) -> dict[str, Any]:
        """Make a token that stands for the user; return its structure with the whole token.

        It permits ``permissions``, or everything, and confines to ``path``, or to nothing more
        than the user is confined to.
        """
        principal = _account(call)
        if principal.token is not None:
            text = "a session that has logged on with a token may make no API tokens"
            raise CommandError(text, ErrorKind.NOT_ALLOWED)
        values = self._common(call.arguments) | {
            "permissions": _permissions(call.arguments),
            "path": self._path(call.arguments, principal),
            **principal.columns(),
        }
        password = optional_secret(call.arguments, "password")
        call.arguments.finish()
        values["password_hash"] = self._kept_of(password)
        with self._database.write() as connection:
            made = self._tokens.create(connection, TokenKind.API, principal, call.call_id, values)
        return self._made(*made)

    def _get(self, call: Call, kind: TokenKind) -> dict[str, Any]:
        """Return the structure of ``token``, with its id in place of the whole token."""
        principal = _account(call)
        token = token_id(call.arguments, "token")
        call.arguments.finish()
        return structure_of(self._tokens.get(kind, principal, token))

    def _page(self, call: Call, kind: TokenKind) -> list[dict[str, Any]]:
        """Return structures in the order in which the tokens were made, as many as fit."""
        principal = _account(call)
        before = optional_token_id(call.arguments, "before")
        after = optional_token_id(call.arguments, "after")
        limit = call.arguments.optional_integer("limit", least=0, most=MAX_ID) or MAX_PAGE
        call.arguments.finish()
        found = self._tokens.page(
            kind, principal, before=before, after=after, limit=min(limit, MAX_PAGE)
        )
        return fitting(structure_of(row) for row in found)

    def _update_shared(self, call: Call) -> None:
        """Change when ``token`` expires, its description, or both."""
        principal = _account(call)
        demand(principal, "createLinks", "change shared tokens")
        token = token_id(call.arguments, "token")
        values = {
            name: value for name, value in self._common(call.arguments).items() if value is not None
        }
        call.arguments.finish()
        self._tokens.change(TokenKind.SHARED, principal, token, values)

    def _delete(self, call: Call, kind: TokenKind) -> None:
        """Delete ``token``; what is under way with it goes on."""
        principal = _account(call)
        demand(principal, "delete", f"delete {kind.shown}s")
        token = token_id(call.arguments, "token")
        call.arguments.finish()
        self._record("tokenDeleted", self._tokens.delete(kind, principal, token))

    def _common(self, arguments: Arguments) -> dict[str, Any]:
        """Take the arguments ``timeLimitSeconds`` and ``description``, as columns."""
        seconds = arguments.optional_number("timeLimitSeconds", least=1, most=LONGEST_LIFE_SECONDS)
        return {
            "expires": None if seconds is None else self._clock() + int(seconds * _SECOND),
            "description": arguments.optional_text("description"),
        }

    def _path(self, arguments: Arguments, principal: Principal) -> str | None:
        path = arguments.optional_text("path")
        if path is None:
            return None
        checked = check_prefix(path)
        if checked == "/":
            return None
        self._sandboxes.source(principal, checked)
        return checked

    def _kept_of(self, password: str | None) -> str | None:
        if password is None:
            return None
        with self._passwords.slot():
            return self._passwords.hash(password)

    def _made(self, row: Row[Any], whole: str) -> dict[str, Any]:
        self._record("tokenCreated", row)
        return structure_of(row, whole)

    def _record(self, name: str, row: Row[Any]) -> None:
        self._events.record(name, structure_of(row), owner=row.owner, owner_token=row.owner_token)


def _account(call: Call) -> Principal:
    """Return who calls, unless it is a shared token, which has nothing to do with other tokens."""
    principal = call.principal
    if principal.manifest_id is not None:
        text = "a session that has logged on with a shared token has no part in tokens"
        raise CommandError(text, ErrorKind.NOT_ALLOWED)
    return principal


def _complete_manifest(
    connection: Connection, principal: Principal, manifest: int | None, shown: object
) -> Row[Any]:
    query = select(manifests).where(
        manifests.c.id == manifest, manifests.c.deleted.is_(False), principal.own(manifests)
    )
    row = None if manifest is None else connection.execute(query).first()
    if row is None:
        raise not_found("manifest", shown.get("manifestId") if isinstance(shown, dict) else shown)
    if row.status != "complete":
        text = f"the manifest '{row.id}' has the status {row.status!r}: it must be 'complete' first"
        raise CommandError(text, ErrorKind.STATE)
    return row


def _owner(principal: Principal, manifest: Row[Any]) -> dict[str, str | None]:
    if manifest.owner == principal.user:
        return principal.columns()
    return {"owner": manifest.owner, "owner_token": None, "owner_token_session": None}


def _permissions(arguments: Arguments) -> list[str]:
    found = arguments.value("permissions")
    if found is None:
        return sorted(PERMISSIONS)
    known = ", ".join(sorted(PERMISSIONS))
    if not isinstance(found, list) or not found:
        raise CommandError(f"the argument 'permissions' must be a list with some of {known}")
    for each in found:
        if each not in PERMISSIONS if isinstance(each, str) else True:
            raise CommandError(f"there is no permission {brief(each)}; there are {known}")
    return sorted(set(found))

"""Tokens: what lets somebody in without being a user.

A token is made of an id and a secret, with a full stop between them. The id is no secret; of the
secret only a hash is kept, so a token as a whole is seen once, by whoever makes it.
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.identity.logins import forget_token_logins, hash_of
from dxlfiletransferservice.control.principals import Principal, owner_fields
from dxlfiletransferservice.control.tables import manifests, redemptions, tokens

SHARED_PERMISSIONS: Final = frozenset({"download"})
"""What a shared token permits, of what is permitted to API tokens."""

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 6
_ID: Final = re.compile(r"([1-9][0-9]{0,17})-[0-9a-f]{12}")


class TokenKind(StrEnum):
    """What a token is for."""

    SHARED = "shared"
    """It opens one manifest, to whoever has it."""

    API = "api"
    """It stands for the user who made it, with what it permits."""

    @property
    def shown(self) -> str:
        """What people call it."""
        return "shared token" if self is TokenKind.SHARED else "API token"


class Tokens:
    """The tokens in a database.

    Args:
        database: The database.
        clock: Returns the time in microseconds since 1970.
    """

    def __init__(self, database: Database, *, clock: Callable[[], int] = now_us) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        connection: Connection,
        kind: TokenKind,
        principal: Principal,
        call_id: str,
        values: Mapping[str, Any],
    ) -> tuple[Row[Any], str]:
        """Make a token.

        Args:
            connection: A connection that writes.
            kind: What it is for.
            principal: Who makes it.
            call_id: Names the call that does. If the same call comes again, the token gets another
                secret: the answer with the one before did not arrive.
            values: The columns that are neither about its id nor about the call.

        Returns:
            Its row, and the token as a whole.

        Raises:
            CommandError: The call id names another call.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        found = connection.execute(select(tokens).where(tokens.c.call_id == call_id)).first()
        if found is not None:
            if found.kind != kind or not principal.owns(found):
                text = "the id of the call was used for another call before: take a new one"
                raise CommandError(text)
            token = str(found.id)
            connection.execute(
                update(tokens).where(tokens.c.id == token).values(secret_hash=hash_of(secret))
            )
        else:
            number = (connection.scalar(select(func.max(tokens.c.number))) or 0) + 1
            token = f"{number}-{secrets.token_hex(_ID_BYTES)}"
            connection.execute(
                insert(tokens).values(
                    id=token,
                    number=number,
                    kind=kind.value,
                    secret_hash=hash_of(secret),
                    call_id=call_id,
                    created=self._clock(),
                    **values,
                )
            )
        row = connection.execute(select(tokens).where(tokens.c.id == token)).one()
        return row, f"{token}.{secret}"

    def get(self, kind: TokenKind, principal: Principal, token: str) -> Row[Any]:
        """Return a token that somebody may see.

        Args:
            kind: What it is for.
            principal: Who wants to see it.
            token: Its id.

        Raises:
            CommandError: There is none, or it is somebody else's.
        """
        _check_id(kind, token)
        query = select(tokens).where(_one(kind, principal, token))
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _not_found(kind, token)
        return row

    def page(
        self,
        kind: TokenKind,
        principal: Principal,
        *,
        before: str | None = None,
        after: str | None = None,
        limit: int = MAX_PAGE,
    ) -> list[Row[Any]]:
        """Return the tokens that somebody may see, in the order in which they were made.

        Args:
            kind: What they are for.
            principal: Who wants to see them.
            before: Only those made before the one with this id.
            after: Only those made after the one with this id.
            limit: Tokens at most.

        Raises:
            CommandError: ``before`` or ``after`` is no id of a token.
        """
        query = select(tokens).where(tokens.c.kind == kind.value, principal.own(tokens))
        if before is not None:
            query = query.where(tokens.c.number < _number(kind, before))
        if after is not None:
            query = query.where(tokens.c.number > _number(kind, after))
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(tokens.c.number).limit(limit)).all())

    def change(
        self, kind: TokenKind, principal: Principal, token: str, values: Mapping[str, Any]
    ) -> None:
        """Change columns of a token.

        Raises:
            CommandError: There is none, or it is somebody else's.
        """
        if not values:
            self.get(kind, principal, token)
            return
        _check_id(kind, token)
        with self._database.write() as connection:
            changed = connection.execute(
                update(tokens).where(_one(kind, principal, token)).values(**values)
            )
        if changed.rowcount == 0:
            raise _not_found(kind, token)

    def delete(self, kind: TokenKind, principal: Principal, token: str) -> Row[Any]:
        """Delete a token, and what has logged on with it. Its transfers go on.

        Returns:
            Its row.

        Raises:
            CommandError: There is none, or it is somebody else's.
        """
        _check_id(kind, token)
        with self._database.write() as connection:
            row = connection.execute(select(tokens).where(_one(kind, principal, token))).first()
            if row is None:
                raise _not_found(kind, token)
            connection.execute(delete(tokens).where(tokens.c.id == token))
            forget_token_logins(connection, token)
        return row

    def good(self, whole: str) -> Row[Any] | None:
        """Return the row of a token that was shown; ``None`` if it is wrong, or has expired.

        Args:
            whole: The token, id and secret. Its password is not looked at.
        """
        token, _, secret = whole.partition(".")
        row = self.unexpired(token)
        # Compared as if it was there, so that nobody learns which ids there are.
        kept = "" if row is None else row.secret_hash
        right = hmac.compare_digest(kept.encode(), hash_of(secret).encode())
        return row if right else None

    def unexpired(self, token: str) -> Row[Any] | None:
        """Return the row of a token by its id; ``None`` if there is none, or it has expired."""
        if _ID.fullmatch(token) is None:
            return None
        query = select(tokens).where(tokens.c.id == token, self._is_unexpired())
        with self._database.read() as connection:
            return connection.execute(query).first()

    def redeem(self, token: str, admission: str) -> None:
        """Count a download by a shared token, if it is not counted yet; see ``seams.Access``.

        Raises:
            AuthenticationError: The token is gone or has expired, or its limit is reached.
        """
        if _ID.fullmatch(token) is None:
            raise _used_up()
        try:
            with self._database.write() as connection:
                if not _is_redeemed(connection, token, admission):
                    self._count(connection, token, admission)
        except IntegrityError:
            # Another process has counted it meanwhile, or else the token was just deleted.
            with self._database.read() as connection:
                if not _is_redeemed(connection, token, admission):
                    raise _used_up() from None

    def redeem_within(self, connection: Connection, token: str, admission: str) -> None:
        """Count what a shared token is used for, together with what comes of it.

        What was counted before has come of it before: whoever has removed that since gets nothing
        for it a second time.

        Args:
            connection: A connection that writes; nothing is counted if that is undone.
            token: Id of the token.
            admission: Names the use.

        Raises:
            AuthenticationError: The token is gone or has expired, its limit is reached, or the use
                was counted before.
        """
        if _ID.fullmatch(token) is None or _is_redeemed(connection, token, admission):
            raise _used_up()
        self._count(connection, token, admission)

    def _count(self, connection: Connection, token: str, admission: str) -> None:
        counted = connection.execute(
            update(tokens)
            .where(
                tokens.c.id == token,
                tokens.c.kind == TokenKind.SHARED.value,
                self._is_unexpired(),
                tokens.c.manifest_id.in_(_present_manifests()),
                or_(
                    tokens.c.download_limit.is_(None),
                    tokens.c.download_count < tokens.c.download_limit,
                ),
            )
            .values(download_count=tokens.c.download_count + 1)
        )
        if counted.rowcount == 0:
            raise _used_up()
        connection.execute(
            insert(redemptions).values(token=token, admission=admission, created=self._clock())
        )

    def _is_unexpired(self) -> ColumnElement[bool]:
        return or_(tokens.c.expires.is_(None), tokens.c.expires > self._clock())


def _present_manifests() -> Select[tuple[int]]:
    """Return what selects the manifests that were not deleted: nothing else can be fetched."""
    return select(manifests.c.id).where(not_(manifests.c.deleted))


def principal_of(row: Row[Any], session: str | None) -> Principal:
    """Return who has logged on with a token.

    Args:
        row: Its row.
        session: Tells its log-ons apart.
    """
    shared = row.kind == TokenKind.SHARED
    return Principal(
        user=row.owner,
        token=row.id,
        token_session=session,
        permissions=SHARED_PERMISSIONS if shared else frozenset(row.permissions or ()),
        path=None if shared else row.path,
        manifest_id=row.manifest_id if shared else None,
    )


def structure_of(row: Row[Any], whole: str | None = None) -> dict[str, Any]:
    """Return the structure of a token.

    Args:
        row: Its row.
        whole: The token as a whole, for who has just made it. Others see the id.
    """
    shared = row.kind == TokenKind.SHARED
    structure = {
        "token": whole or row.id,
        "description": row.description,
        "creationTime": row.created,
        "expiryTime": row.expires,
        "passwordRequired": row.password_hash is not None,
        "permissions": sorted(SHARED_PERMISSIONS if shared else row.permissions or ()),
        **owner_fields(row),
        "userData": row.user_data,
    }
    if not shared:
        return {**structure, "path": row.path}
    return {
        **structure,
        "manifestId": str(row.manifest_id),
        "downloadCount": row.download_count,
        "downloadLimit": row.download_limit,
    }


def _one(kind: TokenKind, principal: Principal, token: str) -> ColumnElement[bool]:
    return and_(tokens.c.id == token, tokens.c.kind == kind.value, principal.own(tokens))


def _is_redeemed(connection: Connection, token: str, admission: str) -> bool:
    query = select(redemptions.c.token).where(
        redemptions.c.token == token, redemptions.c.admission == admission
    )
    return connection.execute(query).first() is not None


def _number(kind: TokenKind, token: str) -> int:
    return int(_check_id(kind, token).group(1))


def _check_id(kind: TokenKind, token: str) -> re.Match[str]:
    found = _ID.fullmatch(token)
    if found is None:
        # It may be a secret that was given alone by mistake, so it is not repeated.
        raise CommandError(f"there is no {kind.shown} with that id", ErrorKind.NOT_FOUND)
    return found


def _not_found(kind: TokenKind, token: str) -> CommandError:
    return not_found(kind.shown, token)


def _used_up() -> AuthenticationError:
    return AuthenticationError(
        "this token cannot be used any more: it was deleted, has expired, or was used as often as "
        "it may be"
    )

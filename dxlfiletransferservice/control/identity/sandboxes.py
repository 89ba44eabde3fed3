"""Sandboxes: the directories of this machine that users are confined to."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, insert, select

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.sandboxmapping import (
    Targets,
    directories,
    parse_mapping,
    structure_of,
)
from dxlfiletransferservice.control.identity.sourceguard import Reserved, Sources
from dxlfiletransferservice.control.identity.users import is_user_name
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import sandboxes, tokens, users

EVERYBODY: Final = ""
"""The user whose sandbox holds for all who have none of their own."""

RECENT_SECONDS: Final = 1.0
"""Seconds for which what somebody sees is not read again: a manifest can name ten thousands of
paths in one call."""


class Sandboxes:
    """The sandboxes in a database; an ``admission.seams.Confinement``.

    A user without one is confined to the one of everybody; if there is none either, he reads all
    files of the machine that the server can read, and stores files in the server's store.

    Args:
        database: The database.
        forbidden: Directories of the server itself: nobody sends anything from there, or stores
            anything there, whatever his sandbox is.
        allowed: Directories in those which do not count, such as the one for stored files.
        clock: Returns seconds, and never goes back.
    """

    def __init__(
        self,
        database: Database,
        *,
        forbidden: Sequence[Path] = (),
        allowed: Sequence[Path] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._reserved = Reserved(forbidden, allowed)
        self._clock = clock
        self._recent: tuple[Principal, float, Sources] | None = None

    def page(
        self, *, after: str | None = None, limit: int = MAX_PAGE
    ) -> dict[str, dict[str, dict[str, str]]]:
        """Return sandboxes by users, in the order of their names; ``""`` is everybody's.

        Args:
            after: Only those whose users come after this one.
            limit: Sandboxes at most.

        Raises:
            CommandError: ``after`` can be no user's name.
        """
        if after is not None:
            _check_known(after)
        query = select(sandboxes).order_by(sandboxes.c.user).limit(limit)
        if after is not None:
            query = query.where(sandboxes.c.user > after)
        with self._database.read() as connection:
            return {row.user: row.mapping for row in connection.execute(query)}

    def set(self, user: str, mapping: Mapping[str, Any]) -> None:
        """Confine a user, or take the sandbox away.

        Args:
            user: The user, or ``""`` for everybody who has no sandbox of his own.
            mapping: See :func:`.sandboxmapping.parse_mapping`. An empty one takes the sandbox away.

        Raises:
            CommandError: It cannot be one, or there is no such user.
        """
        _check_known(user)
        targets = parse_mapping(mapping)
        self._check_reserved(targets)
        with self._database.write() as connection:
            # One that is left from a user who was removed can be changed as well.
            gone = connection.execute(delete(sandboxes).where(sandboxes.c.user == user))
            known = select(users.c.name).where(users.c.name == user)
            if user != EVERYBODY and not gone.rowcount and not connection.execute(known).first():
                raise not_found("user", user)
            if targets:
                connection.execute(
                    insert(sandboxes).values(user=user, mapping=structure_of(targets))
                )
        self._recent = None

    def places(self, principal: Principal | None) -> Mapping[str, Path] | None:
        """Return the directories that somebody may write to; see ``seams.Confinement``.

        The directory that a token is confined to is not looked at: it goes before all paths.

        Raises:
            CommandError: The sandbox cannot be written to by anybody, or depends on who it is and
                nobody has logged on.
        """
        found = self._directories(None if principal is None else principal.user)
        if found is None:
            return None
        for name, path in found.items():
            if self._reserved.touches(os.path.realpath(path)):
                text = f"the directory {brief(name or '/')} of the sandbox has files of the server"
                text += " itself, so nothing can be stored there: ask for another one"
                raise CommandError(text, ErrorKind.NOT_ALLOWED)
        return {name: Path(path) for name, path in found.items()}

    def sources(self, principal: Principal) -> Sources:
        """Return what somebody sees of the files of this machine, for any number of questions."""
        path = principal.path
        if principal.manifest_id is not None:
            path = self._path_of(principal.token)
        return Sources(self._directories(principal.user), path, self._reserved)

    def source(self, principal: Principal, path: str) -> str:
        """Return where a file is on this machine; see :meth:`.sourceguard.Sources.locate`.

        Raises:
            CommandError: There can be no such file, or the caller may not have it.
        """
        now = self._clock()
        recent = self._recent
        if recent is None or recent[0] != principal or now - recent[1] >= RECENT_SECONDS:
            self._recent = recent = (principal, now, self.sources(principal))
        return recent[2].locate(path)

    def guard(self, principal: Principal) -> Sources:
        """Return what says which files may be read for somebody.

        The guard knows the sandbox of this moment; take a new one for each piece of work.
        """
        return self.sources(principal)

    def guard_for(self, owner: str, token: str | None) -> Sources:
        """Return what says which files may be read for what somebody has made.

        Args:
            owner: The user; it need not be there any more.
            token: Id of the token that it was made with. Without it, or if it was deleted
                meanwhile, what the user is confined to is what counts.
        """
        return Sources(self._directories(owner), self._path_of(token), self._reserved)

    def _path_of(self, token: str | None) -> str | None:
        """Return what a token is confined to, or the token that made it."""
        if token is None:
            return None
        maker = tokens.alias("maker")
        query = (
            select(tokens.c.path, maker.c.path.label("maker_path"))
            .select_from(tokens.outerjoin(maker, tokens.c.owner_token == maker.c.id))
            .where(tokens.c.id == token)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else row.path or row.maker_path

    def _directories(self, user: str | None) -> Targets | None:
        names = {EVERYBODY, user or EVERYBODY}
        query = select(sandboxes).where(sandboxes.c.user.in_(names))
        with self._database.read() as connection:
            found = {row.user: row.mapping for row in connection.execute(query)}
        mapping = found.get(user or EVERYBODY, found.get(EVERYBODY))
        if mapping is None:
            return None
        return directories({name: target["path"] for name, target in mapping.items()}, user)

    def _check_reserved(self, targets: Targets) -> None:
        for name, path in targets.items():
            if "%" not in path and self._reserved.has(os.path.realpath(path)):
                raise CommandError(
                    f"the path of {brief(name)} belongs to the server itself: choose another one"
                )


def _check_known(user: str) -> None:
    if user != EVERYBODY and not is_user_name(user):
        raise not_found("user", user)

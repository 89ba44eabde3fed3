"""Manifests: lists of files that can be sent; what there is of them, and how they come and go."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.manifests.manifestrows import insert_mappings
from dxlfiletransferservice.control.manifests.mappings import ManifestMapping
from dxlfiletransferservice.control.pages import PageOrder, fitting
from dxlfiletransferservice.control.principals import Principal, owner_fields
from dxlfiletransferservice.control.seams import Events
from dxlfiletransferservice.control.tables import manifest_mappings, manifests

PREPARATION_LIFETIME: Final = 3600.0
"""Seconds for which a manifest waits for further mappings, counted from the last ones."""

MAX_MAPPINGS: Final = 1_000_000
"""Mappings of a manifest at most. A directory needs one, whatever is in it."""

_US: Final = 1_000_000


class ManifestStatus(StrEnum):
    """How far a manifest is."""

    PENDING = "pending"
    """Its files are being listed, or mappings are still to come."""

    COMPLETE = "complete"
    """It can be sent."""

    ERROR = "error"
    """It could not be made."""


class Manifests:
    """The manifests in a database.

    Args:
        database: The database.
        events: Is told what happens to them.
        wake: Is called when there is a manifest whose files are to be listed.
        clock: Returns the time in microseconds since 1970.
        most: Mappings of a manifest at most.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        wake: Callable[[], None],
        *,
        clock: Callable[[], int] = now_us,
        most: int = MAX_MAPPINGS,
    ) -> None:
        self._database = database
        self._events = events
        self._wake = wake
        self._clock = clock
        self._most = most

    def made_by(self, principal: Principal, call_id: str) -> dict[str, Any] | None:
        """Return the manifest that a call has made, if it came before."""
        with self._database.read() as connection:
            row = connection.execute(
                select(manifests).where(manifests.c.call_id == call_id, principal.own(manifests))
            ).first()
        return None if row is None else manifest_structure(row, principal)

    def create(
        self,
        principal: Principal,
        call_id: str,
        mappings: Sequence[ManifestMapping],
        symlinks: int,
        *,
        more: bool,
    ) -> dict[str, Any]:
        """Make a manifest, whose files are listed then.

        Args:
            principal: Whose it is.
            call_id: Names the call; the same call makes one manifest only.
            mappings: What it is to hold.
            symlinks: ``SYMLINK_…``: what becomes of symbolic links.
            more: Whether further mappings are to come by :meth:`add`; its files are listed when
                the last ones are there.

        Returns:
            Its structure.

        Raises:
            CommandError: There are too many mappings.
        """
        now = self._clock()
        try:
            with self._database.write() as connection:
                row = connection.execute(
                    insert(manifests)
                    .values(
                        status=ManifestStatus.PENDING,
                        symlink_options=symlinks,
                        user_data={},
                        more=more,
                        last_call=call_id,
                        last_call_time=now,
                        call_id=call_id,
                        created=now,
                        **principal.columns(),
                    )
                    .returning(*manifests.c)
                ).one()
                self._insert(connection, row.id, mappings)
        except IntegrityError:
            # The same call came twice at the same time.
            made = self.made_by(principal, call_id)
            if made is None:
                raise
            return made
        return self._changed("manifestCreated", row, principal, wake=not more)

    def add(
        self,
        principal: Principal,
        call_id: str,
        manifest_id: int | None,
        mappings: Sequence[ManifestMapping],
        *,
        more: bool,
        shown: object,
    ) -> dict[str, Any]:
        """Add mappings to a manifest that waits for some.

        Args:
            principal: Who asks.
            call_id: Names the call; the same call adds its mappings once.
            manifest_id: Number of the manifest.
            mappings: What it is to hold, too.
            more: Whether even more are to come.
            shown: What the caller has named the manifest by.

        Returns:
            Its structure.

        Raises:
            CommandError: There is no such manifest, it does not wait for mappings, there are too
                many, or one has the same destination as another one.
        """
        try:
            with self._database.write() as connection:
                row = self._row(connection, principal, manifest_id, shown)
                if row.last_call == call_id:
                    return manifest_structure(row, principal)
                _check_waits(row)
                self._insert(connection, row.id, mappings)
                row = connection.execute(
                    update(manifests)
                    .where(manifests.c.id == row.id)
                    .values(more=more, last_call=call_id, last_call_time=self._clock())
                    .returning(*manifests.c)
                ).one()
        except IntegrityError as error:
            raise self._doubled(row.id, mappings) from error
        if not more:
            self._wake()
        return manifest_structure(row, principal)

    def added_by(
        self, principal: Principal, call_id: str, manifest_id: int | None, *, shown: object
    ) -> dict[str, Any] | None:
        """Return a manifest to which a call has added mappings before; ``None`` if it has not yet.

        Raises:
            CommandError: There is no such manifest, or it does not wait for mappings.
        """
        with self._database.read() as connection:
            row = self._row(connection, principal, manifest_id, shown)
        if row.last_call == call_id:
            return manifest_structure(row, principal)
        _check_waits(row)
        return None

    def get(
        self, principal: Principal, manifest_id: int | None, *, shown: object
    ) -> dict[str, Any]:
        """Return the structure of a manifest.

        Raises:
            CommandError: There is none, or none that this caller may see.
        """
        with self._database.read() as connection:
            row = self._row(connection, principal, manifest_id, shown)
        return manifest_structure(row, principal)

    def complete_id(self, principal: Principal, manifest_id: int | None, *, shown: object) -> int:
        """Return the number of a manifest whose files are all listed.

        Raises:
            CommandError: There is no such manifest, or it is in another state.
        """
        with self._database.read() as connection:
            row = self._row(connection, principal, manifest_id, shown)
        if row.status == ManifestStatus.PENDING:
            text = (
                f"the files of manifest {row.id} are still being listed: wait until it is complete"
            )
            raise CommandError(text, ErrorKind.STATE)
        if row.status == ManifestStatus.ERROR:
            reason = manifest_structure(row, principal)["errorMessage"]
            text = f"the manifest {row.id} could not be made" + (f": {reason}" if reason else "")
            raise CommandError(text, ErrorKind.STATE)
        number: int = row.id
        return number

    def page(self, principal: Principal, order: PageOrder) -> list[dict[str, Any]]:
        """Return structures of manifests in the order of their numbers."""
        condition = and_(_visible(principal), not_(manifests.c.deleted))
        query = order.apply(select(manifests), manifests, condition)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return fitting(manifest_structure(row, principal) for row in rows)

    def delete(self, principal: Principal, manifest_id: int | None, *, shown: object) -> None:
        """Make a manifest invisible; what it holds goes when no transfer needs it any more.

        Raises:
            CommandError: There is no such manifest.
        """
        with self._database.write() as connection:
            row = self._row(connection, principal, manifest_id, shown)
            connection.execute(
                update(manifests).where(manifests.c.id == row.id).values(deleted=True)
            )
        self._changed("manifestDeleted", row, principal)

    def maintain(self) -> None:
        """Remove manifests whose preparation nobody goes on with."""
        limit = self._clock() - int(PREPARATION_LIFETIME * _US)
        abandoned = and_(
            manifests.c.status == ManifestStatus.PENDING,
            manifests.c.more,
            not_(manifests.c.deleted),
            manifests.c.last_call_time < limit,
        )
        with self._database.read() as connection:
            if connection.scalar(select(manifests.c.id).where(abandoned).limit(1)) is None:
                return
        with self._database.write() as connection:
            rows = connection.execute(
                update(manifests)
                .where(abandoned)
                .values(
                    deleted=True,
                    status=ManifestStatus.ERROR,
                    error_message="the last of its mappings never came",
                )
                .returning(*manifests.c)
            ).all()
        for row in rows:
            self._changed("manifestDeleted", row, None)

    def _row(
        self,
        connection: Connection,
        principal: Principal,
        manifest_id: int | None,
        shown: object,
    ) -> Row[Any]:
        row = connection.execute(
            select(manifests).where(
                manifests.c.id == manifest_id, not_(manifests.c.deleted), _visible(principal)
            )
        ).first()
        if row is None:
            raise not_found("manifest", shown)
        return row

    def _insert(
        self, connection: Connection, manifest_id: int, mappings: Sequence[ManifestMapping]
    ) -> None:
        highest = connection.scalar(
            select(func.max(manifest_mappings.c.number)).where(
                manifest_mappings.c.manifest_id == manifest_id
            )
        )
        first = 0 if highest is None else highest + 1
        if first + len(mappings) > self._most:
            raise CommandError(
                f"a manifest takes {self._most} mappings at most; name directories instead of the "
                "files in them"
            )
        insert_mappings(connection, manifest_id, first, mappings)

    def _doubled(self, manifest_id: int, mappings: Sequence[ManifestMapping]) -> CommandError:
        """Return the error for mappings of which one has the place of an earlier one."""
        table = manifest_mappings.c
        with self._database.read() as connection:
            for each in mappings:
                same = (table.manifest_id == manifest_id) & (table.place == each.row()["place"])
                if connection.scalar(select(table.number).where(same)) is not None:
                    break
        return CommandError(f"two mappings have the same destination, {each.named.shown}")

    def _changed(
        self, event: str, row: Row[Any], principal: Principal | None, *, wake: bool = False
    ) -> dict[str, Any]:
        if wake:
            self._wake()
        structure = manifest_structure(row, principal)
        self._events.record(event, structure, owner=row.owner, owner_token=row.owner_token)
        return structure


def manifest_structure(row: Row[Any], principal: Principal | None = None) -> dict[str, Any]:
    """Return the structure of a manifest.

    Args:
        row: Its row.
        principal: Who is to see it. Whoever has a shared token is told no error message: those
            name paths of the owner.
    """
    stranger = principal is not None and principal.manifest_id is not None
    return {
        "manifestId": str(row.id),
        "status": row.status,
        "processing": row.status == ManifestStatus.PENDING,
        "errorMessage": None if stranger else row.error_message,
        "totalFiles": row.total_files,
        "totalSize": row.total_size,
        **owner_fields(row),
        "userData": row.user_data,
    }


def _check_waits(row: Row[Any]) -> None:
    if not row.more or row.status != ManifestStatus.PENDING:
        text = f"the manifest {row.id} takes no further mappings: the last ones have come"
        raise CommandError(text, ErrorKind.STATE)


def _visible(principal: Principal) -> ColumnElement[bool]:
    if principal.manifest_id is not None:
        return manifests.c.id == principal.manifest_id
    return principal.own(manifests)

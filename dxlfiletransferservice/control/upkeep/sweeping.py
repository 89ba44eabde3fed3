"""Removes what has outlived its time, a little at a time.

Every step is one short transaction, whose conditions hold when it is made: what somebody begins to
use in between stays. So a manifest of a million files keeps nobody waiting, and a server that is
killed in the middle goes on with the next sweep.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.manifests.manifests import ManifestStatus
from dxlfiletransferservice.control.tables import (
    connections,
    destinations,
    events,
    logins,
    manifest_directories,
    manifest_files,
    manifest_mappings,
    manifests,
    receptions,
    redemptions,
    requests,
    tokens,
    transfers,
)
from dxlfiletransferservice.control.upkeep.events import EVENT_LIFETIME, EventLog
from dxlfiletransferservice.control.upkeep.lifetimesettings import LifetimeSettings
from dxlfiletransferservice.control.upkeep.requests import RESULT_LIFETIME
from dxlfiletransferservice.courier.seams import Status

DESTINATION_GRACE: Final = 900.0
"""Seconds for which a destination without transfers is kept after it was made or last used, so that
a program has time to use it."""

TOKEN_GRACE: Final = 3600.0
"""Seconds for which a token is kept after it has expired. Nobody is let in by it any more, and a
download that has begun goes on: as long as there is the token, its manifest stays."""

PREPARATION_LIFETIME: Final = 3600.0
"""Seconds after which the rows of a manifest that was deleted while it was made may go: whoever
fills it has noticed by then. What he adds all the same is found by the next sweep."""

RECEPTION_LIFETIME: Final = 30 * 24 * 3600.0
"""Seconds for which the record of a received transfer is kept after the last sign of it."""

FILES_AT_ONCE: Final = 5000
"""Files of a manifest that one step removes: some ten milliseconds, in which nobody else writes."""

ROWS_AT_ONCE: Final = 500
"""Other rows that one step removes; for some of them, an event is recorded each."""

_OVER: Final = (Status.COMPLETE, Status.ERROR)
_OF_MANIFESTS: Final = (manifest_files, manifest_directories, manifest_mappings)


class Sweep:
    """One look for what has outlived its time.

    Args:
        database: Where to look.
        now: The time in microseconds since 1970.
        settings: Life times.
        events: Is told what was removed.
        gone: Is told the number of each destination that was removed.
        files_at_once: Files of a manifest that one step removes.
        rows_at_once: Other rows that one step removes.

    Attributes:
        removed: Counts what was removed, by the names of the tables.
    """

    def __init__(
        self,
        database: Database,
        now: int,
        settings: LifetimeSettings,
        *,
        events: EventLog,
        gone: Callable[[int], None],
        files_at_once: int = FILES_AT_ONCE,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        self.removed: Counter[str] = Counter()
        self._database = database
        self._now = now
        self._settings = settings
        self._events = events
        self._gone = gone
        self._files_at_once = files_at_once
        self._rows_at_once = rows_at_once

    def steps(self) -> Iterator[None]:
        """Remove everything that is due; it yields after each step."""
        yield from self._tokens()
        yield from self._transfers()
        yield from self._unused_manifests()
        yield from self.deleted_manifests()
        yield from self._destinations()
        for table, condition in self._plain_rules():
            for _ in self._remove(table, condition):
                yield
        for table in _OF_MANIFESTS:
            yield from self._leftovers(table)

    def deleted_manifests(self) -> Iterator[None]:
        """Remove the files of deleted manifests from which nobody sends; it yields in between."""
        made = func.coalesce(manifests.c.created, 0) < self._before(PREPARATION_LIFETIME)
        ready = and_(_DELETED, or_(manifests.c.status != ManifestStatus.PENDING, made))
        with self._database.read() as connection:
            found = connection.scalars(select(manifests.c.id).where(ready)).all()
        for number in found:
            for table in _OF_MANIFESTS:
                yield from self._files(table, number)
            with self._database.write() as connection:
                this = and_(manifests.c.id == number, ready)
                connection.execute(delete(manifests).where(this))
            yield

    def _before(self, seconds: float) -> int:
        return self._now - int(seconds * 1e6)

    def _tokens(self) -> Iterator[None]:
        expired = tokens.c.expires < self._before(TOKEN_GRACE)
        of_expired = redemptions.c.token.in_(select(tokens.c.id).where(expired))
        for _ in self._remove(redemptions, of_expired):
            yield
        for rows in self._remove(tokens, expired):
            for row in rows:
                self._record("tokenDeleted", {"token": row.id}, row)
            yield

    def _transfers(self) -> Iterator[None]:
        ended = func.coalesce(transfers.c.end_time, transfers.c.created, 0)
        due = and_(transfers.c.status.in_(_OVER), ended < self._before(self._settings.transfer))
        for rows in self._remove(transfers, due):
            for row in rows:
                data = {
                    "transferId": str(row.id),
                    "status": row.status,
                    "destinationId": str(row.destination_id),
                    "manifestId": str(row.manifest_id),
                }
                self._record("transferDeleted", data, row)
            yield

    def _unused_manifests(self) -> Iterator[None]:
        due = and_(
            not_(manifests.c.deleted),
            manifests.c.status != ManifestStatus.PENDING,
            func.coalesce(manifests.c.created, 0) < self._before(self._settings.manifest),
            not_(exists().where(transfers.c.manifest_id == manifests.c.id)),
            not_(exists().where(tokens.c.manifest_id == manifests.c.id)),
        )
        while chosen := self._chosen(manifests, due):
            with self._database.write() as connection:
                rows = connection.execute(
                    update(manifests)
                    .where(manifests.c.id.in_([number for (number,) in chosen]), due)
                    .values(deleted=True)
                    .returning(*manifests.c)
                ).all()
            self.removed[manifests.name] += len(rows)
            for row in rows:
                self._record("manifestDeleted", {"manifestId": str(row.id)}, row)
            yield

    def _destinations(self) -> Iterator[None]:
        limit = self._before(DESTINATION_GRACE)
        columns = destinations.c
        used = [
            func.coalesce(each, 0) < limit for each in (columns.last_send, columns.last_receive)
        ]
        due = and_(
            not_(columns.permanent),
            func.coalesce(columns.created, 0) < limit,
            *used,
            not_(exists().where(transfers.c.destination_id == columns.id)),
        )
        for rows in self._remove(destinations, due):
            for row in rows:
                data = {
                    "destinationId": str(row.id),
                    "destinationAddress": row.address,
                    "destinationIP": row.ip,
                    "destinationPort": row.port,
                    "senderPort": row.sender_port,
                }
                self._record("destinationDeleted", data, row)
                self._gone(row.id)
            yield
        unused = and_(
            func.coalesce(connections.c.created, 0) < limit,
            not_(exists().where(columns.connection_id == connections.c.id)),
        )
        for _ in self._remove(connections, unused):
            yield

    def _plain_rules(self) -> list[tuple[Table, ColumnElement[bool]]]:
        seen = func.coalesce(receptions.c.last_receive, receptions.c.created, 0)
        by_old_token = and_(
            logins.c.token.is_not(None), not_(exists().where(tokens.c.id == logins.c.token))
        )
        return [
            (logins, or_(logins.c.expires < self._now, by_old_token)),
            (requests, requests.c.finished < self._before(RESULT_LIFETIME)),
            (receptions, seen < self._before(RECEPTION_LIFETIME)),
            (events, events.c.time < self._before(EVENT_LIFETIME)),
        ]

    def _leftovers(self, table: Table) -> Iterator[None]:
        """Remove files of manifests that are not there any more."""
        last = -1
        while True:
            with self._database.read() as connection:
                found = connection.scalar(
                    select(func.min(table.c.manifest_id)).where(table.c.manifest_id > last)
                )
                known = connection.scalar(select(manifests.c.id).where(manifests.c.id == found))
            if found is None:
                return
            last = found
            if known is None:
                yield from self._files(table, found)
            yield

    def _files(self, table: Table, manifest_id: int) -> Iterator[None]:
        """Remove the rows of a manifest in the order of their numbers."""
        columns = table.c
        of_manifest = columns.manifest_id == manifest_id
        while True:
            with self._database.read() as connection:
                first = connection.scalar(select(func.min(columns.number)).where(of_manifest))
            if first is None:
                return
            with self._database.write() as connection:
                chunk = and_(of_manifest, columns.number < first + self._files_at_once)
                self.removed[table.name] += connection.execute(delete(table).where(chunk)).rowcount
            yield

    def _remove(self, table: Table, due: ColumnElement[bool]) -> Iterator[list[Row[Any]]]:
        """Remove rows for which a condition holds; yields those that each step has removed."""
        key = tuple_(*table.primary_key.columns)
        while chosen := self._chosen(table, due):
            with self._database.write() as connection:
                statement = delete(table).where(key.in_(chosen), due).returning(*table.c)
                rows = list(connection.execute(statement).all())
            self.removed[table.name] += len(rows)
            yield rows

    def _chosen(self, table: Table, due: ColumnElement[bool]) -> list[tuple[Any, ...]]:
        # Looking for them in the transaction that removes them would keep other writers waiting.
        query = select(*table.primary_key.columns).where(due).limit(self._rows_at_once)
        with self._database.read() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def _record(self, name: str, data: dict[str, Any], row: Row[Any]) -> None:
        shown = {**data, "owner": row.owner, "ownerToken": row.owner_token}
        self._events.record(name, shown, owner=row.owner, owner_token=row.owner_token)


_DELETED: Final = and_(
    manifests.c.deleted,
    not_(
        exists().where(transfers.c.manifest_id == manifests.c.id, transfers.c.status.not_in(_OVER))
    ),
)
"""Deleted manifests that nobody needs: a suspended transfer may be resumed, so it needs its own."""

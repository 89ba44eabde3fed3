"""Lists the files of manifests, on threads of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, and_, func, not_, select, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from dxlfiletransferclient.control.constants import FILETYPE_DIRECTORY
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.manifests.manifestrows import (
    ROWS_AT_ONCE,
    clear,
    fetch,
    insert_directories,
    insert_files,
)
from dxlfiletransferservice.control.manifests.manifests import (
    ManifestStatus,
    manifest_structure,
)
from dxlfiletransferservice.control.manifests.mappings import Sources, place_of, stored_place
from dxlfiletransferservice.control.manifests.merging import Branch, merged
from dxlfiletransferservice.control.manifests.traversal import (
    Entry,
    Root,
    StoppedError,
    TraversalError,
    Walk,
)
from dxlfiletransferservice.control.seams import Events
from dxlfiletransferservice.control.tables import manifest_mappings, manifests
from dxlfiletransferservice.courier.seams import SourceGuard

THREADS: Final = 2
"""Manifests whose files are listed at once: a small one need not wait for a large one. More would
only compete for the disk."""

MAPPINGS_AT_ONCE: Final = 500
"""Mappings that are fetched at once."""

MAX_SIZE: Final = 2**63 - 1
"""Bytes that the files of a manifest have together at most: what the database can count."""

RETRY_SECONDS: Final = 10.0
"""Seconds until a manifest is begun anew for which the database could not be written."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that the end waits for a thread: one may be waiting for a slow disk."""

_IDLE_SECONDS: Final = 5.0
"""Seconds after which an idle thread looks by itself; it is woken long before."""

_logger = logging.getLogger(__name__)


class ManifestFilling:
    """Fills manifests whose files are to be listed, the oldest first.

    What was begun and not ended when the server was killed is begun anew.

    Args:
        database: The database.
        sources: Says what may be read for whom.
        events: Is told how manifests end.
        threads: Manifests that are filled at once.
    """

    def __init__(
        self, database: Database, sources: Sources, events: Events, *, threads: int = THREADS
    ) -> None:
        self._database = database
        self._sources = sources
        self._events = events
        self._log = BoundedLog(_logger)
        self._changed = threading.Condition()
        self._wakes = 0
        self._closed = False
        self._taken: set[int] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"manifests-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin, with what is left from the last time."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Hear that there is another manifest to fill; returns at once."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop; what is under way is begun anew at the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (number := self._next()) is not None:
            try:
                self._fill(number)
            except StoppedError:
                pass
            except Exception as error:  # noqa: BLE001 - it is logged, and the next one is filled
                text = "The manifest %d could not be filled, and is begun anew in a while"
                self._log.write(logging.ERROR, text, number, error=error)
                self._pause(RETRY_SECONDS)
            with self._changed:
                self._taken.discard(number)

    def _next(self) -> int | None:
        """Wait for a manifest and take it; ``None`` at the end."""
        while True:
            with self._changed:
                wakes, taken = self._wakes, set(self._taken)
            found = self._oldest(taken)
            with self._changed:
                if self._closed:
                    return None
                if found is not None and found not in self._taken:
                    self._taken.add(found)
                    return found
                if found is None and wakes == self._wakes:
                    self._changed.wait(_IDLE_SECONDS)

    def _oldest(self, taken: set[int]) -> int | None:
        query = select(func.min(manifests.c.id)).where(
            manifests.c.status == ManifestStatus.PENDING,
            not_(manifests.c.more),
            not_(manifests.c.deleted),
            manifests.c.id.not_in(taken),
        )
        try:
            with self._database.read() as connection:
                found: int | None = connection.scalar(query)
                return found
        except SQLAlchemyError as error:
            self._log.write(logging.ERROR, "Manifests cannot be looked for", error=error)
            return None

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(self._is_closed, seconds)

    def _is_closed(self) -> bool:
        return self._closed

    def _fill(self, number: int) -> None:
        filling = _Filling(self._database, self._sources, number, self._is_closed)
        try:
            row = filling.run()
        except (StoppedError, OperationalError):
            raise
        except _FilledError:
            return
        except (TraversalError, CommandError) as error:
            row = filling.fail(str(error))
        except Exception as error:  # noqa: BLE001 - it is logged, and told to the owner
            text = "The manifest %d could not be filled"
            self._log.write(logging.ERROR, text, number, error=error)
            row = filling.fail("the server failed to list its files; its log says why")
        if row is not None:
            structure = manifest_structure(row)
            owner, token = row.owner, row.owner_token
            self._events.record("manifestUpdated", structure, owner=owner, owner_token=token)
        if row is None or row.status == ManifestStatus.ERROR:
            filling.clear()


class _Mapping(NamedTuple):
    """What is needed of a row of ``manifest_mappings``."""

    number: int
    dest: str
    src: str
    shown: str
    size: int | None
    flags: int | None
    executable: bool


class _FilledError(Exception):
    """Another thread has filled the manifest since it was looked for."""


class _GoneError(Exception):
    """The manifest was deleted while it was filled."""


class _Filling:
    """Fills one manifest."""

    def __init__(
        self, database: Database, sources: Sources, number: int, stopped: Callable[[], bool]
    ) -> None:
        self._database = database
        self._sources = sources
        self._number = number
        self._stopped = stopped
        self._directories = _Directories()
        self._files = 0
        self._size = 0

    def run(self) -> Row[Any] | None:
        """List all files; returns the row of the manifest, or ``None`` if it was deleted.

        Raises:
            _FilledError: That was done already.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(manifests).where(manifests.c.id == self._number)
            ).first()
        if row is None:
            return None
        if row.status != ManifestStatus.PENDING:
            raise _FilledError
        self.clear()
        guard = self._sources.guard_for(row.owner, row.owner_token)
        entries = merged(self._branches(row.symlink_options, guard))
        try:
            while True:
                group = list(islice(entries, ROWS_AT_ONCE))
                if self._stopped():
                    raise StoppedError
                with self._database.write() as connection:
                    self._write(connection, group)
                    if len(group) < ROWS_AT_ONCE:
                        return self._end(
                            connection,
                            status=ManifestStatus.COMPLETE,
                            total_files=self._files,
                            total_size=self._size,
                        )
        except _GoneError:
            return self.fail("")

    def fail(self, message: str) -> Row[Any] | None:
        """Note that the manifest has failed; returns its row, or ``None`` if it was deleted."""
        with self._database.write() as connection:
            return self._end(connection, status=ManifestStatus.ERROR, error_message=message)

    def clear(self) -> None:
        """Remove what was listed so far, now or when the server ran the last time."""
        for _ in clear(self._database, self._number):
            if self._stopped():
                raise StoppedError

    def _end(self, connection: Connection, **values: Any) -> Row[Any] | None:
        mine = manifests.c.id == self._number
        row = connection.execute(
            update(manifests)
            .where(mine, not_(manifests.c.deleted))
            .values(**values)
            .returning(*manifests.c)
        ).first()
        if row is None:
            connection.execute(update(manifests).where(mine).values(status=ManifestStatus.ERROR))
        return row

    def _write(self, connection: Connection, group: list[Entry]) -> None:
        here = and_(manifests.c.id == self._number, not_(manifests.c.deleted))
        if connection.scalar(select(manifests.c.id).where(here)) is None:
            raise _GoneError
        first = self._files
        rows = [(number, *entry[1:]) for number, entry in enumerate(group, first)]
        insert_files(connection, self._number, rows)
        insert_directories(connection, self._number, self._directories.new(group))
        self._files += len(group)
        self._size += sum(entry.size for entry in group)
        if self._size > MAX_SIZE:
            raise TraversalError("its files are declared to have more bytes than can be counted")

    def _branches(self, symlinks: int, guard: SourceGuard) -> Iterator[Branch]:
        for row in self._mappings():
            if row.flags is None:
                root = Root(row.number, row.src, row.shown, row.dest)
                walk = Walk(root, symlinks, guard, self._stopped)
                yield Branch(place_of(row.dest), walk.entries)
            elif row.dest:
                yield Branch(place_of(row.dest), partial(iter, (_declared(row),)))

    def _mappings(self) -> Iterator[_Mapping]:
        """Yield the mappings in the order of their places."""
        table = manifest_mappings.c
        query = (
            select(*(table[name] for name in _Mapping._fields))
            .where(table.manifest_id == self._number)
            .order_by(table.place)
            .limit(MAPPINGS_AT_ONCE)
        )
        page = query
        while True:
            with self._database.read() as connection:
                rows = [_Mapping._make(row) for row in fetch(connection, page)]
            yield from rows
            if len(rows) < MAPPINGS_AT_ONCE:
                return
            page = query.where(table.place > stored_place(rows[-1].dest))


class _Directories:
    """Finds the directories that are not empty, as entries come in the order of their places."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._last = ""
        self._count = 0

    def new(self, entries: list[Entry]) -> list[tuple[int, str, str]]:
        """Return number, parent and name of the directories in which these are the first."""
        found: list[tuple[int, str, str]] = []
        for entry in entries:
            if entry.parent != self._last:
                self._last = entry.parent
                found.extend(self._entered(entry.parent))
        return found

    def _entered(self, directory: str) -> Iterator[tuple[int, str, str]]:
        below = f"{directory}/"
        while self._open and not below.startswith(f"{self._open[-1]}/"):
            self._open.pop()
        parent = self._open[-1] if self._open else ""
        rest = directory[len(parent) :].lstrip("/")
        for name in rest.split("/") if rest else ():
            yield self._count, parent, name
            self._count += 1
            parent = f"{parent}/{name}" if parent else name
            self._open.append(parent)


def _declared(row: _Mapping) -> Entry:
    """Return the entry for what is not looked at."""
    parent, _, name = row.dest.rpartition("/")
    directory = row.flags == FILETYPE_DIRECTORY
    return Entry(
        place=place_of(row.dest),
        mapping=row.number,
        parent=parent,
        name=name,
        size=row.size or 0,
        directory=directory,
        executable=bool(row.executable),
        modified_us=None,
    )

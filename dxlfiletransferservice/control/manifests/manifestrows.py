"""Rows of the files of manifests, many at a time.

With SQLite, every row that is put in or fetched by itself lets the interpreter go to another thread
and waits until it comes back, five milliseconds each time where one has much to compute. So rows
travel as one text of JSON there, a whole group in one step.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
)

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.manifests.mappings import ManifestMapping
from dxlfiletransferservice.control.tables import (
    manifest_directories,
    manifest_files,
    manifest_mappings,
)

ROWS_AT_ONCE: Final = 2000
"""Rows that are put in, or removed, in one transaction: the database is taken up for about twenty
milliseconds."""

_FILES: Final = (
    "number",
    "mapping",
    "parent",
    "name",
    "size",
    "directory",
    "executable",
    "modified_us",
)
_DIRECTORIES: Final = ("number", "parent", "name")
_MAPPINGS: Final = (
    "number",
    "place",
    "dest",
    "rooted",
    "src",
    "shown",
    "size",
    "flags",
    "executable",
)


def insert_files(connection: Connection, manifest_id: int, rows: Sequence[Sequence[Any]]) -> None:
    """Put files into a manifest.

    Args:
        connection: A connection that writes.
        manifest_id: Number of the manifest.
        rows: For each file its number, number of its mapping, parent, name, size, whether it is a
            directory, whether it is executable, and its modification time.
    """
    _insert(connection, manifest_files, _FILES, manifest_id, rows)


def insert_directories(
    connection: Connection, manifest_id: int, rows: Sequence[Sequence[Any]]
) -> None:
    """Put directories into a manifest, each with its number, parent and name."""
    _insert(connection, manifest_directories, _DIRECTORIES, manifest_id, rows)


def insert_mappings(
    connection: Connection, manifest_id: int, first: int, mappings: Sequence[ManifestMapping]
) -> None:
    """Put mappings into a manifest; ``first`` is the number of the first one."""
    rows = [
        [number, *map(each.row().get, _MAPPINGS[1:])] for number, each in enumerate(mappings, first)
    ]
    _insert(connection, manifest_mappings, _MAPPINGS, manifest_id, rows)


def fetch(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a query, in its order, with values that JSON can hold."""
    if connection.dialect.name != "sqlite":
        yield from (tuple(row) for row in connection.execute(query))
        return
    rows = query.subquery()
    array = func.json_group_array(func.json_array(*rows.c))
    yield from json.loads(connection.scalar(select(array)) or "[]")


def clear(database: Database, manifest_id: int, *, at_once: int = ROWS_AT_ONCE) -> Iterator[None]:
    """Remove all files and directories of a manifest; mappings stay.

    Args:
        database: The database.
        manifest_id: Number of the manifest.
        at_once: Rows that are removed in one transaction at most.

    Yields:
        Nothing, after each transaction.
    """
    for table in (manifest_files, manifest_directories):
        mine = table.c.manifest_id == manifest_id
        while True:
            with database.read() as connection:
                first = connection.scalar(select(func.min(table.c.number)).where(mine))
            if first is None:
                break
            with database.write() as connection:
                connection.execute(delete(table).where(mine, table.c.number < first + at_once))
            yield


def _insert(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    manifest_id: int,
    rows: Sequence[Sequence[Any]],
) -> None:
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        values = [dict(zip(names, row, strict=True), manifest_id=manifest_id) for row in rows]
        connection.execute(insert(table), values)
        return
    row = func.json_each(bindparam("rows")).table_valued("value").c.value
    places: list[ColumnElement[Any]] = [
        literal_column(f"'$[{number}]'") for number in range(len(names))
    ]
    source = select(literal(manifest_id), *(func.json_extract(row, place) for place in places))
    connection.execute(
        insert(table).from_select(["manifest_id", *names], source), {"rows": json.dumps(rows)}
    )

"""Tells what manifests hold: to those who send it, who download it, and who ask."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, select

from dxlfiletransferservice.admission.manifestreader import ManifestChild
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.manifests.manifestrows import fetch
from dxlfiletransferservice.control.pages import fitting
from dxlfiletransferservice.control.tables import (
    manifest_directories,
    manifest_files,
    manifest_mappings,
)
from dxlfiletransferservice.courier.seams import ManifestFile

PAGE: Final = 1000
"""Files that are fetched at once for those who send them: some milliseconds, some hundred KB."""


class ManifestFiles:
    """Reads manifests; for several threads.

    It is what couriers send from, and an ``admission.manifestreader.ManifestReader``.

    Args:
        database: The database.
        page: Files that are fetched at once.
    """

    def __init__(self, database: Database, *, page: int = PAGE) -> None:
        self._database = database
        self._page = page

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        """Yield the files of a manifest in the order in which they are sent.

        Between two pages the database is free; what is deleted meanwhile ends the list.

        Args:
            manifest_id: Number of the manifest.
            position: Number of the file to begin with.
        """
        while True:
            wanted = _FILES.where(manifest_files.c.number >= position)
            found = self._ordered(manifest_id, wanted, self._page)
            for each in found:
                yield each.file()
            if len(found) < self._page:
                return
            position = found[-1].number + 1

    def file(self, manifest_id: int, dest: str) -> ManifestFile | None:
        """Return the file or empty directory that has exactly this destination."""
        parent, _, name = dest.rpartition("/")
        columns = manifest_files.c
        wanted = _FILES.where(
            columns.manifest_id == manifest_id, columns.parent == parent, columns.name == name
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _Listed._make(row).file()

    def children(
        self, manifest_id: int, prefix: str, after: str, limit: int
    ) -> list[ManifestChild]:
        """Return what is directly in a directory; see ``ManifestReader``."""
        columns = manifest_files.c
        wanted = _FILES.where(
            columns.manifest_id == manifest_id, columns.parent == prefix, columns.name > after
        )
        table = manifest_directories.c
        directories = (
            select(table.name)
            .where(table.manifest_id == manifest_id, table.parent == prefix, table.name > after)
            .order_by(table.name)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = list(fetch(connection, wanted.order_by(columns.name).limit(limit)))
            names = [name for (name,) in fetch(connection, directories)]
        found = [ManifestChild(name, None) for name in names]
        found += [ManifestChild(each.name, each.file()) for each in map(_Listed._make, rows)]
        found.sort(key=lambda child: child.name)
        return found[:limit]

    def mappings(
        self, manifest_id: int, after: int | None, limit: int, *, sources: bool
    ) -> list[dict[str, Any]]:
        """Return file mappings, as many as fit into an answer, in the order of their numbers.

        Args:
            manifest_id: Number of the manifest.
            after: Only files with a higher number.
            limit: Files at most.
            sources: Whether to tell where they are on this machine, as the owner has named it; if
                not, the destination stands there, too.
        """
        wanted = _FILES if after is None else _FILES.where(manifest_files.c.number > after)
        found = self._ordered(manifest_id, wanted, limit)
        return fitting(each.structure(sources=sources) for each in found)

    def _ordered(self, manifest_id: int, wanted: Select[Any], limit: int) -> list["_Listed"]:
        columns = manifest_files.c
        query = wanted.where(columns.manifest_id == manifest_id).order_by(columns.number)
        with self._database.read() as connection:
            rows: Iterator[Sequence[Any]] = fetch(connection, query.limit(limit))
            return [_Listed._make(row) for row in rows]


class _Listed(NamedTuple):
    """A file, and the mapping that it comes from."""

    number: int
    parent: str
    name: str
    size: int
    directory: bool
    executable: bool
    modified_us: int | None
    mapped_to: str
    rooted: bool
    src: str
    shown: str

    @property
    def dest(self) -> str:
        return f"{self.parent}/{self.name}" if self.parent else self.name

    def source(self, root: str) -> str:
        """Return the source, below what the mapping has named."""
        dest = self.dest
        if dest == self.mapped_to:
            return root
        rest = dest[len(self.mapped_to) :].lstrip("/")
        return f"{root.rstrip('/')}/{rest}"

    def file(self) -> ManifestFile:
        return ManifestFile(
            number=self.number,
            src=self.source(self.src),
            dest=self.dest,
            size=self.size,
            directory=bool(self.directory),
            executable=bool(self.executable),
            modified_us=self.modified_us,
        )

    def structure(self, *, sources: bool) -> dict[str, Any]:
        shown_dest = f"/{self.dest}" if self.rooted else self.dest
        return {
            "srcPath": self.source(self.shown) if sources else shown_dest,
            "destPath": shown_dest,
            "fileSize": self.size,
            "isEmptyDir": bool(self.directory),
            "executable": bool(self.executable),
            "modificationTime": self.modified_us,
        }


_FILES: Final = select(
    manifest_files.c.number,
    manifest_files.c.parent,
    manifest_files.c.name,
    manifest_files.c.size,
    manifest_files.c.directory,
    manifest_files.c.executable,
    manifest_files.c.modified_us,
    manifest_mappings.c.dest,
    manifest_mappings.c.rooted,
    manifest_mappings.c.src,
    manifest_mappings.c.shown,
).join(
    manifest_mappings,
    and_(
        manifest_mappings.c.manifest_id == manifest_files.c.manifest_id,
        manifest_mappings.c.number == manifest_files.c.mapping,
    ),
)

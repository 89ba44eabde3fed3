"""A catalogue in a temporary directory, and short ways to use it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    Entry,
    EntryResult,
    Kind,
    ListAnswer,
    ListRequest,
    Overwrite,
    RetrieveAnswer,
    RetrieveRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.catalogue import Catalogue, Published
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.layout import Layout, prepare
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.quotas import Quota, QuotaLimits
from dxlfiletransferclient.storage.rooted import RootedDirectory, move

PLENTY = 2**40


def unlimited() -> Quota:
    return Quota(QuotaLimits(), free=lambda: PLENTY, used=lambda: 0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(
    name: str,
    content: bytes = b"",
    *,
    overwrite: Overwrite = Overwrite.REPLACE,
    modified_ns: int | None = None,
    executable: bool = False,
) -> BatchEntry:
    """An entry of a batch with the right SHA-256."""
    return BatchEntry(
        name=name,
        payload=content,
        sha256=sha256(content),
        overwrite=overwrite,
        modified_ns=modified_ns,
        executable=executable,
    )


def directory(name: str, **more: object) -> BatchEntry:
    return BatchEntry(kind=Kind.DIRECTORY, name=name, **more)  # type: ignore[arg-type]


def link(name: str, target: str, **more: object) -> BatchEntry:
    return BatchEntry(kind=Kind.LINK, name=name, target=target, **more)  # type: ignore[arg-type]


def place(rooted: RootedDirectory, source: Directory, source_name: str, parts: Parts) -> None:
    """Move a file to its name below a root, making directories, and flush all names."""
    with rooted.visit() as directories:
        move(source, source_name, directories.open(parts[:-1], make=True), parts[-1])
        directories.touched(parts[:-1])
        directories.settle()


class Opened:
    """A catalogue with its two directories."""

    def __init__(self, layout: Layout, working: Directory, quota: Quota, *, links: bool) -> None:
        self.layout = layout
        self.root = layout.storage
        self.working = working
        self.quota = quota
        self.catalogue = Catalogue(layout, working, quota=quota, links=links)

    def put(self, *entries: BatchEntry) -> list[EntryResult]:
        return self.catalogue.put(entries)

    def part(self, content: bytes, name: str = "dxlft-x.part") -> str:
        """A finished file in the working directory."""
        descriptor = self.working.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(descriptor, content)
        os.close(descriptor)
        return name

    def publish(
        self,
        name: str,
        content: bytes,
        overwrite: Overwrite = Overwrite.REPLACE,
        *,
        modified_ns: int | None = None,
        executable: bool = False,
        part: str = "dxlft-x.part",
    ) -> Published:
        return self.catalogue.publish(
            self.part(content, part),
            self.catalogue.parse(name),
            size=len(content),
            sha256=sha256(content),
            attributes=Attributes(modified_ns, executable),
            overwrite=overwrite,
        )

    def retrieve(
        self, name: str, offset: int = 0, length: int = 1000, version: str | None = None
    ) -> RetrieveAnswer:
        request = RetrieveRequest(name=name, offset=offset, length=length, version=version)
        return self.catalogue.retrieve(request)

    def page(
        self, name: str = "", *, recursive: bool = False, after: str = "", limit: int = 1000
    ) -> ListAnswer:
        request = ListRequest(name=name, recursive=recursive, after=after, limit=limit)
        return self.catalogue.list(request)

    def names(self, name: str = "", *, recursive: bool = True, limit: int = 7) -> list[str]:
        """The name of every entry of a list, page by page."""
        return [entry.name for entry in self.all_entries(name, recursive=recursive, limit=limit)]

    def all_entries(self, name: str = "", *, recursive: bool = True, limit: int = 7) -> list[Entry]:
        """Every entry of a list, page by page."""
        found: list[Entry] = []
        after: str | None = ""
        while after is not None:
            page = self.page(name, recursive=recursive, after=after, limit=limit)
            found += page.entries
            after = page.next
        return found

    def left_over(self) -> list[str]:
        """What is in the working directory."""
        return self.working.names()


@contextmanager
def opened(
    path: Path, *, links: bool = False, quota: Quota | None = None, working: Path | None = None
) -> Iterator[Opened]:
    """Open a catalogue in a directory, and close it after the ``with`` block."""
    layout = prepare(path / "storage", working)
    with open_directory(layout.working) as directory:
        made = Opened(layout, directory, quota or unlimited(), links=links)
        try:
            yield made
        finally:
            made.catalogue.close()


@contextmanager
def refused(code: ErrorCode, match: str | None = None) -> Iterator[None]:
    """Expect a refusal whose text names no path of this machine."""
    with pytest.raises(RefusedError, match=match) as raised:
        yield
    assert raised.value.code == code
    assert "/tmp" not in raised.value.message

"""The files of a manifest, to be looked at and fetched as from a store."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.messages import (
    Entry,
    Kind,
    ListAnswer,
    ListRequest,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.faults import refusal_of_name
from dxlfiletransferclient.storage.listing import PAGE_BYTES, json_size
from dxlfiletransferclient.storage.names import Parts, parse_directory_name
from dxlfiletransferclient.storage.versions import version_of
from dxlfiletransferservice.admission.manifestreader import ManifestChild, ManifestReader
from dxlfiletransferservice.admission.sourcefiles import Source, SourceFiles
from dxlfiletransferservice.courier.seams import ManifestFile, SourceGuard

FILES_REMEMBERED: Final = 256
"""Files of a session that are not looked up again for each of their parts: some hundred bytes each.
Beyond, each part of one costs a question to the database."""

CHILDREN_AT_ONCE: Final = 500
"""Names of a directory that are fetched at once."""

_NANOSECONDS: Final = 1000
"""Nanoseconds in a microsecond."""


@dataclass(slots=True)
class _Level:
    """A directory that is being listed, and what is still to come in it."""

    parts: Parts
    children: Iterator[ManifestChild]


class ManifestStore:
    """Tells what is in a manifest, and reads its files as they are now. For several threads.

    Args:
        manifest_id: Number of the manifest.
        reader: Knows what it holds.
        files: Reads the files.
        guard: Says which files may be read.
    """

    def __init__(
        self, manifest_id: int, reader: ManifestReader, files: SourceFiles, guard: SourceGuard
    ) -> None:
        self._manifest_id = manifest_id
        self._reader = reader
        self._files = files
        self._guard = guard
        self._lock = threading.Lock()
        self._known: OrderedDict[Parts, ManifestFile] = OrderedDict()

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a file (see ``interface.Store``)."""
        parts = _parse(request.name)
        file = self._file(parts) if parts else None
        if file is None and not self._is_directory(parts):
            raise _not_found(parts)
        if file is None or file.directory:
            text = f"{brief('/'.join(parts))} is a directory and no file"
            raise RefusedError(ErrorCode.WRONG_KIND, text)
        return self._files.retrieve(self._source(file), request)

    def stat(self, request: StatRequest) -> StatAnswer:
        """Tell what has a name (see ``interface.Store``)."""
        parts = _parse(request.name)
        file = self._file(parts) if parts else None
        if file is None:
            if not self._is_directory(parts):
                raise _not_found(parts)
            return StatAnswer(entry=(_directory(parts),))
        if file.directory:
            return StatAnswer(entry=(_directory(parts, file),))
        source = self._source(file)
        status = self._files.status(source)
        entry = _entry(file, status.st_size, status.st_mtime_ns, version_of(status))
        if not request.with_sha256:
            return StatAnswer(entry=(entry,))
        sha256 = self._files.sha256(source, status)
        return StatAnswer(entry=(entry,), sha256=sha256, pending=sha256 is None)

    def page(self, request: ListRequest) -> ListAnswer:
        """Tell what is in a directory, a page at a time (see ``interface.Store``).

        A file that cannot be read any more is listed as the manifest has it, so that its absence
        is found out and not overlooked.
        """
        top = _parse(request.name)
        after = _after(top, request) if request.after else ()
        if not self._is_directory(top):
            if self._file(top) is None:
                raise _not_found(top)
            text = f"{brief('/'.join(top))} is a file and no directory"
            raise RefusedError(ErrorCode.WRONG_KIND, text)
        found: list[Entry] = []
        room = PAGE_BYTES
        for entry in self._entries(top, after, recursive=request.recursive):
            room -= json_size(entry)
            if len(found) == request.limit or room < 0:
                return ListAnswer(entries=tuple(found), next=found[-1].name)
            found.append(entry)
        return ListAnswer(entries=tuple(found))

    def _entries(self, top: Parts, after: Parts, *, recursive: bool) -> Iterator[Entry]:
        levels = self._levels(top, after, recursive=recursive)
        while levels:
            level = levels[-1]
            child = next(level.children, None)
            if child is None:
                levels.pop()
                continue
            parts = (*level.parts, child.name)
            file = child.file
            if file is not None and not file.directory:
                yield self._looked_at(file)
                continue
            yield _directory(parts, file)
            if recursive and file is None:
                levels.append(_Level(parts, self._children(parts)))

    def _levels(self, top: Parts, after: Parts, *, recursive: bool) -> list[_Level]:
        """Return the directories that are open where a page begins, the innermost last."""
        levels: list[_Level] = []
        parts = top
        for name in after:
            levels.append(_Level(parts, self._children(parts, name)))
            parts = (*parts, name)
        if not after or recursive:
            levels.append(_Level(parts, self._children(parts)))
        return levels

    def _children(self, parts: Parts, after: str = "") -> Iterator[ManifestChild]:
        """Yield what is in a directory, each name once."""
        prefix = "/".join(parts)
        while True:
            page = self._reader.children(self._manifest_id, prefix, after, CHILDREN_AT_ONCE)
            for number, child in enumerate(page):
                following = page[number + 1] if number + 1 < len(page) else None
                if following is not None and following.name == child.name:
                    # An empty directory that another mapping puts something into.
                    continue
                yield child
            if len(page) < CHILDREN_AT_ONCE:
                return
            after = page[-1].name

    def _looked_at(self, file: ManifestFile) -> Entry:
        try:
            status = self._files.status(self._source(file))
        except RefusedError:
            modified_us = file.modified_us or 0
            return _entry(file, file.size, modified_us * _NANOSECONDS, "")
        return _entry(file, status.st_size, status.st_mtime_ns, version_of(status))

    def _file(self, parts: Parts) -> ManifestFile | None:
        with self._lock:
            known = self._known.get(parts)
            if known is not None:
                self._known.move_to_end(parts)
                return known
        found = self._reader.file(self._manifest_id, "/".join(parts))
        if found is not None:
            with self._lock:
                self._known[parts] = found
                while len(self._known) > FILES_REMEMBERED:
                    self._known.popitem(last=False)
        return found

    def _is_directory(self, parts: Parts) -> bool:
        if not parts:
            return True
        file = self._file(parts)
        if file is not None:
            return file.directory
        return bool(self._reader.children(self._manifest_id, "/".join(parts), "", 1))

    def _source(self, file: ManifestFile) -> Source:
        return Source(file.src, file.dest, self._guard)


def _parse(name: str) -> Parts:
    try:
        return parse_directory_name(name)
    except UnsafeNameError as error:
        raise refusal_of_name(error) from error


def _after(top: Parts, request: ListRequest) -> Parts:
    """Return where a page begins, as parts below the listed directory."""
    last = _parse(request.after)
    below = last[len(top) :]
    inside = last[: len(top)] == top and (request.recursive or len(below) == 1)
    if not inside or not below:
        text = f"no page of this list begins after {brief(request.after)}"
        raise RefusedError(ErrorCode.INVALID, text)
    return below


def _entry(file: ManifestFile, size: int, modified_ns: int, version: str) -> Entry:
    return Entry(
        name=file.dest,
        kind=Kind.FILE,
        size=size,
        modified_ns=modified_ns,
        executable=file.executable,
        version=version,
    )


def _directory(parts: Parts, file: ManifestFile | None = None) -> Entry:
    modified_us = file.modified_us if file is not None else None
    return Entry(
        name="/".join(parts),
        kind=Kind.DIRECTORY,
        size=0,
        modified_ns=(modified_us or 0) * _NANOSECONDS,
    )


def _not_found(parts: Parts) -> RefusedError:
    text = f"there is nothing named {brief('/'.join(parts))}"
    return RefusedError(ErrorCode.NOT_FOUND, text)

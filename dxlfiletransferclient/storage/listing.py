"""Tells what is stored: single entries, and directories page by page."""

import json
import logging
import os
import stat
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.constants import MAX_NAME_BYTES
from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import Entry, Kind, ListAnswer, ListRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import is_executable
from dxlfiletransferclient.storage.directory import Directory, is_link
from dxlfiletransferclient.storage.links import leads_below_root
from dxlfiletransferclient.storage.names import Parts, parse_name
from dxlfiletransferclient.storage.rooted import OpenDirectories, RootedDirectory
from dxlfiletransferclient.storage.sortednames import SortedNames
from dxlfiletransferclient.storage.versions import version_of

logger = logging.getLogger(__name__)

ENTRY_ROOM: Final = 256
"""Bytes that an entry takes in a page besides its name and target: numbers, version, punctuation.

The longest are about 200.
"""

PAGE_BYTES: Final = MAX_PAYLOAD - 64
"""Bytes that the entries of a page may take; the rest is for what encloses them."""


@dataclass(slots=True)
class _Level:
    """A directory that is being listed: its name, and the names in it that are still to come."""

    parts: Parts
    names: Iterator[str]


class Lister:
    """Describes what is below a root; safe for several threads.

    Args:
        root: The root.
        reserved: Directories, as parts, that are not shown.
    """

    def __init__(self, root: RootedDirectory, reserved: tuple[Parts, ...]) -> None:
        self._root = root
        self._reserved = reserved
        self._names = SortedNames()

    def page(self, parts: Parts, request: ListRequest) -> ListAnswer:
        """Return one page of what is in a directory.

        What cannot be looked at, has no name in UTF-8 or is neither file, directory nor link is
        left out. What comes and goes between two pages is in the list or not.

        Args:
            parts: The directory.
            request: What is wanted of it.

        Raises:
            RefusedError: ``WRONG_KIND`` if it is no directory, ``INVALID`` if ``after`` is no name
                in it.
            ObstructedError: If something is in the way to it.
            FileNotFoundError: If it is not there.
            OSError: If it cannot be read.
        """
        after = self._after(parts, request) if request.after else ()
        found: list[Entry] = []
        room = PAGE_BYTES
        with self._root.visit() as directories:
            _check_directory(directories, parts)
            for entry in self._entries(directories, parts, after, recursive=request.recursive):
                room -= json_size(entry)
                if len(found) == request.limit or room < 0:
                    return ListAnswer(entries=tuple(found), next=found[-1].name)
                found.append(entry)
        return ListAnswer(entries=tuple(found))

    def entry(self, parts: Parts) -> Entry:
        """Describe one thing.

        Args:
            parts: Its name; none for the root.

        Raises:
            RefusedError: ``NOT_FOUND`` if it is neither file, directory nor link.
            ObstructedError: If something is in the way to it.
            FileNotFoundError: If it is not there.
            OSError: If it cannot be looked at.
        """
        with self._root.visit() as directories:
            if not parts:
                modified_ns = directories.open(()).status().st_mtime_ns
                return Entry(name="", kind=Kind.DIRECTORY, size=0, modified_ns=modified_ns)
            parent = directories.open(parts[:-1])
            found = self._describe(parent, parts, parent.lstat(parts[-1]))
        if found is None:
            text = f"{brief('/'.join(parts))} is neither a file nor a directory nor a link"
            raise RefusedError(ErrorCode.NOT_FOUND, text)
        return found

    def _after(self, parts: Parts, request: ListRequest) -> Parts:
        """Return where a page begins, as parts below the listed directory."""
        try:
            last = parse_name(request.after)
        except UnsafeNameError:
            last = ()
        below = last[len(parts) :]
        inside = last[: len(parts)] == parts and (request.recursive or len(below) == 1)
        if not inside or not below:
            text = f"no page of this list begins after {brief(request.after)}"
            raise RefusedError(ErrorCode.INVALID, text)
        return below

    def _entries(
        self, directories: OpenDirectories, top: Parts, after: Parts, *, recursive: bool
    ) -> Iterator[Entry]:
        levels = self._levels(directories, top, after, recursive=recursive)
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                continue
            parts = (*level.parts, name)
            entry = self._looked_at(directories, parts)
            if entry is None:
                continue
            yield entry
            if recursive and entry.kind is Kind.DIRECTORY:
                levels.append(_Level(parts, iter(self._names_in(directories, parts))))

    def _levels(
        self, directories: OpenDirectories, top: Parts, after: Parts, *, recursive: bool
    ) -> list[_Level]:
        """Return the directories that are open where a page begins, the innermost last."""
        levels: list[_Level] = []
        parts = top
        for name in after:
            names = self._names_in(directories, parts)
            levels.append(_Level(parts, iter(names[bisect_right(names, name) :])))
            parts = (*parts, name)
        if not after or recursive:
            names = self._names_in(directories, parts, must=not after)
            levels.append(_Level(parts, iter(names)))
        return levels

    def _names_in(
        self, directories: OpenDirectories, parts: Parts, *, must: bool = False
    ) -> Sequence[str]:
        """Return the names in a directory; none if it cannot be read, unless it must be."""
        try:
            return self._names.of(directories.open(parts), "/".join(parts))
        except (OSError, UnsafeNameError):
            if must:
                raise
            logger.debug("Not listed: %r", "/".join(parts), exc_info=True)
            return ()

    def _looked_at(self, directories: OpenDirectories, parts: Parts) -> Entry | None:
        """Describe one thing of a list; ``None`` for what is left out."""
        if parts in self._reserved or len("/".join(parts).encode()) > MAX_NAME_BYTES:
            return None
        try:
            parent = directories.open(parts[:-1])
            return self._describe(parent, parts, parent.lstat(parts[-1]))
        except (OSError, UnsafeNameError):
            logger.debug("Left out of a list: %r", "/".join(parts), exc_info=True)
            return None

    def _describe(self, parent: Directory, parts: Parts, status: os.stat_result) -> Entry | None:
        name, modified_ns = "/".join(parts), status.st_mtime_ns
        if is_link(status):
            target = parent.readlink(parts[-1])
            shown = leads_below_root(parts, target, reserved=self._reserved)
            return Entry(
                name=name,
                kind=Kind.LINK,
                size=0,
                modified_ns=modified_ns,
                # Where else a link leads to says something about the machine.
                target=target if shown else None,
            )
        if stat.S_ISREG(status.st_mode):
            return Entry(
                name=name,
                kind=Kind.FILE,
                size=status.st_size,
                modified_ns=modified_ns,
                executable=is_executable(status),
                version=version_of(status),
            )
        if not stat.S_ISDIR(status.st_mode):
            return None
        if self._root.is_reserved((status.st_dev, status.st_ino)):
            return None
        return Entry(name=name, kind=Kind.DIRECTORY, size=0, modified_ns=modified_ns)


def _check_directory(directories: OpenDirectories, parts: Parts) -> None:
    if parts and not stat.S_ISDIR(directories.open(parts[:-1]).lstat(parts[-1]).st_mode):
        text = f"{brief('/'.join(parts))} is no directory, so nothing is in it"
        raise RefusedError(ErrorCode.WRONG_KIND, text)


def json_size(entry: Entry) -> int:
    """Return how many bytes an entry takes in a page at most."""
    texts = (entry.name, entry.target or "")
    return ENTRY_ROOM + sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in texts)

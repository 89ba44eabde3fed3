"""Paths to what there is to send, one after another: never all of a tree in memory."""

import errno
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import FileTransferError, UnsafeNameError
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.messages import Kind
from dxlfiletransferclient.sending.naming import Source
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferclient.storage.names import parse_name

NAMES_AT_ONCE: Final = 50_000
"""Names of one directory that are sorted in memory at once, about 5 MB.

A larger directory is read again for every further 50,000, to be sent in order all the same.
"""

_SPECIAL: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotSentError(FileTransferError):
    """Something that cannot be sent, or is left out on purpose; the text says why."""


class SpecialFileError(NotSentError):
    """A socket, pipe or device that is in a directory, and left out for what it is."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to send.

    Attributes:
        path: Where it is.
        name: What it is to be called on the service.
        kind: What it is; a directory only if there is nothing in it to imply it.
        size: Bytes of a file, as of now.
        target: Where a link leads to.
        stream: Whether it is a pipe or device, to be read until it ends.
    """

    path: str
    name: str
    kind: Kind = Kind.FILE
    size: int = 0
    target: str | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Unsent:
    """Something that is not sent.

    Attributes:
        path: Where it is.
        name: What it would have been called.
        result: ``FAILED`` or ``SKIPPED``.
        error: Why.
    """

    path: str
    name: str
    result: Result
    error: Exception


def scan(sources: Iterable[Source], links: Links = Links.FOLLOW) -> Iterator[Item | Unsent]:
    """Find everything that is to be sent, in the order of the names in each directory.

    A pipe or device is sent only if it is named itself; in directories they are left out. A
    directory counts as empty, and is sent as such, if nothing in it can be sent.

    Args:
        sources: What the caller named, with the names it gets.
        links: What becomes of symbolic links.
    """
    for source in sources:
        yield from _Walk(links).walk(source)


class _Directory:
    """A directory that is being gone through."""

    __slots__ = ("above_name", "above_path", "empty", "entries", "identity", "name", "path")

    def __init__(self, path: str, name: str, identity: tuple[int, int]) -> None:
        self.path = path
        self.name = name
        # What comes before each name in it.
        self.above_path = os.path.join(path, "")  # noqa: PTH118 - there is no such path
        self.above_name = f"{name}/" if name else ""
        self.identity = identity
        self.entries = _names_in_order(path)
        self.empty = True


class _Walk:
    def __init__(self, links: Links) -> None:
        self._links = links
        self._stack: list[_Directory] = []

    def walk(self, source: Source) -> Iterator[Item | Unsent]:
        found = self._visit(source.path, source.name, named=True)
        if found is not None:
            yield found
        while self._stack:
            found = self._step(self._stack[-1])
            if found is not None:
                yield found

    def _step(self, directory: _Directory) -> Item | Unsent | None:
        """Take the next entry of a directory; what is returned is to be told."""
        try:
            entry = next(directory.entries, None)
        except OSError as error:
            self._stack.pop()
            return Unsent(directory.path, directory.name, Result.FAILED, error)
        if entry is None:
            self._stack.pop()
            empty = directory.empty and directory.name
            return Item(directory.path, directory.name, Kind.DIRECTORY) if empty else None
        found = self._visit(directory.above_path + entry, directory.above_name + entry)
        if not isinstance(found, Unsent):
            directory.empty = False
        return found

    def _visit(self, path: str, name: str, *, named: bool = False) -> Item | Unsent | None:
        """Look at one path; a directory is gone into, and nothing is returned."""
        try:
            if name:
                parse_name(name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if self._links is not Links.FOLLOW:
                    return self._link(path, name)
                status = os.stat(path)  # noqa: PTH116 - for each of millions of files
            if stat.S_ISREG(status.st_mode):
                return Item(path, name, size=status.st_size)
            if stat.S_ISDIR(status.st_mode):
                return self._enter(path, name, (status.st_dev, status.st_ino))
        except (OSError, UnsafeNameError) as error:
            return Unsent(path, name, Result.FAILED, _explained(path, error))
        return _special(path, name, status.st_mode, named=named)

    def _link(self, path: str, name: str) -> Item | Unsent:
        if self._links is Links.KEEP:
            return Item(path, name, Kind.LINK, target=os.readlink(path))  # noqa: PTH115
        error = NotSentError(f"{path} is a symbolic link, and these are left out")
        return Unsent(path, name, Result.SKIPPED, error)

    def _enter(self, path: str, name: str, identity: tuple[int, int]) -> Unsent | None:
        if any(identity == above.identity for above in self._stack):
            error = NotSentError(f"{path} is a link that leads back to a directory it is in")
            return Unsent(path, name, Result.FAILED, error)
        self._stack.append(_Directory(path, name, identity))
        return None


def _special(path: str, name: str, mode: int, *, named: bool) -> Item | Unsent:
    kind = next((text for test, text in _SPECIAL if test(mode)), "of an unknown kind")
    if stat.S_ISSOCK(mode):
        result = Result.FAILED if named else Result.SKIPPED
        return Unsent(path, name, result, SpecialFileError(f"{path} is a socket; none can be sent"))
    if not named:
        error = SpecialFileError(f"{path} is {kind}; it is sent only if it is named itself")
        return Unsent(path, name, Result.SKIPPED, error)
    return Item(path, name, stream=True)


def _explained(path: str, error: OSError | UnsafeNameError) -> Exception:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114
        return NotSentError(f"{path} is a link that leads nowhere")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return NotSentError(f"{path} is a link that leads back to itself")
    return error


def _names_in_order(path: str, at_once: int = NAMES_AT_ONCE) -> Iterator[str]:
    """Yield the names in a directory, sorted, holding only so many of them at once."""
    after = ""
    while True:
        with os.scandir(path) as entries:
            rest = (entry.name for entry in entries if entry.name > after)
            names = heapq.nsmallest(at_once, rest)
        yield from names
        if len(names) < at_once:
            return
        after = names[-1]

"""Goes through what a mapping of a manifest names: never all of a tree in memory."""

import heapq
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from dxlfiletransferclient.constants import MAX_NAME_BYTES
from dxlfiletransferclient.control.constants import (
    SYMLINK_FOLLOW_DIRECTORIES,
    SYMLINK_FOLLOW_FILES,
)
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import FileTransferError, UnsafeNameError
from dxlfiletransferclient.storage.names import MAX_PART_BYTES, parse_name
from dxlfiletransferclient.storage.workplaces import is_working_directory
from dxlfiletransferservice.control.manifests.mappings import SEPARATOR, place_of
from dxlfiletransferservice.courier.seams import SourceGuard

NAMES_AT_ONCE: Final = 100_000
"""Names of one directory that are sorted in memory at once, about 10 MB.

A larger directory is read again for every further 100,000, to be listed in order all the same.
"""

NAMES_IN_ALL: Final = 200_000
"""Names that a walk holds at most, of all directories that it is in: about 20 MB. Those it is not
in at the moment are then read again when it comes back."""

_SHOWN: Final = 200
"""Characters of a path that an error message shows: its end tells more than its beginning."""

_DRIVE: Final = 3
"""Characters at the beginning of a name that tell a drive of Windows, for which names are looked at
more closely."""

_ON_WINDOWS: Final = os.name == "nt"


class TraversalError(FileTransferError):
    """Something cannot be listed, so that the manifest fails; the text is for its owner."""


class StoppedError(Exception):
    """The walk was told to stop."""


class Entry(NamedTuple):
    """A file or empty directory, as it goes into a manifest.

    Attributes:
        place: Its destination, by which entries are put in order; see ``mappings.place_of``.
        mapping: Number of its mapping.
        parent: Directory at the destination, ``/`` between its parts; empty for the top.
        name: Its name there.
        size: Its bytes.
        directory: Whether it is an empty directory.
        executable: Whether its owner may execute it.
        modified_us: When it was modified, in microseconds since 1970; ``None`` if unknown.
    """

    place: str
    mapping: int
    parent: str
    name: str
    size: int
    directory: bool
    executable: bool
    modified_us: int | None


class Root(NamedTuple):
    """Where a walk begins.

    Attributes:
        mapping: Number of the mapping.
        path: The path on this machine.
        shown: What the caller calls it.
        dest: Its destination; empty for the top.
    """

    mapping: int
    path: str
    shown: str
    dest: str


class _Level:
    """A directory that is being gone through."""

    __slots__ = ("dest", "empty", "identity", "last", "names", "path", "place", "taken", "whole")

    def __init__(self, path: str, dest: str, identity: tuple[int, int]) -> None:
        self.path = path
        self.dest = dest
        self.place = place_of(dest) + SEPARATOR if dest else ""
        self.identity = identity
        self.empty = True
        self.names: list[str] = []
        self.last = ""
        self.whole = False
        self.taken = ""

    def read(self, at_once: int) -> None:
        """Read the names that come next, and keep them with the first of them at the end."""
        after = self.last
        with os.scandir(self.path) as entries:
            rest = (entry.name for entry in entries if entry.name > after)
            names = list(islice(rest, at_once))
            beyond = next(rest, None)
            if beyond is None:
                names.sort()
            else:
                names = heapq.nsmallest(at_once, chain(names, (beyond,), rest))
        self.whole = beyond is None
        self.last = names[-1] if names else after
        names.reverse()
        self.names = names

    def drop(self) -> None:
        """Forget the names, to read them again when it goes on behind what was taken last."""
        if self.names:
            self.names = []
            self.last = self.taken
            self.whole = False


class Walk:
    """Goes through a tree in the order of places, depth first.

    Links are followed or left out; sockets, pipes and devices are left out, and so are the working
    directories of stores; what vanishes while it is gone through is left out, unless it is the
    root. A directory counts as empty if there is nothing in it that can be sent.

    Args:
        root: Where to begin.
        symlinks: ``SYMLINK_…``: which links are followed. The root always is.
        guard: Says what may be read; asked about every directory, and all that links lead to.
        stopped: Whether to stop; asked about as often as a directory is entered.
        at_once: Names of a directory that are sorted at once.
        in_all: Names that are held at most.
    """

    def __init__(
        self,
        root: Root,
        symlinks: int,
        guard: SourceGuard,
        stopped: Callable[[], bool] = lambda: False,
        *,
        at_once: int = NAMES_AT_ONCE,
        in_all: int = NAMES_IN_ALL,
    ) -> None:
        self._root = root
        self._files = bool(symlinks & SYMLINK_FOLLOW_FILES)
        self._directories = bool(symlinks & SYMLINK_FOLLOW_DIRECTORIES)
        self._guard = guard
        self._stopped = stopped
        self._at_once = at_once
        self._in_all = in_all
        self._base = root.path.rstrip("/")
        self._levels: list[_Level] = []

    def entries(self) -> Iterator[Entry]:
        """Yield what there is.

        Raises:
            TraversalError: Something cannot be looked at, or must not be read, or has a name that
                no destination could have.
            StoppedError: It was told to stop.
        """
        root = self._root
        status = self._root_status()
        if not stat.S_ISDIR(status.st_mode):
            self._check_name(root.path, root.dest)
            yield _file(root, root.dest.rpartition("/")[0], root.dest, status)
            return
        self._enter(root.path, root.dest, status)
        while self._levels:
            yield from self._rest(self._levels[-1])
        after = self._root_status()
        if (after.st_dev, after.st_ino) != (status.st_dev, status.st_ino):
            raise self._error(root.path, "was replaced while its files were being listed")

    def _rest(self, level: _Level) -> Iterator[Entry]:
        """Yield from a directory until a directory in it is entered, or it ends."""
        root, parent, place = self._root, level.dest, level.place
        path_start, dest_start = f"{level.path}/", f"{parent}/" if parent else ""
        # Ordinary names are not looked at closely one by one: there may be millions of them.
        plain = len(dest_start) > _DRIVE and not _ON_WINDOWS
        room = min(MAX_PART_BYTES, MAX_NAME_BYTES - len(dest_start.encode())) if plain else 0
        while level.names or self._read_more(level):
            name = level.names.pop()
            path = path_start + name
            status = self._status(path)
            if status is None or (stat.S_ISDIR(status.st_mode) and is_working_directory(path)):
                continue
            if len(name) > room or not name.isascii():
                self._check_name(path, dest_start + name)
            level.empty = False
            if stat.S_ISDIR(status.st_mode):
                level.taken = name
                self._enter(path, dest_start + name, status)
                return
            yield Entry(
                place + name,
                root.mapping,
                parent,
                name,
                status.st_size,
                directory=False,
                executable=status.st_mode & stat.S_IXUSR != 0,
                modified_us=status.st_mtime_ns // 1000,
            )
        self._levels.pop()
        if level.empty and level.dest:
            parent, _, name = level.dest.rpartition("/")
            yield Entry(
                place[:-1],
                root.mapping,
                parent,
                name,
                size=0,
                directory=True,
                executable=False,
                modified_us=None,
            )

    def _read_more(self, level: _Level) -> bool:
        """Read further names of a directory; returns whether there are any."""
        if level.whole:
            return False
        try:
            level.read(self._at_once)
        except FileNotFoundError:
            level.whole, level.empty = True, False
        except OSError as error:
            raise self._error(level.path, f"cannot be read: {_reason(error)}") from error
        held = sum(len(each.names) for each in self._levels)
        for each in self._levels[:-1]:
            if held <= self._in_all:
                break
            held -= len(each.names)
            each.drop()
        return bool(level.names)

    def _enter(self, path: str, dest: str, status: os.stat_result) -> None:
        if self._stopped():
            raise StoppedError
        identity = (status.st_dev, status.st_ino)
        if any(each.identity == identity for each in self._levels):
            raise self._error(
                path,
                "is a link that leads back to a directory it is in; leave it out by "
                "symlinkOptions, or remove it",
            )
        self._check_allowed(path)
        self._levels.append(_Level(path, dest, identity))

    def _status(self, path: str) -> os.stat_result | None:
        """Look at something in a directory; ``None`` for what is left out."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(path, f"cannot be looked at: {_reason(error)}") from error
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            return status
        return self._linked(path) if stat.S_ISLNK(status.st_mode) else None

    def _linked(self, path: str) -> os.stat_result | None:
        """Look at what a link leads to; ``None`` if it is not followed."""
        if not (self._files or self._directories):
            return None
        try:
            status = os.stat(path)  # noqa: PTH116 - there may be many
        except OSError as error:
            reason = "leads nowhere" if isinstance(error, FileNotFoundError) else _reason(error)
            raise self._error(
                path,
                f"is a link that cannot be followed ({reason}); leave links out by "
                "symlinkOptions, or remove it",
            ) from error
        if stat.S_ISREG(status.st_mode):
            if self._files:
                self._check_allowed(path)
                return status
        elif stat.S_ISDIR(status.st_mode) and self._directories:
            return status
        return None

    def _root_status(self) -> os.stat_result:
        path = self._root.path
        self._check_allowed(path)
        try:
            status = os.stat(path)  # noqa: PTH116 - as everywhere here
        except FileNotFoundError as error:
            raise self._error(path, "does not exist any more") from error
        except OSError as error:
            raise self._error(path, f"cannot be looked at: {_reason(error)}") from error
        if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
            raise self._error(path, "is neither a file nor a directory")
        return status

    def _check_allowed(self, path: str) -> None:
        try:
            self._guard.check(path)
        except CommandError as error:
            raise self._error(path, "is not among what may be sent from this server") from error

    def _check_name(self, path: str, dest: str) -> None:
        try:
            parse_name(dest)
        except UnsafeNameError as error:
            text = f"cannot be sent: its name at the destination {error.reason}; rename it"
            raise self._error(path, text) from error

    def _error(self, path: str, text: str) -> TraversalError:
        """Return an error about a path, which is named as the caller would name it."""
        shown = self._root.shown
        if path != self._root.path:
            shown = f"{shown.rstrip('/')}{path[len(self._base) :]}"
        return TraversalError(f"{shown_path(shown)} {text}")


def shown_path(path: str) -> str:
    """Return a path as messages show it: in quotes, and only the end of a long one.

    Example:
        >>> shown_path("/srv/data/may.csv")
        "'/srv/data/may.csv'"
    """
    return repr(path) if len(path) <= _SHOWN else f"...{path[-_SHOWN:]!r}"


def _file(root: Root, parent: str, dest: str, status: os.stat_result) -> Entry:
    return Entry(
        place=place_of(dest),
        mapping=root.mapping,
        parent=parent,
        name=dest.rpartition("/")[2],
        size=status.st_size,
        directory=False,
        executable=bool(status.st_mode & stat.S_IXUSR),
        modified_us=status.st_mtime_ns // 1000,
    )


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()

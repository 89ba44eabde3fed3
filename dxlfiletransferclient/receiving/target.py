"""The directory of this machine below which received files appear, and the ways that lead there.

Names come from a service, which is not trusted: they are plain parts when they get here, and each
directory on the way is opened from the one before, so no link leads out.
"""

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.receiving.errors import TargetError, local_errors
from dxlfiletransferclient.receiving.part import Place, is_reserved, link_name
from dxlfiletransferclient.storage.attributes import runnable_bits
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.names import Parts

OPEN_DIRECTORIES: Final = 16
"""Directories that are kept open, a descriptor each.

Files come directory by directory, so a few suffice to open nearly none twice.
"""


class Target:
    """A directory that files are received into. Not for several threads at once.

    Args:
        root: The directory; made when it is first needed. Links on the way to it are the caller's
            and are followed.
        on_made: Is called with each directory in which another one was made, so that somebody
            flushes it before any file below it counts as stored.

    Attributes:
        root: The same.
    """

    def __init__(self, root: Path, on_made: Callable[[Directory], object]) -> None:
        self.root = root
        self._on_made = on_made
        # What falls out of here closes itself when nobody uses it any more.
        self._open: OrderedDict[Parts, Directory] = OrderedDict()
        self._runnable: int | None = None

    def path_of(self, parts: Parts) -> Path:
        """Return the path of a name, for messages and reports."""
        return self.root.joinpath(*parts)

    def place(self, parts: Parts) -> Place:
        """Return where a file is to appear, and make the directories that lead there.

        Args:
            parts: Plain parts (from ``names.parse_name``), one at least.

        Raises:
            UnsafeNameError: If a link or a file is on the way, or the name is one of those of files
                under way.
            TargetError: If a directory cannot be made or opened.
        """
        if is_reserved(parts[-1]):
            raise UnsafeNameError("/".join(parts), "is kept for files that are being received")
        return Place(self.parent_of(parts), parts[-1], self.path_of(parts))

    def parent_of(self, parts: Parts) -> Directory:
        """Return the directory that something is in; it is made if it is not there any more.

        Raises:
            UnsafeNameError: If a link or a file is on the way.
            TargetError: If it cannot be made or opened.
        """
        return self._opened(parts[:-1], make=True)

    def found(self, parts: Parts) -> os.stat_result | None:
        """Return what is there under a name, ``None`` for nothing; makes nothing.

        Raises:
            UnsafeNameError: If a link or a file is on the way.
            TargetError: If it cannot be looked at.
        """
        with local_errors("look at", self.path_of(parts)):
            try:
                return self._opened(parts[:-1], make=False).lstat(parts[-1])
            except FileNotFoundError:
                return None

    def open_existing(self, parts: Parts) -> int:
        """Open an older file for reading, and return its descriptor.

        Raises:
            UnsafeNameError: If a link or a file is on the way.
            TargetError: If it cannot be opened.
        """
        with local_errors("read", self.path_of(parts)):
            return self._opened(parts[:-1], make=False).open_to_read(parts[-1])

    def make_directory(self, parts: Parts) -> bool:
        """Make a directory, and those that lead there.

        Returns:
            Whether it was not there before.

        Raises:
            UnsafeNameError: If a link or a file has its name or is on the way.
            TargetError: If it cannot be made.
        """
        existed = self.found(parts) is not None if parts else self.root.is_dir()
        self._opened(parts, make=True)
        return not existed

    def runnable(self, place: Place) -> int:
        """Return the executable bits that new files may have; found out once, at any place.

        Raises:
            TargetError: If that cannot be found out.
        """
        if self._runnable is None:
            with local_errors("write", place.path):
                probe = link_name(secrets.token_hex(16))
                self._runnable = runnable_bits(place.parent, probe)
        return self._runnable

    def close(self) -> None:
        """Let go of all directories; nobody may use them any more."""
        for directory in self._open.values():
            directory.close()
        self._open.clear()

    def _opened(self, parts: Parts, *, make: bool) -> Directory:
        """Open a directory; ``FileNotFoundError`` if it is not there and not to be made."""
        known = len(parts)
        while known and parts[:known] not in self._open:
            known -= 1
        if () not in self._open:
            self._keep((), self._opened_root(make=make))
            known = 0
        found = self._open[parts[:known]]
        for depth in range(known + 1, len(parts) + 1):
            found = self._child(found, parts[:depth], make=make)
            self._keep(parts[:depth], found)
        self._open.move_to_end(parts)
        return found

    def _keep(self, parts: Parts, directory: Directory) -> None:
        self._open[parts] = directory
        if len(self._open) > OPEN_DIRECTORIES:
            oldest = next(each for each in self._open if each)
            del self._open[oldest]

    def _opened_root(self, *, make: bool) -> Directory:
        if make:
            with local_errors("make the directory", self.root):
                self._make_root()
        try:
            return open_directory(self.root)
        except FileNotFoundError:
            raise
        except OSError as error:
            text = f"cannot open the directory {self.root}: {error.strerror}"
            raise TargetError(error.errno or 0, text) from error

    def _make_root(self) -> None:
        missing = [each for each in (self.root, *self.root.parents) if not each.exists()]
        self.root.mkdir(parents=True, exist_ok=True)
        for made in missing:
            self._on_made(open_directory(made.parent))

    def _child(self, parent: Directory, parts: Parts, *, make: bool) -> Directory:
        path = self.path_of(parts)
        try:
            return self._child_if_allowed(parent, parts[-1], make=make)
        except NotADirectoryError as error:
            reason = f"leads through {path}, which is a link or a file and not a directory"
            raise UnsafeNameError("/".join(parts), reason) from error
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not make:
                raise
            text = f"cannot make or open the directory {path}: {error.strerror}"
            raise TargetError(error.errno or 0, text) from error

    def _child_if_allowed(self, parent: Directory, name: str, *, make: bool) -> Directory:
        try:
            return parent.child(name)
        except FileNotFoundError:
            if not make:
                raise
        try:
            parent.make(name)
        except FileExistsError:
            # Somebody else made it first; what it is shows when it is opened.
            return parent.child(name)
        self._on_made(parent)
        return parent.child(name)

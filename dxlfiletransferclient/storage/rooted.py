"""Reaches what lies below one root, whatever that is.

The parts of a name are followed one by one from the root, so neither ``..`` nor a symbolic link,
there before or put there meanwhile, leads elsewhere.
"""

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage.directory import Directory, Identity, is_link, open_directory
from dxlfiletransferclient.storage.flushing import ALL_AT_ONCE, Flusher
from dxlfiletransferclient.storage.names import Parts

MAX_OPEN: Final = 64
"""Directories that one request holds open: each costs one of the process's descriptors.

Files of one request lie in few directories mostly; with more, some are opened again.
"""


class ObstructedError(UnsafeNameError):
    """Something that is no directory, or may not be entered, is on the way to a name.

    Args:
        name: The name.
        reason: What is wrong with it, as the end of a sentence that begins with the name.
        reserved: Whether it is a reserved directory, and not just a file or link.
    """

    def __init__(self, name: object, reason: str, *, reserved: bool = False) -> None:
        super().__init__(name, reason)
        self.reserved = reserved


class ReservedDirectoryError(Exception):
    """A directory into which no name may lead."""


class RootedDirectory:
    """A directory below which things are reached by parts, and nothing else is reached.

    Args:
        path: The root. Links in this path are the operator's and are followed.
        reserved: Identities of directories into which no name may lead, however they are reached:
            a file system that ignores case has more names for a directory than one.
    """

    def __init__(self, path: Path, *, reserved: Collection[Identity] = ()) -> None:
        self._path = path
        self._reserved = frozenset(reserved)
        self._making = threading.Lock()
        self._unsettled: set[Identity] = set()

    def visit(self) -> "OpenDirectories":
        """Return the directories below the root, to be opened as they are needed."""
        return OpenDirectories(self)

    def opened(self) -> Directory:
        """Open the root itself.

        Raises:
            OSError: If it is not there any more.
        """
        try:
            return open_directory(self._path)
        except FileNotFoundError as error:
            # Nothing that is looked for below it is to be told as merely absent.
            raise OSError(errno.EIO, "the storage directory is not there any more") from error

    def is_reserved(self, identity: Identity) -> bool:
        """Whether no name may lead into a directory."""
        return identity in self._reserved

    def child(self, parent: Directory, name: str) -> Directory:
        """Open a directory in another one.

        Raises:
            FileNotFoundError: If it is not there.
            NotADirectoryError: If it is a link or a file.
            ReservedDirectoryError: If it is reserved.
        """
        child = parent.child(name)
        if self.is_reserved(child.identity):
            child.close()
            raise ReservedDirectoryError
        return child

    def child_made(self, parent: Directory, name: str) -> tuple[Directory, bool]:
        """Open a directory in another one and make it if it is missing.

        Returns:
            The directory, and whether its name may not have been flushed yet: somebody has made it
            just now and is about to flush it, so whoever answers for what he puts there flushes it
            too, and says so to :meth:`settled`.

        Raises:
            NotADirectoryError: If it is a link or a file.
            ReservedDirectoryError: If it is reserved.
        """
        # Made and noted in one step for all who come by; nothing is flushed meanwhile.
        with self._making:
            try:
                child = self.child(parent, name)
            except FileNotFoundError:
                # Another process may make it first; whether it is a directory shows below.
                with suppress(FileExistsError):
                    parent.make(name)
                child = self.child(parent, name)
                self._unsettled.add(child.identity)
            return child, child.identity in self._unsettled

    def settled(self, identities: Collection[Identity]) -> None:
        """Note that the names of directories have been flushed."""
        with self._making:
            self._unsettled.difference_update(identities)


class OpenDirectories:
    """Directories below a root, kept open while one request uses them. Not for several threads.

    Args:
        root: The root.
    """

    def __init__(self, root: RootedDirectory) -> None:
        self._root = root
        self._open: OrderedDict[Parts, Directory] = OrderedDict()
        self._touched: dict[Parts, set[Identity]] = {}

    def open(self, parts: Parts, *, make: bool = False) -> Directory:
        """Open a directory; use it before the next one is opened, which may close it.

        Args:
            parts: Its name; none for the root.
            make: Whether to make what is missing of it; :meth:`settle` flushes it.

        Raises:
            ObstructedError: If a link, a file or a reserved directory is on the way.
            FileNotFoundError: If it is missing, and is not to be made.
            OSError: If it cannot be opened or made.
        """
        found = self._open.get(parts)
        if found is not None:
            self._open.move_to_end(parts)
            return found
        depth = len(parts)
        while depth and parts[:depth] not in self._open:
            depth -= 1
        if depth == 0 and () not in self._open:
            self._keep((), self._root.opened())
        current = self._open[parts[:depth]]
        self._open.move_to_end(parts[:depth])
        for reached in range(depth + 1, len(parts) + 1):
            current = self._keep(parts[:reached], self._step(current, parts, reached, make=make))
        return current

    def touched(self, parts: Parts) -> None:
        """Note that names in a directory have changed, for :meth:`settle`."""
        if parts not in self._touched:
            self._touched[parts] = set()

    def removed(self, parts: Parts) -> None:
        """Note that a directory was removed, which changed the one it was in."""
        gone = self._open.pop(parts, None)
        if gone is not None:
            gone.close()
        self._touched.pop(parts, None)
        self.touched(parts[:-1])

    def settle(self, flusher: Flusher | None = None) -> None:
        """Wait until all names that were changed are safe.

        Args:
            flusher: Opened before the first change; flushes many directories at once.

        Raises:
            OSError: If a name could not be written.
        """
        many = flusher is not None and len(self._touched) >= ALL_AT_ONCE
        if not (many and flusher is not None and flusher.everything()):
            for parts in self._touched:
                self._sync(parts)
        made = set[Identity]().union(*self._touched.values())
        self._touched.clear()
        if made:
            self._root.settled(made)

    def forget(self) -> None:
        """Let go of everything that is open, because something was moved or removed."""
        while self._open:
            self._open.popitem()[1].close()

    def close(self) -> None:
        """Let go of everything that is open; may be repeated."""
        self.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _keep(self, parts: Parts, directory: Directory) -> Directory:
        self._open[parts] = directory
        if len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)[1].close()
        return directory

    def _step(self, parent: Directory, parts: Parts, depth: int, *, make: bool) -> Directory:
        name = parts[depth - 1]
        try:
            if not make:
                return self._root.child(parent, name)
            child, unsettled = self._root.child_made(parent, name)
        except NotADirectoryError as error:
            raise self._obstructed(parent, parts, depth) from error
        except ReservedDirectoryError as error:
            reason = "leads into the reserved working directory"
            raise ObstructedError("/".join(parts), reason, reserved=True) from error
        if unsettled:
            self._touched.setdefault(parts[: depth - 1], set()).add(child.identity)
        return child

    @staticmethod
    def _obstructed(parent: Directory, parts: Parts, depth: int) -> ObstructedError:
        status = status_of(parent, parts[depth - 1])
        by_file = status is not None and not is_link(status)
        way = "/".join(parts[:depth])
        reason = f"leads through {way!r}, which is a {'file' if by_file else 'link'}"
        return ObstructedError("/".join(parts), reason + " and not a directory")

    def _sync(self, parts: Parts) -> None:
        try:
            self.open(parts).sync()
        except FileNotFoundError:
            # Somebody has removed it with all that was put there.
            return


def status_of(directory: Directory, name: str) -> os.stat_result | None:
    """Return what a name stands for, without following a link; ``None`` if for nothing."""
    try:
        return directory.lstat(name)
    except FileNotFoundError:
        return None


def move(source: Directory, source_name: str, target: Directory, name: str) -> None:
    """Move a file to a directory below a root, over whatever file or link has the name.

    Raises:
        OSError: If it cannot be moved; says so where the reason is another file system.
    """
    try:
        source.move(source_name, target, name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        reason = "its directory is on another file system than the working directory"
        raise OSError(errno.EXDEV, reason) from error

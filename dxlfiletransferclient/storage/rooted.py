"""Publishes finished files below one root, whatever lies there.

The parts of a name are followed one by one from the root, so neither ``..`` nor a symbolic link,
there before or put there meanwhile, leads a file elsewhere.
"""

import errno
import os
import stat
import threading
from collections.abc import Collection
from pathlib import Path

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage.directory import Directory, Identity, open_directory
from dxlfiletransferclient.storage.names import Parts


class RootedDirectory:
    """A directory below which files appear whole, durably, and nowhere else.

    Args:
        path: The root. Links in this path are the operator's and are followed.
        reserved: Identities of directories into which no name may lead, however they are reached:
            a file system that ignores case has more names for a directory than one.
    """

    def __init__(self, path: Path, *, reserved: Collection[Identity] = ()) -> None:
        self._path = path
        self._reserved = frozenset(reserved)
        self._making = threading.Lock()

    def publish(self, source: Directory, source_name: str, parts: Parts) -> None:
        """Move a finished file to its name below the root.

        Its bytes are flushed before the name shows them, and the name is flushed before this
        returns. Until then an older file of that name stays; a link is replaced, not followed.
        Missing directories on the way are made.

        Args:
            source: Directory that the file is in, on the same file system as the root.
            source_name: Name of the file there.
            parts: Parsed name below the root (from ``names.parse_name``).

        Raises:
            UnsafeNameError: If a link, a file or a reserved directory is on the way, or a directory
                already has the name.
            OSError: If the file cannot be flushed or moved; the older file is still there then,
                unless only the last flush failed.
        """
        _sync_file(source, source_name)
        with self._open_parent(parts) as parent:
            self._check_target(parent, parts)
            try:
                source.move(source_name, parent, parts[-1])
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                reason = "its directory is on another file system than the working directory"
                raise OSError(errno.EXDEV, reason) from error
            parent.sync()

    def _open_parent(self, parts: Parts) -> Directory:
        """Open the directory that the last part is in, making what is missing on the way."""
        current = open_directory(self._path)
        # One thread at a time: a directory that another one just made is found here only after
        # its name was flushed, so a file in it never outlives it in a power failure.
        with self._making:
            for depth in range(1, len(parts)):
                with current as parent:
                    current = self._step(parent, parts, depth)
        return current

    def _step(self, parent: Directory, parts: Parts, depth: int) -> Directory:
        name = parts[depth - 1]
        try:
            child = _child_made_if_missing(parent, name)
        except NotADirectoryError as error:
            way = "/".join(parts[:depth])
            reason = f"leads through {way!r}, which is a link or a file and not a directory"
            raise UnsafeNameError("/".join(parts), reason) from error
        if child.identity in self._reserved:
            child.close()
            raise UnsafeNameError("/".join(parts), "leads into the reserved working directory")
        return child

    @staticmethod
    def _check_target(parent: Directory, parts: Parts) -> None:
        try:
            status = parent.lstat(parts[-1])
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            raise UnsafeNameError("/".join(parts), "is the name of an existing directory")


def _child_made_if_missing(parent: Directory, name: str) -> Directory:
    try:
        return parent.child(name)
    except FileNotFoundError:
        try:
            parent.make(name)
        except FileExistsError:
            # Another process made it first; whether it is a directory shows when it is opened.
            return parent.child(name)
        parent.sync()
        return parent.child(name)


def _sync_file(directory: Directory, name: str) -> None:
    descriptor = directory.open_file(name, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

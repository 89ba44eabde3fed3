"""Removes what is stored, large directories in steps."""

import errno
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.messages import RemoveAnswer
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.flushing import FileSystem, Flusher
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.overwriting import NameLocks
from dxlfiletransferclient.storage.quotas import Quota
from dxlfiletransferclient.storage.rooted import OpenDirectories, RootedDirectory

REMOVED_AT_ONCE: Final = 1000
"""Files, links and directories that one request removes at most.

Even a busy disk removes as many in a few seconds, before the client asks again on its own. Each
request reads the names of the directory anew, so fewer at once would cost more.
"""

_NOT_EMPTY: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})


@dataclass(slots=True)
class _Level:
    """A directory that is being emptied: its name, and the names in it that are still there."""

    parts: Parts
    names: Iterator[str]


class Remover:
    """Removes files, links and directories below a root; safe for several threads.

    Args:
        root: The root.
        working: A directory on the same file system.
        reserved: Directories, as parts, that stay.
        quota: Is told of the files that are gone.
        file_system: What is known of the file system.
        locks: Those of whoever gives names: what goes away is counted once.
        step: Things that one request removes at most.
    """

    def __init__(
        self,
        root: RootedDirectory,
        working: Directory,
        reserved: tuple[Parts, ...],
        *,
        quota: Quota,
        file_system: FileSystem,
        locks: NameLocks,
        step: int = REMOVED_AT_ONCE,
    ) -> None:
        self._root = root
        self._working = working
        self._reserved = reserved
        self._quota = quota
        self._file_system = file_system
        self._locks = locks
        self._step = step

    def remove(self, parts: Parts, *, recursive: bool) -> RemoveAnswer:
        """Remove one thing, or a part of all that is in a directory. The names are flushed.

        Args:
            parts: Its name.
            recursive: Whether a directory may have something in it.

        Raises:
            RefusedError: ``NOT_EMPTY``.
            UnsafeNameError: If the working directory is in it, or something is in the way to it.
            FileNotFoundError: If it is not there.
            OSError: If it cannot be removed; something of a directory may be gone then.
        """
        if any(each[: len(parts)] == parts for each in self._reserved):
            raise UnsafeNameError("/".join(parts), "has the working directory in it, and stays")
        with (
            Flusher(self._working, self._file_system) as flusher,
            self._root.visit() as directories,
        ):
            try:
                if stat.S_ISDIR(directories.open(parts[:-1]).lstat(parts[-1]).st_mode):
                    return self._remove_directory(directories, parts, recursive=recursive)
                self._remove_file(directories, parts)
                return RemoveAnswer(removed=1)
            finally:
                directories.settle(flusher)

    def _remove_directory(
        self, directories: OpenDirectories, top: Parts, *, recursive: bool
    ) -> RemoveAnswer:
        removed = 0
        levels = [_level(directories, top)] if recursive else [_Level(top, iter(()))]
        while levels:
            if removed >= self._step:
                return RemoveAnswer(removed=removed, more=True)
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                if not _remove_empty(directories, level.parts):
                    return _not_empty(level.parts, removed, recursive=recursive)
                levels.pop()
                removed += 1
                continue
            # Another request may remove the same things at the same time.
            with suppress(FileNotFoundError):
                parts = (*level.parts, name)
                if stat.S_ISDIR(directories.open(level.parts).lstat(name).st_mode):
                    levels.append(_level(directories, parts))
                else:
                    self._remove_file(directories, parts)
                    removed += 1
        return RemoveAnswer(removed=removed)

    def _remove_file(self, directories: OpenDirectories, parts: Parts) -> None:
        parent = directories.open(parts[:-1])
        with self._locks.held(parts):
            status = parent.lstat(parts[-1])
            parent.unlink(parts[-1])
        directories.touched(parts[:-1])
        if stat.S_ISREG(status.st_mode):
            self._quota.shrunk(status.st_size)


def _level(directories: OpenDirectories, parts: Parts) -> _Level:
    return _Level(parts, iter(directories.open(parts).names()))


def _remove_empty(directories: OpenDirectories, parts: Parts) -> bool:
    """Remove a directory, unless it is gone; ``False`` if there is something in it."""
    try:
        directories.open(parts[:-1]).rmdir(parts[-1])
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            return False
        raise
    directories.removed(parts)
    return True


def _not_empty(parts: Parts, removed: int, *, recursive: bool) -> RemoveAnswer:
    # Where something was put in meanwhile, it is looked for with the next request.
    if removed:
        return RemoveAnswer(removed=removed, more=True)
    advice = "others are storing files in it" if recursive else "remove it recursively"
    text = f"the directory {brief('/'.join(parts))} is not empty: {advice}"
    raise RefusedError(ErrorCode.NOT_EMPTY, text)

"""One directory held open: the only place that touches names on disk.

A name here is one plain part, never a path, and a symbolic link is never followed. Where the
platform lets files be opened relative to an open directory, a directory that is moved or exchanged
for a link while it is used leads nowhere else.
"""

import errno
import os
import stat
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Final, Self

FILE_MODE: Final = 0o666
"""Permissions of new files, before the process's umask takes its share."""

PROGRAM_MODE: Final = 0o777
"""Permissions of new files that may be run, before the process's umask takes its share."""

DIRECTORY_MODE: Final = 0o777
"""Permissions of new directories, before the process's umask takes its share."""

_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

_HAS_DESCRIPTORS: Final = (
    bool(_NO_FOLLOW)
    and hasattr(os, "O_DIRECTORY")
    and {os.open, os.mkdir, os.link, os.rename, os.rmdir, os.stat} <= os.supports_dir_fd
    and {os.symlink, os.readlink, os.unlink, os.utime} <= os.supports_dir_fd
    and {os.listdir, os.utime} <= os.supports_fd
    and {os.link, os.utime} <= os.supports_follow_symlinks
)

Identity = tuple[int, int]


class Directory(ABC):
    """A directory, held open until it is closed; also a context manager."""

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Device and inode, which tell whether two directories are the same one."""

    @abstractmethod
    def child(self, name: str) -> "Directory":
        """Open a directory in this one.

        Raises:
            NotADirectoryError: If it is a symbolic link or no directory.
            FileNotFoundError: If it does not exist.
        """

    @abstractmethod
    def make(self, name: str) -> None:
        """Make a directory in this one; ``FileExistsError`` if the name is taken."""

    @abstractmethod
    def open_file(self, name: str, flags: int, mode: int = FILE_MODE) -> int:
        """Open a file with the flags of :func:`os.open` and return its descriptor.

        Args:
            name: Its name.
            flags: As for :func:`os.open`.
            mode: Permissions if it is made, before the process's umask takes its share.

        Raises:
            OSError: If it cannot be opened, or is a symbolic link.
        """

    def open_to_read(self, name: str) -> int:
        """Open a file to read it, without waiting for anything, and return its descriptor.

        A pipe or device would otherwise hold the reader up until somebody writes to it.

        Raises:
            OSError: If it cannot be opened, or is a symbolic link.
        """
        return self.open_file(name, os.O_RDONLY | _NO_WAIT)

    @abstractmethod
    def symlink(self, target: str, name: str) -> None:
        """Make a symbolic link that leads to ``target``, whatever that is."""

    @abstractmethod
    def readlink(self, name: str) -> str:
        """Return where a symbolic link leads to; ``OSError`` if it is none."""

    @abstractmethod
    def set_modified(self, name: str | None, modified_ns: int) -> None:
        """Set a modification time.

        Args:
            name: The file, directory or link (itself, not what it leads to); ``None`` for this
                directory.
            modified_ns: Nanoseconds since 1970.
        """

    @abstractmethod
    def lstat(self, name: str) -> os.stat_result:
        """Return what a name stands for, without following a link."""

    @abstractmethod
    def status(self) -> os.stat_result:
        """Return what ``stat`` says of the directory itself."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of everything in the directory."""

    @abstractmethod
    def unlink(self, name: str) -> None:
        """Remove a file or link."""

    @abstractmethod
    def rmdir(self, name: str) -> None:
        """Remove an empty directory."""

    @abstractmethod
    def move(self, name: str, target: "Directory", new_name: str) -> None:
        """Move a file to another directory in one step, over whatever file has the new name."""

    @abstractmethod
    def link(self, name: str, target: "Directory", new_name: str) -> None:
        """Give a file, or link itself, a second name in another directory.

        Raises:
            FileExistsError: If the name is taken.
            OSError: If the file system knows no such names, or it is not allowed.
        """

    @abstractmethod
    def sync(self) -> None:
        """Wait until the names in the directory are safe on the disk."""

    @abstractmethod
    def descriptor_of_its_own(self) -> int | None:
        """Open the directory once more and return a descriptor that the caller has to close.

        ``None`` where the platform has no descriptors for directories.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the directory; may be repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_directory(path: Path) -> Directory:
    """Open a directory by its path; links on the way to it are the operator's and are followed."""
    if _HAS_DESCRIPTORS:
        return _DescriptorDirectory(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    return _PathDirectory(path)


class _DescriptorDirectory(Directory):
    """A directory held by a file descriptor, which it owns from now on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._release = weakref.finalize(self, os.close, descriptor)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)

    @property
    def identity(self) -> Identity:
        return self._identity

    def child(self, name: str) -> Directory:
        flags = os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW
        try:
            return _DescriptorDirectory(os.open(name, flags, dir_fd=self.descriptor))
        except OSError as error:
            # Platforms differ in what they say to a link where a directory is asked for.
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise NotADirectoryError(errno.ENOTDIR, "is a symbolic link", name) from error
            raise

    def make(self, name: str) -> None:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=self.descriptor)

    def open_file(self, name: str, flags: int, mode: int = FILE_MODE) -> int:
        return os.open(name, flags | _NO_FOLLOW, mode, dir_fd=self.descriptor)

    def symlink(self, target: str, name: str) -> None:
        os.symlink(target, name, dir_fd=self.descriptor)

    def readlink(self, name: str) -> str:
        return os.readlink(name, dir_fd=self.descriptor)

    def set_modified(self, name: str | None, modified_ns: int) -> None:
        times = (modified_ns, modified_ns)
        if name is None:
            os.utime(self.descriptor, ns=times)
        else:
            os.utime(name, ns=times, dir_fd=self.descriptor, follow_symlinks=False)

    def lstat(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def status(self) -> os.stat_result:
        return os.fstat(self.descriptor)

    def names(self) -> list[str]:
        return os.listdir(self.descriptor)  # noqa: PTH208 - a path would not do

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self.descriptor)

    def rmdir(self, name: str) -> None:
        os.rmdir(name, dir_fd=self.descriptor)

    def move(self, name: str, target: Directory, new_name: str) -> None:
        if not isinstance(target, _DescriptorDirectory):
            msg = "files move between directories of one kind only"
            raise TypeError(msg)
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def link(self, name: str, target: Directory, new_name: str) -> None:
        if not isinstance(target, _DescriptorDirectory):
            msg = "files are linked between directories of one kind only"
            raise TypeError(msg)
        os.link(
            name,
            new_name,
            src_dir_fd=self.descriptor,
            dst_dir_fd=target.descriptor,
            follow_symlinks=False,
        )

    def sync(self) -> None:
        os.fsync(self.descriptor)

    def descriptor_of_its_own(self) -> int | None:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.descriptor)

    def close(self) -> None:
        self._release()


class _PathDirectory(Directory):
    """A directory known by its path only, where a platform (Windows) has nothing better.

    Links are looked for before each step, so one that is put in place between the look and the
    step is not noticed: nobody but the service may be able to write below the storage directory.
    Entries of directories cannot be flushed there; the file system's own journal has to do.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        self.path = path
        self._identity = (status.st_dev, status.st_ino)

    @property
    def identity(self) -> Identity:
        return self._identity

    def child(self, name: str) -> Directory:
        if is_link(self.lstat(name)):
            raise NotADirectoryError(errno.ENOTDIR, "is a symbolic link", name)
        return _PathDirectory(self.path / name)

    def make(self, name: str) -> None:
        (self.path / name).mkdir(DIRECTORY_MODE)

    def open_file(self, name: str, flags: int, mode: int = FILE_MODE) -> int:
        try:
            if is_link(self.lstat(name)):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
        return os.open(self.path / name, flags | _NO_FOLLOW | _BINARY, mode)

    def symlink(self, target: str, name: str) -> None:
        (self.path / name).symlink_to(target)

    def readlink(self, name: str) -> str:
        return str((self.path / name).readlink())

    def set_modified(self, name: str | None, modified_ns: int) -> None:
        times = (modified_ns, modified_ns)
        if name is None:
            os.utime(self.path, ns=times)
        elif not is_link(self.lstat(name)):
            os.utime(self.path / name, ns=times)

    def lstat(self, name: str) -> os.stat_result:
        return (self.path / name).lstat()

    def status(self) -> os.stat_result:
        return self.path.stat()

    def names(self) -> list[str]:
        return [entry.name for entry in self.path.iterdir()]

    def unlink(self, name: str) -> None:
        (self.path / name).unlink()

    def rmdir(self, name: str) -> None:
        (self.path / name).rmdir()

    def move(self, name: str, target: Directory, new_name: str) -> None:
        if not isinstance(target, _PathDirectory):
            msg = "files move between directories of one kind only"
            raise TypeError(msg)
        (self.path / name).replace(target.path / new_name)

    def link(self, name: str, target: Directory, new_name: str) -> None:
        if not isinstance(target, _PathDirectory):
            msg = "files are linked between directories of one kind only"
            raise TypeError(msg)
        (target.path / new_name).hardlink_to(self.path / name)

    def sync(self) -> None:
        """Do nothing: there is no way to flush a directory by its path alone."""

    def descriptor_of_its_own(self) -> int | None:
        return None

    def close(self) -> None:
        """Do nothing: nothing is held open."""


def is_link(status: os.stat_result) -> bool:
    """Whether it is a symbolic link, or one of Windows' junctions."""
    # Junctions on Windows are reparse points without being symbolic links.
    reparse = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & reparse)

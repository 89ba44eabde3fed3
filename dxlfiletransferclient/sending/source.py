"""Files, opened for sending; and what a job needs of anything that it sends."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from dxlfiletransferclient.errors import SourceChangedError

HASH_STEP: Final = 8 * 1024 * 1024
"""Bytes that are hashed in one go where they are not sent: five to twenty milliseconds, in which
nothing else of the same call happens."""

# Without the last flag, opening a pipe that took the place of a file would wait for its writer.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


Opener = Callable[[str], int]
"""Opens the file of a path to read it, and returns its descriptor."""


def open_to_read(path: str) -> int:
    """Open a file to read it, and return its descriptor.

    Raises:
        OSError: If it cannot be opened.
    """
    return os.open(path, _FLAGS)


class Content(Protocol):
    """What a job sends: bytes that can be read by their place, for some time at least."""

    @property
    def size(self) -> int | None:
        """Bytes in all; ``None`` while that is not known."""
        ...

    @property
    def full(self) -> bool:
        """Whether nothing more can be read before :meth:`release` has made room."""
        ...

    @property
    def pressed(self) -> bool:
        """Whether :meth:`release` is wanted, so that there will be room in time."""
        ...

    @property
    def available(self) -> int:
        """Up to where bytes can be read without waiting for more."""
        ...

    def restart(self) -> bool:
        """Prepare to read everything once more from the first byte; false if it is not there."""
        ...

    def extend(self, end: int) -> int:
        """Make more readable; may wait for it.

        Args:
            end: Up to where bytes are wanted.

        Returns:
            Up to where there are some: less than wanted only at the end of all.

        Raises:
            SourceChangedError: The source has not as many bytes as it is declared to have.
            OSError: It cannot be read.
        """
        ...

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes of a range that is readable.

        Raises:
            SourceChangedError: They are not there any more.
            OSError: They cannot be read.
        """
        ...

    def release(self, end: int) -> None:
        """Hear that nobody will ever ask again for what comes before an offset."""
        ...

    def hash_up_to(self, end: int) -> bool:
        """Go on with the SHA-256 where bytes are not read for sending, for some milliseconds.

        Returns:
            Whether everything up to ``end`` has been hashed.
        """
        ...

    def finish(self) -> str:
        """Return the SHA-256 of all, in hex, once all of it has been hashed.

        Raises:
            SourceChangedError: The source is not what it was in the beginning.
        """
        ...

    def close(self) -> None:
        """Let go of the source; may be called again."""
        ...


class FileSource:
    """A regular file, opened for sending.

    The bytes that it has when it is opened are what is sent; growing, too, is a change. Bytes are
    hashed as they are read in order, so that each is read once as a rule. Holes in sparse files are
    read, and sent, as the zeros that they stand for.

    Args:
        path: Path of the file.
        opener: Opens it.

    Raises:
        IsADirectoryError: If it is a directory.
        SourceChangedError: If it is no regular file (any more).
        OSError: If it cannot be opened.
    """

    def __init__(self, path: str, *, opener: Opener = open_to_read) -> None:
        self.path = path
        self._descriptor = opener(path)
        try:
            self._before = os.fstat(self._descriptor)
            _check_regular(path, self._before)
        except BaseException:
            self.close()
            raise
        self._sha256 = hashlib.sha256()
        self._hashed = 0

    @property
    def size(self) -> int:
        """Bytes that the file had when it was opened."""
        return self._before.st_size

    @property
    def modified_ns(self) -> int:
        """Modification time when it was opened, in nanoseconds since 1970."""
        return self._before.st_mtime_ns

    @property
    def executable(self) -> bool:
        """Whether its owner may execute it."""
        return bool(self._before.st_mode & stat.S_IXUSR)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: which file it is, whatever it is called."""
        return self._before.st_dev, self._before.st_ino

    @property
    def full(self) -> bool:
        """False: a file waits for nobody."""
        return False

    @property
    def pressed(self) -> bool:
        """False: a file takes no memory."""
        return False

    @property
    def available(self) -> int:
        """Up to where bytes can be read: all of them."""
        return self.size

    def restart(self) -> bool:
        """Forget the SHA-256 so far: the bytes may not be what they were."""
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        return True

    def extend(self, end: int) -> int:
        """Return up to where there are bytes; see :meth:`Content.extend`."""
        return min(end, self.size)

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes of a range, and hash them if they come next.

        Raises:
            SourceChangedError: The file ends before.
            OSError: It cannot be read.
        """
        data = self._read(start, end)
        if start <= self._hashed < end:
            self._sha256.update(memoryview(data)[self._hashed - start :])
            self._hashed = end
        return data

    def release(self, end: int) -> None:
        """Do nothing: a file takes no memory."""

    def hash_up_to(self, end: int) -> bool:
        """Hash what was not read for sending; see :meth:`Content.hash_up_to`."""
        if self._hashed < end:
            self.read(self._hashed, min(end, self._hashed + HASH_STEP))
        return self._hashed >= end

    def finish(self) -> str:
        """Return the SHA-256 of the whole file.

        Raises:
            SourceChangedError: The file was changed, replaced or removed since it was opened, or
                holds more bytes than it claims.
        """
        after = os.fstat(self._descriptor)
        check_unchanged(self.path, self._before, after)
        if os.pread(self._descriptor, 1, self.size):
            raise SourceChangedError(_more_than_claimed(self.path, self.size))
        try:
            now = os.stat(self.path)  # noqa: PTH116 - the path is a string throughout
        except OSError as error:
            msg = f"{self.path} was removed or moved while it was sent"
            raise SourceChangedError(msg) from error
        if not os.path.samestat(now, after):
            msg = f"{self.path} was replaced by another file while it was sent"
            raise SourceChangedError(msg)
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Close the file; may be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, start: int, end: int) -> bytes:
        data = os.pread(self._descriptor, end - start, start)
        if len(data) == end - start:
            return data
        # A single read returns at most 2 GiB, and less on some network file systems.
        pieces, position = [data], start + len(data)
        while position < end and data:
            data = os.pread(self._descriptor, end - position, position)
            pieces.append(data)
            position += len(data)
        if position < end:
            now = min(os.fstat(self._descriptor).st_size, position)
            raise SourceChangedError(_ended_early(self.path, now, self.size))
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file that was read whole.

    Attributes:
        content: Its bytes.
        modified_ns: Its modification time, in nanoseconds since 1970.
        executable: Whether its owner may execute it.
    """

    content: bytes
    modified_ns: int
    executable: bool


def read_small(path: str, most: int, *, opener: Opener = open_to_read) -> SmallFile | None:
    """Read a small file whole.

    Args:
        path: Its path.
        most: Bytes that it may have.
        opener: Opens it.

    Returns:
        The file; ``None`` if it has more bytes.

    Raises:
        SourceChangedError: If it changes meanwhile, or is no regular file.
        OSError: If it cannot be read.
    """
    descriptor = opener(path)
    try:
        before = os.fstat(descriptor)
        _check_regular(path, before)
        if before.st_size > most:
            return None
        content = _read_all(descriptor, before.st_size)
        check_unchanged(path, before, os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if len(content) > before.st_size:
        raise SourceChangedError(_more_than_claimed(path, before.st_size))
    if len(content) < before.st_size:
        raise SourceChangedError(_ended_early(path, len(content), before.st_size))
    return SmallFile(content, before.st_mtime_ns, bool(before.st_mode & stat.S_IXUSR))


def check_unchanged(path: str, before: os.stat_result, after: os.stat_result) -> None:
    """Compare what a file was with what it is.

    Raises:
        SourceChangedError: If size or modification time differ.
    """
    if after.st_size != before.st_size:
        msg = f"{path} had {before.st_size} bytes when sending began, and has {after.st_size} now"
        raise SourceChangedError(msg)
    if after.st_mtime_ns != before.st_mtime_ns:
        msg = f"{path} was written to while it was sent"
        raise SourceChangedError(msg)


def _check_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a directory cannot be sent as a file", path)
    if not stat.S_ISREG(status.st_mode):
        msg = f"{path} is no regular file any more"
        raise SourceChangedError(msg)


def _read_all(descriptor: int, size: int) -> bytes:
    """Read to the end of a file that is said to have so many bytes, or one byte more."""
    data = os.read(descriptor, size + 1)
    if len(data) == size and size:
        # Asked for a byte more, a file that has none has ended.
        return data
    pieces, count = [data], len(data)
    while data and count <= size:
        data = os.read(descriptor, size + 1 - count)
        pieces.append(data)
        count += len(data)
    return b"".join(pieces)


def _ended_early(path: str, position: int, size: int) -> str:
    return f"{path} ended after {position} bytes, before its size of {size} bytes"


def _more_than_claimed(path: str, size: int) -> str:
    # Files that the kernel makes up as they are read claim to be empty.
    return f"{path} holds more than the {size} bytes that it claims to have"

"""Reads what is stored."""

import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.messages import RetrieveAnswer, RetrieveRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.rooted import RootedDirectory
from dxlfiletransferclient.storage.versions import KnownDigests, version_of

logger = logging.getLogger(__name__)

READ_SIZE: Final = 2**20
"""Bytes read at a time to hash a file: the memory that it costs; more is no faster."""

TICK: Final = 0.02
"""Seconds within which two changes of a file may get the same time from the file system.

A file that was changed that lately is hashed a moment later, since a change that follows at once
would not show in its version. The clocks of file systems go in steps of 10 milliseconds or less.
"""

_READ_ATTEMPTS: Final = 3


class ContentReader:
    """Reads stored files and computes their SHA-256; safe for several threads.

    Args:
        root: What the files are below.
        digests: Learns the SHA-256 of what was read.
    """

    def __init__(self, root: RootedDirectory, digests: KnownDigests) -> None:
        self._root = root
        self._digests = digests
        self._closing = threading.Event()

    def retrieve(self, parts: Parts, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a file.

        Raises:
            RefusedError: ``WRONG_KIND`` if it is no file, ``CHANGED`` if it is not the version that
                was asked for, or changes all the time.
            ObstructedError: If something is in the way to it.
            FileNotFoundError: If it is not there.
            OSError: If it cannot be read.
        """
        for _ in range(_READ_ATTEMPTS):
            with self._opened(parts) as (descriptor, status):
                version = version_of(status)
                if request.version not in (None, version):
                    break
                payload = _read_at(descriptor, request.offset, request.length)
                expected = min(request.length, max(0, status.st_size - request.offset))
                after = os.fstat(descriptor)
                # Who wants parts of one version hears at once that there is another one now.
                alone = request.version is None
                unchanged = version_of(after) == version or (alone and _was_replaced(status, after))
            if unchanged and len(payload) == expected:
                whole = request.offset == 0 and expected == status.st_size
                return RetrieveAnswer(
                    offset=request.offset,
                    size=status.st_size,
                    version=version,
                    payload=payload,
                    sha256=hashlib.sha256(payload).hexdigest() if whole else None,
                )
        text = f"{brief('/'.join(parts))} was changed since it was first asked for"
        raise RefusedError(ErrorCode.CHANGED, text)

    def digest(self, parts: Parts, version: str) -> str | None:
        """Return the SHA-256 of a file, read now unless it is known.

        Args:
            parts: The file.
            version: The version that is meant.

        Returns:
            64 hex digits; ``None`` if the file is not, or no longer, that version.

        Raises:
            RefusedError: ``WRONG_KIND`` if it is no file, ``CLOSING`` if the reader is closed.
            ObstructedError: If something is in the way to it.
            FileNotFoundError: If it is not there.
            OSError: If it cannot be read.
        """
        known = self._digests.get(version)
        if known is not None:
            return known
        with self._opened(parts) as (descriptor, status):
            if version_of(status) != version:
                return None
            if changed_just_now(status, time.time()):
                self._closing.wait(TICK)
            digest = hashlib.sha256()
            for data in self._pieces(descriptor):
                digest.update(data)
            if version_of(os.fstat(descriptor)) != version:
                return None
        self._digests.remember(version, digest.hexdigest())
        return digest.hexdigest()

    def close(self) -> None:
        """End what is being read; may be repeated."""
        self._closing.set()

    @contextmanager
    def _opened(self, parts: Parts) -> Iterator[tuple[int, os.stat_result]]:
        with self._root.visit() as directories:
            parent = directories.open(parts[:-1])
            # Looked at before it is opened: opening a device may do something to it.
            _check_regular(parts, parent.lstat(parts[-1]))
            descriptor = parent.open_to_read(parts[-1])
            try:
                status = os.fstat(descriptor)
                _check_regular(parts, status)
                yield descriptor, status
            finally:
                os.close(descriptor)

    def _pieces(self, descriptor: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(READ_SIZE))
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            while length := file.readinto(buffer):
                if self._closing.is_set():
                    raise RefusedError(ErrorCode.CLOSING, "the store is being closed")
                yield buffer[:length]


def changed_just_now(status: os.stat_result, now: float) -> bool:
    """Whether a further change might get the same times as the last one.

    Args:
        status: What ``stat`` says of a file or directory.
        now: The time in seconds since 1970.
    """
    return any(abs(now - changed) < TICK for changed in (status.st_ctime, status.st_mtime))


def _check_regular(parts: Parts, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    name = brief("/".join(parts))
    if stat.S_ISDIR(status.st_mode):
        text = f"{name} is a directory and no file"
    elif stat.S_ISLNK(status.st_mode):
        text = f"{name} is a symbolic link and no file; ask for what it leads to by its own name"
    else:
        text = f"{name} is no regular file"
    raise RefusedError(ErrorCode.WRONG_KIND, text)


def _was_replaced(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether another file took the name of an open one, whose bytes are what they were."""
    unwritten = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return before.st_nlink > 0 and after.st_nlink == 0 and unwritten


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    data = _pread(descriptor, length, offset)
    # Mostly it is all, and nothing is copied.
    while 0 < len(data) < length:
        more = _pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _pread_by_seeking(descriptor: int, length: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


_pread: Final[Callable[[int, int, int], bytes]] = getattr(os, "pread", _pread_by_seeking)

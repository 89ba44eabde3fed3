"""Reads files of this machine for those who download them."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.messages import RetrieveAnswer, RetrieveRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.contents import ContentReader
from dxlfiletransferclient.storage.faults import refusals_of_storage
from dxlfiletransferclient.storage.hashing import BackgroundDigests
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.rooted import ObstructedError, RootedDirectory
from dxlfiletransferclient.storage.versions import KnownDigests, version_of
from dxlfiletransferservice.courier.seams import SourceGuard

HASHED_AT_ONCE: Final = 2**20
"""Bytes of a file up to which its SHA-256 is computed while the client waits: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of this machine, as somebody else knows it.

    Attributes:
        path: Where it is.
        name: What it is called in messages.
        guard: Says whether it may be read.
    """

    path: str
    name: str
    guard: SourceGuard


class SourceFiles:
    """Reads files; for several threads and any number of users.

    Every path is resolved and checked first, and then followed without any link: what was checked
    is what is read, whatever is put in its place meanwhile. All methods raise ``RefusedError``:
    ``DENIED`` if the file may not be read, ``NOT_FOUND`` if it is not there any more,
    ``WRONG_KIND`` if it is none, ``STORAGE_FAILED`` if it cannot be read. No text names a path of
    this machine. The server must be able to read the directories on the way, too, and not only to
    pass through them.
    """

    def __init__(self) -> None:
        self._digests = KnownDigests()
        self._guard = threading.Lock()
        self._roots: dict[str, tuple[ContentReader, BackgroundDigests]] = {}
        self._closed = False

    def status(self, source: Source) -> os.stat_result:
        """Return what ``stat`` says of a file."""
        with _refusals(source):
            found = Path(_resolved(source)).lstat()
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError(ErrorCode.WRONG_KIND, f"{brief(source.name)} is no file any more")
        return found

    def retrieve(self, source: Source, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a file.

        Raises:
            RefusedError: ``CHANGED`` if it is not the version that was asked for.
        """
        with _refusals(source):
            parts, reader, _ = self._located(source)
            return reader.retrieve(parts, request)

    def sha256(self, source: Source, status: os.stat_result) -> str | None:
        """Return the SHA-256 of a file; ``None`` while it is being computed.

        Args:
            source: The file.
            status: What :meth:`status` says of it.

        Raises:
            RefusedError: ``BUSY`` if too many files wait for theirs, ``CHANGED`` if the file is
                being changed.
        """
        version = version_of(status)
        known = self._digests.get(version)
        if known is not None:
            return known
        with _refusals(source):
            parts, reader, background = self._located(source)
            if status.st_size <= HASHED_AT_ONCE:
                return reader.digest(parts, version)
            background.begin(parts, version)
        return None

    def close(self) -> None:
        """End what is being read; may be repeated."""
        with self._guard:
            self._closed = True
            roots = list(self._roots.values())
        for reader, background in roots:
            reader.close()
            background.close()

    def _located(self, source: Source) -> tuple[Parts, ContentReader, BackgroundDigests]:
        path = Path(_resolved(source))
        with self._guard:
            if self._closed:
                raise RefusedError(ErrorCode.CLOSING, ErrorCode.CLOSING.meaning)
            if path.anchor not in self._roots:
                reader = ContentReader(RootedDirectory(Path(path.anchor)), self._digests)
                self._roots[path.anchor] = (reader, BackgroundDigests(reader))
            return path.parts[1:], *self._roots[path.anchor]


def _resolved(source: Source) -> str:
    """Return the path of a file with all links followed, if it may be read.

    Raises:
        CommandError: It may not.
    """
    real = os.path.realpath(source.path)
    source.guard.check(real)
    return real


@contextmanager
def _refusals(source: Source) -> Iterator[None]:
    """Turn what goes wrong with a file into what its reader may know of it."""
    name = brief(source.name)
    try:
        with refusals_of_storage(f"read {name}"):
            try:
                yield
            except (FileNotFoundError, ObstructedError) as error:
                text = f"{name} is not there any more at its source"
                raise RefusedError(ErrorCode.NOT_FOUND, text) from error
    except CommandError as error:
        text = f"{name} may not be read in the name of whoever shares it"
        raise RefusedError(ErrorCode.DENIED, text) from error
    except RefusedError as error:
        raise _renamed(error, name) from error


def _renamed(error: RefusedError, name: str) -> RefusedError:
    """Return an error whose text does not tell where the file is."""
    code = ErrorCode.of(error.code)
    if code is ErrorCode.CHANGED:
        return RefusedError(code, f"{name} was changed since it was first asked for")
    if code is ErrorCode.WRONG_KIND:
        return RefusedError(code, f"{name} is no file any more")
    if code is ErrorCode.BUSY:
        text = f"many files wait for their SHA-256; ask for that of {name} again later"
        return RefusedError(code, text, error.retry_after)
    return error

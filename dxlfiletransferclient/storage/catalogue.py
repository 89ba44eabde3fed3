"""The stored files: what is published, retrieved, listed and removed."""

import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    EntryResult,
    Kind,
    ListAnswer,
    ListRequest,
    Overwrite,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import Attributes, apply, runnable_bits
from dxlfiletransferclient.storage.contents import ContentReader
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.faults import refusal_of_name, refusals_of_storage
from dxlfiletransferclient.storage.flushing import FileSystem
from dxlfiletransferclient.storage.gate import Gate
from dxlfiletransferclient.storage.hashing import BackgroundDigests
from dxlfiletransferclient.storage.layout import Layout
from dxlfiletransferclient.storage.listing import Lister
from dxlfiletransferclient.storage.names import Parts, parse_directory_name, parse_name
from dxlfiletransferclient.storage.overwriting import (
    NO_TERMS,
    Decision,
    NameLocks,
    Newcomer,
    Terms,
    decide,
)
from dxlfiletransferclient.storage.publishing import ENTRY_NAME, Finished, Published, Publisher
from dxlfiletransferclient.storage.putting import BatchWriter
from dxlfiletransferclient.storage.quotas import Quota
from dxlfiletransferclient.storage.removing import Remover
from dxlfiletransferclient.storage.rooted import ObstructedError, RootedDirectory, status_of
from dxlfiletransferclient.storage.versions import KnownDigests

logger = logging.getLogger(__name__)

__all__ = ["Catalogue", "Published"]

HASHED_AT_ONCE: Final = 2**20
"""Bytes of a file up to which its SHA-256 is computed while the client waits: some milliseconds."""

CLOSE_TIMEOUT: Final = 30.0
"""Seconds that closing waits for requests that are being carried out."""


class Catalogue:
    """The whole files of a store, below its storage directory. Safe for several threads.

    Nothing below it is read or written through a symbolic link, and nothing in the working
    directory is reached. Every error is a
    :class:`~dxlfiletransferclient.protocol.refusals.RefusedError` that names no path of this
    machine; all methods raise ``CLOSING`` after :meth:`close` and ``STORAGE_FAILED`` for errors of
    the operating system.

    Args:
        layout: The two directories of the store.
        working: The working directory, held open; entries of batches are written there under names
            that begin with ``dxlft-`` and end with ``.entry``.
        quota: The limits of the store.
        links: Whether symbolic links are stored.

    Raises:
        OSError: If no file can be made in the working directory.
    """

    def __init__(
        self, layout: Layout, working: Directory, *, quota: Quota, links: bool = False
    ) -> None:
        self._reserved = layout.reserved
        self._working = working
        self._root = RootedDirectory(layout.storage, reserved=[working.identity])
        self._digests = KnownDigests()
        self._reader = ContentReader(self._root, self._digests)
        self._background = BackgroundDigests(self._reader)
        locks = NameLocks()
        self._publisher = Publisher(self._reader, self._digests, quota, locks)
        self._lister = Lister(self._root, self._reserved)
        self._gate = Gate()
        self._runnable = runnable_bits(working, ENTRY_NAME.format(uuid.uuid4().hex, 0))
        file_system = FileSystem()
        self._remover = Remover(
            self._root,
            working,
            self._reserved,
            quota=quota,
            file_system=file_system,
            locks=locks,
        )
        self._writer = BatchWriter(
            self._root,
            working,
            self._publisher,
            parse=self.parse,
            quota=quota,
            file_system=file_system,
            links=links,
            reserved=self._reserved,
        )

    def parse(self, name: str) -> Parts:
        """Take the name of a file apart.

        Raises:
            RefusedError: ``UNSAFE_NAME`` if no file may have it.
        """
        try:
            return parse_name(name, reserved=self._reserved)
        except UnsafeNameError as error:
            raise refusal_of_name(error) from error

    def check(
        self,
        parts: Parts,
        *,
        overwrite: Overwrite,
        modified_ns: int | None,
        size: int | None,
        terms: Terms = NO_TERMS,
    ) -> bool:
        """Look whether a file that is to be sent may be stored; what counts is :meth:`publish`.

        Args:
            parts: Its name.
            overwrite: What becomes of an older file.
            modified_ns: When it was modified; ``None`` if that is not known.
            size: Its bytes; ``None`` if that is not known.
            terms: On which terms an older file is replaced.

        Returns:
            ``False`` if an older file will be kept as things stand.

        Raises:
            RefusedError: ``WRONG_KIND`` if a directory has the name or a file or link is on the
                way, ``EXISTS`` if an older file is in the way, ``UNSAFE_NAME`` if the name is too
                long for that of a backup.
        """
        newcomer = Newcomer(parts, size, modified_ns, terms=terms)
        with self._request(f"look for {brief('/'.join(parts))}"):
            return decide(overwrite, newcomer, self._status(parts)) is not Decision.KEEP

    def publish(
        self,
        source_name: str,
        parts: Parts,
        *,
        size: int,
        sha256: str,
        attributes: Attributes,
        overwrite: Overwrite,
        source_modified_ns: int | None = None,
        terms: Terms = NO_TERMS,
    ) -> Published:
        """Give a finished file its name; when this returns, it is durable.

        Its bytes and attributes are flushed before the name shows them. Until then an older file of
        that name stays; a link is replaced, not followed. Missing directories are made. The quota
        is told of an older file that goes away; the caller tells it of this one, with its whole
        size.

        Args:
            source_name: Name of the file in the working directory; if an older file is kept, or has
                the same content, it stays there.
            parts: Its name (from :meth:`parse`).
            size: Its bytes, to be sure.
            sha256: Its SHA-256, which was found to be right.
            attributes: Its attributes.
            overwrite: What becomes of an older file.
            source_modified_ns: When it was modified, where that is not among its attributes.
            terms: On which terms an older file is replaced.

        Returns:
            ``STORED``, also where the mode is ``fail`` and the older file has the same content; or
            ``KEPT``.

        Raises:
            RefusedError: ``EXISTS``, ``WRONG_KIND``, ``UNSAFE_NAME``, ``STORAGE_FULL``; ``BUSY`` if
                others keep changing the older file.
        """
        name = "/".join(parts)
        modified_ns = attributes.modified_ns
        if modified_ns is None:
            modified_ns = source_modified_ns
        with self._request(f"store {brief(name)}"), self._root.visit() as directories:
            finished = Finished(
                directory=self._working,
                name=source_name,
                status=self._flushed(source_name, attributes, size),
                parts=parts,
                sha256=sha256,
                modified_ns=modified_ns,
                terms=terms,
            )
            published = self._publisher.publish(directories, finished, overwrite)
            directories.settle()
        return published

    def version_of(self, parts: Parts) -> str | None:
        """Return the version of the file that has a name now; ``None`` if there is none."""
        with self._request(f"look for {brief('/'.join(parts))}"):
            try:
                return self._lister.entry(parts).version or None
            except (FileNotFoundError, ObstructedError):
                return None
            except RefusedError as error:
                if error.means(ErrorCode.NOT_FOUND):
                    return None
                raise

    def put(self, entries: Sequence[BatchEntry], terms: Terms = NO_TERMS) -> list[EntryResult]:
        """Store small files, directories and links whole; when this returns, they are durable.

        Args:
            entries: What to store.
            terms: On which terms older files are replaced.

        Returns:
            One result for each, in order: the failure of one is none of the others'.

        Raises:
            RefusedError: ``CLOSING``.
        """
        with self._gate.passed():
            return self._writer.put(entries, terms)

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a file (see ``interface.Store``)."""
        parts = self.parse(request.name)
        with self._reading(request.name, "read"):
            return self._reader.retrieve(parts, request)

    def list(self, request: ListRequest) -> ListAnswer:
        """Tell what is in a directory, a page at a time (see ``interface.Store``)."""
        parts = self._parse_any(request.name)
        with self._reading(request.name, "list"):
            return self._lister.page(parts, request)

    def stat(self, request: StatRequest) -> StatAnswer:
        """Tell what has a name (see ``interface.Store``).

        The SHA-256 of a file that was stored or read lately is known; that of a large file is
        computed in the background.
        """
        parts = self._parse_any(request.name)
        with self._reading(request.name, "look at"):
            entry = self._lister.entry(parts)
            if not request.with_sha256 or entry.kind is not Kind.FILE:
                return StatAnswer(entry=(entry,))
            sha256 = self._digests.get(entry.version)
            if sha256 is None and entry.size <= HASHED_AT_ONCE:
                sha256 = self._reader.digest(parts, entry.version)
            elif sha256 is None:
                self._background.begin(parts, entry.version)
            return StatAnswer(entry=(entry,), sha256=sha256, pending=sha256 is None)

    def remove(self, request: RemoveRequest) -> RemoveAnswer:
        """Remove a file, link or directory, large ones in steps (see ``interface.Store``)."""
        parts = self.parse(request.name)
        with self._reading(request.name, "remove"):
            return self._remover.remove(parts, recursive=request.recursive)

    def expire(self, older_than: float) -> int:
        """Remove what was left in the working directory by a batch that a crash cut off.

        Args:
            older_than: Seconds since 1970; what was made later stays.

        Returns:
            The number of files removed.
        """
        with self._request("clean the working directory up"):
            return self._writer.expire(older_than)

    def close(self) -> None:
        """Wait for running requests and end the background thread; may be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after ``CLOSE_TIMEOUT``.
        """
        self._gate.close()
        self._reader.close()
        self._background.close()
        if not self._gate.wait_until_empty(CLOSE_TIMEOUT):
            msg = f"requests were still running after {CLOSE_TIMEOUT:g} seconds"
            raise TimeoutError(msg)

    def _flushed(self, name: str, attributes: Attributes, size: int) -> os.stat_result:
        """Give a file in the working directory its attributes and flush it."""
        descriptor = self._working.open_file(name, os.O_RDWR)
        try:
            apply(self._working, name, descriptor, attributes, runnable=self._runnable)
            os.fsync(descriptor)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if status.st_size != size:
            # Never name a file that is not what was checked, whatever has happened to it.
            text = f"it has {status.st_size} bytes in the working directory and not {size}"
            raise RefusedError(ErrorCode.STORAGE_FAILED, f"cannot store a file: {text}")
        return status

    def _status(self, parts: Parts) -> os.stat_result | None:
        with self._root.visit() as directories:
            try:
                return status_of(directories.open(parts[:-1]), parts[-1])
            except FileNotFoundError:
                return None

    def _parse_any(self, name: str) -> Parts:
        try:
            return parse_directory_name(name, reserved=self._reserved)
        except UnsafeNameError as error:
            raise refusal_of_name(error) from error

    @contextmanager
    def _request(self, subject: str) -> Iterator[None]:
        with self._gate.passed(), refusals_of_storage(subject):
            yield

    @contextmanager
    def _reading(self, name: str, verb: str) -> Iterator[None]:
        """Carry out a request for something that has to be there."""
        with self._request(f"{verb} {brief(name)}"):
            try:
                yield
            except FileNotFoundError as error:
                raise _not_found(name) from error
            except ObstructedError as error:
                if error.reserved:
                    raise
                # Nothing is below a file or link.
                raise _not_found(name) from error


def _not_found(name: str) -> RefusedError:
    return RefusedError(ErrorCode.NOT_FOUND, f"there is nothing named {brief(name)}")

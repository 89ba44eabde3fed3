"""Stores many small files at once: written together, flushed together, then named one by one."""

import hashlib
import logging
import os
import re
import stat
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    EntryResult,
    Kind,
    Overwrite,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import set_modified
from dxlfiletransferclient.storage.directory import FILE_MODE, PROGRAM_MODE, Directory
from dxlfiletransferclient.storage.faults import logged_refusal, refusal_of, refusals_of_storage
from dxlfiletransferclient.storage.flushing import FileSystem, Flusher
from dxlfiletransferclient.storage.links import check_target
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.overwriting import (
    NO_TERMS,
    Decision,
    Newcomer,
    Terms,
    decide,
)
from dxlfiletransferclient.storage.publishing import ENTRY_NAME, Finished, Publisher, made
from dxlfiletransferclient.storage.quotas import Quota
from dxlfiletransferclient.storage.rooted import OpenDirectories, RootedDirectory, status_of

logger = logging.getLogger(__name__)

_OWN_NAME: Final = re.compile(r"dxlft-([0-9a-f]{32})-\d+\.entry")

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL

_RESULTS: Final = {
    state: EntryResult(state=state) for state in (TransferState.STORED, TransferState.KEPT)
}


@dataclass(slots=True)
class _Item:
    """One entry on its way: where it is written to, and what became of it."""

    entry: BatchEntry
    temporary: str
    terms: Terms
    size: int
    parts: Parts = ()
    status: os.stat_result | None = None
    reserved: bool = False
    sets_modified: bool = False
    result: EntryResult | None = None

    def settle(self, state: TransferState) -> None:
        self.result = _RESULTS[state]

    def refuse(self, error: RefusedError) -> None:
        self.result = EntryResult(code=error.code, text=error.message)


class BatchWriter:
    """Stores the entries of batches; safe for several threads.

    Args:
        root: What they are stored below.
        working: Where they are written, on the same file system.
        publisher: Gives them their names.
        parse: Takes a name apart, or refuses it.
        quota: Has to agree to every file.
        file_system: What is known of the file system.
        links: Whether links are stored.
        reserved: Directories, as parts, into which no link may lead.
    """

    def __init__(
        self,
        root: RootedDirectory,
        working: Directory,
        publisher: Publisher,
        *,
        parse: Callable[[str], Parts],
        quota: Quota,
        file_system: FileSystem,
        links: bool,
        reserved: tuple[Parts, ...],
    ) -> None:
        self._root = root
        self._working = working
        self._publisher = publisher
        self._parse = parse
        self._quota = quota
        self._file_system = file_system
        self._links = links
        self._reserved = reserved
        self._guard = threading.Lock()
        self._running: set[str] = set()

    def put(self, entries: Sequence[BatchEntry], terms: Terms = NO_TERMS) -> list[EntryResult]:
        """Store entries whole; when this returns, what was stored is durable.

        Args:
            entries: What to store.
            terms: On which terms older files are replaced.

        Returns:
            One result for each, in order.
        """
        with self._run() as token:
            items = [
                _Item(entry, ENTRY_NAME.format(token, number), terms, len(entry.payload))
                for number, entry in enumerate(entries)
            ]
            try:
                with refusals_of_storage("store a batch of files"):
                    self._store(items)
            except RefusedError as error:
                # What was not known to be safe before is not known to be so now.
                _refuse_all(items, error)
            finally:
                self._tidy(items)
        # Every way through the steps gives a result; the last resort keeps their number right.
        missing = EntryResult(code=ErrorCode.INTERNAL, text="nothing became of this entry")
        return [item.result or missing for item in items]

    def expire(self, older_than: float) -> int:
        """Remove what was left by a batch during which the process ended.

        Args:
            older_than: Seconds since 1970; what was made later stays.

        Returns:
            The number of files removed.

        Raises:
            OSError: If the working directory cannot be read.
        """
        removed = 0
        for name in self._working.names():
            match = _OWN_NAME.fullmatch(name)
            with self._guard:
                left_over = match is not None and match[1] not in self._running
            # The time of the last write is the one that the sender gave.
            with suppress(FileNotFoundError):
                if left_over and self._working.lstat(name).st_ctime < older_than:
                    self._working.unlink(name)
                    removed += 1
        return removed

    @contextmanager
    def _run(self) -> Iterator[str]:
        token = uuid.uuid4().hex
        with self._guard:
            self._running.add(token)
        try:
            yield token
        finally:
            with self._guard:
                self._running.discard(token)

    def _store(self, items: Sequence[_Item]) -> None:
        with (
            Flusher(self._working, self._file_system) as flusher,
            self._root.visit() as directories,
        ):
            self._reserve(items)
            _each(_open(items), partial(self._prepare, directories))
            self._flush(flusher, [item for item in _open(items) if item.status is not None])
            _each(_open(items), partial(self._name, directories))
            # Last of all, since what is put into a directory sets its time.
            _each(
                [item for item in items if item.sets_modified], partial(_set_modified, directories)
            )
            directories.settle(flusher)

    def _reserve(self, items: Sequence[_Item]) -> None:
        """Have the quota agree at once to all files that are sure to be written, if it can."""
        replacing = [
            item
            for item in items
            if item.entry.kind is Kind.FILE and item.entry.overwrite is Overwrite.REPLACE
        ]
        if replacing and self._quota.reserve_all({item.temporary: item.size for item in replacing}):
            for item in replacing:
                item.reserved = True

    def _prepare(self, directories: OpenDirectories, item: _Item) -> None:
        """Check an entry and write it where nobody sees it; a directory is made at once."""
        item.parts = self._parse(item.entry.name)
        match item.entry.kind:
            case Kind.DIRECTORY:
                _make_directory(directories, item)
            case Kind.LINK:
                self._write_link(directories, item)
            case Kind.FILE:
                self._write_file(directories, item)

    def _write_file(self, directories: OpenDirectories, item: _Item) -> None:
        entry = item.entry
        if hashlib.sha256(entry.payload).hexdigest() != entry.sha256:
            text = f"the content of {brief(entry.name)} does not have the SHA-256 that came with it"
            raise RefusedError(ErrorCode.CORRUPT, text)
        if self._is_kept(directories, item):
            return
        if not item.reserved:
            self._quota.reserve(item.temporary, item.size)
            item.reserved = True
        mode = PROGRAM_MODE if entry.executable else FILE_MODE
        descriptor = self._working.open_file(item.temporary, _CREATE, mode)
        try:
            _write(descriptor, entry.payload)
            if entry.modified_ns is not None and item.terms.sets_modified:
                set_modified(self._working, item.temporary, descriptor, entry.modified_ns)
            item.status = os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def _write_link(self, directories: OpenDirectories, item: _Item) -> None:
        if not self._links:
            text = f"{brief(item.entry.name)} is a link, and the service stores none"
            raise RefusedError(ErrorCode.NOT_ALLOWED, text)
        target = item.entry.target or ""
        check_target(item.parts, target, reserved=self._reserved)
        if self._is_kept(directories, item):
            return
        self._working.symlink(target, item.temporary)
        if item.entry.modified_ns is not None:
            self._working.set_modified(item.temporary, item.entry.modified_ns)
        item.status = self._working.lstat(item.temporary)

    def _is_kept(self, directories: OpenDirectories, item: _Item) -> bool:
        """Whether it is sure before anything is written that an older file is kept."""
        entry = item.entry
        parent = made(directories, item.parts[:-1])
        if entry.overwrite is Overwrite.REPLACE:
            # Whatever speaks against it is found when it gets its name.
            return False
        link = entry.kind is Kind.LINK
        size = None if link else item.size
        old = status_of(parent, item.parts[-1])
        newcomer = Newcomer(item.parts, size, entry.modified_ns, link=link, terms=item.terms)
        if old is None or decide(entry.overwrite, newcomer, old) is not Decision.KEEP:
            return False
        if self._publisher.has_stored(entry.sha256 or "", old):
            # Whoever put it there may not have flushed its name yet.
            directories.touched(item.parts[:-1])
            item.settle(TransferState.STORED)
        else:
            item.settle(TransferState.KEPT)
        return True

    def _flush(self, flusher: Flusher, written: Sequence[_Item]) -> None:
        names = [item.temporary for item in written if item.entry.kind is Kind.FILE]
        try:
            flusher.files(self._working, names)
        except OSError as error:
            logger.exception("Could not flush a batch of files")
            _refuse_all(written, refusal_of(error, "store a batch of files"))

    def _name(self, directories: OpenDirectories, item: _Item) -> None:
        entry = item.entry
        if item.status is None:
            item.settle(TransferState.STORED)
            return
        finished = Finished(
            directory=self._working,
            name=item.temporary,
            status=item.status,
            parts=item.parts,
            sha256=entry.sha256 or "",
            modified_ns=entry.modified_ns,
            target=entry.target if entry.kind is Kind.LINK else None,
            terms=item.terms,
        )
        published = self._publisher.publish(directories, finished, entry.overwrite)
        if published.state is TransferState.STORED and item.reserved:
            self._quota.stored(item.temporary, grown=item.size)
            item.reserved = False
        item.settle(published.state)

    def _tidy(self, items: Sequence[_Item]) -> None:
        """Give back what was not used."""
        for item in items:
            if item.reserved:
                self._quota.release(item.temporary)
            if item.result is not None and item.result.state is TransferState.STORED:
                # In the other modes an older file may have been as good.
                moved = item.entry.overwrite is Overwrite.REPLACE
                if moved or item.status is None:
                    continue
            try:
                self._working.unlink(item.temporary)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("Could not remove %s, which expires: %s", item.temporary, error)


def _open(items: Sequence[_Item]) -> list[_Item]:
    return [item for item in items if item.result is None]


def _each(items: Sequence[_Item], step: Callable[[_Item], None]) -> None:
    """Take entries a step further; the failure of one is none of the others'."""
    for item in items:
        try:
            step(item)
        except RefusedError as error:
            item.refuse(error)
        except (UnsafeNameError, OSError) as error:
            item.refuse(logged_refusal(error, f"store {brief(item.entry.name)}"))


def _make_directory(directories: OpenDirectories, item: _Item) -> None:
    entry = item.entry
    old = status_of(made(directories, item.parts[:-1]), item.parts[-1])
    if old is not None and not stat.S_ISDIR(old.st_mode):
        text = f"{brief(entry.name)} is the name of an existing file or link"
        raise RefusedError(ErrorCode.WRONG_KIND, text)
    made(directories, item.parts)
    if entry.modified_ns is None or not item.terms.sets_modified:
        return
    newer = old is not None and entry.modified_ns > old.st_mtime_ns
    item.sets_modified = (
        old is None
        or entry.overwrite is Overwrite.REPLACE
        or (entry.overwrite is Overwrite.NEWER and newer)
    )


def _set_modified(directories: OpenDirectories, item: _Item) -> None:
    """Set the time of a directory, after everything was put into it."""
    # Somebody may have removed it since.
    with suppress(FileNotFoundError):
        directories.open(item.parts).set_modified(None, item.entry.modified_ns or 0)
        directories.touched(item.parts)


def _write(descriptor: int, payload: Payload) -> None:
    written = os.write(descriptor, payload)
    while written < len(payload):
        written += os.write(descriptor, memoryview(payload)[written:])


def _refuse_all(items: Sequence[_Item], error: RefusedError) -> None:
    for item in items:
        if item.result is None or item.result.state is TransferState.STORED:
            item.refuse(error)

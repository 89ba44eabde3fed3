"""Gives finished files and links their names below the root."""

import os
import stat
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.messages import Overwrite, TransferState
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.contents import ContentReader
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.overwriting import (
    NO_TERMS,
    Decision,
    NameLocks,
    Newcomer,
    Terms,
    backup_of,
    decide,
    exists,
)
from dxlfiletransferclient.storage.quotas import Quota
from dxlfiletransferclient.storage.rooted import OpenDirectories, move, status_of
from dxlfiletransferclient.storage.versions import KnownDigests, version_of

ATTEMPTS: Final = 5
"""Times that giving a name is tried while others remove its directory or change the older file."""

ENTRY_NAME: Final = "dxlft-{}-{}.entry"
"""Names in the working directory: 32 hex digits of their own for what is done together, and a
number. What a crash leaves there expires."""

_RETRY_AFTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a file.

    Attributes:
        state: ``STORED``, or ``KEPT`` if an older file was kept.
        version: Version of the file that has the name now.
        size: Bytes of the file that was to be published.
        sha256: SHA-256 of that file.
    """

    state: TransferState
    version: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A file or link that is whole and flushed, and waits for its name.

    Attributes:
        directory: Where it is.
        name: Its name there.
        status: What ``lstat`` says of it.
        parts: The name it is to get.
        sha256: SHA-256 of a file, empty for a link.
        modified_ns: When its source was modified, if that is known.
        target: Where a link leads to; ``None`` for a file.
        terms: On which terms it takes the place of an older one.
    """

    directory: Directory
    name: str
    status: os.stat_result
    parts: Parts
    sha256: str
    modified_ns: int | None
    target: str | None = None
    terms: Terms = NO_TERMS


class Publisher:
    """Gives names, as the overwrite modes want it; safe for several threads.

    The quota is told of what goes away: an older file that is replaced, or a new one that is not
    used because the older one has the same content. For every file that is stored, the caller says
    ``stored`` with its whole size.

    Args:
        reader: Reads an older file to compare it.
        digests: Learns the SHA-256 of what gets a name.
        quota: Is told what goes away.
        locks: Held while it is decided about a name; whoever removes names has them, too.
    """

    def __init__(
        self, reader: ContentReader, digests: KnownDigests, quota: Quota, locks: NameLocks
    ) -> None:
        self._reader = reader
        self._digests = digests
        self._quota = quota
        self._counts_stored = quota.counts_stored
        self._locks = locks

    def publish(
        self, directories: OpenDirectories, finished: Finished, overwrite: Overwrite
    ) -> Published:
        """Give a file or link its name, unless an older one is to be kept.

        The names that change are noted in ``directories``, for the caller to flush. What is not
        used stays where it is.

        Raises:
            RefusedError: ``EXISTS``, ``WRONG_KIND``, ``UNSAFE_NAME``, ``STORAGE_FAILED`` if no
                backup can be kept, or ``BUSY`` if the older file keeps changing, or others keep
                removing the directory.
            ObstructedError: If something is in the way to the name.
            OSError: If it cannot be moved.
        """
        for _ in range(ATTEMPTS):
            try:
                published, unread = self._once(directories, finished, overwrite)
                if published is not None:
                    return published
                # Read while nobody waits; then it is decided anew.
                self._reader.digest(finished.parts, unread)
            except FileNotFoundError:
                if status_of(finished.directory, finished.name) is None:
                    raise
                # Somebody removes the directory or the older file at this moment.
                directories.forget()
        raise _lost_race(finished.parts)

    def _once(
        self, directories: OpenDirectories, finished: Finished, overwrite: Overwrite
    ) -> tuple[Published | None, str]:
        """Decide and do it in one step; or return the version that must be read before."""
        parts = finished.parts
        names = (parts, backup_of(parts)) if finished.terms.backup else (parts,)
        with self._locks.held(*names):
            parent = directories.open(parts[:-1], make=True)
            if self._takes_the_name_anyway(finished.terms, overwrite):
                return self._take(directories, finished, parent, None), ""
            return self._decided(directories, finished, overwrite, parent)

    def _decided(
        self,
        directories: OpenDirectories,
        finished: Finished,
        overwrite: Overwrite,
        parent: Directory,
    ) -> tuple[Published | None, str]:
        """Do what the overwrite mode says to what has the name; see :meth:`_once`."""
        parts = finished.parts
        old = status_of(parent, parts[-1])
        decision = decide(overwrite, _newcomer(finished), old)
        if old is None or decision is Decision.TAKE:
            backup = False
            if old is not None and finished.terms.backup:
                equal = self._has_same_content(finished, parent, old)
                if equal is None:
                    return None, version_of(old)
                # What is equal may be there because the same request comes again: as a backup,
                # it would take the place of the last file that was another one.
                backup = not equal
                if backup:
                    self._back_up(finished, parent, old)
            return self._take(directories, finished, parent, old, kept=backup), ""
        if decision is Decision.KEEP:
            if not self.has_stored(finished.sha256, old):
                return _published(finished, TransferState.KEPT, old), ""
        elif (equal := self._is_equal(finished, parent, old)) is None:
            return None, version_of(old)
        elif not equal:
            raise exists(parts)
        if finished.target is None:
            self._quota.shrunk(finished.status.st_size)
        # Whoever put it there may not have flushed its name yet.
        directories.touched(parts[:-1])
        return _published(finished, TransferState.STORED, old), ""

    def _takes_the_name_anyway(self, terms: Terms, overwrite: Overwrite) -> bool:
        """Whether nobody has to know what has the name; a directory resists being replaced.

        For a small file, each look at the disk counts.
        """
        if overwrite is not Overwrite.REPLACE or terms.same_size or terms.backup:
            return False
        return not self._counts_stored

    def has_stored(self, sha256: str, old: os.stat_result) -> bool:
        """Whether an older file is known to have this content, without reading it.

        It has been stored or read lately, mostly by the same request whose answer was lost.
        """
        return bool(sha256) and self._digests.get(version_of(old)) == sha256

    def _is_equal(self, finished: Finished, parent: Directory, old: os.stat_result) -> bool | None:
        """Whether the older file or link has the same content; ``None`` if it must be read."""
        if finished.target is not None:
            return parent.readlink(finished.parts[-1]) == finished.target
        known = self._digests.get(version_of(old))
        return None if known is None else known == finished.sha256

    def _has_same_content(
        self, finished: Finished, parent: Directory, old: os.stat_result
    ) -> bool | None:
        """Whether what has the name is the same file or link; ``None`` if it must be read."""
        kind = stat.S_ISREG if finished.target is None else stat.S_ISLNK
        if not kind(old.st_mode) or old.st_size != finished.status.st_size:
            return False
        return self._is_equal(finished, parent, old)

    def _back_up(self, finished: Finished, parent: Directory, old: os.stat_result) -> None:
        """Give what has the name a second one, safe before the first is taken from it."""
        name = finished.parts[-1]
        backup = backup_of(finished.parts)[-1]
        before = status_of(parent, backup)
        if before is not None and stat.S_ISDIR(before.st_mode):
            text = f"{brief('/'.join(backup_of(finished.parts)))} is the name of a directory"
            raise RefusedError(ErrorCode.WRONG_KIND, f"{text}, so no backup can be kept there")
        if before is None or (before.st_dev, before.st_ino) != (old.st_dev, old.st_ino):
            working, temporary = finished.directory, ENTRY_NAME.format(uuid.uuid4().hex, 0)
            try:
                parent.link(name, working, temporary)
                move(working, temporary, parent, backup)
            except OSError as error:
                with suppress(OSError):
                    working.unlink(temporary)
                if isinstance(error, FileNotFoundError):
                    raise
                reason = error.strerror or type(error).__name__
                text = f"no backup of {brief('/'.join(finished.parts))} can be kept: {reason}"
                raise RefusedError(ErrorCode.STORAGE_FAILED, text) from error
            if before is not None and stat.S_ISREG(before.st_mode):
                self._quota.shrunk(before.st_size)
        parent.sync()

    def _take(
        self,
        directories: OpenDirectories,
        finished: Finished,
        parent: Directory,
        old: os.stat_result | None,
        *,
        kept: bool = False,
    ) -> Published:
        """Give the name to the new file.

        Args:
            directories: Where it is noted that names have changed.
            finished: The new file.
            parent: The directory of the name.
            old: The older file, if there is one that somebody has to be told of.
            kept: Whether that has another name, too.
        """
        parts = finished.parts
        try:
            move(finished.directory, finished.name, parent, parts[-1])
        except OSError as error:
            # Platforms differ in what they say to that.
            there = status_of(parent, parts[-1])
            if there is None or not stat.S_ISDIR(there.st_mode):
                raise
            text = f"{brief('/'.join(parts))} is the name of an existing directory"
            raise RefusedError(ErrorCode.WRONG_KIND, text) from error
        directories.touched(parts[:-1])
        if old is not None and not kept and stat.S_ISREG(old.st_mode):
            self._quota.shrunk(old.st_size)
        ours = finished.status
        # It was stored, even if somebody has removed it since.
        there = status_of(parent, parts[-1]) or ours
        version = version_of(there)
        # Another program may have put something else there since.
        if finished.sha256 and there.st_ino == ours.st_ino and there.st_size == ours.st_size:
            self._digests.remember(version, finished.sha256)
        return Published(TransferState.STORED, version, ours.st_size, finished.sha256)


def made(directories: OpenDirectories, parts: Parts) -> Directory:
    """Open a directory, and make what is missing of it.

    Raises:
        RefusedError: ``BUSY`` if others keep removing it.
        ObstructedError: If something is in the way to it.
        OSError: If it cannot be opened or made.
    """
    for _ in range(ATTEMPTS):
        try:
            return directories.open(parts, make=True)
        except FileNotFoundError:
            directories.forget()
    raise _lost_race(parts)


def _lost_race(parts: Parts) -> RefusedError:
    text = f"{brief('/'.join(parts))} keeps being changed by others; try again"
    return RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)


def _newcomer(finished: Finished) -> Newcomer:
    return Newcomer(
        parts=finished.parts,
        size=finished.status.st_size,
        modified_ns=finished.modified_ns,
        link=finished.target is not None,
        terms=finished.terms,
    )


def _published(finished: Finished, state: TransferState, there: os.stat_result) -> Published:
    return Published(state, version_of(there), finished.status.st_size, finished.sha256)

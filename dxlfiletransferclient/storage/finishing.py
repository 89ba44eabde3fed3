"""Checks whole files and gives them their names."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.intervals import NOTHING, Ranges
from dxlfiletransferclient.protocol.limits import MAX_RANGES
from dxlfiletransferclient.protocol.messages import FinishRequest, TransferState
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.catalogue import Catalogue, Published
from dxlfiletransferclient.storage.directory import open_directory
from dxlfiletransferclient.storage.journal import Stored
from dxlfiletransferclient.storage.layout import Layout
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.quotas import Quota

logger = logging.getLogger(__name__)

HASHED_PER_FINISH: Final = 512 * 2**20
"""Bytes hashed by one request to finish a file, before the client is told to ask again.

About half a second. The SHA-256 runs along with the segments, so there is more to hash only after a
crash on a platform that cannot save its state, or when bytes had to be sent again.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request to finish a file.

    Attributes:
        state: How far the file is.
        damaged: Ranges that have to be sent again, where the state is ``MISMATCH``.
    """

    state: TransferState
    damaged: Ranges = NOTHING


class Finisher:
    """Finishes files under way; each by one thread at a time.

    Args:
        layout: The two directories of the store.
        catalogue: Gives the files their names.
        quota: Is told what was stored.
    """

    def __init__(self, layout: Layout, catalogue: Catalogue, quota: Quota) -> None:
        self._layout = layout
        self._catalogue = catalogue
        self._quota = quota
        self._guard = threading.Lock()
        self._busy: set[str] = set()

    def is_busy_with(self, file_id: str) -> bool:
        """Whether a file is being checked or stored at this moment."""
        with self._guard:
            return file_id in self._busy

    def finish(self, partial: Partial, request: FinishRequest) -> Verdict:
        """Check a file and give it its name.

        Raises:
            RefusedError: See ``interface.Store.finish``.
            OSError: If the file cannot be read, or its journal not be written.
        """
        with self._alone(partial) as alone:
            if not alone:
                return Verdict(TransferState.VERIFYING)
            if partial.stored is not None:
                return told_again(partial.stored, request)
            return self._checked(partial, request)

    def settle(self, partial: Partial) -> None:
        """Find out what became of a file whose bytes were given their name, if nothing failed.

        It is ``stored`` or ``lost`` afterwards, unless another thread is at it.

        Raises:
            RefusedError: If the name cannot be looked at.
            OSError: If it cannot be made durable, or the journal not be written.
        """
        intent = partial.intent
        with self._alone(partial) as alone:
            if not alone or intent is None or partial.stored is not None:
                return
            parts = self._catalogue.parse(partial.metadata.name)
            version = self._version_if_there(parts, intent.inode, intent.size)
            if version is None:
                self._quota.release(partial.file_id)
                # Replaced or removed since; whoever asks for this file must not be told of another.
                logger.warning("File %s is neither under way nor stored", partial.file_id)
                partial.lost = True
                return
            if self._quota.is_reserved(partial.file_id):
                # Nothing is for a file of a former process, which is counted among the stored ones.
                self._quota.stored(partial.file_id, grown=intent.size)
            partial.end(Stored(version=version, size=intent.size, sha256=intent.sha256))
            logger.info("File %s was found stored under its name", partial.file_id)

    def is_still_there(self, stored: Stored, parts: Parts) -> bool:
        """Whether a file has its name still, in the version that was stored.

        Raises:
            RefusedError: If the name cannot be looked at.
        """
        if stored.kept:
            return False
        return self._catalogue.version_of(parts) == stored.version

    def _checked(self, partial: Partial, request: FinishRequest) -> Verdict:
        size = request.size
        if partial.metadata.size not in (None, size) or partial.size > size:
            return Verdict(TransferState.MISMATCH)
        if not partial.covers(size):
            return Verdict(TransferState.RECEIVING)
        if not partial.hash_up_to(size, at_most=HASHED_PER_FINISH):
            return Verdict(TransferState.VERIFYING)
        if partial.sha256 != request.sha256:
            return self._mismatch(partial)
        return self._published(partial, request)

    @staticmethod
    def _mismatch(partial: Partial) -> Verdict:
        damaged = partial.drop_damaged()
        logger.warning("File %s is not what was sent; damaged: %s", partial.file_id, damaged[:5])
        if not damaged and partial.hash_again():
            # Every segment is as it came, so the SHA-256 itself may have gone wrong.
            return Verdict(TransferState.VERIFYING)
        return Verdict(TransferState.MISMATCH, damaged[:MAX_RANGES])

    def _published(self, partial: Partial, request: FinishRequest) -> Verdict:
        metadata = partial.metadata
        parts = self._catalogue.parse(metadata.name)
        modified_ns = metadata.modified_ns if metadata.terms.sets_modified else None
        if not partial.begin_publishing(request.size, request.sha256):
            return Verdict(TransferState.VERIFYING)
        try:
            published = self._catalogue.publish(
                partial.name,
                parts,
                size=request.size,
                sha256=request.sha256,
                attributes=Attributes(modified_ns, metadata.executable),
                source_modified_ns=metadata.modified_ns,
                overwrite=metadata.overwrite,
                terms=metadata.terms,
            )
        except BaseException as error:
            self._take_back(partial, error)
            raise
        self._ended(partial, published)
        logger.info(
            "%s %r (file %s, %d bytes)",
            "Kept the older" if published.state is TransferState.KEPT else "Stored",
            metadata.name,
            partial.file_id,
            request.size,
        )
        return Verdict(published.state)

    @staticmethod
    def _take_back(partial: Partial, error: BaseException) -> None:
        if partial.is_here():
            doubtful = (ErrorCode.STORAGE_FAILED, ErrorCode.STORAGE_FULL)
            trusted = isinstance(error, RefusedError) and not error.means(*doubtful)
            partial.withdraw(trusted=trusted)
            return
        # It has its name and is not known to be durable, unless somebody has removed it.
        partial.moved = True

    def _ended(self, partial: Partial, published: Published) -> None:
        kept = published.state is TransferState.KEPT
        if kept:
            self._quota.release(partial.file_id)
        else:
            self._quota.stored(partial.file_id, grown=published.size)
        stored = Stored(
            kept=kept, version=published.version, size=published.size, sha256=published.sha256
        )
        try:
            partial.end(stored)
        except OSError as error:
            # It is stored all the same; after a crash it would be found out anew.
            logger.warning("Could not write the journal of file %s: %s", partial.file_id, error)

    def _version_if_there(self, parts: Parts, inode: int, size: int) -> str | None:
        """Return the version of a file that has its name still, and make sure that it keeps it."""
        path = self._layout.storage.joinpath(*parts)
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if (status.st_ino, status.st_size) != (inode, size):
            return None
        # The former process may have ended before it could flush the names.
        for depth in range(len(parts)):
            with open_directory(self._layout.storage.joinpath(*parts[:depth])) as directory:
                directory.sync()
        return self._catalogue.version_of(parts)

    @contextmanager
    def _alone(self, partial: Partial) -> Iterator[bool]:
        with self._guard:
            alone = partial.file_id not in self._busy
            self._busy.add(partial.file_id)
        try:
            yield alone
        finally:
            if alone:
                with self._guard:
                    self._busy.discard(partial.file_id)


def told_again(stored: Stored, request: FinishRequest) -> Verdict:
    """Answer a request to finish a file that has ended."""
    if (stored.size, stored.sha256) != (request.size, request.sha256):
        return Verdict(TransferState.MISMATCH)
    return Verdict(TransferState.KEPT if stored.kept else TransferState.STORED)

"""A part file that is written by offset, goes on after a crash, and knows its SHA-256.

Every few seconds or some tens of megabytes the file is flushed and a checkpoint recorded: a killed
process goes on from there, without reading again what is hashed. A thread of the caller's does the
flushing; everything else happens in the caller's own.
"""

import contextlib
import logging
import os
from concurrent.futures import Executor, Future
from typing import Final

from dxlfiletransferclient.digests import RunningSha256
from dxlfiletransferclient.intervals import IntervalSet, Ranges
from dxlfiletransferclient.receiving import checkpoints
from dxlfiletransferclient.receiving.checkpoints import Checkpoint
from dxlfiletransferclient.receiving.errors import local_errors
from dxlfiletransferclient.receiving.part import Part, Payload, Place, journal_name
from dxlfiletransferclient.sending.source import HASH_STEP
from dxlfiletransferclient.storage.journalfile import sync_data

logger = logging.getLogger(__name__)

_READ_SIZE: Final = 2**20
_JOURNAL_SIZE: Final = checkpoints.SLOTS * checkpoints.SLOT_SIZE


class PartFile:
    """One version of one file, as far as it has come. Not for several threads at once.

    What an earlier process had received of the same version is there already; of another version,
    nothing is.

    Args:
        place: Where the file is to appear.
        identity: From ``part.part_id``.
        name: Name of the file on the service.
        version: Its version there.
        size: Bytes of that version.
        flusher: Runs the flushes, one at a time.
        checkpoint_bytes: Bytes received after which a checkpoint is due.
        checkpoint_seconds: Seconds after which it is due, if anything was received.

    Attributes:
        resumed: Bytes that were there already.
        durable: Bytes that a crash does not take.
        version: Version and size of the file on the service.
        size: The size alone.

    Raises:
        TargetError: If it cannot be opened, or another process has it.
    """

    def __init__(
        self,
        place: Place,
        identity: str,
        name: str,
        version: str,
        size: int,
        *,
        flusher: Executor,
        checkpoint_bytes: int,
        checkpoint_seconds: float,
    ) -> None:
        self._flusher = flusher
        self._checkpoint_bytes = checkpoint_bytes
        self._checkpoint_seconds = checkpoint_seconds
        self._name = name
        self._sequence = 0
        self._flushing: Future[Checkpoint] | None = None
        self._last_time: float | None = None
        self.part = Part.opened(place, identity)
        self.journal_name = journal_name(identity)
        self._journal = -1
        try:
            with local_errors("write", place.path):
                flags = os.O_RDWR | os.O_CREAT
                self._journal = place.parent.open_file(self.journal_name, flags)
                journal = _read_at(self._journal, _JOURNAL_SIZE)
            self._begin(version, size, journal)
        except BaseException:
            self._let_go()
            raise

    def _begin(self, version: str, size: int, journal: bytes) -> None:
        self.version = (version, size)
        self.size = size
        self._subject = checkpoints.subject_of(self._name, version, size)
        found = checkpoints.latest(journal, self._subject, size)
        ranges: Ranges = found.held if found else ()
        if ranges and ranges[-1][1] > self.part.size:
            logger.warning("%s was cut by somebody, so it begins anew", self.part.place.path)
            found, ranges = None, ()
        self._held = IntervalSet(ranges)
        self.resumed = self.durable = self._held.total
        self._digest, self._hashed = _restored(found)
        self._sequence = max(self._sequence, found.sequence if found else 0)
        self._recorded = self._written = 0
        if not ranges:
            self._empty(journal)

    def _empty(self, journal: bytes) -> None:
        """Remove what is of another version or was never flushed."""
        if journal:
            # First, and for good: never does a checkpoint tell of bytes that are gone.
            with local_errors("write", self.part.place.path):
                os.ftruncate(self._journal, 0)
                sync_data(self._journal)
        self.part.cut(0)

    @property
    def held(self) -> IntervalSet:
        """What is there; not to be changed by others."""
        return self._held

    @property
    def complete(self) -> bool:
        """Whether all bytes are there."""
        return self._held.covers(0, self.size)

    @property
    def behind(self) -> bool:
        """Whether there are bytes that :meth:`hash_some` could hash now."""
        return self._hashed < self._held.prefix

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file in hex, once all is there and hashed."""
        return self._digest.hexdigest() if self._hashed == self.size else None

    @property
    def safe_at(self) -> float | None:
        """When the next checkpoint is due if nothing more arrives; ``None`` if none will be."""
        if self._last_time is None or self._written == self._recorded:
            return None
        return self._last_time + self._checkpoint_seconds

    def write(self, offset: int, payload: Payload) -> None:
        """Take some bytes of the file.

        Raises:
            TargetError: If they, or a checkpoint before, could not be written.
        """
        if not len(payload):
            return
        end = offset + len(payload)
        self.part.write(offset, payload)
        if offset == self._hashed and not self._held.overlap(offset, end):
            self._digest.update(payload)
            self._hashed = end
        self._written += sum(high - low for low, high in self._held.add(offset, end))

    def hash_some(self) -> None:
        """Read back and hash what arrived out of order, at most :data:`HASH_STEP` bytes of it.

        Raises:
            TargetError: If it cannot be read.
        """
        until = min(self._held.prefix, self._hashed + HASH_STEP)
        while self._hashed < until:
            data = self.part.read(self._hashed, min(_READ_SIZE, until - self._hashed))
            if not data:
                with local_errors("read back", self.part.place.path):
                    raise OSError(0, "it was cut by somebody while it was received")
            self._digest.update(data)
            self._hashed += len(data)

    def keep_safe(self, now: float) -> None:
        """Begin a checkpoint if one is due.

        While one is running the next one waits; but where as much again has been received, this
        waits for it, so that what is not safe yet stays bounded.

        Args:
            now: The time in seconds, on any clock that never goes back.

        Raises:
            TargetError: If the last checkpoint failed.
        """
        if self._last_time is None:
            self._last_time = now
        fresh = self._written - self._recorded
        if self._flushing is not None:
            if not self._flushing.done() and fresh < self._checkpoint_bytes:
                return
            self._collect()
        late = now - self._last_time >= self._checkpoint_seconds
        if fresh >= self._checkpoint_bytes or (fresh and late):
            self._last_time = now
            self.checkpoint()

    def checkpoint(self) -> None:
        """Begin a checkpoint, after the one that is running.

        Raises:
            TargetError: If that one failed.
        """
        self._collect()
        self._sequence += 1
        state = self._digest.state()
        hashed = self._hashed if state else 0
        checkpoint = Checkpoint(self._sequence, self._held.ranges, hashed, state or b"")
        self._recorded = self._written
        self._flushing = self._flusher.submit(self._record, checkpoint, self._subject)

    def _record(self, checkpoint: Checkpoint, subject: bytes) -> Checkpoint:
        """Make a checkpoint; runs in the flusher's thread."""
        with local_errors("write", self.part.place.path):
            sync_data(self.part.descriptor)
            os.lseek(self._journal, checkpoints.place_of(checkpoint.sequence), os.SEEK_SET)
            data = checkpoints.encoded(checkpoint, subject)
            if os.write(self._journal, data) != len(data):
                raise OSError(0, "its journal was written in part only")
            sync_data(self._journal)
        return checkpoint

    def _collect(self) -> None:
        """Wait for the checkpoint that is running."""
        if self._flushing is not None:
            flushing, self._flushing = self._flushing, None
            self.durable = sum(high - low for low, high in flushing.result().held)

    def begin_anew(self, version: str, size: int) -> None:
        """Throw away everything, for another version or because it is damaged.

        Raises:
            TargetError: If that cannot be done.
        """
        self._collect()
        with local_errors("write", self.part.place.path):
            journal = _read_at(self._journal, _JOURNAL_SIZE)
        self._empty(journal)
        self._begin(version, size, b"")

    def release(self) -> Part:
        """Hand over the part file, complete and right, to be given its name.

        The journal stays until somebody removes it; what is written from now on is the receiver's
        of the part file.

        Raises:
            TargetError: If the checkpoint that was running failed.
        """
        self._collect()
        if self.part.size != self.size:
            self.part.cut(self.size)
        os.close(self._journal)
        self._journal = -1
        return self.part

    def close(self) -> None:
        """Make a last checkpoint and let go; the part file stays for a later call.

        Raises:
            TargetError: If the checkpoint failed; the one before stays.
        """
        if self._journal < 0:
            return
        try:
            self._collect()
            if self._written > self._recorded:
                self.checkpoint()
                self._collect()
        finally:
            self._let_go()

    def discard(self) -> None:
        """Remove the part file and its journal, and let go of both."""
        if self._journal < 0:
            return
        try:
            self._collect()
        finally:
            with local_errors("remove what was received of", self.part.place.path):
                with contextlib.suppress(FileNotFoundError):
                    self.part.place.parent.unlink(self.journal_name)
                self.part.remove()
            self._let_go()

    def _let_go(self) -> None:
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
        self.part.close()


def _restored(found: Checkpoint | None) -> tuple[RunningSha256, int]:
    """Return the SHA-256 and the bytes that it has taken in; what it has not is read again."""
    if found and found.state:
        try:
            return RunningSha256.restored(found.state), found.hashed
        except ValueError:
            logger.info("The state of a SHA-256 is not of this platform: the bytes are read again")
    return RunningSha256(), 0


def _read_at(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, size)

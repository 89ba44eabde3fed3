"""One file under way: its bytes, written wherever they belong, and the journal that tells of them.

Nothing is flushed for a single segment; its record waits for the next checkpoint. That flushes the
bytes first and the journal's record of that after them, so what a checkpoint covers outlives any
crash and is believed without being read; what was recorded after it is read and compared again.
"""

import errno
import logging
import math

from dxlfiletransferclient.digests import Buffer, short_digest
from dxlfiletransferclient.intervals import Ranges
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.checkpoints import Backlog
from dxlfiletransferclient.storage.frontier import HASHED_PER_SEGMENT, Fresh, Frontier
from dxlfiletransferclient.storage.holdings import EMPTY, MAX_GAPS, Claim, Holdings, Moment
from dxlfiletransferclient.storage.home import Home
from dxlfiletransferclient.storage.journal import (
    Checkpoint,
    Dropped,
    Intent,
    Segment,
    Stored,
    Withdrawn,
)
from dxlfiletransferclient.storage.journalfile import JournalFile
from dxlfiletransferclient.storage.partfile import PartFile
from dxlfiletransferclient.storage.partialnames import journal_name, part_name
from dxlfiletransferclient.storage.recovery import Recovered
from dxlfiletransferclient.storage.turns import Turns

logger = logging.getLogger(__name__)


class Partial:
    """A file that arrives in parts. May be used by several threads at once.

    Made by :mod:`~dxlfiletransferclient.storage.opening`.

    Attributes:
        file_id: Id of the file.
        name: Name of its bytes in the working directory.
        metadata: What it is to become.
        segments: Segments so far; means something with version 1 only.
        intent: Set once it was about to be given its name.
        stored: What became of it, once it has its name.
        moved: Whether the bytes have left the working directory, and why is to be found out.
        lost: Whether it turned out that they are nowhere.
    """

    def __init__(self, home: Home, file_id: str, found: Recovered, *, moved: bool = False) -> None:
        history = found.history
        self.file_id = file_id
        self.name = part_name(file_id)
        self.metadata = found.metadata
        self.segments = found.segments
        self.intent = history.intent
        self.stored = history.stored
        self.moved = moved and not history.stored
        self._part = PartFile(home.directory, home.descriptors, self.name)
        self._journal = JournalFile(
            home.directory,
            home.descriptors,
            journal_name(file_id),
            writer=found.writer,
            named=bool(history.durable),
            gathers=found.metadata.version > 1,
        )
        self._journal.owe(*found.lost)
        self._turns = Turns(file_id)
        self._lock = self._turns.lock
        self._holdings = Holdings(found.held, history.durable)
        self._backlog = Backlog(home.policy)
        if found.held.total > history.durable.total:
            # It was found again after a crash, and is to be flushed soon.
            self._backlog.wrote(found.held.total - history.durable.total, -math.inf)
        self._saved = (history.hashed, history.state)
        self._frontier = Frontier(*self._saved)
        self.lost = False
        self._publishing = self.moved
        self._hashed_again = False
        self._broken = False

    def begin(self) -> None:
        """Begin the journal; only for a new file.

        Raises:
            OSError: If that cannot be done.
        """
        with self._lock:
            self._journal.append(self.metadata)

    @property
    def size(self) -> int:
        """The offset after the last byte that is there."""
        with self._lock:
            return self._holdings.end

    @property
    def sha256(self) -> str:
        """SHA-256 of what has been hashed, in lower-case hex."""
        return self._frontier.sha256()

    def ranges(self) -> tuple[Ranges, Ranges]:
        """Return the first ranges that are there, and the first that outlive any crash."""
        with self._lock:
            return self._holdings.first_held(), self._holdings.first_durable

    def covers(self, size: int) -> bool:
        """Whether every byte of a file of this size is there."""
        with self._lock:
            return self._holdings.covers(size)

    def write(self, offset: int, payload: Buffer, now: float, digest: bytes | None = None) -> None:
        """Take some bytes; those that are there already must be the same.

        Args:
            offset: Where they begin.
            payload: The bytes, at least one.
            now: The time, in seconds.
            digest: Their short digest, where it is known.

        Raises:
            RefusedError: ``OTHER_BYTES``, ``BUSY``, or ``INVALID`` where there are too many gaps.
            OSError: If they cannot be written; what was held before is held on, except where a
                flush failed: then nothing is held that was not durable.
        """
        claim = self._claimed(offset, offset + len(payload))
        try:
            segments = self._written(claim, offset, memoryview(payload), digest)
        except BaseException:
            with self._lock:
                self._holdings.release(claim)
                self._turns.tell()
            raise
        due = self._accepted(claim, segments, now)
        self._frontier.help_on(
            self._prefix, self._part.read, at_most=HASHED_PER_SEGMENT, fresh=Fresh(offset, payload)
        )
        if due:
            self.checkpoint_if_due(now)

    def append(self, payload: Buffer, now: float) -> None:
        """Take the next segment of version 1, which may be empty. Not for several threads at once.

        Raises:
            RefusedError: ``BUSY``.
            OSError: If it cannot be written; the file is of no use then.
        """
        if self._broken:
            raise OSError(errno.EIO, "what came before could not be flushed to the disk")
        if payload:
            self.write(self.size, payload, now)
        else:
            with self._lock:
                self._journal.append(Segment(self._holdings.end, 0, short_digest(b"")))
                self._backlog.wrote(0, now)
        self.segments += 1

    def checkpoint_if_due(self, now: float) -> None:
        """Make a checkpoint if it is time for one.

        Raises:
            OSError: If the disk fails; nothing is held then that was not durable.
        """
        with self._lock:
            if self._is_named or not self._backlog.is_due(now):
                return
            self._backlog.begin()
        self._checkpoint()

    def checkpoint(self) -> None:
        """Make everything durable that is held at this moment; waits for one that is being made.

        Raises:
            RefusedError: ``BUSY`` if that takes too long.
            OSError: If the disk fails; nothing is held then that was not durable.
        """
        with self._lock:
            self._turns.wait_while(
                lambda: self._backlog.is_flushing, "it is being flushed to the disk"
            )
            if self._is_named or (self._backlog.is_empty and not self._journal.owes):
                return
            self._backlog.begin()
        self._checkpoint()

    def hash_up_to(self, size: int, *, at_most: int) -> bool:
        """Go on with the SHA-256 of everything before an offset; tells whether that is complete.

        Raises:
            OSError: If the file cannot be read.
        """
        return self._frontier.go_on(size, self._part.read, at_most=at_most)

    def hash_again(self) -> bool:
        """Forget the SHA-256, to compute it from what is on the disk; ``False`` the second time."""
        if self._hashed_again:
            return False
        self._hashed_again = True
        self._frontier.restart()
        return True

    def cut(self) -> None:
        """Take away what was written behind the end and never recorded.

        Raises:
            OSError: If that cannot be done.
        """
        self._part.cut(self.size)

    def is_here(self) -> bool:
        """Whether the bytes are in the working directory still.

        Raises:
            OSError: If that cannot be found out.
        """
        return self._part.is_here()

    def drop_damaged(self) -> Ranges:
        """Read everything again, drop what is not as it was when it arrived, and return that.

        Raises:
            OSError: If the file cannot be read, or its journal not be written.
        """
        with self._lock:
            self._journal.append()
        damaged = self._part.damaged(journal_name(self.file_id)).ranges
        if damaged:
            with self._lock:
                self._holdings.drop(damaged)
                self._saved = (0, b"")
                self._journal.owe(*(Dropped(start, end) for start, end in damaged))
                self._journal.append()
            self._frontier.restart()
        return damaged

    def begin_publishing(self, size: int, sha256: str) -> bool:
        """Record that the file is whole and about to be given its name; durable on return.

        Returns:
            ``False`` if somebody still writes; nothing was done then.

        Raises:
            RefusedError: ``BUSY`` if it takes too long to flush the file.
            OSError: If that cannot be done.
        """
        with self._lock:
            self._turns.wait_while(
                lambda: self._backlog.is_flushing, "it is being flushed to the disk"
            )
            if self._holdings.is_being_written:
                return False
            self._publishing = True
        try:
            inode = self._part.cut(size)
            intent = Intent(size, inode, sha256)
            with self._lock:
                self._journal.append(intent)
            self._journal.sync()
        except BaseException:
            self.withdraw(trusted=True)
            raise
        self.intent = intent
        return True

    def withdraw(self, *, trusted: bool) -> None:
        """Record that the file could not be given its name; it is under way as before.

        Args:
            trusted: Whether the disk is not to blame. Otherwise the bytes that no checkpoint covers
                are held no more, as after any flush that failed.
        """
        if not trusted:
            self._give_up_what_is_not_durable()
        with self._lock:
            self._publishing = False
            self._journal.owe(Withdrawn())
            try:
                self._journal.append()
            except OSError as error:
                logger.warning("Could not write the journal of file %s: %s", self.file_id, error)

    def end(self, stored: Stored) -> None:
        """Record what became of the file, and remove its bytes if they were not used.

        Raises:
            OSError: If that cannot be recorded; the file counts as ended nevertheless.
        """
        self._part.let_go()
        with self._lock:
            self.stored = stored
            self._publishing = False
            self._journal.append(stored)
        if self._part.is_here():
            # Without its bytes the journal would tell that they were given their name.
            self._journal.sync()
            self._part.remove()

    @property
    def _is_named(self) -> bool:
        """Whether it has its name or is about to get it: then its bytes are not to be touched."""
        return self._publishing or self.stored is not None

    def _prefix(self) -> int:
        return self._holdings.prefix

    def _claimed(self, start: int, end: int) -> Claim:
        """Wait for the turn of some bytes, and take it."""
        with self._lock:
            if self._backlog.is_full or self._holdings.is_claimed(start, end):
                self._turns.wait_while(
                    lambda: self._backlog.is_full or self._holdings.is_claimed(start, end),
                    "the disk cannot keep up",
                )
            if self._is_named:
                if not self._holdings.covers(end):
                    self._turns.refuse("it is being stored")
                # Whoever checked the whole file has seen to these bytes.
                return EMPTY
            if not self._holdings.has_room_for(start, end):
                text = f"file {self.file_id!r} has over {MAX_GAPS} gaps; send what is missing first"
                raise RefusedError(ErrorCode.INVALID, text)
            return self._holdings.claim(start, end)

    def _written(
        self, claim: Claim, offset: int, view: memoryview, digest: bytes | None
    ) -> list[Segment]:
        """Compare what is there, write what is missing, and return what there is to record."""
        if claim.missing == ((offset, offset + len(view)),):
            return [self._part.write(offset, view, digest)]
        for start, end in claim.held:
            try:
                other = self._part.differs(start, view[start - offset : end - offset])
            except FileNotFoundError:
                if not self._is_named:
                    raise
                # It has got its name; whoever checked the whole file has seen to these bytes.
                other = None
            if other is not None:
                text = f"other bytes of file {self.file_id!r} are held near {other}"
                raise RefusedError(ErrorCode.OTHER_BYTES, text)
        return [
            self._part.write(start, view[start - offset : end - offset])
            for start, end in claim.missing
        ]

    def _accepted(self, claim: Claim, segments: list[Segment], now: float) -> bool:
        """Take the bytes of a claim for written, and tell whether it is time for a checkpoint."""
        with self._lock:
            self._holdings.release(claim)
            self._turns.tell()
            if segments and not self._holdings.counts(claim):
                # A flush failed meanwhile, and these bytes may have been part of it.
                self._turns.refuse("what was written had to be given up")
            if segments:
                self._journal.gather(segments)
                self._holdings.accept(claim)
                for segment in segments:
                    self._backlog.wrote(segment.length, now)
            return self._backlog.is_due(now)

    def _checkpoint(self) -> None:
        """Make the checkpoint that was begun."""
        try:
            # The SHA-256 first: what it has taken in is then among what is flushed.
            saved = self._frontier.saved()
            with self._lock:
                # Where this fails nothing was flushed, and what is held is held on.
                self._journal.append()
                mark, moment = self._journal.position, self._holdings.now()
            self._flush(Checkpoint(mark, *saved), moment)
        finally:
            with self._lock:
                self._backlog.end()
                idle = self._backlog.is_empty
                self._turns.tell()
            if idle:
                self._frontier.let_go()  # nobody may come who hashes it soon

    def _flush(self, checkpoint: Checkpoint, moment: Moment) -> None:
        try:
            self._part.sync()
            with self._lock:
                self._journal.append(checkpoint)
            self._journal.sync()
        except OSError:
            self._give_up_what_is_not_durable()
            raise
        with self._lock:
            if self._holdings.make_durable(moment):
                self._saved = checkpoint.hashed, checkpoint.state

    def _give_up_what_is_not_durable(self) -> None:
        # After a failed flush the system may take the bytes for written, though they are not: a
        # second flush proves nothing.
        with self._lock:
            self._broken = self.metadata.version == 1
            self._journal.owe(*(Dropped(*gap) for gap in self._holdings.give_up()))
            saved = self._saved
        self._frontier.restart(*saved)

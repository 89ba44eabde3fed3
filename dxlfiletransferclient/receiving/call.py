"""What all jobs of one call share, and what each of them is about."""

import logging
from collections import deque
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from dxlfiletransferclient.calls.ledger import Ledger, Totals
from dxlfiletransferclient.errors import FileTransferError, UnsafeNameError, brief
from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.protocol.messages import Entry
from dxlfiletransferclient.receiving.existing import Decision, decide
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.part import Place, part_id
from dxlfiletransferclient.receiving.partfile import PartFile
from dxlfiletransferclient.receiving.publishing import Publisher
from dxlfiletransferclient.receiving.target import Target
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.names import Parts

logger = logging.getLogger(__name__)


class NotReceivedError(FileTransferError):
    """Something that cannot be received, or is left out on purpose; the text says why."""


def _forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and its causes.

    Their frames hold directories open, and a report keeps thousands of errors for as long as its
    owner likes.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to receive.

    Attributes:
        entry: What it is on the service.
        target: The directory below which it goes.
        parts: Its name there.
    """

    entry: Entry
    target: Target
    parts: Parts

    @property
    def path(self) -> Path:
        """Its path here."""
        return self.target.path_of(self.parts)


@dataclass(slots=True)
class Found:
    """How much there is to receive.

    Attributes:
        files: Files, empty directories and links so far.
        bytes: Their bytes.
        complete: Whether all directories are listed.
    """

    files: int = 0
    bytes: int = 0
    complete: bool = False

    @property
    def totals(self) -> Totals | None:
        """The same for the progress; ``None`` until it is all."""
        return Totals(self.files, self.bytes) if self.complete else None


@dataclass(slots=True, kw_only=True)
class Call:
    """What all jobs of one call share.

    Attributes:
        store_topic: Names the service.
        segment_size: Bytes in one message at most.
        options: What the caller has chosen.
        flusher: Runs flushes, one at a time.
        publisher: Gives names to what is ready.
        ledger: What is told of the call.
        again: Small files that turned out to be none, to be received as large ones.
        open_parts: Part files that are open.
        found: How much there is to receive.
    """

    store_topic: str
    segment_size: int
    options: GetOptions
    flusher: Executor
    publisher: Publisher
    ledger: Ledger
    again: deque[Errand] = field(default_factory=deque)
    open_parts: set[PartFile] = field(default_factory=set)
    found: Found = field(default_factory=Found)

    def part_id(self, errand: Errand) -> str:
        """Return the id of the part file for something."""
        return part_id(self.store_topic, errand.entry.name, errand.parts[-1])

    def attributes(self, entry: Entry) -> Attributes:
        """Return what a file is to have."""
        modified_ns = entry.modified_ns if self.options.keep_modified else None
        return Attributes(modified_ns, entry.executable)

    def runnable(self, errand: Errand, place: Place) -> int:
        """Return the executable bits that a file may get at its place.

        Raises:
            TargetError: If they cannot be found out.
        """
        return errand.target.runnable(place) if errand.entry.executable else 0

    def decide(self, errand: Errand) -> Decision:
        """Decide what becomes of a file, as ``existing.decide`` does.

        Raises:
            TargetError: If something is in its way.
            UnsafeNameError: If a link or a file is on the way to it.
        """
        found = errand.target.found(errand.parts)
        return decide(found, errand.entry, self.options.overwrite, errand.path)

    def open_part(self, errand: Errand) -> PartFile:
        """Open the part file for a large file.

        Raises:
            TargetError: If it cannot be opened, or another process has it.
            UnsafeNameError: If a link or a file is on the way to it.
        """
        entry = errand.entry
        part = PartFile(
            errand.target.place(errand.parts),
            self.part_id(errand),
            entry.name,
            entry.version,
            entry.size,
            flusher=self.flusher,
            checkpoint_bytes=self.options.checkpoint_bytes,
            checkpoint_seconds=self.options.checkpoint_seconds,
        )
        self.open_parts.add(part)
        return part

    def close_part(self, part: PartFile) -> None:
        """Let go of a part file, after a last checkpoint; it stays for a later call."""
        self.open_parts.discard(part)
        try:
            part.close()
        except OSError:
            logger.warning("The last bytes of a part file are not safe", exc_info=True)

    def report(
        self,
        errand: Errand,
        result: Result,
        *,
        sha256: str | None = None,
        sent: int = 0,
        resumed: int = 0,
        seconds: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        """Tell what became of something."""
        if error is not None and not isinstance(error, Exception):
            error = FileTransferError(f"the call was interrupted ({type(error).__name__})")
        if isinstance(error, OSError | UnsafeNameError):
            logger.debug("%s was not received", brief(errand.entry.name), exc_info=error)
            _forget_frames(error)
        self.ledger.note(
            FileOutcome(
                name=errand.entry.name,
                path=errand.path,
                result=result,
                size=errand.entry.size,
                sha256=sha256,
                sent=sent,
                resumed=resumed,
                seconds=seconds,
                error=error,
            )
        )

"""Makes jobs of the files of a manifest, as they are needed."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import FileTransferError, MalformedAnswerError
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import FileMeter, ProgressMeter
from dxlfiletransferclient.protocol.messages import BatchEntry, EntryResult, Kind, OpenRequest
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.sending.batching import Batch, Batcher
from dxlfiletransferclient.sending.batchjob import BatchJob
from dxlfiletransferclient.sending.ending import Ending
from dxlfiletransferclient.sending.filejob import FileJob
from dxlfiletransferclient.sending.scan import Item, NotSentError
from dxlfiletransferclient.storage.names import parse_name
from dxlfiletransferservice.courier.seams import ManifestFile
from dxlfiletransferservice.courier.sources import Sources
from dxlfiletransferservice.courier.terms import Terms

FILES_AT_ONCE: Final = 5000
"""Files that are looked at in one go at most: some tens of milliseconds if all of them are gone, in
which nothing else happens."""


class Limits(Protocol):
    """What the receiver and the rates allow at the moment."""

    def largest(self) -> int:
        """Return how many bytes a message may have at the receiver."""
        ...

    def size(self) -> int:
        """Return how many bytes the next message should have at most."""
        ...

    def granted(self, window: int) -> None:
        """Take over how many bytes the receiver lets be outstanding."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is sent by itself.

    Attributes:
        job: Sends it.
        file: It.
        file_id: The id under which it is sent.
        meter: How far it is.
    """

    job: Job
    file: ManifestFile
    file_id: str
    meter: FileMeter


class Outcomes(Protocol):
    """Hears what becomes of files."""

    def stored(self, file: ManifestFile) -> None:
        """Hear that a file is stored, or was kept or unchanged."""
        ...

    def failed(self, file: ManifestFile, error: BaseException) -> None:
        """Hear that a file could not be sent."""
        ...


class Packer:
    """Makes jobs of the files of a manifest: small ones go many in one message.

    Args:
        files: The files.
        reachable: Whether a file is not too far ahead to be begun.
        sources: Opens them.
        terms: On what terms they are sent.
        limits: What is allowed at the moment.
        outcomes: Hears what becomes of them.
    """

    def __init__(
        self,
        files: Iterator[ManifestFile],
        reachable: Callable[[int], bool],
        *,
        sources: Sources,
        terms: Terms,
        limits: Limits,
        outcomes: Outcomes,
    ) -> None:
        self._files = files
        self._reachable = reachable
        self._sources = sources
        self._terms = terms
        self._limits = limits
        self._outcomes = outcomes
        self._meter = ProgressMeter(now=0.0)
        self._next: ManifestFile | None = None
        self._limit = self._limits.largest()
        self._batcher = Batcher(self._limit)
        self._packed: deque[ManifestFile] = deque()
        self._jobs: deque[Job | Whole] = deque()
        self.exhausted = False

    def take(self) -> Job | Whole | None:
        """Return the next job; ``None`` if there is none at the moment, or none any more."""
        for _ in range(FILES_AT_ONCE):
            if self._jobs:
                return self._jobs.popleft()
            file = self._following()
            if file is None:
                self._flush()
                break
            self._next = None
            self._pack(file)
        return self._jobs.popleft() if self._jobs else None

    def _following(self) -> ManifestFile | None:
        """Return the file that comes next, unless it is too early for it."""
        if self._next is None and not self.exhausted:
            self._next = next(self._files, None)
            self.exhausted = self._next is None
        if self._next is None or not self._reachable(self._next.number):
            return None
        return self._next

    def _pack(self, file: ManifestFile) -> None:
        name = self._terms.prefix + file.dest
        try:
            parse_name(name)
            if file.directory:
                self._add(file, self._directory(name))
            elif file.size > self._most_in_batch(name):
                self._flush()
                self._jobs.append(self._whole(file, name))
            else:
                self._add(file, self._small(file, name))
        # A value error is of what cannot be said about a file, such as a time in the far future.
        except (OSError, FileTransferError, CommandError, ValueError) as error:
            self._outcomes.failed(file, error)

    def _most_in_batch(self, name: str) -> int:
        if not self._terms.batches:
            return -1
        limit = min(self._limits.largest(), self._limits.size())
        if limit != self._limit:
            self._flush()
            self._limit = limit
            self._batcher = Batcher(limit)
        return self._batcher.content_limit(name)

    def _directory(self, name: str) -> BatchEntry:
        if not self._terms.batches:
            raise NotSentError("the receiver takes no empty directories")
        return BatchEntry(kind=Kind.DIRECTORY, name=name, overwrite=self._terms.overwrite)

    def _small(self, file: ManifestFile, name: str) -> BatchEntry:
        found = self._sources.read(file)
        return BatchEntry(
            name=name,
            payload=found.content,
            sha256=sha256(found.content).hexdigest(),
            modified_ns=found.modified_ns,
            executable=file.executable,
            overwrite=self._terms.overwrite,
        )

    def _add(self, file: ManifestFile, entry: BatchEntry) -> None:
        full = self._batcher.add(Item(file.src, entry.name, size=file.size), entry)
        if full is not None:
            self._send(full)
        self._packed.append(file)

    def _flush(self) -> None:
        rest = self._batcher.take()
        if rest is not None:
            self._send(rest)

    def _send(self, batch: Batch) -> None:
        files = [self._packed.popleft() for _ in batch.entries]
        self._jobs.append(BatchJob(batch, partial(self._entry_ended, files)))

    def _entry_ended(
        self,
        files: list[ManifestFile],
        number: int,
        result: EntryResult | BaseException,
        _seconds: float,
    ) -> None:
        file = files[number]
        if not isinstance(result, EntryResult):
            self._outcomes.failed(file, result)
        elif result.code is not None:
            text = result.text or "the receiver gives no reason"
            self._outcomes.failed(file, RefusedError(result.code, text))
        elif result.state is None:
            self._outcomes.failed(file, MalformedAnswerError("the receiver gives no result"))
        else:
            self._outcomes.stored(file)

    def _whole(self, file: ManifestFile, name: str) -> Whole:
        opened = self._sources.open(file)
        try:
            request = OpenRequest(
                file_id=opened.file_id,
                name=name,
                size=file.size,
                modified_ns=opened.modified_ns,
                executable=file.executable,
                overwrite=self._terms.overwrite,
            )
            meter = self._meter.begin(name, file.size)
        except BaseException:
            opened.content.close()
            raise
        job = FileJob(
            opened.content,
            request,
            segment_size=self._limits.largest(),
            meter=meter,
            on_end=partial(self._file_ended, file),
            granted=self._limits.granted,
            most=self._limits.size,
        )
        return Whole(job, file, opened.file_id, meter)

    def _file_ended(self, file: ManifestFile, ending: Ending) -> None:
        if ending.error is not None:
            self._outcomes.failed(file, ending.error)
        elif ending.result in (Result.STORED, Result.UNCHANGED, Result.KEPT):
            self._outcomes.stored(file)
        else:
            self._outcomes.failed(file, NotSentError("it was not stored"))

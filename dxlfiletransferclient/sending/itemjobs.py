"""Makes jobs of what there is to send, as they are needed."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import FileTransferError, MalformedAnswerError
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    EntryResult,
    HelloAnswer,
    Kind,
    OpenRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.batching import Batch, Batcher
from dxlfiletransferclient.sending.batchjob import BatchJob
from dxlfiletransferclient.sending.call import Call
from dxlfiletransferclient.sending.identity import file_id_of
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.sending.pipes import PipeStream
from dxlfiletransferclient.sending.scan import Item, NotSentError, Unsent
from dxlfiletransferclient.sending.source import FileSource, read_small
from dxlfiletransferclient.sending.streamsource import StreamSource

ITEMS_PER_ROUND: Final = 16
"""Small files from one round of the call to the next, while they make no round of the engine.

A round costs some microseconds, a tenth of what a small file does. Cancelling is noticed between
any two of them; what cannot be sent is told at once.
"""

_RESULTS: Final = {TransferState.STORED: Result.STORED, TransferState.KEPT: Result.KEPT}


def segment_size_of(options: SendOptions, hello: HelloAnswer) -> int:
    """Return the largest segment that both the caller and the service want."""
    return min(options.segment_size or hello.segment_size, hello.segment_size)


def most_in_batch(name: str, options: SendOptions, hello: HelloAnswer) -> int:
    """Return how many bytes a file of a name may have to go in a batch; -1 if none go so."""
    if Verb.BATCH not in hello.verbs.split():
        return -1
    limit = Batcher(segment_size_of(options, hello)).content_limit(name)
    return min(options.batch_below, limit)


class ItemJobs:
    """Makes jobs of what a scan finds.

    Args:
        call: What the jobs share.
        hello: What the service offers.
        options: What the caller chose.
    """

    def __init__(self, call: Call, hello: HelloAnswer, options: SendOptions) -> None:
        self._call = call
        self._options = options
        self._hello = hello
        self._takes_batches = Verb.BATCH in hello.verbs.split()
        self._batcher = Batcher(segment_size_of(options, hello))
        self._any_unsent = False

    def of(self, found: Iterable[Item | Unsent]) -> Iterator[Job]:
        """Yield the jobs that send what was found; what cannot be sent becomes an outcome."""
        for number, each in enumerate(found):
            # A long row of files that take no job makes no rounds of the engine either.
            if self._any_unsent or number % ITEMS_PER_ROUND == 0:
                self._any_unsent = False
                self._call.go_on()
            else:
                self._call.cancel.check()
            if isinstance(each, Unsent):
                self._not_sent(each.path, each.name, each.error, each.result)
                continue
            job = self._job_of(each)
            if job is not None:
                yield job
        batch = self._batcher.take()
        if batch is not None:
            yield self._batch_job(batch)

    def of_entry(self, item: Item, entry: BatchEntry) -> Job:
        """Return the job that sends one small file by itself.

        Args:
            item: What it is here.
            entry: What is sent of it, not more than :func:`most_in_batch` says.
        """
        batcher = Batcher(MAX_PAYLOAD)
        batcher.add(item, entry)
        return self._batch_job(batcher.take() or Batch())

    def _job_of(self, item: Item) -> Job | None:
        """Return the job that is to be done now because of an item, if there is one."""
        if item.stream:
            return self._whole(item, self._open_stream)
        if item.kind is not Kind.FILE:
            if self._takes_batches:
                return self._in_batch(item, 0)
            error = NotSentError(f"the service takes no {item.kind} by itself")
            self._not_sent(item.path, item.name, error)
            return None
        room = self._batcher.content_limit(item.name) if self._takes_batches else -1
        if item.size > room or item.size > self._options.batch_below:
            return self._whole(item, self._open_file)
        return self._in_batch(item, room)

    def _whole(self, item: Item, opened: Callable[[Item], Job]) -> Job | None:
        """Return the job for a file of its own, if it can be opened."""
        try:
            return opened(item)
        except TransferCancelledError:
            raise
        except (OSError, FileTransferError) as error:
            self._not_sent(item.path, item.name, error, size=item.size)
            return None

    def _open_file(self, item: Item) -> Job:
        source = FileSource(item.path)
        overwrite = self._options.overwrite
        modified_ns = source.modified_ns if self._options.keep_modified else None
        request = OpenRequest(
            file_id=file_id_of(source, item.name, overwrite=overwrite, modified_ns=modified_ns),
            name=item.name,
            size=source.size,
            modified_ns=modified_ns,
            executable=source.executable,
            overwrite=overwrite,
        )
        return self._call.file_job(source, request, path=Path(item.path), lasting=True)

    def _open_stream(self, item: Item) -> Job:
        pipe = PipeStream(item.path, self._call.cancel)
        content = StreamSource(
            pipe.read, name=item.path, buffer=self._options.stream_buffer, close=pipe.close
        )
        request = OpenRequest(
            file_id=uuid.uuid4().hex, name=item.name, overwrite=self._options.overwrite
        )
        return self._call.file_job(content, request, path=Path(item.path), lasting=False)

    def _in_batch(self, item: Item, room: int) -> Job | None:
        """Put an item into the batch, if it has not more bytes than there is room.

        Returns:
            The job for the batch before, if that is full; or for the file itself, if it has grown.
        """
        try:
            entry = self._entry(item, room)
        except (OSError, FileTransferError) as error:
            self._not_sent(item.path, item.name, error, size=item.size)
            return None
        if entry is None:
            return self._whole(item, self._open_file)
        full = self._batcher.add(item, entry)
        return None if full is None else self._batch_job(full)

    def _entry(self, item: Item, room: int) -> BatchEntry | None:
        overwrite = self._options.overwrite
        if item.kind is not Kind.FILE:
            return BatchEntry(
                kind=item.kind, name=item.name, target=item.target, overwrite=overwrite
            )
        found = read_small(item.path, room)
        if found is None:
            return None
        return BatchEntry(
            name=item.name,
            payload=found.content,
            sha256=sha256(found.content).hexdigest(),
            modified_ns=found.modified_ns if self._options.keep_modified else None,
            executable=found.executable,
            overwrite=overwrite,
        )

    def _batch_job(self, batch: Batch) -> Job:
        return BatchJob(batch, partial(self._entry_ended, batch))

    def _entry_ended(
        self, batch: Batch, number: int, result: EntryResult | BaseException, seconds: float
    ) -> None:
        item, entry = batch.items[number], batch.entries[number]
        size = len(entry.payload)
        became = _became(result)
        if not isinstance(became, Result):
            if isinstance(became, Exception) and not isinstance(became, TransferCancelledError):
                self._not_sent(item.path, item.name, became, size=size)
            return
        self._call.ledger.meter.whole(item.name, size, complete=became is Result.STORED)
        self._call.ledger.note(
            FileOutcome(
                name=item.name,
                path=Path(item.path),
                result=became,
                size=size,
                sha256=entry.sha256,
                sent=size,
                seconds=seconds,
            )
        )

    def _not_sent(
        self,
        path: str,
        name: str,
        error: Exception,
        result: Result = Result.FAILED,
        *,
        size: int = 0,
    ) -> None:
        self._any_unsent = True
        self._call.ledger.meter.whole(name, size, complete=False)
        outcome = FileOutcome(name=name, path=Path(path), result=result, size=size, error=error)
        self._call.ledger.note(outcome)


def _became(result: EntryResult | BaseException) -> Result | BaseException:
    """Return what became of an entry, or the error with which it failed."""
    if not isinstance(result, EntryResult):
        return result
    if result.code is not None:
        return RefusedError(result.code, result.text or "the service gives no reason")
    became = None if result.state is None else _RESULTS.get(result.state)
    if became is None:
        return MalformedAnswerError(f"the service answered with state {result.state} to a batch")
    return became

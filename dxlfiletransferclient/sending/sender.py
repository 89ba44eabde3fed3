"""Sends files, directories and streams to a service that speaks version 2."""

import uuid
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from dxlfiletransferclient.calls.caller import Caller
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.outcomes import FileOutcome, TransferReport
from dxlfiletransferclient.progress import Phase
from dxlfiletransferclient.protocol.messages import BatchEntry, HelloAnswer, OpenRequest
from dxlfiletransferclient.segments import ReadableStream
from dxlfiletransferclient.sending.call import Call
from dxlfiletransferclient.sending.counting import Counter
from dxlfiletransferclient.sending.identity import call_key
from dxlfiletransferclient.sending.itemjobs import ItemJobs, most_in_batch, segment_size_of
from dxlfiletransferclient.sending.naming import PathLike, name_sources
from dxlfiletransferclient.sending.options import SendOptions
from dxlfiletransferclient.sending.scan import Item, scan
from dxlfiletransferclient.sending.source import Content, read_small
from dxlfiletransferclient.sending.streamsource import StreamSource


class Sender(Caller[SendOptions]):
    """Sends over a bus; made as any :class:`~dxlfiletransferclient.calls.caller.Caller`.

    Example:
        >>> sender = Sender(bus)  # doctest: +SKIP
        >>> sender.send(["report.pdf", "pictures"], "2026/").raise_for_failure()  # doctest: +SKIP
    """

    _defaults = SendOptions()
    _engine: Engine | None = None

    def connect(self, key: str = "") -> HelloAnswer:
        """Find a service, for the next thing that is sent; otherwise that is done then.

        Args:
            key: Decides between several instances: always the same one for the same key.

        Raises:
            RefusedError: ``NO_SERVICE`` if nobody serves version 2.
            NoAnswerError: If it does not answer.
            NotConnectedError: If there is no connection.
            TransferCancelledError: If it was cancelled.
        """
        self._engine = self._connected_engine(key)
        return self._engine.hello

    def send(self, sources: PathLike | Iterable[PathLike], to: str = "") -> TransferReport:
        """Send files and directories, and wait until all are stored.

        A file that fails is reported, and the others are sent. What was sent of a file when the
        call fails or is cancelled stays with the service, and the same call goes on with it.

        Args:
            sources: Paths; a named pipe or device is read until it ends. See :mod:`.naming`.
            to: Name or directory on the service; see :mod:`.naming`.

        Raises:
            ValueError: If there is nothing to send, or files would get the same name.
            UnsafeNameError: If nothing may be stored under ``to``.
            RefusedError: ``NO_SERVICE`` if nobody serves version 2.
            NoAnswerError: If the service cannot be reached (any more).
            NotConnectedError: If the fabric cannot be reached (any more).
            TransferCancelledError: If it was cancelled.
        """
        named = name_sources(sources, to)
        call, engine = self._begin(call_key(named))
        counting = self._progress is not None
        counter = Counter(scan(named, self._options.links)) if counting else None
        jobs = ItemJobs(call, engine.hello, self._options)
        return call.run(jobs.of(scan(named, self._options.links)), counter)

    def send_stream(
        self,
        stream: ReadableStream,
        name: str,
        *,
        size: int | None = None,
        modified_ns: int | None = None,
        executable: bool = False,
    ) -> FileOutcome:
        """Send what a stream holds, as a file, and wait until it is stored.

        Args:
            stream: Any object with a ``read(size)`` that blocks until it has bytes or text; text is
                stored as UTF-8. While it blocks, so does the call.
            name: Name on the service.
            size: Bytes to send, if known; exactly so many are read.
            modified_ns: Modification time to be set, in nanoseconds since 1970.
            executable: Whether the file is to be executable.

        Raises:
            FileTransferError: It was not stored; of the kind that says why.
            OSError: The stream cannot be read.
        """
        content = StreamSource(stream.read, size=size, buffer=self._options.stream_buffer)
        request = OpenRequest(
            file_id=uuid.uuid4().hex,
            name=name,
            size=size,
            modified_ns=modified_ns,
            executable=executable,
            overwrite=self._options.overwrite,
        )
        return self.send_content(content, request)

    def send_small(self, path: str, name: str) -> FileOutcome | None:
        """Send a small file whole, in a single message, if it fits into one.

        Args:
            path: Path of the file.
            name: Name on the service.

        Returns:
            The outcome; ``None`` if it is too large for that, so that nothing was done.

        Raises:
            Exception: Whatever it failed with.
        """
        engine = self._engine_for(name)
        file = read_small(path, most_in_batch(name, self._options, engine.hello))
        if file is None:
            return None
        entry = BatchEntry(
            name=name,
            payload=file.content,
            sha256=sha256(file.content).hexdigest(),
            overwrite=self._options.overwrite,
        )
        call, _ = self._begin(name)
        job = ItemJobs(call, engine.hello, self._options).of_entry(Item(path, name), entry)
        return _single(call.run([job]))

    def send_content(
        self,
        content: Content,
        request: OpenRequest,
        *,
        path: Path | None = None,
        acknowledged: Callable[[int], object] = lambda _count: None,
    ) -> FileOutcome:
        """Send one content under an id that no other call uses, and wait until it is stored.

        If that fails, the service is told to drop it.

        Args:
            content: What to send; it is closed in any case.
            request: What the service is told of it.
            path: Where it is here, for the outcome.
            acknowledged: Is called with the bytes that the service holds, as they grow; what it
                raises ends the call.

        Raises:
            Exception: Whatever it failed with.
        """
        try:
            call, _ = self._begin(request.file_id)
            call.ledger.meter.expect(total=content.size, files=1)
            job = call.file_job(
                content, request, path=path, lasting=False, acknowledged=acknowledged
            )
            report = call.run([job])
        finally:
            content.close()
        return _single(report)

    def _engine_for(self, key: str) -> Engine:
        """Return a connected engine, which the next call uses."""
        if self._engine is None:
            self.connect(key)
        assert self._engine is not None  # noqa: S101 - connect has set it
        return self._engine

    def _begin(self, key: str) -> tuple[Call, Engine]:
        engine, self._engine = self._engine_for(key), None
        call = Call(
            self._bus,
            engine,
            self._store_topic,
            self._new_ledger(Phase.SENDING),
            segment_size=segment_size_of(self._options, engine.hello),
            cancel=self._cancel,
        )
        return call, engine


def _single(report: TransferReport) -> FileOutcome:
    (outcome,) = report.outcomes
    if outcome.error is not None:
        raise outcome.error
    return outcome

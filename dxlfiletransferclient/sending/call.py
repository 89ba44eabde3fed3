"""What the files of one call share: the engine, progress, outcomes, and what must be aborted."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from dxlfiletransferclient.calls.ledger import Ledger
from dxlfiletransferclient.errors import SourceChangedError
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.outcomes import FileOutcome, TransferReport
from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.messages import AbortRequest, OpenRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sending.aborting import AbortJob, abort_at_once
from dxlfiletransferclient.sending.counting import Counter
from dxlfiletransferclient.sending.ending import Ending
from dxlfiletransferclient.sending.filejob import FileJob
from dxlfiletransferclient.sending.source import Content


class Call:
    """Runs the jobs of one call.

    What callers pass in to be called is called between the rounds of the engine, so that whatever
    it raises ends the call.

    Args:
        bus: The bus.
        engine: A connected engine on it, for this call only.
        store_topic: Topic on which the service takes store requests.
        ledger: What is told of the call.
        segment_size: Largest segment, in bytes.
        cancel: Ends the call.

    Attributes:
        ledger: The same.
        cancel: The same.
    """

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        store_topic: str,
        ledger: Ledger,
        *,
        segment_size: int,
        cancel: Cancellation | None = None,
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._store_topic = store_topic
        self._segment_size = segment_size
        self.ledger = ledger
        self._aborts: deque[AbortRequest] = deque()
        self._aborting: dict[str, AbortRequest] = {}
        self._active: dict[int, FileJob] = {}
        self._cancelled: TransferCancelledError | None = None
        self.cancel = cancel or Cancellation()
        self._counter: Counter | None = None

    def file_job(
        self,
        content: Content,
        request: OpenRequest,
        *,
        path: Path | None,
        lasting: bool,
        acknowledged: Callable[[int], object] = lambda _count: None,
    ) -> Job:
        """Return the job that sends a file or stream.

        Args:
            content: What to send.
            request: What the service is told of it.
            path: Where it is here.
            lasting: Whether a later call can go on with what the service has after a failure;
                otherwise the service is told to drop it.
            acknowledged: Is called with the bytes that the service holds, as they grow.
        """
        meter = self.ledger.meter.begin(request.name, content.size)

        def ended(ending: Ending) -> None:
            self._active.pop(id(job), None)
            self._take_ending(request, path, ending, lasting=lasting)

        job = FileJob(
            content,
            request,
            segment_size=self._segment_size,
            meter=meter,
            on_end=ended,
            granted=self._engine.limit,
            acknowledged=acknowledged,
        )
        self._active[id(job)] = job
        return job

    def run(self, jobs: Iterable[Job], counter: Counter | None = None) -> TransferReport:
        """Run jobs until all have ended.

        Args:
            jobs: The jobs, made as they are needed.
            counter: Counts what there is to send, if anybody wants to know.

        Returns:
            What became of the files.

        Raises:
            TransferCancelledError: The call was cancelled.
            NotConnectedError: The fabric cannot be reached any more.
            NoAnswerError: The service cannot be reached any more.
        """
        self._counter = counter
        try:
            self._engine.run(self._with_aborts(jobs), each_round=self._round)
            while self._aborts:
                self._engine.run(self._abort_jobs(), each_round=self._round)
            self._pass_on()
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            if counter is not None:
                counter.stop()
        return self.ledger.close(self._bus.now())

    def _with_aborts(self, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            yield from self._abort_jobs()
            yield job

    def _abort_jobs(self) -> Iterator[Job]:
        while self._aborts:
            request = self._aborts.popleft()
            self._aborting[request.file_id] = request
            yield AbortJob(request, partial(self._aborting.pop, request.file_id, None))

    def go_on(self) -> None:
        """Do what each round of the engine ends with; for long work between its rounds.

        Raises:
            TransferCancelledError: The call was cancelled.
        """
        self.cancel.check()
        self._round()

    def _round(self) -> None:
        self._pass_on()
        if self._counter is not None:
            self.ledger.expect(self._counter.totals)
        self.ledger.meter.tick(self._bus.now())

    def _pass_on(self) -> None:
        self.ledger.pass_on()
        if self._cancelled is not None:
            raise self._cancelled

    def _give_up(self, error: BaseException) -> None:
        for job in list(self._active.values()):
            job.failed(error)
        # Also those that were asked for: the answers were not waited for.
        aborts = {**self._aborting, **{request.file_id: request for request in self._aborts}}
        abort_at_once(self._bus, self._store_topic, self._engine.service_id, aborts.values())

    def _take_ending(
        self, request: OpenRequest, path: Path | None, ending: Ending, *, lasting: bool
    ) -> None:
        error = ending.error
        if error is not None and not (lasting and _can_go_on(error)):
            reason = str(error)[:MAX_REASON_LENGTH]
            self._aborts.append(AbortRequest(file_id=request.file_id, reason=reason))
        if isinstance(error, TransferCancelledError):
            # It may come from a stream: then nobody else has heard of it.
            self._cancelled = error
        elif isinstance(error, Exception | None):
            self.ledger.note(
                FileOutcome(
                    name=request.name,
                    path=path,
                    result=ending.result,
                    size=ending.size,
                    sha256=ending.sha256,
                    sent=ending.sent,
                    resumed=ending.resumed,
                    seconds=ending.seconds,
                    error=error,
                )
            )


def _can_go_on(error: BaseException) -> bool:
    """Whether what the service has is of use to a later call."""
    if isinstance(error, RefusedError):
        return not error.means(ErrorCode.EXISTS, ErrorCode.WRONG_KIND)
    return not isinstance(error, SourceChangedError)

"""Drives jobs over a bus until they are done, whatever gets lost on the way."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.errors import FileTransferError, NotConnectedError
from dxlfiletransferclient.exchange.bus import Bus, Reply
from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.instances import Instance, not_offered
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.exchange.patience import Patience, Silences
from dxlfiletransferclient.exchange.pausing import delay_after, is_busy
from dxlfiletransferclient.exchange.pending import Pending, PendingAsks
from dxlfiletransferclient.exchange.pinning import LONGEST_ROUND, Found, Pin
from dxlfiletransferclient.exchange.question import QuestionJob
from dxlfiletransferclient.exchange.roster import Roster
from dxlfiletransferclient.exchange.supply import Supply
from dxlfiletransferclient.exchange.window import Window
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import HelloAnswer, Message
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError, Remedy
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.sealing.passage import Passage

__all__ = ["Engine", "EngineOptions"]

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

_NO_HURRY: Final = 0.01
"""Seconds between calls of a job that has something due and does nothing about it."""


class Engine:
    """Drives jobs over a bus until they are done, all on one instance of the service.

    It repeats what was lost, damaged or refused for the time being, bounds what is outstanding, and
    finds the service again when it or the broker was restarted. It starts no thread, and does
    nothing while no method runs.

    Args:
        bus: What it asks on.
        store_topic: The store topic of the service; the others are derived from it.
        key: What the calls are about; the choice among several instances depends on it, so that the
            same call finds the same one again.
        options: Sizes and times.
        cancel: Ends every method from outside.
        passage: Leads into the session that everything is asked in; by default there is none.

    Example:
        >>> engine = Engine(bus, cancel=cancel)  # doctest: +SKIP
        >>> engine.run([job])  # doctest: +SKIP
    """

    def __init__(
        self,
        bus: Bus,
        store_topic: str = DEFAULT_STORE_TOPIC,
        *,
        key: str = "",
        options: EngineOptions | None = None,
        cancel: Cancellation | None = None,
        passage: Passage | None = None,
    ) -> None:
        self._bus = bus
        self._store_topic = store_topic
        self._topics = {verb: topic_of(verb, store_topic) for verb in Verb}
        self._options = options or EngineOptions()
        self._cancel = cancel or Cancellation()
        self._pin = Pin(bus, store_topic, key, self._options)
        self._pending: PendingAsks[Job] = PendingAsks(
            Window(largest=0, granted=0, segment_size=SEGMENT_SIZE),  # until there is a service
            shortest=self._options.shortest_timeout,
            longest=self._options.longest_timeout,
            forget=bus.forget,
        )
        self._jobs = Roster(dismissed=self._pending.drop, passage=passage)
        self._silences = Silences(self._options.shortest_timeout)
        self._patience = Patience(self._options.patience)
        self._stepping = False
        if passage is not None:
            passage.follow(lambda: self.hello)

    @property
    def hello(self) -> HelloAnswer:
        """What the instance in use said about itself, last time that it was asked."""
        return self._pin.instance.hello

    @property
    def service_id(self) -> str:
        """The instance in use."""
        return self._pin.instance.service_id

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All that have answered at the start; some of them may be gone.

        Where the fabric does not tell who serves the topic, it is the one in use alone.
        """
        return self._pin.instances

    @property
    def window(self) -> int:
        """Bytes that may be outstanding at the moment."""
        return self._pending.window.size

    def limit(self, window: int) -> None:
        """Take over what the service grants now, in bytes; call it when an answer tells."""
        self._pending.window.limit(window)

    def connect(self) -> HelloAnswer:
        """Find the instance to use, unless that was done, and return what it says about itself.

        Raises:
            RefusedError: ``NO_SERVICE`` if nobody serves version 2 on the topic, which is clear at
                once; any other error that is the only answer.
            NoAnswerError: There was no answer within ``connect_timeout``.
            NotConnectedError: There is no connection to the fabric.
            TransferCancelledError: It was cancelled.
        """
        with self._watched():
            if self._pin.connect(self._cancel.check):
                self._restart()
        return self.hello

    def pin(self, instance: Instance) -> None:
        """Use another instance from now on, if it is not in use.

        When it turns out to be lost, it is looked for as any other.

        Args:
            instance: One of :attr:`instances`.

        Raises:
            RuntimeError: Jobs are under way, which would not know of it.
        """
        if self._jobs:
            raise RuntimeError("another instance cannot be used while jobs are under way")
        if self._pin.change(instance):
            self._silences.heard()
            self._restart()

    def run(
        self, jobs: Iterable[Job | None], *, each_round: Callable[[], object] | None = None
    ) -> None:
        """Drive jobs until all of them are finished; connects first if that was not done.

        What goes wrong with one job is that job's alone: it hears of it, and this method returns in
        the end. Only what concerns all of them is raised, after each job under way has heard of it.

        Args:
            jobs: The jobs, taken when there is room for one more; ``None`` where there is none at
                the moment, to be asked again after the next round. Whatever makes them may use
                :meth:`ask`.
            each_round: Called after each wait, some times per second at least.

        Raises:
            RefusedError: As :meth:`connect`.
            NoAnswerError: Nothing moved forward for as long as ``patience`` says.
            NotConnectedError: The same, for want of a connection.
            TransferCancelledError: It was cancelled.
        """
        supply = Supply(jobs, self._options.concurrency)
        mine: list[Job] = []
        self._jobs.forgive()
        self.connect()
        with self._watched():
            while supply.more or mine:
                dismissals = self._jobs.dismissals
                if supply.more:
                    mine += [self._begin(job) for job in supply.take(len(mine))]
                if mine:
                    self._step()
                elif supply.more:
                    self._cancel.check()
                    self._wait(self._bus.now() + LONGEST_ROUND)
                if each_round is not None:
                    each_round()
                if self._jobs.dismissals != dismissals:
                    mine = [job for job in mine if job in self._jobs]

    def ask(self, verb: Verb, request: Message, answer: type[M]) -> M:
        """Ask one small question, with repeats; jobs under way go on meanwhile.

        Args:
            verb: What is asked.
            request: With which arguments.
            answer: Class of the answer.

        Raises:
            RefusedError: The service refuses it, or does not offer the verb.
            FileTransferError: As :meth:`run`.
        """
        question = QuestionJob(verb, request, answer)
        self._jobs.forgive()
        self.connect()
        with self._watched():
            self._begin(question)
            while not question.finished:
                self._step()
        return question.result()

    def _begin(self, job: Job) -> Job:
        """Put a job under way, and return it as it is on the roster."""
        if not self._jobs:
            self._patience.restart()
        return self._jobs.add(job)

    def _step(self) -> None:
        if self._stepping:
            raise RuntimeError("a job cannot use the engine while the engine calls it")
        self._stepping = True
        try:
            self._round()
        finally:
            self._stepping = False

    def _round(self) -> None:
        self._cancel.check()
        now = self._bus.now()
        if not self._bus.connected:
            self._lose("the connection to the fabric was lost")
        hurry = False
        if self._pin.lost:
            self._pin.seek(now)
        else:
            hurry = self._send(now)
            if not self._jobs:
                return
        self._check_patience()
        now = self._wait(now if hurry else self._until(now))
        # Only now: what others took their time for may have let answers wait here.
        if not self._pin.lost and self._pending.expire(now) and self._silences.timed_out(now):
            self._lose("it does not answer", silence=True)
        if self._pin.lost:
            self._settle(now)
        self._jobs.sweep()

    def _wait(self, until: float) -> float:
        """Wait for replies and hear them; return when they were there."""
        began = self._bus.now()
        replies = self._bus.wait(until)
        now = self._bus.now()
        self._patience.passed(now - began)
        for reply in replies:
            self._hear(reply, now)
        return now

    def _until(self, now: float) -> float:
        """When to look again though no reply comes."""
        due = self._pin.due() if self._pin.lost else min(self._pending.due(now), self._jobs.due())
        return min(max(due, now + _NO_HURRY), now + LONGEST_ROUND)

    def _check_patience(self) -> None:
        if self._pin.lost and self._patience.over:
            raise self._pin.failure(self._patience.waited)
        if self._patience.over and self._pending:
            raise self._patience.failure(self._store_topic)

    def _lose(self, reason: str, *, silence: bool = False) -> None:
        if self._pin.lose(reason, silence=silence) and not self._pending:
            self._patience.restart()

    def _settle(self, now: float) -> None:
        """Go on with the instance that was found, if one was."""
        if (found := self._pin.found(now)) is None:
            return
        self._silences.heard()
        if found is Found.SLOW:
            self.limit(self.hello.window)
            return
        if found is Found.OTHER:
            self._pending.clear()
        self._restart()
        if found is Found.OTHER:
            self._jobs.moved(now)

    def _restart(self) -> None:
        hello, largest = self.hello, self._options.window
        self._pending.restart(
            Window(largest=largest, granted=hello.window, segment_size=hello.segment_size)
        )

    def _send(self, now: float) -> bool:
        """Send what is due, and a new request of each job; returns whether more may follow."""
        self._send_ready(now)
        more = False
        for job in self._jobs.turns():
            if self._pin.lost or self._pending.full:
                break
            more = self._ask_job(job, self._bus.now()) or more
        more = self._jobs.sweep() or more
        if not (more or self._pending or self._pin.lost or self._jobs.due() < math.inf):
            self._jobs.fail_all(FileTransferError("the job neither asks nor waits for anything"))
        self._send_ready(self._bus.now())
        return more

    def _ask_job(self, job: Job, now: float) -> bool:
        try:
            ask = None if job.finished else job.next(self._pending.room, now)
            if ask is None:
                return False
            if ask.verb not in self._pin.verbs:
                job.refused(ask, not_offered(ask.verb, self._store_topic), now)
                return True
            if not self._pending:
                self._patience.restart()
            self._pending.add(job, ask)
        except Exception as error:  # noqa: BLE001 - the job hears of it
            self._jobs.fail(job, error)
        return True

    def _send_ready(self, now: float) -> None:
        for pending in self._pending.ready(now):
            if self._pin.lost:
                return
            self._send_one(pending)

    def _send_one(self, pending: Pending[Job]) -> None:
        try:
            parcel = pending.ask.parcel()
            now = self._bus.now()  # what it reads may have let it wait
            topic = self._topics[pending.ask.verb]
            try:
                token = self._bus.ask(topic, parcel, service_id=self.service_id)
            except NotConnectedError as error:
                self._lose(str(error))
            else:
                self._pending.sent(pending, token, now)
        except Exception as error:  # noqa: BLE001 - the job hears of it
            self._jobs.fail(pending.owner, error)

    def _hear(self, reply: Reply, now: float) -> None:
        if self._pin.hear(reply, now):
            return
        if reply.refusal is not None:
            self._hear_error(reply.token, reply.refusal, now)
        elif (pending := self._pending.answered(reply.token, now)) is not None:
            self._silences.heard()
            self._pin.answers()
            self._hear_answer(pending, reply.parcel, now)

    def _hear_answer(self, pending: Pending[Job], parcel: Parcel, now: float) -> None:
        try:
            pending.owner.answered(pending.ask, parcel, now)
        except Exception as error:  # noqa: BLE001 - the job hears of it, unless it may pass
            if isinstance(error, RefusedError) and error.remedy is Remedy.REPEAT:
                self._again(pending, error, now)
                return
            self._jobs.fail(pending.owner, error)
        self._done(pending)

    def _hear_error(self, token: int, error: RefusedError, now: float) -> None:
        busy = is_busy(error)
        again = busy or error.means(ErrorCode.CORRUPT)
        gone = error.means(ErrorCode.NO_SERVICE, ErrorCode.CLOSING)
        self._silences.heard()
        pending = self._pending.refused(token, now, passing=again or gone, slow=busy)
        if pending is None:
            return
        if again:
            self._again(pending, error, now)
        elif gone:
            if error.means(ErrorCode.CLOSING):
                self._pin.leaves()
            self._lose(str(error))
        else:
            self._done(pending)
            self._jobs.refused(pending.owner, pending.ask, error, now)

    def _again(self, pending: Pending[Job], error: RefusedError, now: float) -> None:
        logger.debug("%s is sent again: %s", pending.ask.verb, error)
        self._patience.refused(error)
        self._pending.again(pending, now + delay_after(error, pending.setbacks))

    def _done(self, pending: Pending[Job]) -> None:
        self._pending.done(pending)
        self._patience.progressed()
        self._pin.progressed()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Wake up when cancelled, and end all jobs under way if the call fails."""
        with self._cancel.waking(self._bus.wake):
            try:
                yield
            except BaseException as error:
                self._jobs.fail_all(error)
                raise
            finally:
                if not self._jobs:
                    self._pin.stop()  # answers that came late may have ended the last job

"""One transfer that is being sent."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.exchange.question import QuestionJob
from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.messages import DoneAnswer, StatusRequest, TransferAnswer
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.sessions import LeaveRequest, Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferservice.courier.failures import StoppedError, fatal, interrupts, not_let_in
from dxlfiletransferservice.courier.pacedjob import PacedJob, Tally
from dxlfiletransferservice.courier.packing import Limits, Packer, Whole
from dxlfiletransferservice.courier.position import Position
from dxlfiletransferservice.courier.seams import (
    ManifestFile,
    Progress,
    Status,
    TransferPlan,
)
from dxlfiletransferservice.courier.sources import Sources, described
from dxlfiletransferservice.courier.terms import Terms
from dxlfiletransferservice.courier.turns import Turns
from dxlfiletransferservice.courier.watching import Touch

MOST_JOBS: Final = 4
"""Files and batches of a transfer that are under way at once: while one is verified, others
travel."""

MOST_WAITING: Final = 2
"""Those of them that wait for the transfer's turn: batches wait with their content in memory."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a transfer has ended.

    Attributes:
        status: ``COMPLETE`` or ``ERROR``.
        message: Why it has failed.
    """

    status: Status
    message: str = ""


class Consignment:
    """Sends one transfer: makes its jobs, and hears what comes of them.

    Args:
        plan: The transfer.
        files: The files of its manifest, from its position on.
        terms: On what terms it is sent.
        limits: What is allowed at the moment.
        turns: Says when it may send.
        touch: Is told what is waited for.
        now: The time.

    Attributes:
        plan: The same; another one when something about it has changed.
        began: When it was taken in hand.
        interrupted: Whether it was stopped, or the connection is lost: it is to be gone on with.
        verdict: How it has ended; ``None`` until it has.
    """

    def __init__(
        self,
        plan: TransferPlan,
        files: Iterator[ManifestFile],
        *,
        terms: Terms,
        limits: Limits,
        turns: Turns,
        touch: Touch,
        now: float,
    ) -> None:
        self.plan = plan
        self._terms = terms
        self._turns = turns
        self._touch = touch
        self._position = Position(plan.progress)
        self._tally = Tally()
        self._sources = Sources(plan)
        self._packer = Packer(
            files,
            self._position.reachable,
            sources=self._sources,
            terms=terms,
            limits=limits,
            outcomes=self,
        )
        self._jobs: list[PacedJob] = []
        self._checkpoints: list[PacedJob] = []
        self._whole: dict[int, Whole] = {}
        self._farewell: QuestionJob[DoneAnswer] | None = None
        self._leaving: PacedJob | None = None
        self._fatal: str | None = None
        self._silent = False
        self._checkpointed = now
        self.began = now
        self.interrupted = False
        self.verdict: Verdict | None = None

    @property
    def admitted(self) -> bool:
        """Whether the receiver has let it in, or there is no such thing."""
        passage = self._terms.passage
        return passage is None or passage.session is not None

    @property
    def public_key(self) -> str | None:
        """The public key of the receiver, if there is a session with it."""
        return self._terms.passage.peer if self._terms.passage else None

    @property
    def hurried(self) -> bool:
        """Whether there is something to do though nothing is under way and nothing is due."""
        return not self._jobs and not self._packer.exhausted and self._fatal is None

    def take(self) -> Job | None:
        """Return the next job; ``None`` if there is none at the moment."""
        self._jobs = [job for job in self._jobs if not job.finished]
        if self._over or self._leaving is not None:
            return None
        if len(self._jobs) >= MOST_JOBS or self._turns.waiting(self.plan.id) >= MOST_WAITING:
            return None
        made = self._packer.take()
        if made is None:
            return None
        job = self._paced(made.job if isinstance(made, Whole) else made)
        self._jobs.append(job)
        if isinstance(made, Whole):
            self._whole[made.file.number] = made
        return job

    def checkpoints(self, now: float) -> list[Job]:
        """Return what asks for checkpoints of the files under way, if that is due."""
        seconds = self.plan.checkpoint_seconds
        if not seconds or now < self._checkpointed + seconds:
            return []
        if self._over or self._leaving is not None:
            return []
        self._checkpointed = now
        found: list[PacedJob] = []
        for whole in self._whole.values():
            if not whole.job.finished and whole.meter.done:
                request = StatusRequest(file_id=whole.file_id, flush=True)
                found.append(self._paced(QuestionJob(Verb.STATUS, request, TransferAnswer)))
        unanswered = [job for job in self._checkpoints if not job.finished]
        self._checkpoints = unanswered + found
        return list(found)

    def settle(self) -> Job | None:
        """Look whether it is through; call it between rounds of the engine.

        Returns:
            What takes leave of the receiver, once, at the end. When that is done, or nobody can be
            taken leave of, there is a verdict.
        """
        self._jobs = [job for job in self._jobs if not job.finished]
        if self.verdict is not None or self.interrupted:
            return None
        if self._fatal is None and (self._jobs or not self._packer.exhausted):
            return None
        self._stop_jobs()
        if self._silent:
            self._close()
        elif self._leaving is None and (self._fatal is None or self.admitted):
            return self._leave()
        elif self._leaving is None or self._leaving.finished:
            self._close()
        return None

    def stop(self, outcome: Outcome, text: str = "") -> Job | None:
        """Stop sending, and leave what the receiver has as it is.

        Returns:
            What takes leave of the receiver, if it has let the transfer in.
        """
        self._stop_jobs()
        self.interrupted = True
        passage = self._terms.passage
        if self._leaving is not None or passage is None or passage.session is None:
            return None
        request = LeaveRequest(outcome=outcome, text=text[:MAX_REASON_LENGTH])
        # Its turn does not matter any more, and its figures do not either.
        return self._terms.guarded(QuestionJob(Verb.LEAVE, request, DoneAnswer))

    @property
    def progress(self) -> Progress:
        """How far it is."""
        before, tally, position = self.plan.progress, self._tally, self._position
        held = sum(whole.meter.done for whole in self._whole.values())
        return Progress(
            position=position.first,
            files_sent=position.files_sent,
            files_failed=position.files_failed,
            first_failure=position.first_failure,
            bytes_sent=before.bytes_sent + tally.bytes_sent,
            bytes_acked=min(position.bytes_acked + held, max(self.plan.total_bytes, 0)),
            bytes_received=before.bytes_received + tally.bytes_received,
            packets_sent=before.packets_sent + tally.packets_sent,
            packets_received=before.packets_received + tally.packets_received,
            bytes_retransmitted=before.bytes_retransmitted + tally.bytes_retransmitted,
            bytes_through=position.bytes_through,
        )

    def change(self, plan: TransferPlan) -> None:
        """Take over what has changed about it, but for how far it is."""
        self.plan = replace(plan, progress=self.plan.progress)
        self._sources.confine(plan.guard)

    def fail(self, text: str) -> None:
        """Give it up, at the next :meth:`settle`."""
        self._fatal = self._fatal or text

    def give_up(self, text: str) -> None:
        """Do the same because the receiver does not answer: leave of it is not waited for."""
        self._silent = True
        if self._leaving is None:
            self.fail(text)
        else:
            self._leaving.stop(StoppedError("the receiver does not answer"))

    # What the packer tells.

    def stored(self, file: ManifestFile) -> None:
        """Hear that a file is stored, or was kept or unchanged."""
        self._whole.pop(file.number, None)
        self._position.stored(file)

    def failed(self, file: ManifestFile, error: BaseException) -> None:
        """Hear that a file could not be sent."""
        if isinstance(error, StoppedError):
            return  # whoever has stopped it knows
        if interrupts(error):
            self.interrupted = True
        elif fatal(error, admitted=self.admitted):
            self.fail(str(error) if self.admitted else not_let_in(error))
        else:
            text = described(file, error)
            self._whole.pop(file.number, None)
            _logger.info("Transfer %d: a file could not be sent: %s", self.plan.id, text)
            self._position.failed(file, text)

    @property
    def _over(self) -> bool:
        return self._fatal is not None or self.verdict is not None or self.interrupted

    def _paced(self, job: Job) -> PacedJob:
        guarded = self._terms.guarded(job)
        return PacedJob(guarded, self.plan.id, self._turns, self._tally, self._touch)

    def _stop_jobs(self) -> None:
        """Stop whatever is under way: after leave was taken, it would ask to be let in again."""
        jobs = self._jobs + self._checkpoints
        self._jobs, self._checkpoints = [], []
        for job in jobs:
            job.stop(StoppedError("the transfer was stopped"))

    def _leave(self) -> Job | None:
        if self._terms.passage is None:
            self._close()
            return None
        ending = self._ending
        outcome = Outcome.COMPLETE if ending.status is Status.COMPLETE else Outcome.ERROR
        request = LeaveRequest(outcome=outcome, text=ending.message[:MAX_REASON_LENGTH])
        self._farewell = QuestionJob(Verb.LEAVE, request, DoneAnswer)
        self._leaving = self._paced(self._farewell)
        return self._leaving

    def _close(self) -> None:
        """End, after leave was taken, or if there is nobody to take leave of."""
        error = self._farewell_error()
        if error is not None and interrupts(error) and not self.admitted:
            self.interrupted = True
        elif isinstance(error, RefusedError) and not self.admitted:
            self.verdict = Verdict(Status.ERROR, str(error))
        else:
            if error is not None:
                _logger.info("Transfer %d could not take leave: %s", self.plan.id, error)
            self.verdict = self._ending

    def _farewell_error(self) -> BaseException | None:
        if self._farewell is None:
            return None
        try:
            self._farewell.result()
        except Exception as error:  # noqa: BLE001 - it is looked at by the caller
            return error
        return None

    @property
    def _ending(self) -> Verdict:
        if self._fatal is not None:
            return Verdict(Status.ERROR, self._fatal)
        failed = self._position.files_failed
        if self._position.first < self.plan.total_files:
            return Verdict(Status.ERROR, "files of its manifest are not there any more")
        if not failed:
            return Verdict(Status.COMPLETE)
        return Verdict(
            Status.ERROR,
            f"{failed} of {self.plan.total_files} files could not be sent; the first: "
            f"{self._position.first_failure}",
        )

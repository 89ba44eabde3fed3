"""The jobs under way, each of which may fail without harm to the others."""

import logging
import math
from collections.abc import Callable, Iterator

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.exchange.jobs import Ask, Job
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.sealing.guardedjob import GuardedJob
from dxlfiletransferclient.sealing.passage import Passage

logger = logging.getLogger(__name__)


class Roster:
    """The jobs under way.

    What a job raises when it is called is to be told to :meth:`fail`, and ends that job alone.

    Args:
        dismissed: Called with each job that is not under way any more, before the job hears of it.
        passage: Leads into the session in which all of them ask, if there is one.

    Attributes:
        dismissals: How many were under way once and are not any more.
    """

    def __init__(self, dismissed: Callable[[Job], object], passage: Passage | None = None) -> None:
        # By identity: whether two jobs are equal is their own affair.
        self._jobs: dict[int, Job] = {}
        self.dismissals = 0
        self._dismissed = dismissed
        self._passage = passage

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def __contains__(self, job: object) -> bool:
        return self._jobs.get(id(job)) is job

    def add(self, job: Job) -> Job:
        """Put a job under way, and return it as it is here: guarded if there is a passage."""
        added = job if self._passage is None else GuardedJob(job, self._passage)
        self._jobs[id(added)] = added
        return added

    def forgive(self) -> None:
        """Hear that a call begins: what was refused before need not be refused now.

        Within a call it is, for all its jobs.
        """
        if self._passage is not None and not self._jobs:
            self._passage.forgive()

    def turns(self) -> list[Job]:
        """Return the jobs, each time beginning with another one."""
        jobs = list(self._jobs.values())
        if len(jobs) > 1:
            self._jobs[id(jobs[0])] = self._jobs.pop(id(jobs[0]))
        return jobs

    def sweep(self) -> bool:
        """Let go of finished jobs; returns whether there were any."""
        before = self.dismissals
        for job in list(self._jobs.values()):
            if job.finished:
                self._dismiss(job)
        return self.dismissals > before

    def due(self) -> float:
        """When to call a job again though nothing has happened; infinite for never."""
        first = math.inf
        for job in list(self._jobs.values()):
            try:
                due = job.due()
            except Exception as error:  # noqa: BLE001 - the job hears of it
                self.fail(job, error)
            else:
                if due is not None and due < first:
                    first = due
        return first

    def moved(self, now: float) -> None:
        """Let all jobs hear that the service was lost and found."""
        for job in self:
            try:
                job.moved(now)
            except Exception as error:  # noqa: BLE001 - the job hears of it
                self.fail(job, error)

    def refused(self, job: Job, ask: Ask, error: RefusedError, now: float) -> None:
        """Let a job hear that an ask failed for good."""
        try:
            job.refused(ask, error, now)
        except Exception as failure:  # noqa: BLE001 - the job hears of it
            self.fail(job, failure)

    def fail(self, job: Job, error: BaseException) -> None:
        """End a job, if it is under way, and let it hear why."""
        if job not in self:
            return
        self._dismiss(job)
        try:
            job.failed(error)
        except Exception:
            logger.exception("a job could not take that it failed (%s)", brief(str(error)))

    def fail_all(self, error: BaseException) -> None:
        """End all jobs."""
        for job in self:
            self.fail(job, error)

    def _dismiss(self, job: Job) -> None:
        del self._jobs[id(job)]
        self.dismissals += 1
        self._dismissed(job)

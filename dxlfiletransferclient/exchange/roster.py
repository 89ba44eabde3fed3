"""The jobs under way, each of which may fail without harm to the others."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.sealing.guardedjob import GuardedJob
from dxlfiletransferclient.sealing.passage import Passage

logger = logging.getLogger(__name__)


class Roster:
    """The jobs under way.

    Args:
        dismissed: Called with each job that is not under way any more, before the job hears of it.
        passage: Leads into the session in which all of them ask, if there is one.
    """

    def __init__(self, dismissed: Callable[[Job], object], passage: Passage | None = None) -> None:
        # By identity: whether two jobs are equal is their own affair.
        self._jobs: dict[int, Job] = {}
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
        jobs = list(self)
        if jobs:
            self._jobs[id(jobs[0])] = self._jobs.pop(id(jobs[0]))
        return jobs

    def sweep(self) -> bool:
        """Let go of finished jobs; returns whether there were any."""
        finished = [job for job in self if job.finished]
        for job in finished:
            self._dismiss(job)
        return bool(finished)

    def due(self) -> float:
        """When to call a job again though nothing has happened; infinite for never."""
        times = []
        for job in self:
            with self.charged_to(job):
                due = job.due()
                times.append(math.inf if due is None else due)
        return min(times, default=math.inf)

    @contextmanager
    def charged_to(self, job: Job) -> Iterator[None]:
        """End a job, and nothing else, by the exception that is raised meanwhile."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the job hears of it
            self.fail(job, error)

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
        self._dismissed(job)

"""The jobs that one call drives, as they come. No input or output of its own."""

from collections.abc import Iterable, Iterator

from dxlfiletransferclient.exchange.jobs import Job


class Supply:
    """Takes jobs from whoever makes them, when there is room for more.

    Args:
        jobs: The jobs; ``None`` where there is none at the moment.
        most: Jobs that may be under way at the same time.

    Attributes:
        more: Whether there may be more of them.
    """

    def __init__(self, jobs: Iterable[Job | None], most: int) -> None:
        self.more = True
        self._jobs = iter(jobs)
        self._most = most

    def take(self, present: int) -> Iterator[Job]:
        """Yield jobs that are not finished yet, as far as there are any and there is room.

        Args:
            present: Jobs that are under way already.
        """
        while self.more and present < self._most:
            try:
                job = next(self._jobs)
            except StopIteration:
                self.more = False
                return
            if job is None:
                return
            if not job.finished:
                present += 1
                yield job

"""What a process and all those that it starts use, also when they have ended meanwhile."""

import threading
import time
from types import TracebackType
from typing import Self

import psutil

from benchmarks.processes import ProgramError, peak_of

LOOK_SECONDS = 0.1
"""Seconds between two looks at the memory of a tree. The system keeps each process's peak, so only
what a process takes within its last look is missed; a look costs some milliseconds."""

END_SECONDS = 30.0
"""Seconds for the processes of a session to end once their client has."""


class PeakWatch:
    """Notes the largest resident memory of processes below some others, while it is entered.

    Processes share pages, above all those of their programs; a shared page counts for each.

    Args:
        pids: The processes whose trees are watched.
        with_roots: Whether these themselves count.
    """

    def __init__(self, *pids: int, with_roots: bool = True) -> None:
        self._roots = pids
        self._with_roots = with_roots
        self._peaks: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        """Sum of the largest resident memory of each process, in bytes."""
        return sum(self._peaks.values())

    def _watch(self) -> None:
        self._look()
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for root in self._roots:
            pids = [child.pid for child in _children(root)]
            for pid in [root, *pids] if self._with_roots else pids:
                self._peaks[pid] = max(self._peaks.get(pid, 0), peak_of(pid))


def tree_seconds(pid: int) -> float:
    """Return the processor seconds of a server and of all sessions that it has had.

    Sessions count once the server has seen their end, so this waits for it.

    Raises:
        ProgramError: A session goes on although nobody uses it.
    """
    deadline = time.monotonic() + END_SECONDS
    while _children(pid):
        if time.monotonic() > deadline:
            raise ProgramError(f"sessions of process {pid} do not end")
        time.sleep(0.01)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []

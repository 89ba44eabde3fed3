"""Runs foreign commands, and measures what they cost with all that they start."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.links import Link
from benchmarks.processes import RUN_SECONDS, ProgramError
from benchmarks.processtrees import PeakWatch

_WITHOUT = ("SSH_", "RSYNC_", "RCLONE_")
"""Beginnings of the variables by which a user's own settings would come in."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Some commands that ran at the same time.

    Attributes:
        seconds: From the start of the first to the end of the last.
        cpu: Processor seconds of all, with the processes that they started and waited for.
        peak: Sum of the largest resident memory of each process, in bytes.
        outputs: What each wrote on its standard output.
    """

    seconds: float
    cpu: float
    peak: int
    outputs: tuple[str, ...]


def run_commands(commands: Sequence[Sequence[str]], link: Link) -> Finished:
    """Run commands at the same time, all to their ends.

    Args:
        commands: Programs with their arguments.
        link: Network to run them in.

    Raises:
        ProgramError: One failed, or took more than :data:`RUN_SECONDS`.
    """
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        running = [stack.enter_context(_Command([*link.prefix, *words])) for words in commands]
        with PeakWatch(*(each.pid for each in running)) as watch:
            cpu = sum(each.wait() for each in running)
            seconds = time.monotonic() - began
        outputs = tuple(each.output() for each in running)
    return Finished(seconds, cpu, watch.peak, outputs)


class _Command:
    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._output = TemporaryFile()  # noqa: SIM115 - it is closed with the command
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        kill = partial(os.kill, self._process.pid, signal.SIGKILL)
        self._overdue = threading.Timer(RUN_SECONDS, kill)
        self._overdue.start()

    def __enter__(self) -> "_Command":
        return self

    def __exit__(self, *_: object) -> None:
        self._overdue.cancel()
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._output.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> float:
        """Wait for the end; return the processor seconds, with those of waited-for children."""
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise ProgramError(
                f"{' '.join(self._words)} ended with {self._process.returncode}:\n{self.output()}"
            )
        return usage.ru_utime + usage.ru_stime

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")


def environment(also: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of this process without those that choose settings for the peers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_WITHOUT)}
    return {**kept, **(also or {})}


def version_of(program: Path | str, *arguments: str) -> str:
    """Return the first line with which a program tells its version, empty if it does not."""
    try:
        done = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return " ".join(lines[0].split()) if lines else ""

"""Starts the measured programs, each in a process of its own, and reads what they cost."""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.links import Link

READY_SECONDS = 60.0
"""Seconds that a program may take to say that it is ready."""

STOP_SECONDS = 30.0
"""Seconds that a program may take to end when it is asked to."""

RUN_SECONDS = 1800.0
"""Seconds that one measured run may take."""


class ProgramError(Exception):
    """A measured program failed; the message has what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has used so far, or during a run.

    Attributes:
        cpu: Processor time in seconds, user and system together.
        peak: Largest resident memory so far, in bytes.
    """

    cpu: float
    peak: int


class Server:
    """A program that runs until it is told to end; ready once it prints a line with ``ready``.

    Args:
        command: Program and arguments.
        link: Network to start it in.
        log: File for what it says.
    """

    def __init__(self, command: Sequence[str], link: Link, log: Path) -> None:
        self._command = [*link.prefix, *command]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.ready = ""
        """The line with which it said that it is ready."""
        self.began = Cost(0.0, 0)
        """What it had used when it was ready."""

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        watchdog = threading.Timer(READY_SECONDS, self._process.kill)
        watchdog.start()
        try:
            self._wait_ready(self._process)
            self.began = self.cost()
        except BaseException:
            self.stop()
            raise
        finally:
            watchdog.cancel()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._running.pid

    def cost(self) -> Cost:
        """Return what the program has used since its start."""
        return cost_of(self.pid)

    def tell(self, line: str) -> None:
        """Write a line to the program's standard input."""
        stdin = self._running.stdin
        if stdin is None:
            raise ProgramError("the program's input is not written")
        stdin.write(f"{line}\n")
        stdin.flush()

    def last_line(self) -> str:
        """Wait for the program's end, and return the last line that it printed.

        Raises:
            ProgramError: It failed, or took more than :data:`RUN_SECONDS`.
        """
        process = self._running
        try:
            output, _ = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"{self._name} took over {RUN_SECONDS:g} seconds") from error
        if process.returncode or not output:
            raise ProgramError(self._failure(process))
        return str(output.splitlines()[-1])

    def kill(self) -> None:
        """End the program as a crash would."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End the program."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate(timeout=STOP_SECONDS)

    def _wait_ready(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            raise ProgramError("the program's output is not read")
        for line in process.stdout:
            if line.startswith("ready"):
                self.ready = line
                return
        process.wait(STOP_SECONDS)
        raise ProgramError(self._failure(process))

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise ProgramError(f"{self._command[0]} does not run")
        return self._process

    @property
    def _name(self) -> str:
        return " ".join(self._command)

    def _failure(self, process: subprocess.Popen[str]) -> str:
        return f"{self._name} ended with {process.returncode}:\n{self._log.read_text()}"


def run(command: Sequence[str], link: Link) -> dict[str, Any]:
    """Run a program to its end and return the JSON object in the last line it prints.

    Raises:
        ProgramError: It failed, or took more than :data:`RUN_SECONDS`.
    """
    result: dict[str, Any] = json.loads(output_of(command, link).splitlines()[-1])
    return result


def output_of(command: Sequence[str], link: Link, *, told: str = "") -> str:
    """Run a program to its end and return what it prints.

    Args:
        command: Program and arguments.
        link: Network to run it in.
        told: What it reads from its standard input.

    Raises:
        ProgramError: It failed, or took more than :data:`RUN_SECONDS`.
    """
    words = [*link.prefix, *command]
    try:
        done = subprocess.run(
            words, input=told, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{' '.join(words)} took over {RUN_SECONDS:g} seconds") from error
    if done.returncode:
        raise ProgramError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def python(*arguments: str | Path) -> list[str]:
    """Return a command that runs this Python."""
    return [sys.executable, *map(str, arguments)]


def cost_of(pid: int) -> Cost:
    """Return what a running process has used since its start."""
    times = psutil.Process(pid).cpu_times()
    return Cost(times.user + times.system, peak_of(pid))


def peak_of(pid: int) -> int:
    """Return a process's largest resident memory in bytes, 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0

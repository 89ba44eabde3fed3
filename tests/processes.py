"""Real processes for tests: started by a handle, watched line by line, always ended."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tests.waiting import TIMEOUT

ROOT = Path(__file__).parents[1]
"""The top directory of the project."""


class _Lines:
    """The lines of a stream, read by a thread as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def find(self, matches: Callable[[str], bool], timeout: float) -> str | None:
        """Wait for a line; ``None`` if it does not come in time or the stream has ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or any(map(matches, self._lines)), timeout=timeout
            )
            return next(filter(matches, self._lines), None)

    def join(self, timeout: float) -> None:
        self._reader.join(timeout)

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self._add(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()


class RunningProcess:
    """A process with its output; as a context manager it is killed at the end.

    Args:
        command: Program and arguments.
        directory: Its current directory.
        environment: Variables to add to those of this process.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        # Without these, a process would import the packages of this checkout by accident.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=directory,
            env={**inherited, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._output = _Lines(self.process.stdout)
        self._errors = _Lines(self.process.stderr)

    def __enter__(self) -> "RunningProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    @property
    def output(self) -> str:
        """What it has written on standard output so far."""
        return self._output.text

    @property
    def errors(self) -> str:
        """What it has written on standard error so far."""
        return self._errors.text

    def wait_for_line(self, beginning: str, timeout: float = TIMEOUT) -> str:
        """Wait for a line on standard output that begins with some text, and return it."""
        line = self._output.find(lambda each: each.startswith(beginning), timeout)
        return self._found(line, beginning)

    def wait_for_error_line(self, part: str, timeout: float = TIMEOUT) -> str:
        """Wait for a line on standard error that has some text in it, and return it."""
        return self._found(self._errors.find(lambda each: part in each, timeout), part)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end and for all of its output, and return its exit code."""
        code = self.process.wait(timeout)
        self._output.join(timeout)
        self._errors.join(timeout)
        return code

    def end(self, timeout: float = TIMEOUT) -> int:
        """Ask it to end with SIGTERM, and return its exit code."""
        self.process.terminate()
        return self.wait(timeout)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.kill()
        self.wait()

    def _found(self, line: str | None, what: str) -> str:
        if line is None:
            raise AssertionError(
                f"no line {what!r} from {self.process.args!r}\n{self.output}\n{self.errors}"
            )
        return line


class Processes:
    """Starts processes, and ends those that are left over.

    Args:
        directory: Their current directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = ExitStack()

    def start(
        self, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> RunningProcess:
        """Start a program."""
        return self._running.enter_context(RunningProcess(command, self._directory, environment))

    def start_python(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> RunningProcess:
        """Start this Python, with the packages of this checkout."""
        return self.start(
            sys.executable, *arguments, environment={"PYTHONPATH": str(ROOT), **(environment or {})}
        )

    def start_service(self, config_dir: Path) -> RunningProcess:
        """Start ``python -m dxlfiletransferservice`` and wait until it is registered."""
        service = self.start_python("-m", "dxlfiletransferservice", config_dir)
        service.wait_for_line("registered ")
        return service

    def close(self) -> None:
        """Kill every process that still runs."""
        self._running.close()

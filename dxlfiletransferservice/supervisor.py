"""Runs ``dxlft`` commands as processes that never outlive the one that started them.

Such a process is told to end by the end of its standard input, which the system brings about even
when the process that holds the other end is killed.
"""

import logging
import os
import re
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

START_TIMEOUT: Final = 60.0
"""Seconds for a process to say that it is ready: importing and making keys on a slow machine."""

STOP_TIMEOUT: Final = 20.0
"""Seconds for a process to end in its own way, before it is killed."""

FIRST_PAUSE: Final = 0.1
"""Seconds before a broker that has died is started again: at once, for the clients' sake."""

LONGEST_PAUSE: Final = 10.0
"""Seconds between attempts at most; they double from :data:`FIRST_PAUSE` on."""

STEADY_SECONDS: Final = 60.0
"""A broker that has run for so long begins anew with :data:`FIRST_PAUSE` when it dies."""

READY: Final = "ready"
"""How the one line begins that a process writes when it can be used."""

LIFELINE_OPTION: Final = "--stop-with-stdin"
"""Option with which a command ends when its standard input does."""

_LONGEST_LINE: Final = 64 * 1024
_PORT: Final = re.compile(r" port (\d+)\b")

logger = logging.getLogger(__name__)


class ProcessFailedError(Exception):
    """A process that could not be started or ended by itself.

    Attributes:
        exit_code: Its exit code, negative for the signal that ended it; None if it hangs.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandProcess:
    """A ``dxlft`` command in a process of its own; as a context manager it is ended at the end.

    Args:
        arguments: The command and its options; the command must know :data:`LIFELINE_OPTION`.
        errors: Where its standard error goes; by default, to that of this process.
    """

    def __init__(self, arguments: Sequence[str], *, errors: IO[bytes] | None = None) -> None:
        self._name = arguments[0]
        # Without -P, a file in the current directory could take the place of a module.
        command = [sys.executable, "-P", "-m", "dxlfiletransferservice.command", *arguments]
        # In a session of its own: an interrupt from the keyboard is for this process to handle.
        self._process = subprocess.Popen(
            [*command, LIFELINE_OPTION],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("Popen was asked for pipes and made none")
        self._lifeline = self._process.stdin
        self._output = self._process.stdout
        self._output_taken = False

    def __enter__(self) -> Self:
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
        """The process's number."""
        return self._process.pid

    def wait_until_ready(self, timeout: float = START_TIMEOUT) -> str:
        """Return the line with which the process says that it can be used; call it once.

        Raises:
            ProcessFailedError: It ended instead, or says nothing.
        """
        self._output_taken = True
        with self._output as output:
            line = _first_line(output, time.monotonic() + timeout)
        if line is None:
            raise ProcessFailedError(f"{self._name} was not ready within {timeout:g} seconds")
        if line.startswith(READY):
            return line
        try:
            raise self._failure(self._process.wait(STOP_TIMEOUT))
        except subprocess.TimeoutExpired as error:
            text = f"{self._name} wrote {line!r} and nothing about being ready"
            raise ProcessFailedError(text) from error

    def wait(self) -> ProcessFailedError:
        """Wait, without a limit, until the process ends, and return how it did."""
        code = self._process.wait()
        self._lifeline.close()
        return self._failure(code)

    def stop(self) -> None:
        """End the process; do nothing if it has ended. May be called from any thread."""
        self._lifeline.close()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            logger.warning("%s does not end, and is killed", self._name)
            self._process.kill()
            self._process.wait()
        if not self._output_taken:
            self._output.close()

    def _failure(self, code: int) -> ProcessFailedError:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return ProcessFailedError(f"{self._name} ended {how}", code)


def _first_line(output: IO[bytes], deadline: float) -> str | None:
    """Return the first line, or what there is of it at the end; None if it does not come."""
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while b"\n" not in received and len(received) < _LONGEST_LINE:
            if not selector.select(max(deadline - time.monotonic(), 0.0)):
                return None
            data = os.read(output.fileno(), _LONGEST_LINE)
            if not data:
                break
            received += data
    return received.partition(b"\n")[0].decode(errors="replace")


class BrokerSupervisor:
    """Keeps an embedded broker running in a process of its own, as a context manager.

    A broker that dies is started again on the same port, so that its clients find it.

    Args:
        home: The home whose certificates the broker uses.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose one, which is kept afterwards.

    Attributes:
        port: The port; the real one once the broker runs.

    Raises:
        ProcessFailedError: Entering: the broker cannot be started. What the reason is, it has
            written on standard error.
    """

    def __init__(self, home: Path, host: str, port: int) -> None:
        self.port = port
        self._arguments = ("broker", "--home", str(home), "--host", host)
        self._process: CommandProcess | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="broker-supervisor")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        self._thread.join(STOP_TIMEOUT)

    def _stop(self) -> None:
        with self._lock:
            self._ending.set()
            process = self._process
        if process is not None:
            process.stop()

    def _start(self) -> CommandProcess:
        with self._lock:
            if self._ending.is_set():
                raise ProcessFailedError("the broker is not needed any more")
            try:
                process = CommandProcess([*self._arguments, "--port", str(self.port)])
            except OSError as error:
                raise ProcessFailedError(f"no process for the broker: {error}") from error
            self._process = process
        try:
            line = process.wait_until_ready()
        except ProcessFailedError:
            process.stop()
            raise
        port = _PORT.search(line)
        if port is None:
            process.stop()
            raise ProcessFailedError(f"the broker does not say its port: {line!r}")
        self.port = int(port[1])
        logger.info("broker process %d is ready on port %d", process.pid, self.port)
        return process

    def _supervise(self) -> None:
        process = self._process
        pause = FIRST_PAUSE
        while process is not None:
            began = time.monotonic()
            failure = process.wait()
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            process = None
            while process is None and not self._ending.is_set():
                logger.error("%s; starting it again in %g s", failure, pause)
                if self._ending.wait(pause):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    process = self._start()
                except ProcessFailedError as error:
                    failure = error

"""Programs of the administrator that are started when something happens.

A trigger is an executable file in the directory of the triggers, named like the trigger; which
there are, and what they are told, says :mod:`~.triggerarguments`.
"""

import logging
import os
import selectors
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.upkeep.backgroundqueue import BackgroundQueue
from dxlfiletransferservice.control.upkeep.events import Event
from dxlfiletransferservice.control.upkeep.triggerarguments import Sender, triggers_of
from dxlfiletransferservice.publictext import printable

TIME_LIMIT: Final = 60.0
"""Seconds that a trigger may take, before it is killed: the next one waits for it."""

MAX_WAITING: Final = 256
"""Triggers that may wait for their turn; further ones are left out, and the log says so."""

MAX_OUTPUT: Final = 4096
"""Bytes of a trigger's output that go into the log; the rest is read and dropped."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that the end waits for a trigger that is being killed."""

KEPT_ENVIRONMENT: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TZ", "USER")
"""Variables of the server's environment that a trigger inherits. There may be secrets in others."""

EVENT_VARIABLE: Final = "DXLFT_TRIGGER"
"""Variable that tells a trigger its name, for programs that serve several."""

_LOOK_SECONDS: Final = 0.05
"""Seconds between two looks whether a trigger has ended: with its output still open, nothing else
tells."""

_logger = logging.getLogger(__name__)


class Triggers:
    """Starts triggers one after another; an :class:`~.events.EventLog` listener.

    A trigger is started without a shell, in a session of its own, with the directory of the
    triggers as its current one and nothing on its standard input. What it writes goes to the log.
    When it has ended, or its time is over, everything that it has started and left running is
    killed; so is everything at the end of the server. A trigger that must do more for longer tells
    another service to.

    Files that others than the user of the server and the system's administrator may change are not
    started.

    Args:
        directory: Directory of the triggers; it need not exist.
        sender: Where this server sends from.
        time_limit: Seconds that a trigger may take.
        environment: Where variables come from.
    """

    def __init__(
        self,
        directory: Path,
        sender: Sender,
        *,
        time_limit: float = TIME_LIMIT,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._directory = directory
        self._sender = sender
        self._time_limit = time_limit
        self._environment = {
            name: environment[name] for name in KEPT_ENVIRONMENT if name in environment
        }
        self._ending = threading.Event()
        self._log = BoundedLog(_logger)
        self._queue: BackgroundQueue[tuple[str, tuple[str, ...]]] = BackgroundQueue(
            self._run, name="triggers", most=MAX_WAITING, logger=_logger
        )

    def start(self) -> None:
        """Begin to start triggers."""
        self._queue.start()

    def put(self, event: Event) -> None:
        """Let the triggers of an event be started, if there are any; returns at once."""
        for name, arguments in triggers_of(event, self._sender):
            if os.access(self._directory / name, os.X_OK):
                self._queue.put((name, arguments))

    def close(self) -> None:
        """End: kill the trigger that runs, and start no other."""
        self._ending.set()
        self._queue.close(STOP_TIMEOUT, drain=False)

    def _run(self, trigger: tuple[str, tuple[str, ...]]) -> None:
        name, arguments = trigger
        path = self._directory / name
        fault = _fault(path)
        if fault is not None:
            self._log.write(logging.ERROR, "The trigger %s is not started: %s", name, fault)
            return
        try:
            process = subprocess.Popen(
                [path.absolute(), *arguments],
                cwd=self._directory,
                env={**self._environment, EVENT_VARIABLE: name},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._log.write(logging.ERROR, "The trigger %s cannot be started: %s", name, error)
            return
        output = _Output(process.stdout)
        try:
            self._watch(process, name, output)
        finally:
            _kill(process)
            _reap(process, name)
            output.read_rest()
            output.close()
        self._tell(name, process.returncode, output.kept)

    def _watch(self, process: subprocess.Popen[bytes], name: str, output: "_Output") -> None:
        """Read what a trigger writes, until it has ended or its time is over."""
        deadline = time.monotonic() + self._time_limit
        while process.poll() is None and not self._ending.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                text = "The trigger %s is killed: it takes more than %g seconds"
                self._log.write(logging.WARNING, text, name, self._time_limit)
                return
            output.read(min(left, _LOOK_SECONDS), self._ending.wait)

    def _tell(self, name: str, code: int | None, output: bytes) -> None:
        level = logging.INFO if code == 0 or self._ending.is_set() else logging.WARNING
        said = printable(
            output.decode(errors="replace").replace("\n", " | ").strip(" |"), MAX_OUTPUT
        )
        self._log.write(level, "The trigger %s ended with %s: %s", name, code, said or "no output")


class _Output:
    """The output of a process: its beginning is kept, the rest is read and dropped."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            raise ValueError("Popen was asked for a pipe and made none")
        self._stream = stream
        self._open = True
        self._selector = selectors.DefaultSelector()
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, selectors.EVENT_READ)
        self.kept = b""

    def close(self) -> None:
        self._selector.close()
        self._stream.close()

    def read(self, timeout: float, wait: Callable[[float], object]) -> None:
        """Read what there is, or wait for it; with ``wait`` where nothing can come any more."""
        if not self._open:
            wait(timeout)
        elif self._selector.select(timeout):
            self._take()

    def read_rest(self) -> None:
        """Read what was written before the end."""
        while self._open and len(self.kept) < MAX_OUTPUT and self._selector.select(0):
            self._take()

    def _take(self) -> None:
        data = os.read(self._stream.fileno(), MAX_OUTPUT)
        if not data:
            self._open = False
            self._selector.unregister(self._stream)
        self.kept += data[: MAX_OUTPUT - len(self.kept)]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all of its group: what it has started, unless that left the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        # Some systems say so of a group of which only ended processes are left.
        process.kill()


def _reap(process: subprocess.Popen[bytes], name: str) -> None:
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        _logger.error("The trigger %s was killed, and does not end", name)


def _fault(path: Path) -> str | None:
    """Return why a file must not be started; ``None`` if it may."""
    try:
        found = path.stat()
    except OSError as error:
        return error.strerror or "it cannot be looked at"
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_uid not in (0, os.geteuid()):
        return "it belongs to another user"
    if found.st_mode & stat.S_IWOTH:
        return "everybody may change it: take that right away with chmod o-w"
    return None

"""What ``dxlft`` writes: results, progress, errors and logs."""

import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Final, Protocol, Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""Lines of the log."""

PLAIN_STEP: Final = 25
"""Per cent between two lines of progress where there is no terminal: four lines for each file."""

_MEGABYTE: Final = 1_000_000
_BRIEF: Final = 40


def say(line: str) -> None:
    """Write a line of the result to standard output, at once."""
    _write(sys.stdout, line)


def complain(problem: str) -> None:
    """Write a problem to standard error, as one line."""
    _write(sys.stderr, "dxlft: " + " ".join(problem.split()))


def complain_about(error: BaseException, *, verbose: bool) -> None:
    """Write what went wrong to standard error; with its traceback, if that is wanted."""
    if verbose:
        _write(sys.stderr, "".join(traceback.format_exception(error)).rstrip())
    complain(describe(error))


def describe(error: BaseException) -> str:
    """Return an error as a sentence for people: a failed file operation with the file's name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{shown(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def shown(name: str | bytes | Path) -> str:
    """Return a file name as it can be written anywhere: bytes that are no text are replaced."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def rate(size: int, seconds: float) -> str:
    """Return a speed in megabytes (of 10**6 bytes) per second."""
    return f"{size / _MEGABYTE / max(seconds, 1e-9):.1f} MB/s"


def log_to_stderr(*, service: bool, verbose: bool) -> None:
    """Decide what is logged, and send it to standard error.

    Args:
        service: Whether the command runs for long, so that its log is what one sees of it. Other
            commands log nothing unless they are told to.
        verbose: Whether to log everything.
    """
    if not service and not verbose:
        logging.basicConfig(handlers=[logging.NullHandler()])
        return
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    # The official client tells much at lower levels.
    logging.getLogger("dxlclient").setLevel(logging.INFO if verbose else logging.WARNING)
    if verbose:
        for name in ("dxlfabric", "dxlfiletransferclient", "dxlfiletransferservice"):
            logging.getLogger(name).setLevel(logging.DEBUG)


class Display(Protocol):
    """Shows how far a file is."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def update(self, done: int) -> None:
        """Take note of the bytes that are done, of the file's size."""


def display(name: str, size: int) -> Display:
    """Return a progress bar where standard error is a terminal, and lines elsewhere.

    Args:
        name: The file's name.
        size: Its size in bytes.
    """
    console = Console(stderr=True)
    return _Bar(console, name, size) if console.is_terminal else _Lines(name, size)


class _Bar:
    def __init__(self, console: Console, name: str, size: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        text = Text(name)
        text.truncate(_BRIEF, overflow="ellipsis")
        self._task: TaskID = self._progress.add_task(text.plain, total=size)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, done: int) -> None:
        self._progress.update(self._task, completed=done)


class _Lines:
    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._began = time.monotonic()
        self._next = PLAIN_STEP

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, done: int) -> None:
        percent = 100 * done // self._size if self._size else 100
        if percent < self._next:
            return
        self._next = percent - percent % PLAIN_STEP + PLAIN_STEP
        speed = rate(done, time.monotonic() - self._began)
        _write(sys.stderr, f"{self._name}: {percent} % of {self._size:,} bytes, {speed}")


def _write(stream: TextIO, line: str) -> None:
    encoding = stream.encoding or "utf-8"
    # A terminal or pipe that cannot show a character is no reason to fail.
    stream.write(line.encode(encoding, errors="replace").decode(encoding) + "\n")
    stream.flush()

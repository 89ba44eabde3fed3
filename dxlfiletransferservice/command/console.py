"""What ``dxlft`` writes: results, errors and logs."""

import logging
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Final, TextIO

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""Lines of the log."""

_MEGABYTE: Final = 1_000_000
_LINE_BREAKS: Final = re.compile(r"[\n\r]")


def say(line: str) -> None:
    """Write a line of the result to standard output, at once."""
    _write(sys.stdout, line)


def say_raw(data: bytes) -> None:
    """Write bytes to standard output, as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def remark(line: str) -> None:
    """Write a line to standard error that is no problem."""
    _write(sys.stderr, line)


def complain(problem: str) -> None:
    """Write a problem to standard error, as one line."""
    remark(as_problem(problem))


def as_problem(problem: str) -> str:
    """Return a problem as the line that tells of it."""
    return "dxlft: " + shown(" ".join(problem.split()))


def complain_about(error: BaseException, *, verbose: bool) -> None:
    """Write what went wrong to standard error; with its traceback, if that is wanted."""
    if verbose:
        trace(error)
    complain(describe(error))


def trace(error: BaseException) -> None:
    """Write the traceback of an error to standard error."""
    remark("".join(traceback.format_exception(error)).rstrip())


def describe(error: BaseException) -> str:
    """Return an error as a sentence for people: a failed file operation with the file's name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{shown(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def shown(name: str | bytes | Path) -> str:
    """Return a file name as it can be written anywhere: bytes that are no text are replaced."""
    text = os.fsencode(name).decode(errors="replace")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def listed(name: str) -> str:
    """Return a name for standard output: as it is, but on one line and harmless to a terminal."""
    if sys.stdout.isatty():
        return shown(name)
    return _LINE_BREAKS.sub("\N{REPLACEMENT CHARACTER}", name)


def rate(size: float, seconds: float) -> str:
    """Return a speed in megabytes (of 10**6 bytes) per second."""
    return f"{size / _MEGABYTE / max(seconds, 1e-9):.1f} MB/s"


def number_of_files(count: int) -> str:
    """Return a number of files in words."""
    return "1 file" if count == 1 else f"{count:,} files"


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


def _write(stream: TextIO, line: str) -> None:
    encoding = stream.encoding or "utf-8"
    # A terminal or pipe that cannot show a character is no reason to fail.
    stream.write(line.encode(encoding, errors="replace").decode(encoding) + "\n")
    stream.flush()

"""What became of the files of a command, as lines for people."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.sending.scan import SpecialFileError
from dxlfiletransferservice.command.console import (
    describe,
    number_of_files,
    rate,
    say,
    shown,
    trace,
)

Name = str | Path

SMALL_FILE: Final = 256 * 1024
"""Bytes per file up to which a summary tells files per second: that is what takes the time then."""

_WHOLE_NUMBERS: Final = 10
_SUMMARISED: Final = (Result.UNCHANGED, Result.KEPT, Result.SKIPPED, Result.FAILED)


class ResultLines:
    """Hears what becomes of each file, and says it.

    Failures are told at once. What was named on the command line gets a line at the end, in the
    order in which it was named; if anything else was transferred, as the content of a directory,
    there is a summary instead of a line for each.

    Args:
        named: What was named on the command line, as ``called`` gives it.
        called: What a file is called where the command was given: its path or its name there.
        complain: Writes a problem.
        verbose: Whether to write a line for everything, at once, and tracebacks of failures.
        line: Where lines go; standard output by default.
        clock: The time in seconds.
    """

    def __init__(
        self,
        named: Sequence[Name],
        called: Callable[[FileOutcome], Name],
        *,
        complain: Callable[[str], object],
        verbose: bool = False,
        line: Callable[[str], object] = say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = {name: place for place, name in enumerate(named)}
        self._called = called
        self._complain = complain
        self._verbose = verbose
        self._line = line
        self._clock = clock
        self._began = clock()
        self._named: dict[int, FileOutcome] = {}
        self._counts: Counter[Result] = Counter()
        self._bytes = 0
        self._travelled = 0
        self._has_more = False

    @property
    def failed(self) -> bool:
        """Whether a file has failed so far."""
        return self._counts[Result.FAILED] > 0

    def add(self, outcome: FileOutcome) -> None:
        """Hear of a file that has ended."""
        self._counts[outcome.result] += 1
        if outcome.result in (Result.STORED, Result.UNCHANGED):
            self._bytes += outcome.size
        if outcome.result is Result.STORED:
            self._travelled += outcome.size - outcome.resumed
        place = self._places.get(self._called(outcome))
        if place is None:
            self._has_more = True
        if outcome.result is Result.FAILED:
            self._say_failed(outcome)
        elif isinstance(outcome.error, SpecialFileError) and place is None:
            self._complain(failure(outcome, self._called(outcome)))
        elif self._verbose:
            self._line(result_line(outcome))
        elif place is not None:
            self._named[place] = outcome

    def close(self, *, complete: bool = False) -> None:
        """Write what is left to say when all is over, or was interrupted.

        Args:
            complete: Whether everything was gone through, so that nothing heard is nothing found.
        """
        for _, outcome in sorted(self._named.items()):
            self._line(result_line(outcome))
        if self._has_more or (complete and not self._counts):
            self._line(self._summary(self._clock() - self._began))

    def _say_failed(self, outcome: FileOutcome) -> None:
        if self._verbose and outcome.error is not None:
            trace(outcome.error)
        self._complain(failure(outcome, self._called(outcome)))

    def _summary(self, seconds: float) -> str:
        files = self._counts.total()
        done = files - self._counts[Result.FAILED] - self._counts[Result.SKIPPED]
        is_small = self._travelled <= SMALL_FILE * done
        speed = _files_per_second(done, seconds) if is_small else rate(self._travelled, seconds)
        counts = [f"{self._counts[each]:,} {each}" for each in _SUMMARISED if self._counts[each]]
        text = f"{number_of_files(files)}, {self._bytes:,} bytes, {seconds:.1f} s, {speed}"
        return f"{text} ({', '.join(counts)})" if counts else text


def result_line(outcome: FileOutcome) -> str:
    """Return what became of a file that has not failed, as one line."""
    name = shown(outcome.name)
    match outcome.result:
        case Result.KEPT:
            return f"{name}: the file that was there is kept"
        case Result.SKIPPED:
            reason = f": {describe(outcome.error)}" if outcome.error else ""
            return f"{name}: skipped{reason}"
        case Result.UNCHANGED:
            return f"{name}: {_content(outcome)}, unchanged"
        case _:
            return f"{name}: {_content(outcome)}, {_speed(outcome)}"


def failure(outcome: FileOutcome, called: Name) -> str:
    """Return why a file has failed, beginning with what it is called or the file here at fault."""
    error = outcome.error or RuntimeError("failed without a reason")
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return describe(error)
    name = shown(called)
    reason = describe(error)
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _files_per_second(count: int, seconds: float) -> str:
    speed = count / max(seconds, 1e-9)
    return f"{speed:,.0f} files/s" if speed >= _WHOLE_NUMBERS else f"{speed:.1f} files/s"


def _content(outcome: FileOutcome) -> str:
    size = f"{outcome.size:,} bytes"
    return f"{size}, SHA-256 {outcome.sha256}" if outcome.sha256 else size


def _speed(outcome: FileOutcome) -> str:
    speed = rate(outcome.size - outcome.resumed, outcome.seconds)
    if outcome.resumed:
        return f"{speed}, {outcome.resumed:,} bytes were there already"
    return speed

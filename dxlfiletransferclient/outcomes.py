"""What became of the files of one call, sent or received. No input or output."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import FileTransferError

MAX_OUTCOMES: Final = 10_000
"""Files whose outcomes a report lists; it counts all of them.

Each takes about half a kilobyte of memory. Whoever wants to hear of every file of a larger call
passes an :data:`OutcomeCallback`.
"""


class Result(StrEnum):
    """What became of one file."""

    STORED = "stored"
    """It was transferred, checked and stored."""

    UNCHANGED = "unchanged"
    """It was there already, with the same content; nothing travelled."""

    KEPT = "kept"
    """An older file of that name was kept, as the overwrite mode says."""

    SKIPPED = "skipped"
    """It was left out on purpose; the error says why."""

    FAILED = "failed"
    """It was not transferred; the error says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """What became of one file, empty directory or link.

    Attributes:
        name: Name on the service.
        path: Path here; ``None`` for a stream.
        result: What became of it.
        size: Bytes of the file, as far as that is known.
        sha256: SHA-256 of the content in hex, if it is known.
        sent: Bytes of content that travelled for it; of a large file that is sent, also those that
            had to be sent again.
        resumed: Bytes that an earlier call had transferred already.
        seconds: From its first request to its last answer.
        error: Why it failed or was skipped.
    """

    name: str
    path: Path | None
    result: Result
    size: int
    sha256: str | None = None
    sent: int = 0
    resumed: int = 0
    seconds: float = 0.0
    error: Exception | None = None


OutcomeCallback = Callable[[FileOutcome], object]
"""Is called with the outcome of each file as soon as it is known."""


class TransferFailedError(FileTransferError):
    """Some files of a call were not transferred; what it was raised from says why the first failed.

    Args:
        report: What became of all files.
    """

    def __init__(self, report: "TransferReport") -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        first = next((each for each in self.report.outcomes if each.result is Result.FAILED), None)
        text = f"{self.report.failed} of {self.report.files} files failed"
        return text if first is None else f"{text}; the first: {first.name!r}: {first.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """What became of the files of one call.

    Attributes:
        outcomes: One for each file, in the order in which they ended: the first
            :data:`MAX_OUTCOMES`; where there are more, failures are kept rather than others.
        files: All files, empty directories and links, however they ended.
        stored: Those that were stored.
        unchanged: Those that were there already.
        kept: Those for which an older file was kept.
        skipped: Those left out on purpose.
        failed: Those that failed.
        bytes: Size of all files that were stored or were there already.
        sent: Bytes of content that travelled.
        seconds: How long the call took.
    """

    outcomes: tuple[FileOutcome, ...]
    files: int
    stored: int = 0
    unchanged: int = 0
    kept: int = 0
    skipped: int = 0
    failed: int = 0
    bytes: int = 0
    sent: int = 0
    seconds: float = 0.0

    def raise_for_failure(self) -> None:
        """Do nothing if no file failed.

        Raises:
            TransferFailedError: If one did; its cause is the error of the first.
        """
        if not self.failed:
            return
        errors = (each.error for each in self.outcomes if each.result is Result.FAILED)
        raise TransferFailedError(self) from next(errors, None)


class OutcomeCollector:
    """Counts outcomes as they come and keeps as many as a report lists.

    Args:
        on_outcome: Is called with each of them.
        most: Outcomes to keep.
    """

    def __init__(
        self, on_outcome: OutcomeCallback | None = None, *, most: int = MAX_OUTCOMES
    ) -> None:
        self._on_outcome = on_outcome
        self._most = most
        self._numbers = itertools.count()
        self._failures: list[tuple[int, FileOutcome]] = []
        self._others: list[tuple[int, FileOutcome]] = []
        self._counts: Counter[Result] = Counter()
        self._bytes = 0
        self._sent = 0

    def add(self, outcome: FileOutcome) -> None:
        """Take an outcome, and pass it on to the callback."""
        self._counts[outcome.result] += 1
        self._sent += outcome.sent
        if outcome.result in (Result.STORED, Result.UNCHANGED):
            self._bytes += outcome.size
        self._keep(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    def _keep(self, outcome: FileOutcome) -> None:
        kept = self._failures if outcome.result is Result.FAILED else self._others
        if len(self._failures) + len(self._others) >= self._most:
            if kept is self._others or not self._others:
                return
            self._others.pop()
        kept.append((next(self._numbers), outcome))

    def report(self, seconds: float) -> TransferReport:
        """Return the report of everything so far.

        Args:
            seconds: How long the call took.
        """
        kept = sorted([*self._failures, *self._others], key=lambda pair: pair[0])
        return TransferReport(
            outcomes=tuple(outcome for _, outcome in kept),
            files=self._counts.total(),
            stored=self._counts[Result.STORED],
            unchanged=self._counts[Result.UNCHANGED],
            kept=self._counts[Result.KEPT],
            skipped=self._counts[Result.SKIPPED],
            failed=self._counts[Result.FAILED],
            bytes=self._bytes,
            sent=self._sent,
            seconds=seconds,
        )

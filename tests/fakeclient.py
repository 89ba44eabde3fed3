"""Stands in for the client of the file transfer: takes note of what it is asked for, and plays."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.outcomes import (
    FileOutcome,
    OutcomeCallback,
    OutcomeCollector,
    Result,
    TransferReport,
)
from dxlfiletransferclient.progress import Phase, Progress, ProgressCallback
from dxlfiletransferclient.protocol.messages import Entry, Kind
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

Outcomes = list[FileOutcome]
Entries = list[Entry]


def outcome(name: str, path: str | Path | None = None, **changes: Any) -> FileOutcome:
    """Return an outcome: that of a file of ten bytes, stored within a second, unless changed."""
    values: dict[str, Any] = {
        "result": Result.STORED,
        "size": 10,
        "sha256": f"hash of {name}",
        "sent": 10,
        "seconds": 1.0,
        **changes,
    }
    return FileOutcome(name=name, path=None if path is None else Path(path), **values)


def progress(done: int = 0, total: int | None = 100, **changes: Any) -> Progress:
    """Return the progress of a single file, unless changed."""
    values: dict[str, Any] = {
        "phase": Phase.SENDING,
        "name": "a",
        "file_done": done,
        "file_size": total,
        "done": done,
        "total": total,
        "durable": 0,
        "files_done": 0,
        "files_total": 1,
        "rate": 1_500_000.0,
        "remaining": None,
        **changes,
    }
    return Progress(**values)


@dataclass
class Call:
    """What the client was asked for.

    Attributes:
        what: Sources or names.
        where: Name or directory that they go to.
        options: The options.
        cancel: Ends it.
    """

    what: list[str]
    where: str
    options: Any
    cancel: Cancellation


Calls = list[Call]
Removals = list[tuple[str, bool]]
Pieces = list[bytes]


@dataclass
class FakeClient:
    """Answers without any fabric.

    Attributes:
        outcomes: What becomes of files that are sent or got, in order.
        during: Is called in the middle of each transfer, after all outcomes.
        entries: What is stored.
        calls: What was asked for.
        removed: What was removed, and whether with everything in it.
        streamed: What was read from streams.
    failure: Is raised when a name is looked at.
    """

    outcomes: Outcomes = field(default_factory=list)
    during: Callable[[Call], None] = lambda _: None
    entries: Entries = field(default_factory=list)
    calls: Calls = field(default_factory=list)
    removed: Removals = field(default_factory=list)
    streamed: Pieces = field(default_factory=list)
    failure: Exception | None = None

    def send(
        self,
        sources: Sequence[str],
        to: str = "",
        *,
        options: Any,
        progress: ProgressCallback,
        on_outcome: OutcomeCallback,
        cancel: Cancellation,
    ) -> TransferReport:
        return self._play(Call(list(sources), to, options, cancel), progress, on_outcome)

    def get(
        self,
        names: Sequence[str],
        target: str = ".",
        *,
        options: Any,
        progress: ProgressCallback,
        on_outcome: OutcomeCallback,
        cancel: Cancellation,
    ) -> TransferReport:
        return self._play(Call(list(names), target, options, cancel), progress, on_outcome)

    def send_stream(
        self,
        stream: Any,
        name: str,
        *,
        options: Any,
        progress: ProgressCallback,
        cancel: Cancellation,
    ) -> FileOutcome:
        call = Call(["-"], name, options, cancel)
        self.calls.append(call)
        self.during(call)
        while data := stream.read(4):
            self.streamed.append(data)
        return outcome(name, size=sum(map(len, self.streamed)))

    def list(self, name: str = "", *, recursive: bool = False) -> Iterator[Entry]:
        for entry in self.entries:
            if entry.name == name and entry.kind is not Kind.DIRECTORY:
                raise RefusedError(ErrorCode.WRONG_KIND, f"{name!r} is no directory")
        beginning = f"{name}/" if name else ""
        for entry in self.entries:
            below = entry.name.removeprefix(beginning)
            if entry.name.startswith(beginning) and (recursive or "/" not in below):
                yield entry

    def stat(self, name: str, *, digest: bool = False) -> Any:
        @dataclass
        class Stored:
            entry: Entry
            sha256: str | None

        if self.failure is not None:
            raise self.failure
        for entry in self.entries:
            if entry.name == name:
                is_known = digest and entry.kind is Kind.FILE
                return Stored(entry, f"hash of {name}" if is_known else None)
        raise RefusedError(ErrorCode.NOT_FOUND, "nothing of this name is stored")

    def remove(self, name: str, *, recursive: bool = False) -> int:
        self.stat(name)
        self.removed.append((name, recursive))
        return 1 + len(list(self.list(name, recursive=True))) if recursive else 1

    def _play(
        self, call: Call, report: ProgressCallback, on_outcome: OutcomeCallback
    ) -> TransferReport:
        self.calls.append(call)
        collector = OutcomeCollector(on_outcome)
        for each in self.outcomes:
            collector.add(each)
        self.during(call)
        total = sum(each.size for each in self.outcomes)
        report(progress(total, total, files_total=len(self.outcomes)))
        return collector.report(1.0)

from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient import UnsafeNameError
from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.sending.scan import NotSentError, SpecialFileError
from dxlfiletransferservice.command.resultlines import ResultLines, failure, result_line
from tests.fakeclient import outcome


class Heard:
    """Result lines with everything that they write."""

    def __init__(self, *named: str, verbose: bool = False, seconds: float = 2.0) -> None:
        self.lines: list[str] = []
        self.problems: list[str] = []
        times = iter((10.0, 10.0 + seconds))
        self.results = ResultLines(
            named,
            lambda each: each.name,
            complain=self.problems.append,
            verbose=verbose,
            line=self.lines.append,
            clock=lambda: next(times),
        )

    def hear(self, *outcomes: FileOutcome) -> "Heard":
        for each in outcomes:
            self.results.add(each)
        self.results.close()
        return self


def test_named_files_come_in_their_order() -> None:
    heard = Heard("b", "a").hear(outcome("a"), outcome("b"))
    assert [line.partition(":")[0] for line in heard.lines] == ["b", "a"]
    assert heard.problems == []
    assert not heard.results.failed


def test_a_tree_gets_a_summary() -> None:
    files = [outcome(f"d/{number}", size=10_000_000) for number in range(1234)]
    heard = Heard("d").hear(*files)
    assert heard.lines == ["1,234 files, 12,340,000,000 bytes, 2.0 s, 6170.0 MB/s"]


def test_small_files_are_counted_by_the_second() -> None:
    heard = Heard("d", seconds=0.5).hear(*(outcome(f"d/{number}") for number in range(1000)))
    assert heard.lines == ["1,000 files, 10,000 bytes, 0.5 s, 2,000 files/s"]


def test_speed_of_a_tree_is_that_of_what_travelled() -> None:
    heard = Heard("d").hear(
        outcome("d/a", size=10_000_000, result=Result.UNCHANGED),
        outcome("d/b", size=10_000_000, resumed=4_000_000),
    )
    assert heard.lines == ["2 files, 20,000,000 bytes, 2.0 s, 3.0 MB/s (1 unchanged)"]


def test_a_tree_of_one_file() -> None:
    assert Heard("d").hear(outcome("d/a")).lines == ["1 file, 10 bytes, 2.0 s, 0.5 files/s"]


def test_summary_counts_what_was_not_stored() -> None:
    error = ValueError("reason")
    heard = Heard("d").hear(
        outcome("d/a"),
        outcome("d/b", result=Result.UNCHANGED),
        outcome("d/c", result=Result.KEPT),
        outcome("d/d", result=Result.SKIPPED, error=error),
        outcome("d/e", result=Result.FAILED, error=error),
        outcome("d/f", result=Result.FAILED, error=error),
    )
    (line,) = heard.lines
    assert (
        line == "6 files, 20 bytes, 2.0 s, 1.5 files/s (1 unchanged, 1 kept, 1 skipped, 2 failed)"
    )
    assert heard.problems == ["d/e: reason", "d/f: reason"]
    assert heard.results.failed


def test_special_files_are_told_although_they_are_only_skipped() -> None:
    special = outcome("d/a", result=Result.SKIPPED, error=SpecialFileError("d/a is a socket"))
    link = outcome("d/b", result=Result.SKIPPED, error=NotSentError("d/b is a link"))
    heard = Heard("d").hear(special, link)
    assert heard.problems == ["d/a is a socket"]
    assert heard.lines[0].endswith("(2 skipped)")
    assert not heard.results.failed


def test_nothing_at_all_is_said_too() -> None:
    assert Heard("d").hear().lines == []
    heard = Heard("d")
    heard.results.close(complete=True)
    assert heard.lines == ["0 files, 0 bytes, 2.0 s, 0.0 files/s"]


def test_file_beside_a_tree_gets_both() -> None:
    heard = Heard("a", "d").hear(outcome("d/b"), outcome("a"))
    assert [line.split(",")[0] for line in heard.lines] == ["a: 10 bytes", "2 files"]


def test_failure_of_a_named_file_is_told_once() -> None:
    heard = Heard("a").hear(outcome("a", result=Result.FAILED, error=ValueError("x")))
    assert (heard.lines, heard.problems) == ([], ["a: x"])


def test_verbose_shows_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard("a", verbose=True)
    heard.results.add(outcome("d/b"))
    assert [line.partition(":")[0] for line in heard.lines] == ["d/b"]
    heard.hear(outcome("a"), outcome("c", result=Result.FAILED, error=ValueError("x")))
    assert [line.split(",")[0] for line in heard.lines] == [
        "d/b: 10 bytes",
        "a: 10 bytes",
        "3 files",
    ]
    assert "ValueError: x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "a: 3,000,000 bytes, SHA-256 hash of a, 3.0 MB/s"),
        ({"sha256": None}, "a: 3,000,000 bytes, 3.0 MB/s"),
        (
            {"resumed": 1_000_000},
            "a: 3,000,000 bytes, SHA-256 hash of a, 2.0 MB/s, 1,000,000 bytes were there already",
        ),
        ({"result": Result.UNCHANGED}, "a: 3,000,000 bytes, SHA-256 hash of a, unchanged"),
        ({"result": Result.KEPT}, "a: the file that was there is kept"),
        ({"result": Result.SKIPPED, "error": ValueError("x")}, "a: skipped: x"),
        ({"result": Result.SKIPPED}, "a: skipped"),
    ],
)
def test_line_of_a_file(changes: dict[str, Any], line: str) -> None:
    assert result_line(outcome("a", **{"size": 3_000_000, **changes})) == line


def test_names_are_made_harmless() -> None:
    assert result_line(outcome("a\nb\x1b")).startswith("a\ufffdb\ufffd: 10 bytes")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("reason"), "x/a\ufffd: reason"),
        (PermissionError(13, "Permission denied", "x/a\n"), "x/a\ufffd: Permission denied"),
        (PermissionError(13, "Permission denied", "y"), "y: Permission denied"),
        (OSError(28, "No space left"), "x/a\ufffd: [Errno 28] No space left"),
        (UnsafeNameError("a", "is bad"), "x/a\ufffd: file name 'a' is bad"),
        (None, "x/a\ufffd: failed without a reason"),
    ],
)
def test_reason_of_a_failure(error: Exception | None, text: str) -> None:
    assert failure(outcome("a", error=error), Path("x/a\n")) == text


def test_reason_that_names_the_file_already() -> None:
    assert failure(outcome("a", error=ValueError("x/a is a socket")), "x/a") == "x/a is a socket"

from pathlib import Path

import pytest

from dxlfiletransferclient.errors import FileTransferError
from dxlfiletransferclient.outcomes import (
    FileOutcome,
    OutcomeCollector,
    Result,
    TransferFailedError,
)


def outcome(name: str, result: Result = Result.STORED, size: int = 10) -> FileOutcome:
    error = LookupError(f"no {name}") if result is Result.FAILED else None
    sent = size if result is Result.STORED else 0
    return FileOutcome(name=name, path=Path(name), result=result, size=size, sent=sent, error=error)


def test_everything_is_counted() -> None:
    collector = OutcomeCollector()
    for number, result in enumerate(Result):
        for copy in range(number + 1):
            collector.add(outcome(f"{result}-{copy}", result))
    report = collector.report(2.5)

    assert report.files == 15 == len(report.outcomes)
    counts = [report.stored, report.unchanged, report.kept, report.skipped, report.failed]
    assert counts == [1, 2, 3, 4, 5]
    assert (report.bytes, report.sent, report.seconds) == (30, 10, 2.5)


def test_outcomes_keep_their_order_and_are_passed_on() -> None:
    heard: list[FileOutcome] = []
    collector = OutcomeCollector(heard.append)
    added = [
        outcome("a"),
        outcome("b", Result.FAILED),
        outcome("c"),
        outcome("d", Result.FAILED),
    ]
    for each in added:
        collector.add(each)
    assert list(collector.report(0).outcomes) == added == heard


def test_failures_are_kept_rather_than_others() -> None:
    collector = OutcomeCollector(most=3)
    names = ["a", "b", "c", "d!", "e", "f!", "g!", "h!"]
    for name in names:
        collector.add(outcome(name, Result.FAILED if name.endswith("!") else Result.STORED))
    report = collector.report(0)
    assert [each.name for each in report.outcomes] == ["d!", "f!", "g!"]
    assert (report.files, report.failed, report.stored) == (8, 4, 4)


def test_the_first_ones_are_kept() -> None:
    collector = OutcomeCollector(most=2)
    for name in "abcd":
        collector.add(outcome(name))
    assert [each.name for each in collector.report(0).outcomes] == ["a", "b"]


def test_no_failure_raises_nothing() -> None:
    collector = OutcomeCollector()
    collector.add(outcome("a"))
    collector.add(outcome("b", Result.SKIPPED))
    collector.report(0).raise_for_failure()


def test_a_failure_raises_an_error_that_names_the_first() -> None:
    collector = OutcomeCollector()
    for name, result in (("a", Result.STORED), ("b", Result.FAILED), ("c", Result.FAILED)):
        collector.add(outcome(name, result))
    report = collector.report(0)

    with pytest.raises(
        TransferFailedError, match="2 of 3 files failed; the first: 'b': no b"
    ) as raised:
        report.raise_for_failure()

    assert isinstance(raised.value, FileTransferError)
    assert raised.value.report is report
    assert raised.value.__cause__ is report.outcomes[1].error


def test_an_exception_of_the_callback_goes_up() -> None:
    def refuse(_outcome: FileOutcome) -> None:
        raise LookupError("no more")

    collector = OutcomeCollector(refuse)
    with pytest.raises(LookupError, match="no more"):
        collector.add(outcome("a"))
    assert collector.report(0).files == 1

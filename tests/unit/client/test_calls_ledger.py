"""What is told of a call."""

from pathlib import Path

import pytest

from dxlfiletransferclient.calls.ledger import Ledger, Totals
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.progress import REPORT_INTERVAL, Phase, Progress


def outcome(name: str, error: Exception | None = None) -> FileOutcome:
    result = Result.STORED if error is None else Result.FAILED
    return FileOutcome(name=name, path=Path(name), result=result, size=10, error=error)


def test_outcomes_wait_until_they_are_passed_on() -> None:
    heard: list[FileOutcome] = []
    ledger = Ledger(None, heard.append, now=5.0)
    noted = [outcome("a"), outcome("b", LookupError("no b"))]
    for each in noted:
        ledger.note(each)
    assert heard == []
    ledger.pass_on()
    ledger.pass_on()
    assert heard == noted

    report = ledger.close(7.5)
    assert list(report.outcomes) == noted
    assert (report.stored, report.failed, report.seconds) == (1, 1, 2.5)


def test_what_was_cancelled_is_no_outcome() -> None:
    heard: list[FileOutcome] = []
    ledger = Ledger(None, heard.append, now=0.0)
    ledger.note(outcome("a", TransferCancelledError("enough")))
    ledger.pass_on()
    assert heard == []
    assert ledger.close(1.0).files == 0


def test_outcomes_that_come_while_others_are_passed_on() -> None:
    heard: list[str] = []

    def hear(each: FileOutcome) -> None:
        heard.append(each.name)
        if each.name == "a":
            ledger.note(outcome("c"))
            ledger.pass_on()

    ledger = Ledger(None, hear, now=0.0)
    ledger.note(outcome("a"))
    ledger.note(outcome("b"))
    ledger.pass_on()
    assert heard == ["a", "b", "c"]


def test_a_function_that_raised_is_not_called_again() -> None:
    heard: list[str] = []

    def hear(each: FileOutcome) -> None:
        heard.append(each.name)
        raise LookupError("no more")

    ledger = Ledger(None, hear, now=0.0)
    ledger.note(outcome("a"))
    ledger.note(outcome("b"))
    with pytest.raises(LookupError, match="no more"):
        ledger.pass_on()
    ledger.pass_on()
    assert heard == ["a"]


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    heard: list[Progress] = []
    ledger = Ledger(heard.append, None, now=0.0, phase=Phase.RECEIVING)
    meter = ledger.meter.begin("a", 100)
    meter.update(done=25)

    ledger.expect(None)
    ledger.meter.tick(0.0)
    assert heard == []
    ledger.expect(None)
    ledger.meter.tick(REPORT_INTERVAL)
    ledger.expect(Totals(3, 200))
    ledger.meter.tick(2 * REPORT_INTERVAL)
    meter.end(complete=True)
    ledger.close(2 * REPORT_INTERVAL)

    told = [(each.phase, each.done, each.total, each.files_total) for each in heard]
    assert told == [
        (Phase.RECEIVING, 25, None, None),
        (Phase.RECEIVING, 25, 200, 3),
        (Phase.STORED, 100, 100, 1),
    ]

"""What is told of one call, meanwhile and at its end. No input or output."""

from collections import deque
from dataclasses import dataclass

from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.outcomes import (
    FileOutcome,
    OutcomeCallback,
    OutcomeCollector,
    TransferReport,
)
from dxlfiletransferclient.progress import Phase, ProgressCallback, ProgressMeter


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is to transfer in a call.

    Attributes:
        files: Files, empty directories and links, also those that cannot be transferred.
        bytes: Bytes of the files; ``None`` if there is a stream among them, which nobody can count.
    """

    files: int
    bytes: int | None


class Ledger:
    """Keeps what a caller is told: the progress, the outcomes, and the report of them.

    Outcomes are noted wherever they come up, and passed on where whatever the caller's function
    raises may end the call.

    Args:
        progress: Is called with the progress; ``None`` if nobody wants it.
        on_outcome: Is called with each outcome; ``None`` if nobody wants them.
        now: The time in seconds, on any clock that never goes back; the same clock as later.
        phase: What files begin with.

    Attributes:
        meter: What progress is told to.
    """

    def __init__(
        self,
        progress: ProgressCallback | None,
        on_outcome: OutcomeCallback | None,
        *,
        now: float,
        phase: Phase = Phase.SENDING,
    ) -> None:
        self.meter = ProgressMeter(progress, now=now, phase=phase)
        self._began = now
        self._outcomes = OutcomeCollector(on_outcome)
        self._ended: deque[FileOutcome] = deque()
        self._passing_on = False

    def note(self, outcome: FileOutcome) -> None:
        """Take an outcome, to be passed on next time."""
        # A call that was cancelled says so itself; its files have not failed.
        if not isinstance(outcome.error, TransferCancelledError):
            self._ended.append(outcome)

    def pass_on(self) -> None:
        """Pass on the outcomes that were noted; nothing any more once the caller's function raised.

        Raises:
            Exception: What the caller's function raises.
        """
        if self._passing_on:
            return
        # Stays set if the function raises: then it is not called again.
        self._passing_on = True
        while self._ended:
            self._outcomes.add(self._ended.popleft())
        self._passing_on = False

    def expect(self, totals: Totals | None) -> None:
        """Note how much there is in all, if that is known."""
        if totals is not None:
            self.meter.expect(total=totals.bytes, files=totals.files)

    def close(self, now: float) -> TransferReport:
        """Report the progress for the last time, and return what became of the files."""
        self.meter.close(now)
        return self._outcomes.report(now - self._began)

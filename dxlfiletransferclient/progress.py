"""How far a call is, file by file and in all. No input or output; time is passed in."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

REPORT_INTERVAL: Final = 0.1
"""Seconds between two reports at least: more than ten a second no eye can follow."""

RATE_SPAN: Final = 10.0
"""Seconds over which the rate is taken.

A longer time makes the time left steadier, a shorter one follows changes of speed sooner.
"""


class Phase(StrEnum):
    """What is being done."""

    SCANNING = "scanning"
    SENDING = "sending"
    RECEIVING = "receiving"
    VERIFYING = "verifying"
    STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call is.

    Attributes:
        phase: What is being done to the file under way.
        name: Name of that file on the service; the one that has been under way longest, where there
            are several. Empty before the first.
        file_done: Its bytes that the receiving side has acknowledged.
        file_size: All of its bytes, if that is known.
        done: Acknowledged bytes in all, with those of earlier calls that this one goes on with.
            After a crash of the service it may fall: what was not durable is sent again.
        total: Bytes in all; ``None`` until that is known.
        durable: Bytes in all that outlive a crash of the receiving side.
        files_done: Files that are through with, however they ended.
        files_total: Files in all; ``None`` until that is known.
        rate: Bytes per second over the last seconds.
        remaining: Seconds left at this rate; ``None`` if nobody can tell.
    """

    phase: Phase
    name: str
    file_done: int
    file_size: int | None
    done: int
    total: int | None
    durable: int
    files_done: int
    files_total: int | None
    rate: float
    remaining: float | None


ProgressCallback = Callable[[Progress], object]
"""Is called with the progress some times per second, and once at the end."""


class FileMeter:
    """How far one file is; made by :meth:`ProgressMeter.begin`.

    Attributes:
        name: Its name on the service.
        size: Its bytes, if that is known.
        done: Its bytes that are acknowledged.
        durable: Its bytes that outlive a crash.
        phase: What is being done to it.
    """

    __slots__ = ("_meter", "done", "durable", "name", "phase", "size")

    def __init__(self, meter: "ProgressMeter", name: str, size: int | None, phase: Phase) -> None:
        self._meter = meter
        self.name = name
        self.size = size
        self.phase = phase
        self.done = 0
        self.durable = 0

    def update(
        self, *, phase: Phase | None = None, done: int | None = None, durable: int | None = None
    ) -> None:
        """Note what changed; everything is a number for the whole file, not an increase."""
        if phase is not None:
            self.phase = phase
        if done is not None and done != self.done:
            self._meter.moved(done - self.done, travelled=True)
            self.done = done
        if durable is not None and durable != self.durable:
            self._meter.hardened(durable - self.durable)
            self.durable = durable

    def resume(self, done: int, durable: int) -> None:
        """Note what an earlier call had done: it counts as done, but for no speed."""
        self._meter.moved(done - self.done, travelled=False)
        self.done = done
        self._meter.hardened(durable - self.durable)
        self.durable = durable

    def end(self, *, complete: bool) -> None:
        """Note that the file is through with.

        Args:
            complete: Whether all of it is there now. Otherwise what is missing is not counted on
                any more.
        """
        missing = max(0, (self.size or 0) - self.done)
        if complete:
            self.phase = Phase.STORED
            self.resume(self.done + missing, self.done + missing)
        self._meter.ended(self, given_up=0 if complete else missing)


class ProgressMeter:
    """Adds up what the files of a call tell, and reports it now and then.

    Args:
        report: Is called with the progress; ``None`` if nobody wants it.
        now: The time in seconds, on any clock that never goes back; the same clock as later.
        phase: What files begin with.

    Example:
        >>> heard = []
        >>> meter = ProgressMeter(heard.append, now=0.0)
        >>> file = meter.begin("a.bin", 300)
        >>> file.update(done=100)
        >>> meter.expect(total=300, files=1)
        >>> meter.tick(2.0)
        >>> heard[-1].rate, heard[-1].remaining
        (50.0, 4.0)
    """

    def __init__(
        self,
        report: ProgressCallback | None = None,
        *,
        now: float,
        phase: Phase = Phase.SENDING,
    ) -> None:
        self._report = report
        self._phase = phase
        self._active: dict[int, FileMeter] = {}
        self._last: FileMeter | None = None
        self._done = 0
        self._travelled = 0
        self._durable = 0
        self._files_done = 0
        self._given_up = 0
        self._total: int | None = None
        self._files_total: int | None = None
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])
        self._next_report = now + REPORT_INTERVAL

    def expect(self, *, total: int | None, files: int | None) -> None:
        """Note how much there is in all, as soon as that is known."""
        self._total = total
        self._files_total = files

    def begin(self, name: str, size: int | None) -> FileMeter:
        """Note that a file is begun, and return what its progress is told to.

        Args:
            name: Its name on the service.
            size: Its bytes, if that is known.
        """
        meter = FileMeter(self, name, size, self._phase)
        self._active[id(meter)] = meter
        return meter

    def whole(self, name: str, size: int, *, complete: bool = True) -> None:
        """Note a small file that was transferred, or failed, in one go.

        Args:
            name: Its name on the service.
            size: Its bytes.
            complete: Whether it is there now.
        """
        meter = FileMeter(self, name, size, self._phase)
        if complete:
            meter.phase = Phase.STORED
            meter.done = meter.durable = size
            self._done += size
            self._travelled += size
            self._durable += size
        else:
            self._given_up += size
        self._last = meter
        self._files_done += 1

    def moved(self, by: int, *, travelled: bool) -> None:
        """Count acknowledged bytes of a file; called by its meter."""
        self._done += by
        if travelled and by > 0:
            self._travelled += by

    def hardened(self, by: int) -> None:
        """Count bytes of a file that became durable; called by its meter."""
        self._durable += by

    def ended(self, meter: FileMeter, *, given_up: int) -> None:
        """Count a file that is through with; called by its meter."""
        self._active.pop(id(meter), None)
        self._last = meter
        self._files_done += 1
        self._given_up += given_up

    def tick(self, now: float) -> None:
        """Report if it is time to; call it as often as you like."""
        if self._report is not None and now >= self._next_report:
            self._send(now)

    def close(self, now: float) -> None:
        """Report for the last time: what was done is all there was."""
        # What was counted before may have changed until it was read.
        self._total = self._done + self._given_up
        self._files_total = self._files_done
        if self._report is not None:
            self._send(now)

    def _send(self, now: float) -> None:
        self._next_report = now + REPORT_INTERVAL
        while len(self._samples) > 1 and self._samples[1][0] <= now - RATE_SPAN:
            self._samples.popleft()
        self._samples.append((now, self._travelled))
        assert self._report is not None  # noqa: S101 - both callers have looked
        self._report(self.snapshot())

    def snapshot(self) -> Progress:
        """Return the progress as of the last report's time."""
        file = next(iter(self._active.values()), self._last)
        total = None if self._total is None else max(self._total - self._given_up, self._done)
        rate = self._rate()
        left = None if total is None else total - self._done
        return Progress(
            phase=Phase.SCANNING if file is None else file.phase,
            name="" if file is None else file.name,
            file_done=0 if file is None else file.done,
            file_size=None if file is None else file.size,
            done=self._done,
            total=total,
            durable=self._durable,
            files_done=self._files_done,
            files_total=self._files_total,
            rate=rate,
            remaining=0.0 if left == 0 else left / rate if left is not None and rate > 0 else None,
        )

    def _rate(self) -> float:
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else 0.0

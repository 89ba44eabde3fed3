"""What is found: samples, the rows that sum them up, and figures with bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run showed.

    Attributes:
        rate: Bytes per second.
        files_rate: Files per second; 0 where there was one.
        sender_cpu: Processor seconds of the sending (or getting) process per GB (10**9 bytes), with
            the processes that it started.
        broker_cpu: The same, of what stands in the middle: a broker, or the relay; 0 where nothing
            does.
        service_cpu: The same, of what is at the other end.
        sender_peak: Largest resident memory of the sender, in bytes.
        broker_peak: The same, of the middle, since its start.
        service_peak: The same, of the other end, since its start.
        sent_again: Bytes that travelled although the other end had them; 0 where nobody counts.
    """

    rate: float
    files_rate: float = 0.0
    sender_cpu: float
    broker_cpu: float
    service_cpu: float
    sender_peak: float
    broker_peak: float
    service_peak: float
    sent_again: float = 0.0

    @property
    def total_cpu(self) -> float:
        """Processor seconds per GB of all processes together."""
        return self.sender_cpu + self.broker_cpu + self.service_cpu

    def then(self, get: "Sample") -> "Sample":
        """Return what storing something in the middle and getting it from there cost together.

        Args:
            get: The second half, of the same bytes; who gets is at the other end.

        Example:
            >>> put = Sample(rate=2, sender_cpu=1, broker_cpu=1, service_cpu=0, sender_peak=5,
            ...              broker_peak=6, service_peak=0)
            >>> put.then(put).rate, put.then(put).broker_cpu, put.then(put).service_cpu
            (1.0, 2, 1)
        """
        return Sample(
            rate=1 / (1 / self.rate + 1 / get.rate),
            sender_cpu=self.sender_cpu,
            broker_cpu=self.broker_cpu + get.broker_cpu,
            service_cpu=get.sender_cpu,
            sender_peak=self.sender_peak,
            broker_peak=max(self.broker_peak, get.broker_peak),
            service_peak=get.sender_peak,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """The medians over all runs of one measurement.

    Attributes:
        what: What was sent.
        who: Who sent it.
        link: Over which network.
        median: Median of each value by itself.
    """

    what: str
    who: str
    link: str
    median: Sample

    @classmethod
    def of(cls, what: str, who: str, link: str, samples: Sequence[Sample]) -> Self:
        """Return the row that sums up several runs."""
        names = [field.name for field in fields(Sample)]
        medians = {name: median(getattr(one, name) for one in samples) for name in names}
        return cls(what, who, link, Sample(**medians))


def ratios(rows: Sequence[Row]) -> list[float]:
    """Return the rate of each row against the first one of the same content and network."""
    references: dict[tuple[str, str], float] = {}
    return [
        row.median.rate / references.setdefault((row.what, row.link), row.median.rate)
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number beside the table.

    Attributes:
        what: What it is.
        value: It.
        bound: What it has to be.
        least: Whether the bound is the least that it may be; otherwise it is the most.
    """

    what: str
    value: float
    bound: float
    least: bool = True

    @property
    def holds(self) -> bool:
        """Whether it is within its bound."""
        return self.value >= self.bound if self.least else self.value <= self.bound

"""What is measured: each function makes one row of the result."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any, Self

from benchmarks.fabric import PROGRAMS, Fabric
from benchmarks.processes import ProgramError, Server, python, run

REQUEST_TOPIC = "/benchmark/requests"

FORWARDED_SIZE = 900 * 1024
"""Bytes of the requests that measure what forwarding costs: segments as the client sends them."""

FORWARDED_BYTES = 1_000_000_000
"""Bytes in all of those requests: so many that setting up connections does not count."""

FORWARDED_IN_FLIGHT = 8
"""Requests under way at once: enough that the broker never waits for a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run showed.

    Attributes:
        rate: Bytes per second.
        sender_cpu: Processor seconds of the sender per GB (10**9 bytes).
        broker_cpu: The same, of the broker.
        service_cpu: The same, of the service.
        sender_peak: Largest resident memory of the sender, in bytes.
        broker_peak: The same, of the broker, since its start.
        service_peak: The same, of the service, since its start.
    """

    rate: float
    sender_cpu: float
    broker_cpu: float
    service_cpu: float
    sender_peak: float
    broker_peak: float
    service_peak: float


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


def version_1(
    fabric: Fabric, service: Server, source: Path, *, segment_size: int, who: str, interpreter: str
) -> Sample:
    """Send a file once with version 1 of the transfer and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file.
        segment_size: Bytes per segment.
        who: Name of the sender, for the stored file.
        interpreter: The Python whose client sends it.

    Raises:
        ProgramError: The sender failed, or the stored file differs.
    """
    name = f"{who}-{segment_size}".replace(" ", "-")
    command = [
        interpreter,
        *map(str, (PROGRAMS / "send_version1.py", fabric.client_configuration, source, name)),
        str(segment_size),
    ]
    sample = _measured(fabric, service, source.stat().st_size, lambda: run(command, fabric.link))
    stored = fabric.storage / name
    if _sha256(stored) != _sha256(source):
        raise ProgramError(f"{stored} differs from {source}")
    stored.unlink()
    return sample


def forwarding(fabric: Fabric, service: Server) -> Sample:
    """Send requests as fast as the bus carries them."""
    count = FORWARDED_BYTES // FORWARDED_SIZE
    command = python(
        PROGRAMS / "send_requests.py",
        fabric.client_configuration,
        REQUEST_TOPIC,
        str(count),
        str(FORWARDED_SIZE),
        str(FORWARDED_IN_FLIGHT),
    )
    return _measured(fabric, service, count * FORWARDED_SIZE, lambda: run(command, fabric.link))


def _measured(
    fabric: Fabric, service: Server, size: int, send: Callable[[], dict[str, Any]]
) -> Sample:
    broker_before = fabric.broker.cost()
    service_before = service.cost()
    sent = send()
    broker_after = fabric.broker.cost()
    service_after = service.cost()
    gigabytes = size / 1e9
    return Sample(
        rate=size / sent["seconds"],
        sender_cpu=sent["cpu"] / gigabytes,
        broker_cpu=(broker_after.cpu - broker_before.cpu) / gigabytes,
        service_cpu=(service_after.cpu - service_before.cpu) / gigabytes,
        sender_peak=sent["peak"],
        broker_peak=broker_after.peak,
        service_peak=service_after.peak,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

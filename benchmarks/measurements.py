"""What is measured: each function makes one sample."""

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
"""Bytes of the requests that measure what forwarding costs: segments as version 1 can send them."""

FORWARDED_BYTES = 1_000_000_000
"""Bytes in all of those requests: so many that setting up connections does not count."""

IN_FLIGHT = 8
"""Requests under way at once: enough that the broker never waits for a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run showed.

    Attributes:
        rate: Bytes per second.
        files_rate: Files per second; 0 where there was one.
        sender_cpu: Processor seconds of the sending (or getting) process per GB (10**9 bytes).
        broker_cpu: The same, of the broker.
        service_cpu: The same, of the service.
        sender_peak: Largest resident memory of the sender, in bytes.
        broker_peak: The same, of the broker, since its start.
        service_peak: The same, of the service, since its start.
    """

    rate: float
    files_rate: float = 0.0
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
    sample = measured(fabric, service, source.stat().st_size, lambda: run(command, fabric.link))
    stored_as_sent(fabric.storage / name, source)
    return sample


def version_2(
    fabric: Fabric, service: Server, source: Path, *, configuration: Path | None = None
) -> Sample:
    """Send a file or tree once with version 2 of the transfer and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file or directory.
        configuration: The sender's way to the fabric, unless it is the usual one.

    Raises:
        ProgramError: The sender failed, or what was stored differs.
    """
    target = "sent/" if source.is_dir() else "sent"
    command = python(
        PROGRAMS / "transfer_version2.py",
        configuration or fabric.client_configuration,
        *("send", source, target),
    )
    sample = measured(fabric, service, _size_of(source), lambda: run(command, fabric.link))
    stored = fabric.storage / "sent"
    if source.is_dir():
        _check_tree(stored / source.name, source)
        # Removing so many files would slow the next run down.
        stored.rename(fabric.home / f"moved-aside-{len(list(fabric.home.iterdir()))}")
    else:
        stored_as_sent(stored, source)
    return sample


def download(fabric: Fabric, service: Server, source: Path) -> Sample:
    """Get a file that the service has once, and check what came.

    Raises:
        ProgramError: It failed, or what came differs.
    """
    stored = fabric.storage / "offered"
    if not stored.exists():
        stored.hardlink_to(source)
    target = fabric.home / "got"
    command = python(
        PROGRAMS / "transfer_version2.py",
        *(fabric.client_configuration, "get", stored.name, target),
    )
    sample = measured(fabric, service, source.stat().st_size, lambda: run(command, fabric.link))
    stored_as_sent(target, source)
    return sample


def bus_limit(
    fabric: Fabric, service: Server, *, request_size: int, total: int, in_flight: int = IN_FLIGHT
) -> Sample:
    """Send requests with the official client as fast as the bus carries them: no disk, no hash.

    Args:
        fabric: Where to send them.
        service: Who answers them with a few bytes.
        request_size: Bytes of content in each.
        total: Bytes in all.
        in_flight: Requests under way at once.
    """
    count = max(total // request_size, 1)
    command = python(
        PROGRAMS / "send_requests.py",
        fabric.client_configuration,
        REQUEST_TOPIC,
        *map(str, (count, request_size, in_flight)),
    )
    return measured(fabric, service, count * request_size, lambda: run(command, fabric.link))


def measured(
    fabric: Fabric, service: Server, size: int, send: Callable[[], dict[str, Any]]
) -> Sample:
    """Do something once, and return what it cost whom.

    Args:
        fabric: The fabric that it goes over.
        service: Who receives.
        size: Bytes that are sent.
        send: Does it; returns ``seconds``, and ``cpu`` and ``peak`` of the sending process.
    """
    broker_before = fabric.broker.cost()
    service_before = service.cost()
    sent = send()
    broker_after = fabric.broker.cost()
    service_after = service.cost()
    gigabytes = size / 1e9
    files = sent.get("files", 1)
    return Sample(
        rate=size / sent["seconds"],
        files_rate=files / sent["seconds"] if files > 1 else 0.0,
        sender_cpu=sent["cpu"] / gigabytes,
        broker_cpu=(broker_after.cpu - broker_before.cpu) / gigabytes,
        service_cpu=(service_after.cpu - service_before.cpu) / gigabytes,
        sender_peak=sent["peak"],
        broker_peak=broker_after.peak,
        service_peak=service_after.peak,
    )


def _size_of(source: Path) -> int:
    if not source.is_dir():
        return source.stat().st_size
    return sum(path.stat().st_size for path in source.rglob("*") if path.is_file())


def _check_tree(stored: Path, source: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file() and (stored / path.relative_to(source)).read_bytes() != path.read_bytes():
            raise ProgramError(f"{path} was stored with another content")


def stored_as_sent(stored: Path, source: Path) -> None:
    """Check what was stored, and remove it.

    Raises:
        ProgramError: It differs from what was sent.
    """
    if _sha256(stored) != _sha256(source):
        raise ProgramError(f"{stored} differs from {source}")
    stored.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

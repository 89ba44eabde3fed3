"""The measurements, in groups that can be run one by one."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import measurements, servers
from benchmarks.delays import ADDED_ROUND_TRIP, longer_way
from benchmarks.fabric import running_fabric
from benchmarks.links import PLAIN, Link
from benchmarks.measurements import (
    FORWARDED_BYTES,
    FORWARDED_SIZE,
    IN_FLIGHT,
    REQUEST_TOPIC,
    Row,
    Sample,
)
from benchmarks.recovery import seconds_to_go_on
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE

PUBLISHED = "0.1.x client"
OURS = "this client"
VERSION_2 = "version 2"
LIMIT = "bus limit"
OFFICIAL = "official DXL client"

DEFAULT_SIZE = 50 * 1024
"""Bytes per segment unless one asks for more, in the published client."""

LARGE_SIZE = 900 * 1024
"""About the largest segments that the published client can send."""

TREE_FILES = 10_000
TREE_FILE_SIZE = 4096
TREE_DIRECTORY_FILES = 100
"""Files in each directory of the tree."""

MEMORY_NOISE = 1.1
"""How far peak memory may differ between two runs of the same: allocators and threads vary."""


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


@dataclass(slots=True)
class Run:
    """One run of the benchmark: what it measures with, and what it has found.

    Attributes:
        home: Directory for everything.
        links: Networks to measure on.
        rounds: Runs for each row.
        size: Bytes of the file that is sent, in version 1's and version 2's rows.
        published: The Python that has the published client, if there is one.
        tell: Called with what is going on.
        rows: Found so far.
        figures: Found so far.
    """

    home: Path
    links: list[Link]
    rounds: int
    size: int
    published: str | None
    tell: Callable[[str], object]
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def source(self, size: int) -> Path:
        """Return a file of random bytes."""
        path = self.home / f"source-{size}"
        if not path.exists():
            with path.open("wb") as file:
                for start in range(0, size, MEBIBYTE):
                    file.write(os.urandom(min(MEBIBYTE, size - start)))
        return path

    def turns(self, what: str, link: Link, senders: Mapping[str, Callable[[], Sample]]) -> None:
        """Measure some senders in turns, and add a row for each.

        Taking turns spreads whatever else the machine does over all of them.
        """
        samples: dict[str, list[Sample]] = {who: [] for who in senders}
        for _ in range(self.rounds):
            for who, measure in senders.items():
                self.tell(f"{what}: {who}, {link.name}")
                samples[who].append(measure())
        for who, found in samples.items():
            self.rows.append(Row.of(what, who, link.name, found))

    def rate(self, what: str, who: str, link: Link) -> float | None:
        """Return the rate of a row in bytes per second, if it was measured."""
        for row in self.rows:
            if (row.what, row.who, row.link) == (what, who, link.name):
                return row.median.rate
        return None

    def compare(self, what: str, who: str, other: str, link: Link, least: float) -> None:
        """Add the ratio of two rows as a figure, if both were measured."""
        rate, base = self.rate(what, who, link), self.rate(what, other, link)
        if rate and base:
            text = f"{what}, {link.name}: {who} against {other}"
            self.figures.append(Figure(text, rate / base, least))


def forwarding(run: Run) -> None:
    """Measure what it costs the broker to forward requests."""
    what = f"{FORWARDED_SIZE // 1024} KiB requests, {IN_FLIGHT} in flight"
    for link in run.links:
        with (
            running_fabric(_place(run, "forwarding", link), link) as fabric,
            fabric.answering_service(REQUEST_TOPIC) as service,
        ):
            measure = partial(
                measurements.bus_limit,
                fabric,
                service,
                request_size=FORWARDED_SIZE,
                total=FORWARDED_BYTES,
            )
            run.turns(what, link, {OFFICIAL: measure})


def version_1(run: Run) -> None:
    """Measure the published client and the same call of this one, in two segment sizes."""
    source = run.source(run.size // 4)
    for link in run.links:
        with (
            running_fabric(_place(run, "version-1", link), link) as fabric,
            fabric.transfer_service() as service,
        ):
            for size in (DEFAULT_SIZE, LARGE_SIZE):
                what = f"{_megabytes(source)} MiB in {size // 1024} KiB segments"
                senders = {
                    who: partial(
                        measurements.version_1,
                        fabric,
                        service,
                        source,
                        segment_size=size,
                        who=who,
                        interpreter=interpreter,
                    )
                    for who, interpreter in _version_1_senders(run).items()
                }
                run.turns(what, link, senders)


def version_2(run: Run) -> None:
    """Measure version 2 against the published client at its defaults, and against the bus."""
    source = run.source(run.size)
    what = f"{_megabytes(source)} MiB file"
    for link in run.links:
        with (
            running_fabric(_place(run, "version-2", link), link) as fabric,
            fabric.transfer_service() as service,
            fabric.answering_service(REQUEST_TOPIC) as answering,
        ):
            senders = {
                LIMIT: partial(
                    measurements.bus_limit,
                    fabric,
                    answering,
                    request_size=SEGMENT_SIZE,
                    total=run.size,
                ),
                VERSION_2: partial(measurements.version_2, fabric, service, source),
                f"{VERSION_2}, get": partial(measurements.download, fabric, service, source),
            }
            if run.published:
                published = partial(
                    measurements.version_1,
                    fabric,
                    service,
                    source,
                    segment_size=DEFAULT_SIZE,
                    who=PUBLISHED,
                    interpreter=run.published,
                )
                senders = {PUBLISHED: published} | senders
            run.turns(what, link, senders)
        run.compare(what, VERSION_2, PUBLISHED, link, 6.0)
        run.compare(what, VERSION_2, LIMIT, link, 0.85)


def delay(run: Run) -> None:
    """Measure version 2 over a longer way to the broker."""
    source = run.source(run.size)
    far = f"{VERSION_2}, {ADDED_ROUND_TRIP} ms more"
    what = f"{_megabytes(source)} MiB file, near and far"
    with (
        running_fabric(_place(run, "delay", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        longer_way(fabric) as configuration,
    ):
        near = partial(measurements.version_2, fabric, service, source)
        senders = {VERSION_2: near, far: partial(near, configuration=configuration)}
        run.turns(what, PLAIN, senders)
    run.compare(what, far, VERSION_2, PLAIN, 0.7)


def tree(run: Run) -> None:
    """Measure many small files."""
    source = _tree(run.home / "tree")
    what = f"{TREE_FILES:,} files of {TREE_FILE_SIZE} bytes"
    with (
        running_fabric(_place(run, "tree", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
    ):
        measure = partial(measurements.version_2, fabric, service, source)
        run.turns(what, PLAIN, {VERSION_2: measure})
    run.figures.append(Figure(f"{what}: files/s", run.rows[-1].median.files_rate, 2000))


def memory(run: Run) -> None:
    """Measure how much memory a large file takes, each with processes of its own."""
    peaks: dict[int, Sample] = {}
    for size in (GIBIBYTE, 8 * GIBIBYTE):
        source = run.home / "sparse"
        with source.open("wb") as file:
            file.truncate(size)
        with (
            running_fabric(_place(run, f"memory-{size}", PLAIN), PLAIN) as fabric,
            fabric.transfer_service() as service,
        ):
            what = f"{size // GIBIBYTE} GiB file"
            run.tell(f"{what}: {VERSION_2}, {PLAIN.name}")
            peaks[size] = measurements.version_2(fabric, service, source)
            run.rows.append(Row(what, VERSION_2, PLAIN.name, peaks[size]))
    small, large = peaks.values()
    for name in ("sender", "service"):
        peak, before = getattr(large, f"{name}_peak"), getattr(small, f"{name}_peak")
        what = f"8 GiB file: peak memory of the {name}"
        run.figures.append(Figure(f"{what}, MiB", peak / MEBIBYTE, 150, least=False))
        text = f"{what}, against 1 GiB"
        run.figures.append(Figure(text, peak / before, MEMORY_NOISE, least=False))


def recovery(run: Run) -> None:
    """Measure how long a file stands still when its service is killed."""
    source = run.source(GIBIBYTE)
    with running_fabric(_place(run, "recovery", PLAIN), PLAIN) as fabric:
        found = []
        for _ in range(run.rounds):
            run.tell("1 GiB file, service killed at half of it")
            found.append(seconds_to_go_on(fabric, source))
    what = "1 GiB file, service killed: seconds to go on once it is up again"
    run.figures.append(Figure(what, median(found), 3.0, least=False))


def server(run: Run) -> None:
    """Measure transfers through the transfer server against sending the same file directly."""
    source = run.source(GIBIBYTE)
    what = "1 GiB file, by the transfer server"
    with (
        running_fabric(_place(run, "server", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        servers.sending_server(run.home / "sending", fabric) as sending,
    ):
        senders = {VERSION_2: partial(measurements.version_2, fabric, service, source)} | {
            who: partial(servers.transfer, sending, fabric, service, source, cipher)
            for who, cipher in servers.CIPHERS.items()
        }
        run.turns(what, PLAIN, senders)
    plain, encrypted = servers.CIPHERS
    run.compare(what, plain, VERSION_2, PLAIN, 0.95)
    run.compare(what, encrypted, plain, PLAIN, 0.75)


def api(run: Run) -> None:
    """Measure how quickly the API answers while much is under way."""
    run.tell(f"getTransfer beside {servers.ACTIVE_TRANSFERS:,} active transfers")
    with servers.sending_server(run.home / "api") as sending:
        seconds = servers.call_seconds(sending, run.home / "active")
    what = f"getTransfer beside {servers.ACTIVE_TRANSFERS:,} active transfers, median ms"
    run.figures.append(Figure(what, seconds * 1000, 20, least=False))


def manifest(run: Run) -> None:
    """Measure a manifest of a million files."""
    run.tell("making a tree of a million files")
    tree = servers.large_tree(run.home / "million")
    with servers.sending_server(run.home / "manifest") as sending:
        run.tell("manifest of a million files")
        rate, growth = servers.manifest_of_many(sending, tree)
    what = "manifest of 1,000,000 files in 1,000 directories"
    run.figures.append(Figure(f"{what}: files/s", rate, 30_000))
    text = f"{what}: growth of the server's memory, MiB"
    run.figures.append(Figure(text, growth / MEBIBYTE, 100, least=False))


GROUPS: Mapping[str, Callable[[Run], None]] = {
    "forwarding": forwarding,
    "version1": version_1,
    "version2": version_2,
    "delay": delay,
    "tree": tree,
    "memory": memory,
    "recovery": recovery,
    "server": server,
    "api": api,
    "manifest": manifest,
}
"""What can be measured, in the order of a whole run."""


def _place(run: Run, name: str, link: Link) -> Path:
    return run.home / f"{name}-{link.name}".replace(" ", "-")


def _megabytes(source: Path) -> int:
    return source.stat().st_size // MEBIBYTE


def _version_1_senders(run: Run) -> dict[str, str]:
    # The first of them is the one that the others are compared with.
    published = {PUBLISHED: run.published} if run.published else {}
    return {**published, OURS: sys.executable}


def _tree(root: Path) -> Path:
    for number in range(TREE_FILES):
        directory = root / f"{number // TREE_DIRECTORY_FILES:04}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number:05}").write_bytes(os.urandom(TREE_FILE_SIZE))
    return root

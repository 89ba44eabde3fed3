"""``python -m benchmarks``: measures, prints a table, writes JSON."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks import measurements, report
from benchmarks.fabric import Fabric, running_fabric
from benchmarks.links import PLAIN, Link, LinkUnavailableError, ethernet
from benchmarks.measurements import REQUEST_TOPIC, Row, Sample
from benchmarks.processes import ProgramError

SEGMENT_SIZES = (50 * 1024, 900 * 1024)
"""Bytes per segment: the default of the published client, and about what a broker takes at most."""

PUBLISHED = "0.1.x client"
OURS = "this client"

REPORT_WIDTH = 132
"""Characters per line where the table goes into a file."""

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PEERS = ROOT / ".peers" / f"{sys.version_info.major}.{sys.version_info.minor}" / "bin" / "python"


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH)
    notes: list[str] = []
    rows: list[Row] = []
    senders = {OURS: sys.executable}
    if PEERS.exists():
        # The first of them is the one that the others are compared with.
        senders = {PUBLISHED: str(PEERS)} | senders
    else:
        notes.append(f"left out: {PUBLISHED}: run this by make bench, which installs it")
    with ExitStack() as stack:
        links = [PLAIN]
        try:
            links.append(stack.enter_context(ethernet()))
        except LinkUnavailableError as error:
            notes.append(f"left out: MTU 1500: {error}")
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dxlft-bench-")))
        source = home / "source"
        _make_source(source, arguments.size * report.MEBIBYTE)
        try:
            for link in links:
                rows += _measure(home, link, source, arguments.rounds, console, senders)
        except ProgramError as error:
            console.print(f"[red]{error}[/red]")
            return 1
    report.show(rows, console)
    for note in notes:
        console.print(note)
    report.write_json(rows, notes, arguments.json)
    console.print(f"written: {arguments.json}")
    return 0


def _measure(
    home: Path,
    link: Link,
    source: Path,
    rounds: int,
    console: Console,
    senders: Mapping[str, str],
) -> Iterator[Row]:
    """Yield the rows of one network; ``senders`` are names and the Python that each runs in."""
    size = source.stat().st_size
    with running_fabric(home / link.name.replace(" ", "-"), link) as fabric:
        yield _forwarding(fabric, rounds, console)
        with fabric.transfer_service() as service:
            for segment_size in SEGMENT_SIZES:
                samples: dict[str, list[Sample]] = {}
                # Taking turns spreads whatever else the machine does over all senders.
                for _ in range(rounds):
                    for who, interpreter in senders.items():
                        with _told(console, f"{who}, {segment_size} bytes, {link.name}"):
                            sample = measurements.version_1(
                                fabric,
                                service,
                                source,
                                segment_size=segment_size,
                                who=who,
                                interpreter=interpreter,
                            )
                        samples.setdefault(who, []).append(sample)
                what = f"{size // report.MEBIBYTE} MiB in {segment_size // 1024} KiB segments"
                for who, found in samples.items():
                    yield Row.of(what, who, link.name, found)


def _forwarding(fabric: Fabric, rounds: int, console: Console) -> Row:
    found = []
    with fabric.answering_service(REQUEST_TOPIC) as service:
        for _ in range(rounds):
            with _told(console, f"requests, {fabric.link.name}"):
                found.append(measurements.forwarding(fabric, service))
    what = f"{measurements.FORWARDED_SIZE // 1024} KiB requests, {measurements.FORWARDED_IN_FLIGHT}"
    return Row.of(f"{what} in flight", "official DXL client", fabric.link.name, found)


@contextmanager
def _told(console: Console, what: str) -> Iterator[None]:
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        console.print(what)
        yield


def _make_source(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // report.MEBIBYTE):
            file.write(os.urandom(report.MEBIBYTE))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="MiB of the file (default: 64)")
    parser.add_argument("--rounds", type=int, default=3, help="runs per row (default: 3)")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"default: {RESULTS.name}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

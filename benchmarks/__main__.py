"""``python -m benchmarks``: measures, prints tables, writes JSON."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.groups import GROUPS, MEBIBYTE, PUBLISHED, Run
from benchmarks.links import PLAIN, LinkUnavailableError, ethernet
from benchmarks.processes import ProgramError

REPORT_WIDTH = 140
"""Characters per line where the table goes into a file."""

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PEERS = ROOT / ".peers" / f"{sys.version_info.major}.{sys.version_info.minor}" / "bin" / "python"


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH)
    notes: list[str] = []
    if not PEERS.exists():
        notes.append(f"left out: {PUBLISHED}: run this by make bench, which installs it")
    with ExitStack() as stack:
        links = [PLAIN]
        try:
            links.append(stack.enter_context(ethernet()))
        except LinkUnavailableError as error:
            notes.append(f"left out: MTU 1500: {error}")
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="dxlft-bench-"))
        run = Run(
            home=Path(home),
            links=links,
            rounds=arguments.rounds,
            size=arguments.size * MEBIBYTE,
            published=str(PEERS) if PEERS.exists() else None,
            tell=console.print,
        )
        try:
            for name in arguments.only or GROUPS:
                GROUPS[name](run)
        except ProgramError as error:
            console.print(str(error), style="red", markup=False)
            return 1
    report.show(run.rows, console)
    report.show_figures(run.figures, console)
    for note in notes:
        console.print(note)
    report.write_json(run.rows, run.figures, notes, arguments.json)
    console.print(f"written: {arguments.json}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(GROUPS)
    parser.add_argument(
        "--only",
        metavar="GROUP",
        action="append",
        choices=list(GROUPS),
        help=f"what to measure, may be repeated (default: all of {names})",
    )
    parser.add_argument("--size", type=int, default=256, help="MiB of the file (default: 256)")
    parser.add_argument("--rounds", type=int, default=3, help="runs per row (default: 3)")
    parser.add_argument("--json", type=Path, default=RESULTS, help=f"default: {RESULTS.name}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

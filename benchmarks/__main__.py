"""``python -m benchmarks``: measures, prints tables, writes JSON and a plot."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from benchmarks import machine, report
from benchmarks.groups import GROUPS, needed_space
from benchmarks.groups.run import GIBIBYTE, MEBIBYTE, Run
from benchmarks.links import PLAIN, LinkUnavailableError, ethernet
from benchmarks.processes import ProgramError

REPORT_WIDTH = 160
"""Characters per line where the table goes into a file."""

SPARE_SPACE = 2 * GIBIBYTE
"""Bytes of disk that have to be left: a full disk is slow, and others use it too."""

TREE_FILES = 10_000

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
PEERS = ROOT / ".peers" / f"{sys.version_info.major}.{sys.version_info.minor}" / "bin" / "python"


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    arguments = _arguments()
    names = list(dict.fromkeys(arguments.only or GROUPS))
    console = Console(width=None if sys.stdout.isatty() else REPORT_WIDTH)
    with ExitStack() as stack:
        run = _prepared(arguments, console, stack)
        short = _missing_space(run, names)
        if short:
            console.print(short, style="red", markup=False)
            return 1
        failed = _measured(run, names)
    _shown(run, arguments.json, console)
    if failed:
        console.print(failed, style="red", markup=False)
        return 1
    return 0


def _prepared(arguments: argparse.Namespace, console: Console, stack: ExitStack) -> Run:
    where = tempfile.TemporaryDirectory(prefix="dxlft-bench-", dir=arguments.home)
    run = Run(
        home=Path(stack.enter_context(where)),
        links=[PLAIN],
        rounds=arguments.rounds,
        size=arguments.size * MEBIBYTE,
        large=arguments.large * MEBIBYTE,
        files=arguments.files,
        published=str(PEERS) if PEERS.exists() else None,
        tell=console.print,
    )
    if run.published is None:
        run.leave_out("the published 0.1.x packages", "run this by make bench, which installs them")
    try:
        run.links.append(stack.enter_context(ethernet()))
    except LinkUnavailableError as error:
        run.leave_out("MTU 1500", str(error))
    return run


def _missing_space(run: Run, names: Sequence[str]) -> str:
    """Return what to do about too little room on the disk, empty if there is enough."""
    needed = needed_space(run, names) + SPARE_SPACE
    free = shutil.disk_usage(run.home).free
    if free >= needed:
        return ""
    return (
        f"{run.home.parent} has {free / GIBIBYTE:.1f} GiB left, and this takes up to "
        f"{needed / GIBIBYTE:.1f}; choose another place with --home, a part with --only, or less "
        "with --large"
    )


def _measured(run: Run, names: Sequence[str]) -> str:
    """Measure; return why that ended too soon, empty if it did not."""
    try:
        for name in names:
            GROUPS[name].measure(run)
    except ProgramError as error:
        return str(error)
    return ""


def _shown(run: Run, path: Path, console: Console) -> None:
    report.show(run.rows, console)
    report.show_figures(run.figures, console)
    drawing = path.with_suffix(".svg")
    if find_spec("matplotlib") is None:
        run.leave_out("the plot", "matplotlib not installed; try: pip install matplotlib")
    else:
        from benchmarks.plot import draw  # takes a second to load, and may be missing

        draw(run.rows, drawing)
        console.print(f"written: {drawing}", soft_wrap=True)
    sizes = {"rounds": run.rounds, "size": run.size, "large": run.large, "files": run.files}
    results = report.content(
        run.rows,
        run.figures,
        run.notes,
        run=sizes,
        machine=machine.facts(),
        versions=machine.versions(run.published),
    )
    report.write_json(results, path)
    console.print(f"written: {path}", soft_wrap=True)
    for note in run.notes:
        console.print(note, markup=False, soft_wrap=True)


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
    parser.add_argument(
        "--size",
        metavar="MIB",
        type=_positive,
        default=256,
        help="MiB of the file in the rows that measure the project by itself (default: 256)",
    )
    parser.add_argument(
        "--large",
        metavar="MIB",
        type=_positive,
        default=1024,
        help="MiB of the file in the rows that compare with others (default: 1024)",
    )
    parser.add_argument(
        "--files",
        metavar="N",
        type=_positive,
        default=TREE_FILES,
        help=f"files in the tree of small ones (default: {TREE_FILES})",
    )
    parser.add_argument(
        "--rounds", metavar="N", type=_positive, default=3, help="runs per row (default: 3)"
    )
    parser.add_argument(
        "--home",
        metavar="DIR",
        type=_directory,
        help="where the files of the run go, in a directory that is removed at its end "
        f"(default: {tempfile.gettempdir()})",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=Path,
        default=RESULTS,
        help=f"results, with a plot beside them (default: benchmarks/results/{RESULTS.name})",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _directory(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {text}")
    return path


if __name__ == "__main__":
    sys.exit(main())

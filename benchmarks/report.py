"""Shows results: a table for people, JSON for programs."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.groups import MEBIBYTE, Figure
from benchmarks.measurements import Row


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table. Ratios compare with the first row of the same network and content."""
    table = Table(title="medians; MB are 10**6 bytes, processor seconds are per GB")
    for heading in ("sent", "by", "over"):
        table.add_column(heading)
    for heading in ("MB/s", "files/s", "ratio", "sender s", "broker s", "service s", "peak MiB"):
        table.add_column(heading, justify="right")
    reference: dict[tuple[str, str], float] = {}
    for row in rows:
        median = row.median
        base = reference.setdefault((row.what, row.link), median.rate)
        peaks = (median.sender_peak, median.broker_peak, median.service_peak)
        table.add_row(
            row.what,
            row.who,
            row.link,
            f"{median.rate / 1e6:.1f}",
            f"{median.files_rate:,.0f}" if median.files_rate else "",
            f"{median.rate / base:.2f}",
            f"{median.sender_cpu:.2f}",
            f"{median.broker_cpu:.2f}",
            f"{median.service_cpu:.2f}",
            " / ".join(f"{peak / MEBIBYTE:.0f}" for peak in peaks),
        )
    console.print(table)


def show_figures(figures: Sequence[Figure], console: Console) -> None:
    """Print the figures with their bounds."""
    table = Table(title="figures")
    table.add_column("what")
    for heading in ("measured", "bound", ""):
        table.add_column(heading, justify="right")
    for figure in figures:
        bound = f"{'≥' if figure.least else '≤'} {figure.bound:g}"
        value = f"{figure.value:,.2f}"
        table.add_row(figure.what, value, bound, "holds" if figure.holds else "missed")
    console.print(table)


def write_json(
    rows: Sequence[Row], figures: Sequence[Figure], notes: Sequence[str], path: Path
) -> None:
    """Write the results with what they were measured on."""
    content = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "notes": list(notes),
        "rows": [asdict(row) for row in rows],
        "figures": [asdict(figure) for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")

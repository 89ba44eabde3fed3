"""Shows results: a table for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.samples import Figure, Row, ratios

FORMAT: Final = 2
"""Number of the JSON's shape; it grows when something in it gets another meaning or goes away."""

_MEBIBYTE = 1024 * 1024


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table. Ratios compare with the first row of the same network and content."""
    table = Table(title="medians; MB are 10**6 bytes, processor seconds are per GB")
    for heading in ("sent", "by", "over"):
        table.add_column(heading)
    for heading in ("MB/s", "files/s", "ratio", "client s", "middle s", "server s", "all s"):
        table.add_column(heading, justify="right")
    table.add_column("peak MiB", justify="right")
    table.add_column("again MiB", justify="right")
    for row, ratio in zip(rows, ratios(rows), strict=True):
        median = row.median
        peaks = (median.sender_peak, median.broker_peak, median.service_peak)
        table.add_row(
            row.what,
            row.who,
            row.link,
            f"{median.rate / 1e6:.1f}",
            f"{median.files_rate:,.0f}" if median.files_rate else "",
            f"{ratio:.2f}",
            _seconds(median.sender_cpu),
            _seconds(median.broker_cpu),
            _seconds(median.service_cpu),
            _seconds(median.total_cpu),
            " / ".join(f"{peak / _MEBIBYTE:.0f}" if peak else "-" for peak in peaks),
            f"{median.sent_again / _MEBIBYTE:.1f}" if median.sent_again else "",
        )
    console.print(table)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value else "-"


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


def content(
    rows: Sequence[Row],
    figures: Sequence[Figure],
    notes: Sequence[str],
    *,
    run: Mapping[str, int | str],
    machine: Mapping[str, int | str],
    versions: Mapping[str, str],
) -> dict[str, object]:
    """Return all results in the shape that ``benchmarks/README.md`` describes.

    Args:
        rows: What was measured.
        figures: What was compared with bounds.
        notes: What was left out.
        run: Sizes and rounds of the run.
        machine: What it was measured on.
        versions: Of everything that was measured.
    """
    return {
        "format": FORMAT,
        "run": dict(run),
        "machine": dict(machine),
        "versions": dict(versions),
        "notes": list(notes),
        "rows": [
            {
                "what": row.what,
                "who": row.who,
                "link": row.link,
                "ratio": ratio,
                "median": {**asdict(row.median), "total_cpu": row.median.total_cpu},
            }
            for row, ratio in zip(rows, ratios(rows), strict=True)
        ],
        "figures": [{**asdict(figure), "holds": figure.holds} for figure in figures],
    }


def write_json(results: Mapping[str, object], path: Path) -> None:
    """Write the results to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")

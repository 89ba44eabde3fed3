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

from benchmarks.measurements import Row

MEBIBYTE = 1024 * 1024


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table. Ratios compare with the first row of the same network and content."""
    table = Table(title="medians; MB are 10**6 bytes, processor seconds are per GB")
    for heading in ("sent", "by", "over"):
        table.add_column(heading)
    for heading in ("MB/s", "ratio", "sender s", "broker s", "service s", "peak MiB"):
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
            f"{median.rate / base:.2f}",
            f"{median.sender_cpu:.2f}",
            f"{median.broker_cpu:.2f}",
            f"{median.service_cpu:.2f}",
            " / ".join(f"{peak / MEBIBYTE:.0f}" for peak in peaks),
        )
    console.print(table)


def write_json(rows: Sequence[Row], notes: Sequence[str], path: Path) -> None:
    """Write the results with what they were measured on."""
    content = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "notes": list(notes),
        "rows": [asdict(row) for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")

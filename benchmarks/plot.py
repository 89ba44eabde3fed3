"""Draws the rows as bars."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmarks.samples import Row, ratios

WIDTH = 9.0
"""Inches; with the font's size below, names of about forty letters fit beside the bars."""

BAR_HEIGHT = 0.34
"""Inches for each row."""

PANEL_HEIGHT = 0.9
"""Inches for the heading and the axis of each panel."""

ROOM_FOR_LABELS = 1.25
"""How much longer than the longest bar the axis is."""

OWN_COLOUR = "#1f5fa8"
OTHER_COLOUR = "#b8c0ca"
OWN = "version 2"
"""Beginning of the names of rows that the others are compared with."""


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw a panel of bars for each content and network, with the ratio at each bar.

    Bars are files per second where many files were sent, MB per second otherwise.

    Args:
        rows: What was measured; nothing is drawn without any.
        path: File to write; its suffix says how (``.svg`` or ``.png``).
    """
    panels = _panels(rows)
    if not panels:
        return
    heights = [PANEL_HEIGHT + BAR_HEIGHT * len(bars) for bars in panels.values()]
    # With the salt, the same rows make the same file.
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        drawing = Drawing(figsize=(WIDTH, sum(heights)), layout="constrained")
        axes = drawing.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for ax, ((what, link), bars) in zip(axes[:, 0], panels.items(), strict=True):
            _draw_panel(ax, f"{what}, {link}", bars)
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        drawing.savefig(path, metadata=metadata)


def _panels(rows: Sequence[Row]) -> dict[tuple[str, str], list[tuple[Row, float]]]:
    panels: dict[tuple[str, str], list[tuple[Row, float]]] = {}
    for row, ratio in zip(rows, ratios(rows), strict=True):
        panels.setdefault((row.what, row.link), []).append((row, ratio))
    return panels


def _draw_panel(ax: Axes, title: str, bars: Sequence[tuple[Row, float]]) -> None:
    by_files = any(row.median.files_rate for row, _ in bars)
    values = [row.median.files_rate if by_files else row.median.rate / 1e6 for row, _ in bars]
    colours = [OWN_COLOUR if row.who.startswith(OWN) else OTHER_COLOUR for row, _ in bars]
    drawn = ax.barh([row.who for row, _ in bars], values, color=colours)
    labels = [f"{value:,.0f} ({ratio:.2f})" for value, (_, ratio) in zip(values, bars, strict=True)]
    ax.bar_label(drawn, labels, padding=3)
    ax.set_xlim(0, max(values) * ROOM_FOR_LABELS or 1)
    ax.set_xlabel("files/s" if by_files else "MB/s")
    ax.set_title(title, loc="left")
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)

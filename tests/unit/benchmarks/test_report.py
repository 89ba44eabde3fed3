"""Tables, JSON and plot of rows that are given."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import machine, report
from benchmarks.samples import Figure, Row
from tests.unit.benchmarks.samples import row, sample

ROWS = [
    row("scp", 100e6),
    row("version 2", 250e6),
    row("version 2", 20e6, what="many", files_rate=5000),
    Row.of("again", "rsync", "loopback", [sample(1e6, sent_again=3 * 2**20)]),
]
FIGURES = [Figure("fast enough", 2.5, 1.0), Figure("too much", 9, 7, least=False)]


def shown(rows: list[Row], figures: list[Figure]) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, width=160)
    report.show(rows, console)
    report.show_figures(figures, console)
    return output.getvalue().splitlines()


def line_of(lines: list[str], *words: str) -> list[str]:
    (line,) = [each for each in lines if all(word in each for word in words)]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_table_shows_rates_ratios_and_costs() -> None:
    lines = shown(ROWS, FIGURES)
    cells = line_of(lines, "a file", "version 2")
    assert cells[3:] == ["250.0", "", "2.50", "1.00", "1.00", "1.00", "3.00", "1 / 2 / 4", ""]
    assert line_of(lines, "many")[4] == "5,000"
    assert line_of(lines, "again", "rsync")[-1] == "3.0"


def test_the_figures_say_which_hold() -> None:
    lines = shown(ROWS, FIGURES)
    assert line_of(lines, "fast enough") == ["fast enough", "2.50", "≥ 1", "holds"]
    assert line_of(lines, "too much") == ["too much", "9.00", "≤ 7", "missed"]


def test_the_json_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    results = report.content(
        ROWS,
        FIGURES,
        ["left out: something"],
        run={"rounds": 3},
        machine=machine.facts(),
        versions={"peer": "1.2"},
    )
    report.write_json(results, path)
    read = json.loads(path.read_text())
    assert list(read) == ["format", "run", "machine", "versions", "notes", "rows", "figures"]
    assert read["rows"][1]["ratio"] == 2.5
    assert read["rows"][1]["median"]["total_cpu"] == 3
    assert [figure["holds"] for figure in read["figures"]] == [True, False]
    assert {"processor", "cores", "kernel", "python", "openssl"} < set(read["machine"])
    assert read["notes"] == ["left out: something"]


@pytest.mark.parametrize(("suffix", "beginning"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_the_plot_is_drawn(tmp_path: Path, suffix: str, beginning: bytes) -> None:
    plot = pytest.importorskip("benchmarks.plot", exc_type=ImportError)
    path = tmp_path / f"plot{suffix}"
    plot.draw(ROWS, path)
    content = path.read_bytes()
    assert content.startswith(beginning)
    if suffix == ".svg":
        text = content.decode()
        assert all(
            each in text for each in ("a file, loopback", "250 (2.50)", "5,000 (1.00)", "scp")
        )


def test_nothing_is_drawn_of_no_rows(tmp_path: Path) -> None:
    plot = pytest.importorskip("benchmarks.plot", exc_type=ImportError)
    plot.draw([], tmp_path / "plot.svg")
    assert list(tmp_path.iterdir()) == []

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from dxlfiletransferservice.command import console


@pytest.fixture
def root_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger without handlers; everything is as before afterwards."""
    root = logging.getLogger()
    names = ("dxlclient", "dxlfabric", "dxlfiletransferclient", "dxlfiletransferservice")
    levels = {name: logging.getLogger(name).level for name in names}
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    yield root
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_names_that_cannot_be_written_are_replaced() -> None:
    assert console.shown("é ü [red].txt") == "é ü [red].txt"
    assert console.shown(os.fsdecode(b"a\xffb")) == "a\N{REPLACEMENT CHARACTER}b"
    assert console.shown(Path("a\x1b[31m\nb")) == "a\ufffd[31m\ufffdb"


def test_rate() -> None:
    assert console.rate(1_500_000, 1.0) == "1.5 MB/s"
    assert console.rate(0, 0.0) == "0.0 MB/s"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file", "a/b"), "a/b: No such file"),
        (OSError(28, "No space left"), "[Errno 28] No space left"),
        (ValueError("reason"), "reason"),
        (ValueError(), "ValueError"),
    ],
)
def test_error_as_a_sentence(error: Exception, text: str) -> None:
    assert console.describe(error) == text


def test_output_that_cannot_show_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.say("é!")
    assert raw.getvalue() == b"?!\n"


def test_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.display("a [b]", 1000) as shows:
        for done in range(0, 1001, 10):
            shows.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" of ")[0] for line in lines] == [
        f"a [b]: {percent} %" for percent in (25, 50, 75, 100)
    ]


def test_progress_of_an_empty_file(capsys: pytest.CaptureFixture[str]) -> None:
    with console.display("a", 0) as shows:
        shows.update(0)
    assert capsys.readouterr().err.startswith("a: 100 % of 0 bytes")


def test_progress_on_a_terminal() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    with console._Bar(terminal, "a [b] " + "x" * 50, 1000) as shows:
        shows.update(1000)
    assert isinstance(terminal.file, io.StringIO)
    text = terminal.file.getvalue()
    assert "a [b] xxx" in text
    assert "100%" in text
    assert "…" in text


def test_terminal_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(console.display("a", 1), console._Bar)


def test_services_log_and_others_do_not(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    console.log_to_stderr(service=False, verbose=False)
    logging.getLogger("dxlfabric").error("unheard")
    assert capsys.readouterr().err == ""

    root_logger.handlers = []
    console.log_to_stderr(service=True, verbose=False)
    logging.getLogger("dxlfabric").info("one")
    logging.getLogger("dxlfabric").debug("unheard")
    logging.getLogger("dxlclient.client").info("unheard")
    assert [line[-3:] for line in capsys.readouterr().err.splitlines()] == ["one"]

    root_logger.handlers = []
    console.log_to_stderr(service=False, verbose=True)
    logging.getLogger("dxlfabric").debug("one")
    logging.getLogger("dxlclient.client").info("two")
    assert [line[-3:] for line in capsys.readouterr().err.splitlines()] == ["one", "two"]

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferservice.command import console


@pytest.fixture
def root_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger without handlers; everything is as before afterwards."""
    root = logging.getLogger()
    names = ("dxlclient", "dxlfabric", "dxlfiletransferclient", "dxlfiletransferservice")
    levels = {name: logging.getLogger(name).level for name in names}
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    for name in names:
        # Other tests in this process may have loaded a logging.config, or been verbose.
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        logging.getLogger(name).setLevel(logging.NOTSET)
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


def test_problems_are_one_line_and_harmless() -> None:
    assert console.as_problem("a  b\n is\x1b[31m\u202e bad") == "dxlft: a b is\ufffd[31m\ufffd bad"


def test_output_that_cannot_show_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.say("é!")
    assert raw.getvalue() == b"?!\n"


def test_name_on_a_line_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(console.listed("é\n\ta\x1b\r"))
    assert capsys.readouterr().out == "é\ufffd\ta\x1b\ufffd\n"


def test_name_on_a_line_of_a_terminal(mocker: MockerFixture) -> None:
    mocker.patch("sys.stdout").isatty.return_value = True
    assert console.listed("é\n\ta\x1b\r") == "é\ufffd\ufffda\ufffd\ufffd"


def test_bytes_come_after_the_lines_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="ascii"))
    sys.stdout.write("a")
    console.say_raw(b"\xff\0")
    assert raw.getvalue() == b"a\xff\0"


def test_problem_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain("two\n  lines")
    assert capsys.readouterr().err == "dxlft: two lines\n"


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

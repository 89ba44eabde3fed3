import io

import pytest
from rich.console import Console
from rich.text import Text

from dxlfiletransferclient.progress import Phase
from dxlfiletransferservice.command.display import (
    FIRST_LINE,
    BarDisplay,
    LineDisplay,
    display,
)
from tests.fakeclient import progress

WIDTH = 160


class Terminal:
    """A terminal that remembers everything."""

    def __init__(self, width: int = WIDTH) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, force_terminal=True, width=width)

    @property
    def text(self) -> str:
        return self._file.getvalue()

    def last_lines(self, count: int) -> list[str]:
        """What the last lines show, without colours."""
        lines = Text.from_ansi(self.text).plain.splitlines()
        return [line.rstrip() for line in lines if line.strip()][-count:]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_a_line_for_each_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as shows:
        for done in range(0, 1001, 10):
            shows.update(progress(done, 1000, name="a [b]\n"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"a [b]\ufffd: {percent} % of 1,000 bytes, 1.5 MB/s" for percent in (25, 50, 75, 100)
    ]


def test_steps_that_are_left_out_get_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as shows:
        for done in (0, 60, 70, 80, 100):
            shows.update(progress(done))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["60", "80", "100"]


def test_many_files_get_no_more_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as shows:
        for done in range(10_001):
            now = progress(done, 10_000, files_done=done, files_total=10_000, name=str(done))
            shows.update(now)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == "25 % of 10,000 bytes, 2,500 of 10,000 files, 1.5 MB/s"
    assert lines[-1] == "100 % of 10,000 bytes, 10,000 of 10,000 files, 1.5 MB/s"


def test_the_last_line_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    shows = LineDisplay()
    shows.update(progress(30))
    shows.update(progress(40))
    with pytest.raises(KeyboardInterrupt), shows:
        raise KeyboardInterrupt
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["30", "40"]


def test_nothing_is_written_of_what_has_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay():
        pass
    assert capsys.readouterr().err == ""


def test_lines_of_an_unknown_amount_get_rarer(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as shows:
        for done in range(0, 9 * FIRST_LINE + 1, FIRST_LINE // 4):
            shows.update(progress(done, None, files_done=1, files_total=None))
    lines = capsys.readouterr().err.splitlines()
    numbers = [FIRST_LINE * times for times in (1, 2, 4, 8, 9)]
    assert lines == [f"{number:,} bytes, 1 file, 1.5 MB/s" for number in numbers]


def test_an_empty_file(capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as shows:
        shows.update(progress(0, 0))
    assert capsys.readouterr().err == "", "it may be all that is left of files that failed"


@pytest.mark.parametrize("files", [1, 2])
def test_the_last_line_is_no_success_of_a_single_file_that_failed(
    capsys: pytest.CaptureFixture[str], files: int
) -> None:
    with LineDisplay() as shows:
        shows.complain("a: reason")
        shows.update(progress(100, 100, files_total=files))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "dxlft: a: reason"
    assert len(lines) == files


def test_one_file_has_one_bar(terminal: Terminal) -> None:
    with BarDisplay(terminal.console) as shows:
        shows.update(progress(50, name="a [b] " + "x" * 150, remaining=3723.4))
    text = terminal.text
    assert "sending a [b] xxx" in text
    assert "…" in text
    assert "50%" in text
    assert "1.5 MB/s" in text
    assert "1:02:03" in text
    assert "files" not in text


def test_several_files_have_a_bar_for_all(terminal: Terminal) -> None:
    with BarDisplay(terminal.console) as shows:
        state = progress(25, 100, files_done=1_000, files_total=4_000)
        shows.update(state)
    assert "sending a" in terminal.text
    assert "1,000 of 4,000 files" in terminal.text
    assert terminal.text.count("1.5 MB/s") == 1


def test_bars_fit_into_a_narrow_terminal() -> None:
    narrow = Terminal(width=80)
    with BarDisplay(narrow.console) as shows:
        shows.update(
            progress(
                999_900_000_000,
                1_000_000_000_000,
                name="directory/" * 20 + "the name of the file",
                phase=Phase.VERIFYING,
                files_done=1_000_000,
                files_total=2_000_000,
                rate=1_234_500_000.0,
                remaining=86_000.0,
            )
        )
    file, total = narrow.last_lines(2)
    assert file.startswith("verifying …/the name ")
    assert total.startswith("1,000,000 of 2,000,0")
    assert total.endswith("1234.5 MB/s 23:53:20")


@pytest.mark.parametrize("phase", Phase)
def test_phases_are_shown_in_words(terminal: Terminal, phase: Phase) -> None:
    with BarDisplay(terminal.console) as shows:
        shows.update(progress(0, None, phase=phase, files_total=None))
    assert f"{phase.value} a" in terminal.text
    assert "0 files" in terminal.text


def test_problem_is_told_above_the_bars(terminal: Terminal) -> None:
    problem = "[red]a[/red]: " + "x" * 2 * WIDTH
    with BarDisplay(terminal.console) as shows:
        shows.update(progress())
        shows.complain(problem)
    assert f"dxlft: {problem}\n" in terminal.text


def test_terminal_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(display(), LineDisplay)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(display(), BarDisplay)
    assert isinstance(display(verbose=True), LineDisplay)

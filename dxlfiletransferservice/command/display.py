"""How far a transfer is, on standard error: bars on a terminal, and a few lines elsewhere."""

import datetime
from typing import Final, Protocol, Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskProgressColumn,
    TextColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from dxlfiletransferclient.progress import Progress
from dxlfiletransferservice.command.console import (
    as_problem,
    complain,
    number_of_files,
    rate,
    remark,
    shown,
)

PLAIN_STEP: Final = 25
"""Per cent of all bytes between two lines where there is no terminal: four lines for each call."""

FIRST_LINE: Final = 64 * 1024 * 1024
"""Bytes after which the first line comes where nobody knows how many there will be.

Each further one comes after twice as many, so that even a terabyte takes fifteen lines.
"""

_BAR_WIDTH: Final = 14
_OTHER_COLUMNS: Final = 58
"""Columns of a terminal that everything but the description takes, the bar included."""

_LEAST_DESCRIPTION: Final = 22
_PERCENT: Final = 100


class Display(Protocol):
    """Shows how far a transfer is, from ``with`` to its end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def update(self, progress: Progress) -> None:
        """Show this state from now on."""
        ...

    def complain(self, problem: str) -> None:
        """Write a problem to standard error, as one line."""
        ...


def display(*, verbose: bool = False) -> Display:
    """Return a display of bars where standard error is a terminal, and of lines elsewhere.

    Args:
        verbose: Whether other things are written meanwhile, between which bars would be torn.
    """
    console = Console(stderr=True)
    return BarDisplay(console) if console.is_terminal and not verbose else LineDisplay()


class BarDisplay:
    """A bar for the file under way and one for all of them.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(_BAR_WIDTH),
            TaskProgressColumn(),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[speed]}", markup=False, style="progress.data.speed"),
            TextColumn("{task.fields[left]}", markup=False, style="progress.remaining"),
            console=console,
            # Results go to standard output, which may be something else than this terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._file = self._bars.add_task("", total=None, visible=False, speed="", left="")
        self._all = self._bars.add_task("", total=None, visible=False, speed="", left="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def update(self, progress: Progress) -> None:
        """Show this state from now on."""
        speed = rate(progress.rate, 1.0)
        left = _left(progress.remaining)
        # A single file needs one bar, which then tells what that for all would.
        alone = progress.files_total == 1
        self._bars.update(
            self._file,
            description=self._description(progress.phase, shown(progress.name)),
            total=progress.file_size,
            completed=progress.file_done,
            visible=True,
            speed=speed if alone else "",
            left=left if alone else "",
        )
        self._bars.update(
            self._all,
            description=_files(progress),
            total=progress.total,
            completed=progress.done,
            visible=not alone,
            speed=speed,
            left=left,
        )

    def _description(self, phase: str, name: str) -> str:
        """Return what is done to which file, as short as the terminal is narrow."""
        room = max(self._bars.console.width - _OTHER_COLUMNS, _LEAST_DESCRIPTION) - len(phase) - 1
        if cell_len(name) > room:
            name = "…/" + name.rpartition("/")[2] if "/" in name else name
        text = Text(name)
        text.truncate(room, overflow="ellipsis")
        return f"{phase} {text.plain}".rstrip()

    def complain(self, problem: str) -> None:
        """Write a problem above the bars, as one line."""
        self._bars.console.print(Text(as_problem(problem)), soft_wrap=True)


class LineDisplay:
    """A line for each quarter of all bytes, and one at the end."""

    def __init__(self) -> None:
        self._next_percent = PLAIN_STEP
        self._next_bytes = FIRST_LINE
        self._last: Progress | None = None
        self._has_problem = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        last = self._last
        if last is None or last.total == 0:
            return
        # Of a single file that failed, the reason is the last word.
        if not (self._has_problem and last.files_total == 1):
            remark(_line(last))

    def update(self, progress: Progress) -> None:
        """Write a line if the next one is due."""
        self._last = progress
        if self._is_due(progress):
            remark(_line(progress))

    def complain(self, problem: str) -> None:
        """Write a problem to standard error, as one line."""
        self._has_problem = True
        complain(problem)

    def _is_due(self, progress: Progress) -> bool:
        if progress.total is None:
            due = progress.done >= self._next_bytes
            while progress.done >= self._next_bytes:
                self._next_bytes *= 2
            return due
        percent = _percent(progress.done, progress.total)
        # The last one is written at the end, when everything was verified as well.
        if not self._next_percent <= percent < _PERCENT:
            return False
        self._next_percent = percent - percent % PLAIN_STEP + PLAIN_STEP
        return True


def _line(progress: Progress) -> str:
    if progress.total is None:
        how_far = f"{progress.done:,} bytes"
    else:
        percent = _percent(progress.done, progress.total)
        how_far = f"{percent} % of {progress.total:,} bytes"
    if progress.files_total == 1:
        return f"{shown(progress.name)}: {how_far}, {rate(progress.rate, 1.0)}"
    return f"{how_far}, {_files(progress)}, {rate(progress.rate, 1.0)}"


def _percent(done: int, total: int) -> int:
    return _PERCENT * done // total if total else _PERCENT


def _files(progress: Progress) -> str:
    if progress.files_total is None:
        return number_of_files(progress.files_done)
    return f"{progress.files_done:,} of {number_of_files(progress.files_total)}"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else str(datetime.timedelta(seconds=round(seconds)))

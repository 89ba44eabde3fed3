"""Follows transfers of the transfer server until nothing more happens with them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.command.console import (
    as_problem,
    complain,
    number_of_files,
    rate,
    remark,
    say,
    shown,
)
from dxlfiletransferservice.command.controlling import Control

INTERVAL: Final = 0.5
"""Seconds between two looks at the transfers; each costs the server some milliseconds."""

PATIENCE: Final = 120.0
"""Seconds in which the server has to answer: one that is started anew meanwhile is waited for."""

MOST_BARS: Final = 20
"""Transfers with a bar of their own; a terminal shows no more than some tens of lines."""

ONE_BY_ONE: Final = 16
"""Transfers that are looked at one by one; of more, the list is fetched from the first of them to
the last."""

_QUARTER: Final = 25
_PERCENT: Final = 100
_MICROSECONDS: Final = 1_000_000
_BAR_WIDTH: Final = 14

Transfer = Mapping[str, Any]


class WatchDisplay(Protocol):
    """Shows how transfers go, from ``with`` to its end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def update(self, transfer: Transfer) -> None:
        """Show how far a transfer is."""
        ...

    def end(self, transfer_id: str, ending: "Ending") -> None:
        """Show no more of a transfer but what has become of it."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """What has become of a transfer.

    Attributes:
        line: It, as a line for people.
        problem: Whether the transfer has failed, or is not there.
        complete: Whether all of it was stored.
    """

    line: str
    problem: bool = False
    complete: bool = False


def watch(
    control: Control,
    ids: Iterable[str],
    display: WatchDisplay,
    *,
    sleep: Callable[[float], object],
) -> bool:
    """Show transfers until nothing happens with any of them by itself.

    Args:
        control: The server.
        ids: Ids of the transfers.
        display: Shows how they go.
        sleep: Waits for some seconds.

    Returns:
        Whether all are complete.

    Raises:
        ControlError: The server cannot be asked any more.
    """
    left = dict.fromkeys(ids)
    complete = True
    with display:
        while left:
            found = _looked_at(control, list(left))
            for number, transfer in found.items():
                if not isinstance(transfer, CommandError) and transfer["processing"]:
                    display.update(transfer)
                    continue
                del left[number]
                ending = ending_of(number, transfer)
                complete = complete and ending.complete
                display.end(number, ending)
            if left:
                sleep(INTERVAL)
    return complete


def watch_display() -> WatchDisplay:
    """Return bars if standard error is a terminal, and lines elsewhere."""
    console = Console(stderr=True)
    return WatchBars(console) if console.is_terminal else WatchLines()


def percent_of(transfer: Transfer) -> int:
    """Return how much of a transfer the receiver has acknowledged, in per cent."""
    total = int(transfer["totalBytes"] or 0)
    if transfer["status"] == "complete":
        return _PERCENT
    return min(_PERCENT * _acknowledged(transfer) // total, _PERCENT) if total else 0


def ending_of(number: str, transfer: Transfer | CommandError) -> Ending:
    """Return what has become of a transfer that is not processed any more, or is not there."""
    if isinstance(transfer, CommandError):
        return Ending(f"transfer {shown(number)}: {transfer}", problem=True)
    status = transfer["status"]
    if status == "complete":
        files = number_of_files(transfer["totalFiles"] or 0)
        size = f"{transfer['totalBytes'] or 0:,} bytes"
        return Ending(f"transfer {number}: {files}, {size}{_speed(transfer)}", complete=True)
    if status == "suspended":
        return Ending(f"transfer {number}: suspended at {percent_of(transfer)} %")
    return Ending(f"transfer {number}: {transfer['errorMessage'] or status}", problem=True)


class WatchLines:
    """A line for each quarter of a transfer, and whenever its status is another one."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: there is nothing to put away."""

    def update(self, transfer: Transfer) -> None:
        """Write a line if one is due."""
        number, percent = transfer["transferId"], percent_of(transfer)
        state = (transfer["status"], percent // _QUARTER)
        if self._last.get(number) != state:
            self._last[number] = state
            size = f"{transfer['totalBytes'] or 0:,} bytes"
            remark(f"transfer {number}: {transfer['status']}, {percent} % of {size}")

    def end(self, transfer_id: str, ending: Ending) -> None:
        """Write what has become of a transfer."""
        self._last.pop(transfer_id, None)
        if ending.problem:
            complain(ending.line)
        else:
            say(ending.line)


class WatchBars:
    """A bar for each transfer, of the first ones if there are many, and one for all of them.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(_BAR_WIDTH),
            TaskProgressColumn(),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            # Results go to standard output, which may be something else than this terminal.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._all = self._bars.add_task("all", total=None, visible=False)
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, tuple[int, int]] = {}
        self._results: list[str] = []

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()
        for line in self._results:
            say(line)

    def update(self, transfer: Transfer) -> None:
        """Show how far a transfer is, and how far all are."""
        number, total = transfer["transferId"], transfer["totalBytes"] or 0
        done = min(_acknowledged(transfer), total)
        self._done[number] = (done, total)
        if number not in self._tasks and len(self._tasks) < MOST_BARS:
            self._tasks[number] = self._bars.add_task("", total=total)
        if number in self._tasks:
            description = f"{number} {transfer['status']}"
            self._bars.update(
                self._tasks[number], description=description, completed=done, total=total
            )
        self._update_all()

    def end(self, transfer_id: str, ending: Ending) -> None:
        """Take away the bar of a transfer; problems are written above the others at once."""
        task = self._tasks.pop(transfer_id, None)
        if task is not None:
            self._bars.remove_task(task)
        done, total = self._done.get(transfer_id, (0, 0))
        self._done[transfer_id] = (total, total) if ending.complete else (done, total)
        self._update_all()
        if ending.problem:
            self._bars.console.print(Text(as_problem(ending.line)), soft_wrap=True)
        else:
            self._results.append(ending.line)

    def _update_all(self) -> None:
        self._bars.update(
            self._all,
            description=f"all {len(self._done):,}",
            completed=sum(done for done, _ in self._done.values()),
            total=sum(total for _, total in self._done.values()),
            visible=len(self._done) > 1,
        )


def _acknowledged(transfer: Transfer) -> int:
    return int(transfer["blocksAcked"]) * int(transfer["blockSize"])


def _looked_at(control: Control, ids: list[str]) -> dict[str, Transfer | CommandError]:
    """Return transfers by their ids, or why there is none."""
    found: dict[str, Transfer | CommandError] = {}
    if len(ids) > ONE_BY_ONE:
        wanted = set(ids)
        numbers = [int(number) for number in ids if number.isdecimal()]
        first, last = min(numbers, default=1), max(numbers, default=0)
        begin = str(first - 1) if first > 1 else None
        for each in control.objects(
            "send.getTransfers", "transferId", after=begin, timeout=PATIENCE
        ):
            if int(each["transferId"]) > last:
                break
            if each["transferId"] in wanted:
                found[each["transferId"]] = each
    for number in ids:
        if number not in found:
            found[number] = _one(control, number)
    return found


def _one(control: Control, number: str) -> Transfer | CommandError:
    try:
        transfer: Transfer = control.call(
            "send.getTransfer", {"transferId": number}, timeout=PATIENCE
        )
    except CommandError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return error
    return transfer


def _speed(transfer: Transfer) -> str:
    begin, end = transfer["startTime"], transfer["endTime"]
    if begin is None or end is None or end <= begin:
        return ""
    return f", {rate(transfer['totalBytes'] or 0, (end - begin) / _MICROSECONDS)}"

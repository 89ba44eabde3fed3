"""``dxlft ls``: what a file transfer service has stored."""

import datetime
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Final

import typer

from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.protocol.messages import Entry, Kind
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import listed, log_to_stderr, say, say_raw
from dxlfiletransferservice.command.interrupts import interrupted_by_signals
from dxlfiletransferservice.command.options import ConfigOption, HomeOption, VerboseOption

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def ls_command(
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A directory. [default: all there is]")
    ] = "",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Show everything below it too.")
    ] = False,
    long: Annotated[
        bool,
        typer.Option(
            "--long", "-l", help="Show kind, size, time of modification and x for executable, too."
        ),
    ] = False,
    null: Annotated[
        bool,
        typer.Option(
            "--null", "-0", help="Write names as they are, each ended by a NUL; for xargs -0."
        ),
    ] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    r"""List what is stored.

    Writes a line for each file, link and directory: its whole name, as get, stat and rm take it.
    Line breaks in names are replaced, as are other characters that a terminal must not see;
    --null writes names as they are. Times are in UTC.

    \b
    Examples:
      dxlft ls
      dxlft ls photos -l
      dxlft ls --recursive --null photos | xargs -0 dxlft stat
    """
    log_to_stderr(service=False, verbose=verbose)
    if long and null:
        raise typer.BadParameter("--null is for names alone; leave out --long")
    write: Callable[[Entry], None] = _write_raw if null else _write_long if long else _write_name
    with interrupted_by_signals(), connected_client(config, home) as client:
        for entry in _entries(client, name, recursive=recursive):
            write(entry)


def _entries(client: FileTransferClient, name: str, *, recursive: bool) -> Iterator[Entry]:
    try:
        yield from client.list(name, recursive=recursive)
    except RefusedError as error:
        if not error.means(ErrorCode.WRONG_KIND):
            raise
        yield client.stat(name).entry  # a file or link, which is listed as itself


def _write_raw(entry: Entry) -> None:
    say_raw(os.fsencode(entry.name) + b"\0")


def _write_name(entry: Entry) -> None:
    say(listed(entry.name))


def _write_long(entry: Entry) -> None:
    say(long_line(entry))


def long_line(entry: Entry) -> str:
    """Return an entry as a line: kind, size, time, executable mark, name."""
    name = listed(entry.name)
    if entry.kind is Kind.LINK:
        name = f"{name} -> {listed(entry.target or '')}"
    mark = "x" if entry.executable else "-"
    return f"{entry.kind:<9} {entry.size:>15} {time_of(entry.modified_ns):>20} {mark} {name}"


def time_of(modified_ns: int) -> str:
    """Return a time in UTC as ISO 8601 has it, to the second.

    Args:
        modified_ns: Nanoseconds since 1970.
    """
    try:
        time = _EPOCH + datetime.timedelta(microseconds=modified_ns // 1000)
    except OverflowError:
        return "?"
    return time.replace(microsecond=0, tzinfo=None).isoformat() + "Z"

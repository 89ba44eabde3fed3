"""``dxlft send``: files, directories and standard input to a file transfer service."""

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfiletransferclient import FileTransferClient, UnsafeNameError
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.sending.naming import name_sources
from dxlfiletransferclient.sending.options import Links, SendOptions
from dxlfiletransferclient.storage.names import parse_name
from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import complain_about, log_to_stderr
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.interrupts import (
    GOES_ON,
    GOES_ON_WITHOUT_STREAMS,
    INTERRUPTED,
    interrupted_by_signals,
)
from dxlfiletransferservice.command.options import (
    DEFAULT_PATIENCE,
    ConfigOption,
    HomeOption,
    OverwriteOption,
    PatienceOption,
    SegmentSizeOption,
    VerboseFilesOption,
)
from dxlfiletransferservice.command.standardinput import StandardInput
from dxlfiletransferservice.command.transfers import transfer

STANDARD_INPUT: Final = "-"
"""The PATH that stands for standard input."""


def send_command(
    *,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Files and directories to send; - for standard input."),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name on the server. A directory there, for several paths or if it ends with /. "
            "[default: each one's own name]",
        ),
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    overwrite: OverwriteOption = Overwrite.REPLACE,
    links: Annotated[
        Links,
        typer.Option(
            help="What becomes of symbolic links: what they lead to is sent, they are sent as "
            "links, or they are left out.",
            show_default=True,
        ),
    ] = Links.FOLLOW,
    segment_size: SegmentSizeOption = None,
    patience: PatienceOption = DEFAULT_PATIENCE,
    verbose: VerboseFilesOption = False,
) -> None:
    r"""Send files and directories to a file transfer service.

    Shows how far it is, and ends with a line for each file: name on the server, size, SHA-256 of
    what was stored, and speed; for directories, with a summary. If a file fails, the others are
    still sent, and the exit code is 1. After an interruption of any kind, the same command goes on
    where it stopped, and says of files that are there already that they are unchanged.

    A directory is sent with its name and everything in it; DIR/. is what is in it alone.

    \b
    Examples:
      dxlft send report.pdf
      dxlft send report.pdf --to 2026/may.pdf
      dxlft send *.csv --to measurements/
      dxlft send photos --to archive/ --overwrite newer
      tar c photos | dxlft send - --to photos.tar
      dxlft send capture.bin --config /etc/dxl/dxlclient.config
    """
    log_to_stderr(service=False, verbose=verbose)
    options = SendOptions(
        overwrite=overwrite,
        links=links,
        segment_size=segment_size,
        engine=EngineOptions(patience=patience),
    )
    if STANDARD_INPUT in paths:
        name = name_for_standard_input(paths, to)
        failed = _send_standard_input(name, config, home, options, verbose=verbose)
    else:
        destination = destination_of(paths, to)
        failed = _send(paths, destination, config, home, options, verbose=verbose)
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def destination_of(paths: Sequence[str], to: str | None) -> str:
    """Return where paths are to be stored, as the client takes it.

    Args:
        paths: Files and directories; they need not be there.
        to: A name, or a directory if it ends with ``/`` or there are several paths; None for each
            one's own name.

    Raises:
        typer.BadParameter: Nothing may have such a name, or two files would get the same.
    """
    if "" in paths:
        raise typer.BadParameter("a PATH is empty; write . for what is in this directory")
    if to == "":
        raise typer.BadParameter("--to needs a name")
    # Several paths go into a directory, even if all but one turn out to be missing.
    destination = f"{to}/" if to and len(paths) > 1 and not to.endswith("/") else to or ""
    try:
        name_sources(paths, destination)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return destination


def name_for_standard_input(paths: Sequence[str], to: str | None) -> str:
    """Return the name under which standard input is to be stored.

    Raises:
        typer.BadParameter: There is none, something else is to be sent as well, or it is closed.
    """
    if len(paths) > 1:
        raise typer.BadParameter("- is standard input, which cannot be sent with other paths")
    if not to or to.endswith("/"):
        raise typer.BadParameter("- is standard input, which needs a name: add --to NAME")
    try:
        parse_name(to)
    except UnsafeNameError as error:
        raise typer.BadParameter(str(error)) from error
    if sys.stdin is None:
        # Something else may have its descriptor by now, and must not be read.
        raise typer.BadParameter("- is standard input, which is closed")
    return to


def _send(
    paths: Sequence[str],
    destination: str,
    config: Path | None,
    home: Path | None,
    options: SendOptions,
    *,
    verbose: bool,
) -> bool:
    """Send files and directories; returns whether any has failed."""
    # What is not there is told at once, before a fabric has to be reached.
    missing = {path: fault for path in paths if (fault := fault_of(path)) is not None}
    for fault in missing.values():
        complain_about(fault, verbose=verbose)
    present = [path for path in paths if path not in missing]
    if not present:
        return True
    with interrupted_by_signals(), connected_client(config, home) as client:
        failed = send_with_display(client, present, destination, options, verbose=verbose)
    return failed or bool(missing)


def fault_of(path: str) -> OSError | None:
    """Return the error if there is nothing of that name, or nobody may look."""
    try:
        os.lstat(path)
    except OSError as error:
        return error
    return None


def send_with_display(
    client: FileTransferClient,
    paths: Sequence[str],
    destination: str,
    options: SendOptions,
    *,
    verbose: bool = False,
) -> bool:
    """Send files and directories, show how far it is, and write what came of it.

    Args:
        client: A connected client.
        paths: Files and directories that exist.
        destination: Name or directory on the server.
        options: How to send.
        verbose: Whether to write a line for each file.

    Returns:
        Whether any has failed.

    Raises:
        InterruptedTransferError: A signal has come.
        Exception: What ``FileTransferClient.send`` raises.
    """
    with transfer(
        [Path(path) for path in paths],
        lambda outcome: outcome.path or outcome.name,
        verbose=verbose,
        interrupted=_interrupted(paths),
    ) as under_way:
        client.send(
            paths,
            destination,
            options=options,
            progress=under_way.shows.update,
            on_outcome=under_way.lines.add,
            cancel=under_way.cancel,
        )
    return under_way.lines.failed


def _interrupted(paths: Sequence[str]) -> str:
    """Return what is said if the sending of these paths is interrupted."""
    streams = sum(map(_is_stream, paths))
    if not streams:
        return GOES_ON
    return INTERRUPTED if streams == len(paths) else GOES_ON_WITHOUT_STREAMS


def _is_stream(path: str) -> bool:
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _send_standard_input(
    name: str, config: Path | None, home: Path | None, options: SendOptions, *, verbose: bool
) -> bool:
    with (
        interrupted_by_signals(),
        connected_client(config, home) as client,
        transfer(
            [name], lambda outcome: outcome.name, verbose=verbose, interrupted=INTERRUPTED
        ) as under_way,
    ):
        outcome = client.send_stream(
            StandardInput(under_way.cancel),
            name,
            options=options,
            progress=under_way.shows.update,
            cancel=under_way.cancel,
        )
        under_way.lines.add(outcome)
    return under_way.lines.failed

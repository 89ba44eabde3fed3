"""``dxlft get``: files and directories from a file transfer service."""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.protocol.messages import Kind, Overwrite
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.wanted import wanted_of
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import log_to_stderr, remark, shown
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.interrupts import INTERRUPTED, interrupted_by_signals
from dxlfiletransferservice.command.options import (
    DEFAULT_PATIENCE,
    ConfigOption,
    HomeOption,
    OverwriteOption,
    PatienceOption,
    SegmentSizeOption,
    VerboseFilesOption,
)
from dxlfiletransferservice.command.transfers import transfer

STANDARD_OUTPUT: Final = "-"
"""The PATH that stands for standard output."""

_COPIED_AT_ONCE: Final = 1024 * 1024


class StoredLinks(StrEnum):
    """What becomes of symbolic links that are stored."""

    KEEP = "keep"
    SKIP = "skip"


def get_command(
    *,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Files and directories to get; . for all there is."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to put it. A directory, if there is one of that name, for several names, "
            "or if it ends with /; - for standard output.",
            show_default=True,
        ),
    ] = ".",
    config: ConfigOption = None,
    home: HomeOption = None,
    overwrite: OverwriteOption = Overwrite.REPLACE,
    links: Annotated[
        StoredLinks,
        typer.Option(
            help="What becomes of symbolic links: those that stay below PATH are made, or all are "
            "left out.",
            show_default=True,
        ),
    ] = StoredLinks.SKIP,
    segment_size: SegmentSizeOption = None,
    patience: PatienceOption = DEFAULT_PATIENCE,
    verbose: VerboseFilesOption = False,
) -> None:
    r"""Get files and directories from a file transfer service.

    A file appears under its name when it is there whole and its SHA-256 was compared. Ends with a
    line for each file: name on the server, size, SHA-256 and speed; for directories, with a
    summary. If a file fails, the others still come, and the exit code is 1. After an interruption
    of any kind, the same command goes on where it stopped.

    A directory comes with its name and everything in it. To standard output goes one file, after
    it was compared: until then it lies among the temporary files.

    \b
    Examples:
      dxlft get report.pdf
      dxlft get 2026/may.pdf -o report.pdf
      dxlft get photos measurements -o /srv/copies/
      dxlft get photos.tar -o - | tar x
    """
    log_to_stderr(service=False, verbose=verbose)
    options = GetOptions(
        overwrite=overwrite,
        links=Links(links.value),
        segment_size=segment_size,
        engine=EngineOptions(patience=patience),
    )
    if output == STANDARD_OUTPUT and len(names) > 1:
        raise typer.BadParameter("--output - is standard output, which takes one file alone")
    if "" in names:
        raise typer.BadParameter("a NAME is empty; write . for all there is")
    if not output:
        raise typer.BadParameter("--output is empty; write . for this directory")
    try:
        wanted_of(names, output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with interrupted_by_signals(), connected_client(config, home) as client:
        if output == STANDARD_OUTPUT:
            failed = _get_to_standard_output(client, names[0], options, verbose=verbose)
        else:
            failed = get_with_display(client, names, output, options, verbose=verbose)
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def get_with_display(
    client: FileTransferClient,
    names: Sequence[str],
    output: str,
    options: GetOptions,
    *,
    verbose: bool = False,
) -> bool:
    """Get files and directories, show how far it is, and write what came of it.

    Args:
        client: A connected client.
        names: Files and directories on the server.
        output: Where they go.
        options: How to get them.
        verbose: Whether to write a line for each file.

    Returns:
        Whether any has failed.

    Raises:
        InterruptedTransferError: A signal has come.
        Exception: What ``FileTransferClient.get`` raises.
    """
    with transfer(
        [_plain(name) for name in names], lambda outcome: outcome.name, verbose=verbose
    ) as under_way:
        client.get(
            names,
            output,
            options=options,
            progress=under_way.shows.update,
            on_outcome=under_way.lines.add,
            cancel=under_way.cancel,
        )
    return under_way.lines.failed


def _get_to_standard_output(
    client: FileTransferClient, name: str, options: GetOptions, *, verbose: bool
) -> bool:
    """Get one file, and write it to standard output only when all of it is known to be right."""
    kind = client.stat(name).entry.kind
    if kind is not Kind.FILE:
        raise typer.BadParameter(f"{shown(name)} is a {kind}; standard output takes files alone")
    with tempfile.TemporaryDirectory(prefix="dxlft-get-") as directory:
        copy = Path(directory) / "file"
        with transfer(
            [_plain(name)],
            lambda outcome: outcome.name,
            verbose=verbose,
            line=remark,
            interrupted=INTERRUPTED,
        ) as under_way:
            client.get(
                [name],
                str(copy),
                options=options,
                progress=under_way.shows.update,
                on_outcome=under_way.lines.add,
                cancel=under_way.cancel,
            )
        if under_way.lines.failed:
            return True
        with copy.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, _COPIED_AT_ONCE)
        sys.stdout.buffer.flush()
    return False


def _plain(name: str) -> str:
    """Return a name as the service gives it, without parts that mean nothing."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))

"""``dxlft get``: files and directories from a file transfer service."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer

from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.outcomes import OutcomeCallback, TransferReport
from dxlfiletransferclient.progress import ProgressCallback
from dxlfiletransferclient.protocol.messages import Kind, Overwrite
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import StoredFile
from dxlfiletransferclient.receiving.wanted import wanted_of
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferservice.command.connecting import connected_bus, connected_client
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
from dxlfiletransferservice.command.secretinput import known_password, standard_input_line
from dxlfiletransferservice.command.sharedfiles import SharedFiles, call_of, open_token
from dxlfiletransferservice.command.transfers import transfer

STANDARD_OUTPUT: Final = "-"
"""The PATH that stands for standard output."""

STANDARD_INPUT: Final = "-"
"""The TOKEN that stands for a line of standard input."""

PASSWORD_VARIABLE: Final = "DXLFT_TOKEN_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable for the password of a token."""

_COPIED_AT_ONCE: Final = 1024 * 1024


class Getter(Protocol):
    """Whoever files are got from: a ``FileTransferClient``, or what a token opens."""

    def get(
        self,
        names: Sequence[str],
        target: str = ".",
        *,
        options: GetOptions,
        progress: ProgressCallback,
        on_outcome: OutcomeCallback,
        cancel: Cancellation,
    ) -> TransferReport:
        """Get files and directories; see ``FileTransferClient.get``."""
        ...

    def stat(self, name: str) -> StoredFile:
        """Return what has a name; see ``FileTransferClient.stat``."""
        ...


class StoredLinks(StrEnum):
    """What becomes of symbolic links that are stored."""

    KEEP = "keep"
    SKIP = "skip"


def get_command(
    *,
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Files and directories to get; . for all there is, which is the default with "
            "--token.",
        ),
    ] = None,
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
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Get what this token opens, made by dxlft share; - for a line of standard input. "
            f"Its password is in {PASSWORD_VARIABLE}, or asked for.",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name, uid or public key of the server to show the token to. "
            "[default: each of the fabric, until one knows it]",
        ),
    ] = None,
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

    With --token, everything comes that "dxlft share" was told, or what of it is named. The same
    command counts as one download, also if it has to be repeated.

    \b
    Examples:
      dxlft get report.pdf
      dxlft get 2026/may.pdf -o report.pdf
      dxlft get photos measurements -o /srv/copies/
      dxlft get photos.tar -o - | tar x
      dxlft get --token 7-9f3a52c81e04.kJ1m3Bv0 -o copies/
    """
    log_to_stderr(service=False, verbose=verbose)
    options = GetOptions(
        overwrite=overwrite,
        links=Links(links.value),
        segment_size=segment_size,
        engine=EngineOptions(patience=patience),
    )
    wanted = _checked(context, names, output, token=token, server=server)
    with (
        interrupted_by_signals(),
        connected_client(config, home)
        if token is None
        else _shared(token, wanted, output, server, options, config, home) as getter,
    ):
        if output == STANDARD_OUTPUT:
            failed = _get_to_standard_output(getter, wanted[0], options, verbose=verbose)
        else:
            failed = get_with_display(getter, wanted, output, options, verbose=verbose)
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def _checked(
    context: typer.Context,
    names: list[str] | None,
    output: str,
    *,
    token: str | None,
    server: str | None,
) -> list[str]:
    """Return what is wanted.

    Raises:
        typer.BadParameter: It is nothing, or cannot go where it is to go.
    """
    if token is None and server is not None:
        raise typer.BadParameter("--server is for a --token")
    if token is None and not names:
        raise typer.BadParameter("Missing argument 'NAME'.", ctx=context)
    wanted = names or ["."]
    if output == STANDARD_OUTPUT and (len(wanted) > 1 or not names):
        raise typer.BadParameter("--output - is standard output, which takes one file alone")
    if "" in wanted:
        raise typer.BadParameter("a NAME is empty; write . for all there is")
    if not output:
        raise typer.BadParameter("--output is empty; write . for this directory")
    try:
        wanted_of(wanted, output)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return wanted


@contextmanager
def _shared(
    token: str,
    names: Sequence[str],
    output: str,
    server: str | None,
    options: GetOptions,
    config: Path | None,
    home: Path | None,
) -> Iterator[SharedFiles]:
    """Give what a token opens.

    Raises:
        FileTransferError: It opens nothing.
    """
    line = standard_input_line() if token == STANDARD_INPUT else token
    whole = (line or "").strip()
    if "." not in whole:
        raise typer.BadParameter("the token is not whole: it has a full stop in it")
    with connected_bus(config, home) as bus:
        opened = open_token(
            bus,
            whole,
            call_of([_plain(name) for name in names], output),
            server=server,
            password=partial(known_password, "password of the token", PASSWORD_VARIABLE),
            options=options.engine,
        )
        yield SharedFiles(bus, opened)


def get_with_display(
    client: Getter,
    names: Sequence[str],
    output: str,
    options: GetOptions,
    *,
    verbose: bool = False,
) -> bool:
    """Get files and directories, show how far it is, and write what came of it.

    Args:
        client: Whoever they are got from, connected.
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
    client: Getter, name: str, options: GetOptions, *, verbose: bool
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

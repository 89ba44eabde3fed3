"""``dxlft send``: files to a file transfer service."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from dxlclient.exceptions import DxlException

from dxlfabric.connection import connect
from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient import FileTransferClient, FileTransferError
from dxlfiletransferclient.constants import MAX_SEGMENT_SIZE
from dxlfiletransferservice.command.console import complain_about, log_to_stderr, say, shown
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.options import HomeOption, VerboseOption
from dxlfiletransferservice.command.sending import SEGMENT_SIZE, SentFile, fault_of, send_file
from dxlfiletransferservice.endings import Stopped, stopped_by_signals
from dxlfiletransferservice.home import Home


def send_command(
    *,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files to send.")],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name on the server. A directory there, for several files or if it ends with /. "
            "[default: each file's own name]",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Client configuration of the fabric. [default: client/dxlclient.config in the "
            "home]",
        ),
    ] = None,
    home: HomeOption = None,
    segment_size: Annotated[
        int,
        typer.Option(
            metavar="BYTES",
            min=1,
            max=MAX_SEGMENT_SIZE,
            help="Bytes per message. Fewer take longer; a broker with a lower limit needs them.",
            show_default=True,
        ),
    ] = SEGMENT_SIZE,
    verbose: VerboseOption = False,
) -> None:
    r"""Send files to a file transfer service.

    Shows how far each file is, and ends with a line for each: name on the server, size, SHA-256 of
    what was stored, and speed. If a file fails, the others are still sent, and the exit code is 1.
    Ctrl-C ends it, and tells the service to drop what it has of the file under way.

    \b
    Examples:
      dxlft send report.pdf
      dxlft send report.pdf --to 2026/may.pdf
      dxlft send *.csv --to measurements/
      dxlft send capture.bin --config /etc/dxl/dxlclient.config
    """
    log_to_stderr(service=False, verbose=verbose)
    names = names_on_server(files, to)
    # What cannot be read is told at once, before a fabric has to be reached.
    faults = {path: fault for path in files if (fault := fault_of(path)) is not None}
    for fault in faults.values():
        complain_about(fault, verbose=verbose)
    pairs = [pair for pair in zip(files, names, strict=True) if pair[0] not in faults]
    sent: list[SentFile] = []
    try:
        if pairs:
            with stopped_by_signals(), connect(_configuration(config, home)) as dxl_client:
                client = FileTransferClient(dxl_client)
                for path, name in pairs:
                    try:
                        sent.append(send_file(client, path, name, segment_size=segment_size))
                    except (OSError, ValueError, FileTransferError, DxlException) as error:
                        complain_about(_about(path, error), verbose=verbose)
    except Stopped:
        raise KeyboardInterrupt from None
    finally:
        for each in sent:
            say(str(each))
    if len(sent) < len(files):
        raise typer.Exit(ExitCode.FAILURE)


def names_on_server(files: Sequence[Path], to: str | None) -> list[str]:
    """Return the names under which files are to be stored.

    Args:
        files: The files.
        to: A name, or a directory if it ends with ``/`` or there are several files; None for each
            file's own name.

    Raises:
        typer.BadParameter: Two files would get the same name, or there is none.
    """
    if to == "":
        raise typer.BadParameter("--to needs a name")
    if to is not None and len(files) == 1 and not to.endswith("/"):
        return [to]
    directory = "" if to is None else to if to.endswith("/") else f"{to}/"
    names = [directory + path.absolute().name for path in files]
    for name, count in Counter(names).items():
        if count > 1:
            raise typer.BadParameter(
                f"{count} files would be stored as {shown(name)}; send them one by one, with --to"
            )
    return names


class _SendError(Exception):
    """A file that could not be sent; says which."""


def _about(path: Path, error: Exception) -> Exception:
    if isinstance(error, OSError) and error.filename is not None:
        return error
    about = _SendError(f"{shown(path)}: {error}")
    about.__cause__ = error
    return about


def _configuration(config: Path | None, home: Path | None) -> Path:
    if config is not None:
        return config
    path = Home.at(home).client_configuration
    if not path.exists():
        raise ConfigurationError(
            f'{shown(path)}: there is no such client configuration; start "dxlft server", or '
            "name one with --config"
        )
    return path

"""``dxlft demo``: everything at once, on this machine."""

import hashlib
import random
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfabric.connection import connect
from dxlfabric.durablefiles import write_file
from dxlfiletransferclient import FileTransferClient
from dxlfiletransferservice.command.console import complain, log_to_stderr, rate, say, shown
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.options import VerboseOption
from dxlfiletransferservice.command.sending import SEGMENT_SIZE, SentFile, fault_of, send_file
from dxlfiletransferservice.endings import Stopped, stopped_by_signals
from dxlfiletransferservice.home import Home, settings_file
from dxlfiletransferservice.settings import read_settings
from dxlfiletransferservice.supervisor import CommandProcess, ProcessFailedError

SAMPLE_SIZE: Final = 48 * 1024 * 1024
"""Bytes of the file that is made when none is given: enough for some seconds of progress."""

_SAMPLE_NAME: Final = "sample.bin"
_SAMPLE_SEED: Final = 8886


def demo_command(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help=f"File to send. [default: one of {SAMPLE_SIZE // 2**20} MiB is made]",
            show_default=False,
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Directory for everything. [default: a new temporary one]"
        ),
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    r"""Try everything on this machine.

    Starts a broker and the service, on a port that is free, sends a file through them, compares
    both SHA-256, and stops everything. The files stay, so that you can look at them. It needs no
    network but the loopback interface.

    \b
    Examples:
      dxlft demo
      dxlft demo holiday.mp4 --home /tmp/try
    """
    log_to_stderr(service=False, verbose=verbose)
    if file is not None:
        fault = fault_of(file)
        if fault is not None:
            raise typer.BadParameter(f"{shown(file)}: {fault.strerror}")
    place = Home.at(home or Path(tempfile.mkdtemp(prefix="dxlft-demo-")))
    try:
        with stopped_by_signals():
            _demonstrate(place, file)
    except Stopped:
        raise KeyboardInterrupt from None


def _demonstrate(home: Home, file: Path | None) -> None:
    try:
        home.path.mkdir(parents=True, exist_ok=True)
        source = file or _sample(home)
        log = home.server_log.open("wb")
    except OSError as error:
        raise home.unusable(error) from error
    say("starting a broker and a file transfer service ...")
    arguments = ["server", "--home", str(home.path), "--port", "0"]
    with log, CommandProcess(arguments, errors=log) as server:
        try:
            server.wait_until_ready()
        except ProcessFailedError as error:
            raise ProcessFailedError(_reason(home, error), error.exit_code) from error
        name = source.absolute().name
        size = source.stat().st_size
        say(f"sending {shown(name)}, {size:,} bytes, {SEGMENT_SIZE // 1024} KiB at a time ...")
        with connect(home.client_configuration) as dxl_client:
            sent = send_file(FileTransferClient(dxl_client), source, name)
        say("comparing ...")
        _compare(source, sent, home)


def _compare(source: Path, sent: SentFile, home: Home) -> None:
    """Read both files, and say what came of it."""
    stored = read_settings(settings_file(home.service)).storage_dir / sent.name
    before, after = sha256_of(source), sha256_of(stored)
    same = before == after == sent.sha256
    say("")
    say(f"sent     {shown(source.absolute())}")
    say(f"stored   {shown(stored)}")
    say(f"size     {sent.size:,} bytes")
    say(f"SHA-256  {before} (sent)")
    say(f"SHA-256  {after} (stored, {'the same' if same else 'NOT THE SAME'})")
    say(f"speed    {rate(sent.size, sent.seconds)}")
    say(f"home     {shown(home.path)} (certificates, configurations, server.log)")
    if not same:
        complain("what was stored is not what was sent")
        raise typer.Exit(ExitCode.FAILURE)
    say("")
    say(f"go on with: {_program()} server --home {shlex.quote(shown(home.path))}")


def _program() -> str:
    """Return the words with which a shell starts this program again."""
    started = Path(sys.argv[0])
    if started.name != "dxlft":
        return "python -m dxlfiletransferservice.command"
    return "dxlft" if shutil.which("dxlft") == str(started) else shlex.quote(str(started))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of what a file holds on disk, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sample(home: Home) -> Path:
    """Make the file to send, the same one each time, unless it is there from an earlier time."""
    path = home.path / _SAMPLE_NAME
    if not path.exists() or path.stat().st_size != SAMPLE_SIZE:
        # Nothing secret: bytes that do not compress, quickly made.
        write_file(path, random.Random(_SAMPLE_SEED).randbytes(SAMPLE_SIZE))  # noqa: S311
    return path


def _reason(home: Home, error: ProcessFailedError) -> str:
    """Return what the server has written about its end; its log is in a file."""
    beginning = "dxlft: "
    lines = home.server_log.read_text(errors="replace").splitlines()
    reasons = [line.removeprefix(beginning) for line in lines if line.startswith(beginning)]
    return reasons[-1] if reasons else f"{error}; see {shown(home.server_log)}"

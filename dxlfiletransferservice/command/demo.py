"""``dxlft demo``: everything at once, on this machine."""

import hashlib
import random
import shlex
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from dxlfabric.durablefiles import write_file
from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.outcomes import FileOutcome
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferservice.command.connecting import connected_client
from dxlfiletransferservice.command.console import complain, log_to_stderr, rate, say, shown
from dxlfiletransferservice.command.exitcodes import ExitCode
from dxlfiletransferservice.command.interrupts import INTERRUPTED, interrupted_by_signals
from dxlfiletransferservice.command.options import VerboseOption
from dxlfiletransferservice.command.transfers import Transfer, transfer
from dxlfiletransferservice.home import Home, settings_file
from dxlfiletransferservice.settings import read_settings
from dxlfiletransferservice.supervisor import CommandProcess, ProcessFailedError

SAMPLE_SIZE: Final = 48 * 1024 * 1024
"""Bytes of the file that is made when none is given: enough for some seconds of progress."""

_SAMPLE_NAME: Final = "sample.bin"
_RECEIVED: Final = "received"
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

    Starts a broker and the service, on a port that is free, sends a file through them, gets it
    back, compares the SHA-256 of all three, and stops everything. The files stay, so that you can
    look at them. It needs no network but the loopback interface.

    \b
    Examples:
      dxlft demo
      dxlft demo holiday.mp4 --home try
    """
    log_to_stderr(service=False, verbose=verbose)
    if file is not None:
        fault = _fault_of(file)
        if fault is not None:
            raise typer.BadParameter(f"{shown(file)}: {fault}")
    place = Home.at(home or Path(tempfile.mkdtemp(prefix="dxlft-demo-")))
    with interrupted_by_signals():
        _demonstrate(place, file)


def _fault_of(file: Path) -> str | None:
    """Return why a file cannot be sent, as far as opening it tells; None if it can be."""
    if file.is_dir():
        return "is a directory; name a file"
    try:
        file.open("rb").close()
    except OSError as error:
        return error.strerror
    return None


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
        with connected_client(None, home.path) as client:
            there_and_back = _send_and_get(client, source, home)
    say("comparing ...")
    _compare(there_and_back, home)


@dataclass(frozen=True, slots=True)
class _ThereAndBack:
    """A file that was sent and got back.

    Attributes:
        source: Where it was.
        stored: Where the service keeps it.
        received: Where it came back to.
        sent: What became of it on its way there.
        got: What became of it on its way back.
    """

    source: Path
    stored: Path
    received: Path
    sent: FileOutcome
    got: FileOutcome


def _send_and_get(client: FileTransferClient, source: Path, home: Home) -> _ThereAndBack:
    source = source.absolute()
    name = source.name
    size = source.stat().st_size
    stored = read_settings(settings_file(home.service)).storage_dir / name
    received = home.path / _RECEIVED / name
    _forget_earlier(client, name, received)
    say(f"sending {shown(name)}, {size:,} bytes ...")
    with _shown(name) as under_way:
        there = client.send(
            [str(source)],
            progress=under_way.shows.update,
            on_outcome=under_way.lines.add,
            cancel=under_way.cancel,
        )
    say("getting it back ...")
    with _shown(name) as under_way:
        back = client.get(
            [name],
            str(received),
            progress=under_way.shows.update,
            on_outcome=under_way.lines.add,
            cancel=under_way.cancel,
        )
    there.raise_for_failure()
    back.raise_for_failure()
    return _ThereAndBack(source, stored, received, there.outcomes[0], back.outcomes[0])


def _shown(name: str) -> AbstractContextManager[Transfer]:
    """Show a transfer as every command does, but leave out its result: more follows."""
    return transfer(
        [name],
        lambda outcome: outcome.name,
        verbose=False,
        line=lambda _: None,
        interrupted=INTERRUPTED,
    )


def _forget_earlier(client: FileTransferClient, name: str, received: Path) -> None:
    """Remove what an earlier run has left, which need not be transferred again otherwise."""
    try:
        client.remove(name)
    except RefusedError as error:
        if not error.means(ErrorCode.NOT_FOUND):
            raise
    received.parent.mkdir(exist_ok=True)
    received.unlink(missing_ok=True)


def _compare(files: _ThereAndBack, home: Home) -> None:
    """Read all three files, and say what came of it."""
    places = {"sent": files.source, "stored": files.stored, "received": files.received}
    digests = {role: sha256_of(path) for role, path in places.items()}
    same = {*digests.values(), files.sent.sha256, files.got.sha256} == {digests["sent"]}
    say("")
    for role, path in places.items():
        say(f"{role:<8} {shown(path)}")
    say(f"size     {files.sent.size:,} bytes")
    for role, digest in digests.items():
        same_or_not = "the same" if digest == digests["sent"] else "NOT THE SAME"
        say(f"SHA-256  {digest} ({role if role == 'sent' else f'{role}, {same_or_not}'})")
    say(f"speed    {_speed(files.sent)} there, {_speed(files.got)} back")
    say(f"home     {shown(home.path)} (certificates, configurations, server.log)")
    if not same:
        complain("what was stored or received is not what was sent")
        raise typer.Exit(ExitCode.FAILURE)
    say("")
    say(f"go on with: {_program()} server --home {shlex.quote(shown(home.path))}")


def _speed(outcome: FileOutcome) -> str:
    return rate(outcome.size, outcome.seconds)


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

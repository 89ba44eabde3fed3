"""Copies by ssh: each function makes one sample."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.checks import files_of, size_of, stored_as_sent, tree_as_sent
from benchmarks.commands import Finished, run_commands
from benchmarks.links import PLAIN
from benchmarks.peers.ssh import Copier, SshServer
from benchmarks.peers.tools import PeerError
from benchmarks.processes import ProgramError
from benchmarks.processtrees import PeakWatch
from benchmarks.samples import Sample


def sent(server: SshServer, copier: Copier, source: Path, *, at_once: int = 1) -> Sample:
    """Send a file, to several targets at once, or a tree, and check what was stored.

    Args:
        server: Where to send it.
        copier: Makes the command.
        source: The file or directory.
        at_once: Commands that run at the same time.

    Raises:
        PeerError: A command failed, or what was stored differs.
    """
    targets = [server.received / f"sent-{number}" for number in range(at_once)]
    commands = [copier(source, server.remote(target)) for target in targets]
    sample, _ = copied(server, commands, at_once * size_of(source), at_once * files_of(source))
    _checked(targets, source)
    return sample


def fetched(server: SshServer, copier: Copier, source: Path) -> Sample:
    """Copy a file from the server, and check what came.

    Raises:
        PeerError: The command failed, or what came differs.
    """
    target = server.home / "fetched"
    sample, _ = copied(server, [copier(server.remote(source), target)], size_of(source), 1)
    _checked([target], source)
    return sample


def copied(
    server: SshServer, commands: Sequence[Sequence[str]], size: int, files: int
) -> tuple[Sample, Finished]:
    """Run commands that copy, and return what it cost whom.

    Args:
        server: The server that they talk to.
        commands: What runs at the same time.
        size: Bytes that are copied, by all of them.
        files: Files that are copied, by all of them.

    Raises:
        PeerError: One failed.
    """
    before = server.seconds
    try:
        with PeakWatch(server.pid, with_roots=False) as sessions:
            done = run_commands(commands, PLAIN)
    except ProgramError as error:
        raise PeerError(str(error)) from error
    gigabytes = size / 1e9
    sample = Sample(
        rate=size / done.seconds,
        files_rate=files / done.seconds if files > len(commands) else 0.0,
        sender_cpu=done.cpu / gigabytes,
        broker_cpu=0.0,
        service_cpu=(server.seconds - before) / gigabytes,
        sender_peak=done.peak,
        broker_peak=0,
        service_peak=sessions.peak,
    )
    return sample, done


def _checked(targets: Sequence[Path], source: Path) -> None:
    check = tree_as_sent if source.is_dir() else stored_as_sent
    try:
        for target in targets:
            check(target, source)
    except ProgramError as error:
        raise PeerError(str(error)) from error

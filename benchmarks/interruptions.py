"""Transfers that are interrupted at half, and what the second call makes of them."""

import dataclasses
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.checks import size_of, stored_as_sent
from benchmarks.commands import environment
from benchmarks.fabric import Fabric
from benchmarks.measurements import called, measured, version_2_command
from benchmarks.peers import copies
from benchmarks.peers.ssh import Copier, SshServer
from benchmarks.peers.tools import PeerError
from benchmarks.processes import ProgramError, Server
from benchmarks.samples import Sample

TICK = 0.005
"""Seconds between two looks at what has been received."""

QUIET_SECONDS = 1.0
"""Seconds without a change after which what was under way has arrived."""

PATIENCE = 300.0
"""Seconds for each thing that has to happen."""

_TRAVELLED = re.compile(r"^Literal data: ([\d,]+) bytes", re.MULTILINE)


def version_2(fabric: Fabric, service: Server, source: Path) -> Sample:
    """Send a file by version 2, interrupted at half, and again; check what was stored.

    Raises:
        ProgramError: The second call failed, or what was stored differs.
    """
    command = version_2_command(fabric.client_configuration, "send", source, "sent")
    size = size_of(source)

    def part() -> Path | None:
        return next(iter((fabric.storage / ".workdir").glob("*.part")), None)

    had = _interrupted([*fabric.link.prefix, *command], part, size)
    found: dict[str, Any] = {}

    def again() -> dict[str, Any]:
        found.update(called(command, fabric, whole=True))
        return found

    sample = measured(fabric, service, size, again)
    stored_as_sent(fabric.storage / "sent", source)
    return dataclasses.replace(sample, sent_again=max(0, had + found["sent"] - size))


def rsync(server: SshServer, copier: Copier, source: Path) -> Sample:
    """Do the same with rsync.

    Raises:
        PeerError: It failed, or what was stored differs.
    """
    target = server.received / "resumed"
    command = copier(source, server.remote(target))
    size = size_of(source)
    try:
        had = _interrupted(command, lambda: target if target.exists() else None, size)
        sample, done = copies.copied(server, [command], size, 1)
        stored_as_sent(target, source)
    except ProgramError as error:
        raise PeerError(str(error)) from error
    travelled = _TRAVELLED.search(done.outputs[0])
    if travelled is None:
        raise PeerError(f"rsync does not tell what it sent: {done.outputs[0]}")
    sent = int(travelled[1].replace(",", ""))
    return dataclasses.replace(sample, sent_again=max(0, had + sent - size))


def _interrupted(command: Sequence[str], part: Callable[[], Path | None], size: int) -> int:
    """Kill a command when half of the file is there; return the bytes that have arrived at last."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while _received(part()) < size // 2:
            if process.poll() is not None:
                raise ProgramError(
                    f"{command[0]} ended with {process.returncode} before it could be "
                    "interrupted; choose a larger file with --large"
                )
            if time.monotonic() > deadline:
                raise ProgramError(f"half of the file did not arrive in {PATIENCE:g} seconds")
            time.sleep(TICK)
    finally:
        process.kill()
        process.wait()
    return _settled(part)


def _settled(part: Callable[[], Path | None]) -> int:
    before, since = _received(part()), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        time.sleep(TICK)
        now = _received(part())
        if now != before:
            before, since = now, time.monotonic()
    if not before:
        raise ProgramError(
            "the transfer was over before it could be interrupted; use a larger file"
        )
    return before


def _received(path: Path | None) -> int:
    if path is None:
        return 0
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    # What is written beyond a gap makes a file longer without filling the gap.
    return min(found.st_size, found.st_blocks * 512)

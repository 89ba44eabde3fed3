"""What is measured: each function makes one sample."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.checks import size_of, stored_as_sent, tree_as_sent
from benchmarks.commands import run_commands
from benchmarks.fabric import PROGRAMS, Client, Fabric, topic_for
from benchmarks.processes import Server, python, run
from benchmarks.samples import Sample

FORWARDED_SIZE = 900 * 1024
"""Bytes of the requests that measure what forwarding costs: segments as version 1 can send them."""

FORWARDED_BYTES = 1_000_000_000
"""Bytes in all of those requests: so many that setting up connections does not count."""

IN_FLIGHT = 8
"""Requests under way at once: enough that the broker never waits for a client."""


def version_1(
    fabric: Fabric,
    service: Server,
    source: Path,
    *,
    segment_size: int,
    who: str,
    interpreter: str,
    storage: Path | None = None,
) -> Sample:
    """Send a file once with version 1 of the transfer and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file.
        segment_size: Bytes per segment.
        who: Name of the sender, for the stored file.
        interpreter: The Python whose client sends it.
        storage: Where the service stores it, unless it is the fabric's own.

    Raises:
        ProgramError: The sender failed, or the stored file differs.
    """
    name = f"{who}-{segment_size}".replace(" ", "-").replace(",", "")
    command = [
        interpreter,
        *map(str, (PROGRAMS / "send_version1.py", fabric.client_configuration, source, name)),
        str(segment_size),
    ]
    sample = measured(fabric, service, source.stat().st_size, lambda: run(command, fabric.link))
    stored_as_sent((storage or fabric.storage) / name, source)
    return sample


def version_2(
    fabric: Fabric,
    service: Server,
    source: Path,
    *,
    configuration: Path | None = None,
    client: Client = Client.FABRIC,
    whole: bool = False,
) -> Sample:
    """Send a file or tree once with version 2 of the transfer and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file or directory.
        configuration: The sender's way to the fabric, unless it is the usual one.
        client: The sender's client of the fabric.
        whole: Whether connecting counts, as it does in commands that are compared.

    Raises:
        ProgramError: The sender failed, or what was stored differs.
    """
    target = "sent/" if source.is_dir() else "sent"
    command = version_2_command(
        configuration or fabric.client_configuration, "send", source, target, client=client
    )
    sample = measured(
        fabric, service, size_of(source), lambda: called(command, fabric, whole=whole)
    )
    stored = fabric.storage / "sent"
    if source.is_dir():
        tree_as_sent(stored / source.name, source)
    else:
        stored_as_sent(stored, source)
    return sample


def send_command(fabric: Fabric, service: Server, source: Path) -> Sample:
    """Run ``dxlft send`` once as a user does, from its start to its end, and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file.

    Raises:
        ProgramError: It failed, or what was stored differs.
    """
    to = ("--to", "sent", "--config", fabric.client_configuration)
    command = python("-m", "dxlfiletransferservice.command", "send", source, *to)

    def run_once() -> dict[str, Any]:
        done = run_commands([command], fabric.link)
        return {"seconds": done.seconds, "cpu": done.cpu, "peak": done.peak}

    sample = measured(fabric, service, size_of(source), run_once)
    stored_as_sent(fabric.storage / "sent", source)
    return sample


def download(fabric: Fabric, service: Server, source: Path, *, whole: bool = False) -> Sample:
    """Get a file that the service has once, and check what came.

    Args:
        fabric: Where to get it.
        service: The transfer service, for its costs.
        source: The file, on the same file system as the service's.
        whole: Whether connecting counts, as it does in commands that are compared.

    Raises:
        ProgramError: It failed, or what came differs.
    """
    stored = fabric.storage / "offered"
    if not stored.exists():
        stored.hardlink_to(source)
    target = fabric.home / "got"
    command = version_2_command(fabric.client_configuration, "get", stored.name, target)
    sample = measured(
        fabric, service, size_of(source), lambda: called(command, fabric, whole=whole)
    )
    stored_as_sent(target, source)
    return sample


def version_2_command(
    configuration: Path,
    verb: str,
    source: str | Path,
    target: str | Path,
    *,
    client: Client = Client.FABRIC,
    held: bool = False,
) -> list[str]:
    """Return a command that transfers by version 2; see its program for what it prints."""
    options = ["--plain"] if client is Client.OFFICIAL else []
    if held:
        options.append("--held")
    program = PROGRAMS / "transfer_version2.py"
    return python(program, *options, configuration, verb, source, target)


def version_2_at_once(fabric: Fabric, service: Server, source: Path, count: int) -> Sample:
    """Send a file by several processes at the same time, and check what was stored.

    Args:
        fabric: Where to send it.
        service: The transfer service, for its costs.
        source: The file.
        count: Processes, each of which sends it under another name.

    Raises:
        ProgramError: One failed, or what was stored differs.
    """
    names = [f"sent-{number}" for number in range(count)]
    commands = [
        version_2_command(fabric.client_configuration, "send", source, name, held=True)
        for name in names
    ]
    size = count * size_of(source)
    sample = measured(fabric, service, size, lambda: _at_once(commands, fabric))
    for name in names:
        stored_as_sent(fabric.storage / name, source)
    return sample


def _at_once(commands: Sequence[Sequence[str]], fabric: Fabric) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        senders = [
            stack.enter_context(Server(command, fabric.link, fabric.home / f"sender-{number}.log"))
            for number, command in enumerate(commands)
        ]
        began = time.monotonic()
        for sender in senders:
            sender.tell("go")
        found = [json.loads(sender.last_line()) for sender in senders]
    return {
        "seconds": max(one["ended"] for one in found) - began,
        "cpu": sum(one["cpu"] + one["connect_cpu"] for one in found),
        "peak": sum(one["peak"] for one in found),
    }


def called(command: Sequence[str], fabric: Fabric, *, whole: bool) -> dict[str, Any]:
    """Run a command of version 2, and return what it tells.

    Args:
        command: The command.
        fabric: Where it belongs.
        whole: Whether connecting counts.
    """
    found = run(command, fabric.link)
    if whole:
        found["seconds"] += found["connect_seconds"]
        found["cpu"] += found["connect_cpu"]
    return found


def bus_limit(
    fabric: Fabric,
    service: Server,
    *,
    request_size: int,
    total: int,
    in_flight: int = IN_FLIGHT,
    client: Client = Client.OFFICIAL,
) -> Sample:
    """Send requests as fast as the bus carries them: no disk, no hash.

    Args:
        fabric: Where to send them.
        service: Who answers them with a few bytes.
        request_size: Bytes of content in each.
        total: Bytes in all.
        in_flight: Requests under way at once.
        client: The sender's client of the fabric; the service should have the same.
    """
    count = max(total // request_size, 1)
    command = python(
        PROGRAMS / "send_requests.py",
        client,
        fabric.client_configuration,
        topic_for(client),
        *map(str, (count, request_size, in_flight)),
    )
    return measured(fabric, service, count * request_size, lambda: run(command, fabric.link))


def measured(
    fabric: Fabric, service: Server, size: int, send: Callable[[], dict[str, Any]]
) -> Sample:
    """Do something once, and return what it cost whom.

    Args:
        fabric: The fabric that it goes over.
        service: Who receives.
        size: Bytes that are sent.
        send: Does it; returns ``seconds``, and ``cpu`` and ``peak`` of the sending process.
    """
    broker_before = fabric.broker.cost()
    service_before = service.cost()
    sent = send()
    broker_after = fabric.broker.cost()
    service_after = service.cost()
    gigabytes = size / 1e9
    files = sent.get("files", 1)
    return Sample(
        rate=size / sent["seconds"],
        files_rate=files / sent["seconds"] if files > 1 else 0.0,
        sender_cpu=sent["cpu"] / gigabytes,
        broker_cpu=(broker_after.cpu - broker_before.cpu) / gigabytes,
        service_cpu=(service_after.cpu - service_before.cpu) / gigabytes,
        sender_peak=sent["peak"],
        broker_peak=broker_after.peak,
        service_peak=service_after.peak,
    )

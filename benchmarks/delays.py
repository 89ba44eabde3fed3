"""A longer way to a server."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fabric import PROGRAMS, Fabric
from benchmarks.links import Link
from benchmarks.processes import Server, python

ADDED_ROUND_TRIP = 50
"""Milliseconds: about what a request takes to the other coast and back."""


@contextlib.contextmanager
def longer_way(port: int, link: Link, log: Path) -> Iterator[int]:
    """Run a proxy that holds everything back, and yield the port that leads through it.

    Args:
        port: Where it leads.
        link: Network to run it in.
        log: File for what it says.
    """
    command = python(PROGRAMS / "delay.py", str(port), str(ADDED_ROUND_TRIP // 2))
    with Server(command, link, log) as proxy:
        yield int(proxy.ready.split()[1])


@contextlib.contextmanager
def far_configuration(fabric: Fabric) -> Iterator[Path]:
    """Run such a proxy before a broker, and yield a client configuration that leads there."""
    port = _port_in(fabric.client_configuration)
    with longer_way(int(port), fabric.link, fabric.home / "delay.log") as far:
        directory = fabric.home / "far-client"
        shutil.copytree(fabric.client_configuration.parent, directory, dirs_exist_ok=True)
        configuration = directory / fabric.client_configuration.name
        text = configuration.read_text()
        configuration.write_text(text.replace(f";{port};", f";{far};"))
        yield configuration


def _port_in(configuration: Path) -> str:
    _, _, brokers = configuration.read_text().partition("[Brokers]")
    return brokers.split(";")[1]

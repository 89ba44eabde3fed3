"""A longer way to the broker."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fabric import PROGRAMS, Fabric
from benchmarks.processes import Server, python

ADDED_ROUND_TRIP = 50
"""Milliseconds: about what a request takes to the other coast and back."""


@contextlib.contextmanager
def longer_way(fabric: Fabric) -> Iterator[Path]:
    """Run a proxy that holds everything back, and yield a client configuration that leads there."""
    port = _port_in(fabric.client_configuration)
    command = python(PROGRAMS / "delay.py", port, str(ADDED_ROUND_TRIP // 2))
    with Server(command, fabric.link, fabric.home / "delay.log") as proxy:
        directory = fabric.home / "far-client"
        shutil.copytree(fabric.client_configuration.parent, directory, dirs_exist_ok=True)
        configuration = directory / fabric.client_configuration.name
        text = configuration.read_text()
        configuration.write_text(text.replace(f";{port};", f";{proxy.ready.split()[1]};"))
        yield configuration


def _port_in(configuration: Path) -> str:
    _, _, brokers = configuration.read_text().partition("[Brokers]")
    return brokers.split(";")[1]

"""Sends or gets files by version 2, as a program of a user's would.

Usage: transfer_version2.py [--plain] [--held] CONFIG send PATH NAME, or CONFIG get NAME PATH. With
``--plain`` it goes by the official client; with ``--held`` it prints ``ready`` once it is loaded,
and begins with the next line of its standard input.

Prints a JSON object: ``seconds`` from the call to its end, ``cpu`` seconds, the same of connecting
before it (``connect_seconds``, ``connect_cpu``), ``ended`` on the system's monotonic clock,
``peak`` memory in bytes, how many ``files`` and ``bytes`` there were, and bytes ``sent`` by it.
"""

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfabric.connection import connect
from dxlfabric.memory import keep_freed_memory
from dxlfiletransferclient import FileTransferClient


def main() -> None:
    """Do what the module says."""
    arguments = _arguments()
    keep_freed_memory()  # as "dxlft send" does
    if arguments.held:
        print("ready", flush=True)
        sys.stdin.readline()
    connecting = _Clock()
    with _connected(arguments.config, plain=arguments.plain) as dxl_client:
        connected = connecting.read()
        client = FileTransferClient(dxl_client)
        transferring = _Clock()
        if arguments.verb == "send":
            report = client.send(Path(arguments.source), arguments.target)
        else:
            report = client.get(arguments.source, Path(arguments.target))
        seconds, cpu = transferring.read()
        ended = time.monotonic()
    report.raise_for_failure()
    found = {
        "seconds": seconds,
        "cpu": cpu,
        "connect_seconds": connected[0],
        "connect_cpu": connected[1],
        "ended": ended,
        "peak": _peak(),
        "files": report.files,
        "bytes": report.bytes,
        "sent": report.sent,
    }
    print(json.dumps(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--held", action="store_true")
    parser.add_argument("config")
    parser.add_argument("verb", choices=["send", "get"])
    parser.add_argument("source")
    parser.add_argument("target")
    return parser.parse_args()


@contextlib.contextmanager
def _connected(config: str, *, plain: bool) -> Iterator[DxlClient]:
    if not plain:
        with connect(config) as dxl_client:
            yield dxl_client
        return
    with DxlClient(DxlClientConfig.create_dxl_config_from_file(config)) as dxl_client:
        dxl_client.connect()
        yield dxl_client


class _Clock:
    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu = _cpu()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, _cpu() - self._cpu


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    # The system's other figure for it is that of the program that started this one, if larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()

"""Sends or gets files by version 2, as a program of a user's would.

Usage: transfer_version2.py CONFIG send PATH NAME, or CONFIG get NAME PATH. Prints a JSON object:
``seconds`` from the call to its end, ``cpu`` seconds, ``peak`` memory in bytes, and how many
``files`` and ``bytes`` there were.
"""

import json
import resource
import sys
import time
from pathlib import Path

from dxlfabric.connection import connect
from dxlfabric.memory import keep_freed_memory
from dxlfiletransferclient import FileTransferClient


def main() -> None:
    """Do what the module says."""
    keep_freed_memory()  # as "dxlft send" does
    configuration, verb, source, target = sys.argv[1:]
    with connect(configuration) as dxl_client:
        client = FileTransferClient(dxl_client)
        before = _cpu()
        start = time.perf_counter()
        if verb == "send":
            report = client.send(Path(source), target)
        else:
            report = client.get(source, Path(target))
        seconds = time.perf_counter() - start
        cpu = _cpu() - before
    report.raise_for_failure()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": seconds, "cpu": cpu, "peak": peak}
    print(json.dumps({**found, "files": report.files, "bytes": report.bytes}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

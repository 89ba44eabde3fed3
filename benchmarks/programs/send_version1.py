"""Sends one file with whichever ``dxlfiletransferclient`` this Python has.

Usage: send_version1.py CONFIG FILE NAME SEGMENT_SIZE. Prints a JSON object with ``seconds`` from
the first byte to the last answer, ``cpu`` seconds and ``peak`` memory in bytes.
"""

import json
import resource
import sys
import time
from pathlib import Path

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient


def main() -> None:
    """Do what the module says."""
    configuration, path, name, segment_size = sys.argv[1:]
    with DxlClient(DxlClientConfig.create_dxl_config_from_file(configuration)) as dxl_client:
        dxl_client.connect()
        client = FileTransferClient(dxl_client)
        before = _cpu()
        start = time.perf_counter()
        result = client.send_file_request(path, name, int(segment_size))
        seconds = time.perf_counter() - start
        cpu = _cpu() - before
    peak = _peak()
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "sha256": result.hashes}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    # The system's other figure for it is that of the program that started this one, if larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()

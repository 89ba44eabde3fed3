"""Sends one file with whichever ``dxlfiletransferclient`` this Python has.

Usage: send_version1.py CONFIG FILE NAME SEGMENT_SIZE. Prints a JSON object with ``seconds`` from
the first byte to the last answer, ``cpu`` seconds and ``peak`` memory in bytes.
"""

import json
import resource
import sys
import time

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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "sha256": result.hashes}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

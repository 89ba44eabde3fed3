"""Sends requests, several at a time, and waits for all answers: what the bus alone can carry.

Usage: send_requests.py CLIENT CONFIG TOPIC COUNT SIZE IN_FLIGHT, where CLIENT is ``official`` or
``fabric``. Prints a JSON object with ``seconds``, ``cpu`` seconds and ``peak`` memory in bytes.
"""

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from dxlclient.callbacks import ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import ErrorResponse, Request, Response

from dxlfabric.client import FabricClient
from dxlfabric.memory import keep_freed_memory

ANSWER_SECONDS = 60.0


class _Window(ResponseCallback):
    def __init__(self, size: int) -> None:
        self.room = threading.Semaphore(size)
        self.answered = threading.Semaphore(0)
        self.error = ""

    def on_response(self, response: Response) -> None:
        if isinstance(response, ErrorResponse):
            self.error = response.error_message
        self.room.release()
        self.answered.release()


def main() -> None:
    """Do what the module says."""
    client, configuration, topic, count, size, in_flight = sys.argv[1:]
    if client == "fabric":
        keep_freed_memory()  # as version 2's programs do
    payload = os.urandom(int(size))
    window = _Window(int(in_flight))
    make: type[DxlClient] = FabricClient if client == "fabric" else DxlClient
    with make(DxlClientConfig.create_dxl_config_from_file(configuration)) as dxl_client:
        dxl_client.connect()
        before = _cpu()
        start = time.perf_counter()
        for _ in range(int(count)):
            if not window.room.acquire(timeout=ANSWER_SECONDS):
                sys.exit(f"no answer within {ANSWER_SECONDS:g} seconds")
            request = Request(topic)
            request.payload = payload
            dxl_client.async_request(request, window)
        for _ in range(int(count)):
            if not window.answered.acquire(timeout=ANSWER_SECONDS):
                sys.exit(f"no answer within {ANSWER_SECONDS:g} seconds")
        seconds = time.perf_counter() - start
        cpu = _cpu() - before
    if window.error:
        sys.exit(window.error)
    peak = _peak()
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    # The system's other figure for it is that of the program that started this one, if larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()

"""Sends requests, several at a time, and waits for all answers: what the bus alone can carry.

Usage: send_requests.py CONFIG TOPIC COUNT SIZE IN_FLIGHT. Prints a JSON object with ``seconds``,
``cpu`` seconds and ``peak`` memory in bytes.
"""

import json
import os
import resource
import sys
import threading
import time

from dxlclient.callbacks import ResponseCallback
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import ErrorResponse, Request, Response

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
    configuration, topic, count, size, in_flight = sys.argv[1:]
    payload = os.urandom(int(size))
    window = _Window(int(in_flight))
    with DxlClient(DxlClientConfig.create_dxl_config_from_file(configuration)) as dxl_client:
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

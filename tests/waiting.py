"""Waiting for things that say nothing when they happen."""

import threading
import time
from collections.abc import Callable

TIMEOUT = 90.0
"""Seconds to wait for something on a busy machine, whose disk may stall for half a minute."""

_INTERVAL = 0.02


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is the case; fails the test if that takes too long."""
    deadline = time.monotonic() + TIMEOUT
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        tick.wait(_INTERVAL)

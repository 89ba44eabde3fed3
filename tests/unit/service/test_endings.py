import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from dxlfiletransferservice.endings import Stopped, stopped_by_signals, wait_for_ever

if TYPE_CHECKING:
    from types import FrameType


def place_of(thread: int) -> list[tuple[str, int]]:
    """Return where a thread is, as functions and positions in them."""
    places = []
    frame: FrameType | None = sys._current_frames()[thread]
    while frame is not None:
        places.append((frame.f_code.co_name, frame.f_lasti))
        frame = frame.f_back
    return places


def signal_this_thread_once_it_waits(waiting: int, number: int) -> None:
    """Get a signal in this thread, once another one has stood still in its wait."""
    tick = threading.Event()
    still = 0
    before: list[tuple[str, int]] = []
    while still < 5:
        tick.wait(0.02)
        now = place_of(waiting)
        is_waiting = any(name == "wait_for_ever" for name, _ in now)
        still = still + 1 if is_waiting and now == before else 0
        before = now
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_interrupts_no_system_call_ends_the_wait(number: int) -> None:
    """One that another thread gets, or that comes just before the wait, is such a signal."""
    thread = threading.Thread(
        target=signal_this_thread_once_it_waits, args=(threading.get_ident(), number)
    )
    with stopped_by_signals():
        thread.start()
        with pytest.raises(Stopped):
            wait_for_ever()
    thread.join()


def test_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

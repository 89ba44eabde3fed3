import os
import signal
import threading

import pytest

from dxlfiletransferservice.command.interrupts import (
    cancelled_by_signals,
    interrupted_by_signals,
)
from tests.waiting import wait_until

NUMBERS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_cancels_and_the_second_one_ends_the_process(number: int) -> None:
    before = [signal.getsignal(each) for each in NUMBERS]
    with cancelled_by_signals() as cancel:
        assert not cancel.cancelled
        os.kill(os.getpid(), number)
        wait_until(lambda: cancel.cancelled)
        assert [signal.getsignal(each) for each in NUMBERS] == [signal.SIG_DFL, signal.SIG_DFL]
    assert [signal.getsignal(each) for each in NUMBERS] == before


def test_without_a_signal_nothing_is_cancelled_and_no_thread_stays() -> None:
    before = threading.active_count()
    with cancelled_by_signals() as cancel:
        pass
    assert not cancel.cancelled
    assert threading.active_count() == before


def test_signal_reaches_a_thread_that_holds_the_lock() -> None:
    """A handler that took the lock itself would wait for its own thread."""
    lock = threading.Lock()
    woken = threading.Event()

    def wake() -> None:
        with lock:
            woken.set()

    with cancelled_by_signals() as cancel, cancel.waking(wake):
        with lock:
            os.kill(os.getpid(), signal.SIGINT)
            wait_until(lambda: cancel.cancelled)
        wait_until(woken.is_set)


def get_signal(number: int) -> None:
    with interrupted_by_signals():
        os.kill(os.getpid(), number)
        wait_until(lambda: False)


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_interrupts_other_commands(number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        get_signal(number)

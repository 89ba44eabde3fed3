"""Cancelling: from any thread, for every call that waits."""

import threading

import pytest

from dxlfiletransferclient.errors import FileTransferError
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError


def test_is_off_until_it_is_thrown_and_stays_on() -> None:
    cancel = Cancellation()
    cancel.check()
    states = [cancel.cancelled]
    for _ in range(2):
        cancel.cancel()
        states.append(cancel.cancelled)
    assert states == [False, True, True]
    with pytest.raises(TransferCancelledError):
        cancel.check()
    assert issubclass(TransferCancelledError, FileTransferError)


def test_wakes_only_what_waits() -> None:
    cancel = Cancellation()
    woken: list[str] = []
    with cancel.waking(lambda: woken.append("before")):
        pass
    with (
        cancel.waking(lambda: woken.append("one")),
        cancel.waking(lambda: woken.append("two")),
    ):
        cancel.cancel()
    cancel.cancel()
    assert woken == ["one", "two"]


def test_ends_the_wait_of_another_thread() -> None:
    cancel = Cancellation()
    waiting, over = threading.Event(), threading.Event()

    def wait() -> None:
        with cancel.waking(over.set):
            waiting.set()
            over.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(30)
    cancel.cancel()
    thread.join(30)
    assert not thread.is_alive()

"""Threads that wait for each other over one file."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage import turns as turns_module
from dxlfiletransferclient.storage.turns import Turns


def test_all_who_wait_are_told() -> None:
    turns, busy, waiting = Turns("one"), [True], threading.Semaphore(0)

    def is_busy() -> bool:
        waiting.release()
        return busy[0]

    def wait() -> None:
        with turns.lock:
            turns.wait_while(is_busy, "it is busy")

    with ThreadPoolExecutor(3) as pool:
        waiters = [pool.submit(wait) for _ in range(3)]
        for _ in waiters:
            assert waiting.acquire(timeout=30)
        # Whoever has asked lets go of the lock only by waiting.
        with turns.lock:
            busy[0] = False
            turns.tell()
        for each in waiters:
            each.result(30)


def test_where_nobody_waits_nobody_is_woken(mocker: MockerFixture) -> None:
    turns = Turns("one")
    woken = mocker.spy(threading.Condition, "notify_all")
    with turns.lock:
        turns.wait_while(lambda: False, "it is busy")
        turns.tell()
    assert woken.call_count == 0


def test_who_waits_too_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "WAIT_TIMEOUT", 0.01)
    turns = Turns("one")
    with turns.lock, pytest.raises(RefusedError, match="it is busy") as raised:
        turns.wait_while(lambda: True, "it is busy")
    assert raised.value.means(ErrorCode.BUSY)
    assert raised.value.retry_after

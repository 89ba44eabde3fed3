"""The store's rounds go on whatever happens in one."""

import logging
import threading

import pytest

from dxlfiletransferservice.maintenance import MaintenanceThread

TIMEOUT = 20.0


class FailingStore:
    """Fails in the first rounds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.times: list[float] = []
        self.expiries: list[float] = []
        self.done = threading.Event()

    def maintain(self, now: float) -> None:
        self.times.append(now)
        if len(self.times) <= self.failures:
            raise OSError("disk gone")
        self.done.set()

    def expire(self, now: float) -> int:
        self.expiries.append(now)
        return 0


def test_rounds_are_told_the_time_and_end_with_the_thread() -> None:
    store = FailingStore(0)
    thread = MaintenanceThread(store, 3600.0, 0.001, clock=lambda: 1234.5)
    thread.start()
    assert store.done.wait(TIMEOUT)
    thread.stop()
    assert not thread.is_alive()
    assert set(store.times) == {1234.5}


def test_a_failed_round_is_logged_and_the_next_one_is_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FailingStore(2)
    thread = MaintenanceThread(store, 3600.0, 0.001)
    thread.start()
    assert store.done.wait(TIMEOUT)
    thread.stop()
    lines = [each for each in caplog.records if "tried again later: disk gone" in each.message]
    assert [each.levelno for each in lines] == [logging.ERROR] * 2
    assert all(each.exc_info for each in lines)


def test_a_thread_that_was_stopped_before_its_first_round_makes_none() -> None:
    store = FailingStore(0)
    thread = MaintenanceThread(store, 3600.0, 60.0)
    thread.start()
    thread.stop()
    assert not thread.is_alive()
    assert store.times == []


class StepClock:
    """Goes on by some seconds each time that it is read."""

    def __init__(self, step: float) -> None:
        self.now = 1e9
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class CountingStore(FailingStore):
    """Is done after some rounds."""

    def __init__(self, rounds: int) -> None:
        super().__init__(0)
        self.rounds = rounds

    def maintain(self, now: float) -> None:
        self.times.append(now)
        if len(self.times) == self.rounds:
            self.done.set()


@pytest.mark.parametrize("step", [20.0, -20.0])
@pytest.mark.parametrize(("lifetime", "every"), [(86_400.0, 60.0), (40.0, 40.0), (1.0, 20.0)])
def test_abandoned_files_are_looked_for_now_and_then(
    lifetime: float, every: float, step: float
) -> None:
    store = CountingStore(20)
    thread = MaintenanceThread(store, lifetime, 0.001, clock=StepClock(step))
    thread.start()
    assert store.done.wait(TIMEOUT)
    thread.stop()
    pauses = [abs(b - a) for a, b in zip(store.expiries, store.expiries[1:], strict=False)]
    assert len(pauses) >= 4
    assert set(pauses) == {every}

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.quotas import (
    MEASURE_AGAIN_AFTER,
    MEASURE_AGAIN_SHARE,
    MEASURE_EVERY,
    Quota,
    QuotaLimits,
    quota_of,
    stored_bytes,
    written_bytes,
)
from tests.waiting import wait_until


class Disk:
    """What a quota asks for, to be set by a test."""

    def __init__(self, free: int = 10_000, used: int = 0, written: int = 0) -> None:
        self.free, self.used, self.written = free, used, written
        self.now = 1000.0
        self.measured = 0

    def measure(self) -> int:
        self.measured += 1
        return self.used

    def quota(self, **limits: int) -> Quota:
        return Quota(
            QuotaLimits(**limits),
            free=lambda: self.free,
            used=self.measure,
            written=lambda: self.written,
            clock=lambda: self.now,
        )


def refused(code: ErrorCode, call: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as raised:
        call()
    assert raised.value.code == code
    return raised.value.message


def test_one_file_may_be_too_large() -> None:
    quota = Disk().quota(file_bytes=100)

    quota.reserve("a", 100)
    text = refused(ErrorCode.QUOTA, lambda: quota.reserve("b", 101))

    assert "101 bytes" in text
    assert "limit of 100 bytes for one file" in text


def test_all_files_together_may_be_too_large() -> None:
    quota = Disk(used=50).quota(total_bytes=100)

    quota.reserve("a", 30)
    text = refused(ErrorCode.QUOTA, lambda: quota.reserve("b", 21))
    assert "limit of 100 bytes for all files" in text
    assert "21 bytes are asked for, 20 are left" in text
    quota.reserve("b", 20)


def test_a_reservation_grows_and_shrinks() -> None:
    quota = Disk().quota(total_bytes=100)

    quota.reserve("a", 60)
    quota.reserve("a", 90)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("a", 101))
    refused(ErrorCode.QUOTA, lambda: quota.reserve("b", 11))
    quota.reserve("a", 10)
    quota.reserve("b", 90)


def test_what_is_released_is_free_again_and_what_is_stored_is_not() -> None:
    quota = Disk().quota(total_bytes=100)

    quota.reserve("a", 60)
    quota.release("a")
    quota.release("a")
    quota.reserve("b", 100)
    quota.stored("b", grown=100)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("c", 1))
    quota.shrunk(1)
    quota.reserve("c", 1)


def test_stored_files_are_counted_only_if_they_are_limited() -> None:
    disk = Disk()
    disk.quota(file_bytes=100).reserve("a", 10)
    assert disk.measured == 0


def test_room_that_somebody_made_counts_when_a_file_would_be_refused() -> None:
    disk = Disk(used=100)
    quota = disk.quota(total_bytes=100)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("a", 1))

    disk.used = 10
    disk.now += MEASURE_AGAIN_AFTER - 0.1
    refused(ErrorCode.QUOTA, lambda: quota.reserve("a", 1))
    assert disk.measured == 1

    disk.now += 0.1
    quota.reserve("a", 90)
    assert disk.measured == 2


def test_stored_files_are_counted_again_now_and_then() -> None:
    disk = Disk(used=10)
    quota = disk.quota(total_bytes=100)
    quota.reserve("a", 1)
    disk.now += MEASURE_EVERY - 1
    quota.reserve("a", 2)
    assert disk.measured == 1
    disk.now += 1
    quota.reserve("a", 3)
    wait_until(lambda: disk.measured == 2)


def test_a_count_that_takes_long_makes_files_come_again() -> None:
    """The wait is counted from the beginning of the count, not of the request."""
    go_on = threading.Event()
    times = iter([0.0])

    def slow() -> int:
        go_on.wait(30)
        return 10

    quota = Quota(
        QuotaLimits(total_bytes=100),
        free=lambda: 1000,
        used=slow,
        clock=lambda: next(times, 1000.0),
    )
    try:
        with pytest.raises(RefusedError) as raised:
            quota.reserve("a", 10)
        assert raised.value.means(ErrorCode.BUSY)
        assert raised.value.retry_after
    finally:
        go_on.set()


def test_a_count_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[int | OSError] = [OSError("broken"), 10]

    def used() -> int:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    quota = Quota(QuotaLimits(total_bytes=100), free=lambda: 1000, used=used)
    refused(ErrorCode.BUSY, lambda: quota.reserve("a", 90))
    assert "Could not count" in caplog.text
    quota.reserve("a", 90)


def test_changes_during_a_count_are_not_lost() -> None:
    counting, go_on = threading.Event(), threading.Event()

    def used() -> int:
        counting.set()
        go_on.wait(30)
        return 10

    quota = Quota(QuotaLimits(total_bytes=100), free=lambda: 1000, used=used)
    first = threading.Thread(target=quota.reserve, args=("a", 10))
    first.start()
    assert counting.wait(30)
    quota.stored("b", grown=70)
    go_on.set()
    first.join(30)

    refused(ErrorCode.QUOTA, lambda: quota.reserve("c", 11))
    quota.reserve("c", 10)


def test_the_disk_may_be_full() -> None:
    quota = Disk(free=100).quota(keep_free_bytes=20)

    text = refused(ErrorCode.STORAGE_FULL, lambda: quota.reserve("a", 81))
    assert "81 bytes are asked for, 80 are left beside the 20 bytes to be kept free" in text
    quota.reserve("a", 80)


def test_what_is_reserved_and_not_yet_written_is_not_free() -> None:
    disk = Disk(free=100)
    quota = disk.quota()
    quota.reserve("a", 80)

    refused(ErrorCode.STORAGE_FULL, lambda: quota.reserve("b", 21))
    # What is written has been taken from the free bytes already.
    disk.written, disk.free = 70, 30
    quota.reserve("b", 20)
    refused(ErrorCode.STORAGE_FULL, lambda: quota.reserve("c", 1))


def test_without_a_count_of_what_is_written_nobody_is_refused_in_vain() -> None:
    quota = Quota(QuotaLimits(), free=lambda: 30, used=lambda: 0)
    quota.reserve("a", 30)
    quota.reserve("b", 30)
    refused(ErrorCode.STORAGE_FULL, lambda: quota.reserve("c", 31))


@pytest.mark.parametrize("name", ["total_bytes", "file_bytes", "keep_free_bytes"])
def test_limits_are_not_below_0(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        QuotaLimits(**{name: -1})


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=30))
def test_never_more_than_the_limit(steps: list[tuple[str, int]]) -> None:
    """Whatever is reserved, released and stored: the sum never passes the limit."""
    quota = Disk().quota(total_bytes=100)
    reserved: dict[str, int] = {}
    stored = 0
    for number, (key, size) in enumerate(steps):
        if number % 5 == 4:
            quota.release(key)
            reserved.pop(key, None)
            continue
        if number % 5 == 3 and key in reserved:
            grown = reserved.pop(key)
            quota.stored(key, grown=grown)
            stored += grown
            continue
        others = sum(each for other, each in reserved.items() if other != key)
        fits = size <= reserved.get(key, 0) or stored + others + size <= 100
        if fits:
            quota.reserve(key, size)
            reserved[key] = size
        else:
            with pytest.raises(RefusedError):
                quota.reserve(key, size)


def test_bytes_of_all_files_but_those_under_way(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "work" / "in").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "two").write_bytes(b"x" * 200)
    (tmp_path / "a" / "b" / "three").write_bytes(b"x" * 3000)
    (tmp_path / "work" / "part").write_bytes(b"x" * 40_000)
    (tmp_path / "work" / "in" / "part").write_bytes(b"x" * 50_000)
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "way").symlink_to("a")

    assert stored_bytes(tmp_path, skip=tmp_path / "work") == 3210
    with pytest.raises(FileNotFoundError):
        stored_bytes(tmp_path / "absent", skip=tmp_path)


def test_bytes_that_are_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(os.urandom(8192))
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(2**30)
    (tmp_path / "directory").mkdir()

    assert 8192 <= written_bytes(tmp_path) < 2**20


def test_a_quota_of_two_directories(tmp_path: Path) -> None:
    storage, working = tmp_path / "storage", tmp_path / "storage" / "working"
    working.mkdir(parents=True)
    (storage / "a").write_bytes(b"x" * 60)
    (working / "b").write_bytes(b"x" * 60)
    quota = quota_of(QuotaLimits(total_bytes=100), storage=storage, working=working)

    quota.reserve("b", 40)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("c", 1))
    refused(
        ErrorCode.STORAGE_FULL,
        lambda: quota_of(QuotaLimits(), storage=storage, working=working).reserve("d", 2**60),
    )


def test_what_is_on_the_disk_already_counts_whatever_the_limits_are() -> None:
    quota = Disk().quota(total_bytes=100)
    quota.adopt("old", 130)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("new", 1))
    refused(ErrorCode.QUOTA, lambda: quota.reserve("old", 131))
    quota.release("old")
    quota.reserve("new", 100)


def test_a_reservation_may_be_made_to_grow_only() -> None:
    """Segments of a stream come in any order."""
    quota = Disk().quota(total_bytes=100)
    quota.reserve("a", 60)
    quota.reserve("a", 10, shrink=False)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("b", 41))
    quota.reserve("a", 70, shrink=False)
    refused(ErrorCode.QUOTA, lambda: quota.reserve("b", 31))


def test_what_is_written_is_not_looked_at_for_each_of_many_files() -> None:
    """A large file that is half there must not make every small one cost a look."""
    disk = Disk(free=1000)
    looks: list[int] = []

    def written() -> int:
        looks.append(disk.written)
        return disk.written

    quota = Quota(QuotaLimits(), free=lambda: disk.free, used=lambda: 0, written=written)
    quota.reserve("large", 1000)
    disk.written, disk.free = 900, 100 + 60
    for number in range(30):
        quota.reserve(str(number), 1)
    assert len(looks) == 1
    # What was ended was part of what was seen; it does not make room for others.
    quota.release("large")
    disk.written, disk.free = 0, 100
    refused(ErrorCode.STORAGE_FULL, lambda: quota.reserve("more", 71))
    quota.reserve("more", 70)


def test_a_count_that_takes_long_is_not_begun_again_at_once() -> None:
    """Refused senders must not keep the disk and all threads busy with counting."""
    disk = Disk(used=100)

    def slow() -> int:
        disk.now += 15.0
        return disk.measure()

    quota = Quota(
        QuotaLimits(total_bytes=100), free=lambda: 10_000, used=slow, clock=lambda: disk.now
    )
    refused(ErrorCode.QUOTA, lambda: quota.reserve("a", 1))
    disk.now += 10 * MEASURE_AGAIN_AFTER
    refused(ErrorCode.QUOTA, lambda: quota.reserve("a", 1))
    assert disk.measured == 1
    disk.used = 0
    disk.now += 15.0 * MEASURE_AGAIN_SHARE
    quota.reserve("a", 1)


def test_several_files_at_once() -> None:
    quota = Disk(free=100).quota(file_bytes=50, keep_free_bytes=10)
    assert quota.reserve_all({"a": 50, "b": 30})
    assert quota.is_reserved("a")
    assert not quota.reserve_all({"c": 11})
    assert not quota.reserve_all({"c": 1, "d": 51})
    assert not quota.is_reserved("c")
    assert quota.reserve_all({"c": 10})
    quota.release("b")
    assert quota.reserve_all({"d": 30})
    assert not quota.counts_stored


def test_several_files_at_once_where_all_are_counted() -> None:
    quota = Disk(used=50).quota(total_bytes=100)
    # Not counted yet: whoever is in no hurry waits for that.
    assert not quota.reserve_all({"a": 10})
    quota.reserve("a", 10)
    assert not quota.reserve_all({"b": 20, "c": 21})
    assert quota.reserve_all({"b": 20, "c": 20})
    refused(ErrorCode.QUOTA, lambda: quota.reserve("d", 1))
    assert quota.counts_stored

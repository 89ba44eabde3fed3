"""The files under way in a working directory: its lock, its bounds, and who holds which file."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import (
    StorageError,
    StoreClosedError,
    UnknownFileError,
    WorkingDirectoryInUseError,
)
from dxlfiletransferclient.storage import opening
from dxlfiletransferclient.storage import places as places_module
from dxlfiletransferclient.storage import working as working_module
from dxlfiletransferclient.storage.working import WorkingDirectory
from tests.unit.client.fabric import left_in, open_descriptors
from tests.unit.client.workingdirectory import NOW, begun, opened


def test_a_file_is_held_from_segment_to_segment(working: WorkingDirectory) -> None:
    file_id = begun(working)
    with working.resume(file_id) as file:
        file.append(b"de", NOW)
        assert (file.segments, file.size) == (2, 5)


def test_a_forgotten_file_is_gone(working: WorkingDirectory, tmp_path: Path) -> None:
    with working.begin() as file:
        working.forget(file.file_id)
        working.forget(file.file_id)
    assert left_in(tmp_path) == set()
    with pytest.raises(UnknownFileError), working.resume(file.file_id):
        pytest.fail("there is nothing to resume")


def test_a_dropped_file_tells_its_segments(working: WorkingDirectory, tmp_path: Path) -> None:
    assert working.drop(begun(working)) == 1
    assert left_in(tmp_path) == set()
    with pytest.raises(UnknownFileError):
        working.drop("unknown")


def test_files_outlive_their_process(tmp_path: Path) -> None:
    first = opened(tmp_path)
    file_id, other = begun(first), begun(first)
    first.close()

    second = opened(tmp_path)
    with second.resume(file_id) as file:
        assert (file.segments, file.size) == (1, 3)
    assert second.drop(other) == 1
    second.close()


@pytest.mark.parametrize("kind", ["part", "journal"])
def test_a_file_of_which_too_little_is_left_is_unknown(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"dxlft-one.{kind}").touch()
    working = opened(tmp_path)
    with pytest.raises(UnknownFileError):
        working.drop("one")
    assert left_in(tmp_path) == set()
    working.close()


def test_a_file_is_read_again_only_once(tmp_path: Path, mocker: MockerFixture) -> None:
    first = opened(tmp_path)
    file_id = begun(first)
    first.close()
    second = opened(tmp_path)
    reopen = mocker.spy(opening, "reopen")
    for _ in range(3):
        with second.resume(file_id):
            pass
    second.close()
    assert reopen.call_count == 1


def test_a_second_user_in_one_process_is_refused(working: WorkingDirectory, tmp_path: Path) -> None:
    with pytest.raises(WorkingDirectoryInUseError, match=str(tmp_path)):
        opened(tmp_path)
    with ThreadPoolExecutor(1) as pool, pytest.raises(WorkingDirectoryInUseError):
        pool.submit(opened, tmp_path).result(10)


def test_a_second_process_is_refused(working: WorkingDirectory, tmp_path: Path) -> None:
    program = """
import sys
from dxlfiletransferclient import FileStoreManager
FileStoreManager(sys.argv[1], sys.argv[2])
"""
    storage = tmp_path / "storage"
    started = subprocess.run(
        [sys.executable, "-c", program, str(storage), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert started.returncode != 0
    assert "WorkingDirectoryInUseError" in started.stderr
    assert str(tmp_path) in started.stderr


def test_a_closed_directory_can_be_used_again(tmp_path: Path) -> None:
    before = open_descriptors()
    for _ in range(3):
        working = opened(tmp_path)
        working.close()
        working.close()
    assert open_descriptors() == before


def test_a_forgotten_user_lets_go(tmp_path: Path) -> None:
    before = open_descriptors()
    working = opened(tmp_path)
    begun(working)
    del working
    assert open_descriptors() == before
    opened(tmp_path).close()


def test_a_directory_that_cannot_be_read_is_not_locked(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch.object(working_module, "open_directory", side_effect=PermissionError("no"))
    with pytest.raises(PermissionError):
        opened(tmp_path)
    mocker.stopall()
    opened(tmp_path).close()


def test_a_closed_directory_takes_nothing(tmp_path: Path) -> None:
    working = opened(tmp_path)
    file_id = begun(working)
    working.close()
    with pytest.raises(StoreClosedError), working.begin():
        pytest.fail("it is closed")
    with pytest.raises(StoreClosedError), working.resume(file_id):
        pytest.fail("it is closed")
    with pytest.raises(StoreClosedError):
        working.drop(file_id)
    with pytest.raises(StoreClosedError):
        working.expire(NOW)


def test_closing_waits_for_running_requests(tmp_path: Path) -> None:
    working = opened(tmp_path)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with working.begin() as file:
            held.set()
            assert go_on.wait(10)
            file.append(b"abc", NOW)

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(hold)
        assert held.wait(10)
        closing = pool.submit(working.close)
        with pytest.raises(WorkingDirectoryInUseError):
            opened(tmp_path)
        go_on.set()
        writing.result(10)
        closing.result(10)
    opened(tmp_path).close()


def test_closing_gives_up_on_a_request_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "CLOSE_TIMEOUT", 0.01)
    working = opened(tmp_path)
    with working.begin():
        with pytest.raises(TimeoutError, match="1 requests"):
            working.close()
        with pytest.raises(WorkingDirectoryInUseError):
            opened(tmp_path)
    working.close()


def test_the_number_of_files_is_bounded(
    working: WorkingDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "MAX_PARTIAL_FILES", 3)
    files = [begun(working) for _ in range(3)]
    with pytest.raises(StorageError, match="too many files"), working.begin():
        pytest.fail("one too many")
    assert len(left_in(tmp_path)) == 6
    working.drop(files[0])
    begun(working)


def test_a_file_that_cannot_begin_takes_no_place(
    working: WorkingDirectory, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    monkeypatch.setattr(places_module, "MAX_PARTIAL_FILES", 1)
    mocker.patch.object(opening, "create", side_effect=PermissionError("no"))
    with pytest.raises(PermissionError), working.begin():
        pytest.fail("there is no file")
    mocker.stopall()
    begun(working)


def test_one_thread_at_a_time_holds_a_file(working: WorkingDirectory) -> None:
    file_id = begun(working, b"")
    holders = 0

    def append(_number: int) -> None:
        nonlocal holders
        with working.resume(file_id) as file:
            holders += 1
            assert holders == 1
            file.append(b"x", NOW)
            holders -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(50), timeout=30))
    assert working.drop(file_id) == 51


def test_a_file_that_is_busy_for_too_long(
    working: WorkingDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "TURN_TIMEOUT", 0.01)
    with (
        working.begin() as file,
        pytest.raises(StorageError, match="busy"),
        working.resume(file.file_id),
    ):
        pytest.fail("it is held already")


class Announcing:
    """A lock that says when somebody is about to wait for it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.awaited = threading.Event()

    def acquire(self, *, timeout: float) -> bool:
        self.awaited.set()
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()


def announced(working: WorkingDirectory, file_id: str) -> threading.Event:
    """Return an event that is set once a thread waits for a file that is held."""
    place = working._places.known(file_id)
    announcing = Announcing(place.lock)
    place.lock = cast("threading.Lock", announcing)
    return announcing.awaited


def test_a_cancel_waits_for_the_segment_that_is_written(
    working: WorkingDirectory, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with working.begin() as file:
            awaited = announced(working, file.file_id)
            drop = pool.submit(working.drop, file.file_id)
            assert awaited.wait(10)
            file.append(b"abc", NOW)
        assert drop.result(10) == 1
    assert left_in(tmp_path) == set()


def test_a_segment_that_waited_for_a_file_that_was_dropped(
    working: WorkingDirectory, tmp_path: Path
) -> None:
    def resume(file_id: str) -> int:
        with working.resume(file_id) as file:
            return file.segments

    with ThreadPoolExecutor(1) as pool:
        with working.begin() as file:
            awaited = announced(working, file.file_id)
            late = pool.submit(resume, file.file_id)
            assert awaited.wait(10)
            working.forget(file.file_id)
        with pytest.raises(UnknownFileError):
            late.result(10)

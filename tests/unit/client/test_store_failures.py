"""Disks that are full, directories that cannot be written to: the store says so and goes on."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient import (
    FileStoreManager,
    StorageError,
    UnknownFileError,
)
from tests.unit.client.fabric import last_request, left_in, request_of

NO_SPACE = os.strerror(errno.ENOSPC)


def full(mocker: MockerFixture, calls_before: int = 0) -> None:
    """Let writes fail, after some that work, as on a disk that is full."""
    real, left = os.pwrite, calls_before

    def write(descriptor: int, data: Any, offset: int) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, NO_SPACE, "/srv/secret/path")
        left -= 1
        return real(descriptor, data, offset)

    mocker.patch("os.pwrite", write)


@pytest.mark.parametrize("calls_before", [0, 1, 2], ids=["header", "bytes", "record"])
def test_a_full_disk_in_the_first_request(
    store: FileStoreManager,
    storage_dir: Path,
    working_dir: Path,
    mocker: MockerFixture,
    calls_before: int,
) -> None:
    full(mocker, calls_before)

    with pytest.raises(OSError, match="cannot store 'a': ") as raised:
        store.store_segment(last_request("a", b"abc", b"abc"))
    mocker.stopall()

    assert isinstance(raised.value, StorageError)
    assert raised.value.errno == errno.ENOSPC
    assert str(raised.value) == f"cannot store 'a': {NO_SPACE}"
    assert left_in(working_dir) == set()
    store.store_segment(last_request("a", b"abc", b"abc"))
    assert (storage_dir / "a").read_bytes() == b"abc"


def test_a_full_disk_in_the_middle(
    store: FileStoreManager, working_dir: Path, mocker: MockerFixture
) -> None:
    file_id = store.store_segment(request_of(b"abc", segment_number="1")).file_id
    other = store.store_segment(request_of(b"abc", segment_number="1")).file_id
    full(mocker)

    with pytest.raises(OSError, match=f"cannot store segment 2 of file '{file_id}': {NO_SPACE}"):
        store.store_segment(request_of(b"de", segment_number="2", file_id=file_id))
    mocker.stopall()

    assert not any(file_id in name for name in left_in(working_dir))
    with pytest.raises(UnknownFileError):
        store.store_segment(request_of(b"de", segment_number="2", file_id=file_id))
    store.store_segment(request_of(b"de", segment_number="2", file_id=other))


@pytest.mark.parametrize("step", ["os.fsync", "os.rename"])
def test_a_failure_while_publishing_keeps_the_older_file(
    store: FileStoreManager,
    storage_dir: Path,
    working_dir: Path,
    mocker: MockerFixture,
    step: str,
) -> None:
    (storage_dir / "a").write_bytes(b"old")
    mocker.patch(step, side_effect=OSError(errno.EIO, os.strerror(errno.EIO), "/srv/secret"))

    with pytest.raises(OSError, match=f"^cannot store 'a': {os.strerror(errno.EIO)}$"):
        store.store_segment(last_request("a", b"new", b"new"))
    mocker.stopall()

    assert (storage_dir / "a").read_bytes() == b"old"
    assert left_in(working_dir) == set()


def test_a_name_on_another_file_system(
    store: FileStoreManager, working_dir: Path, mocker: MockerFixture
) -> None:
    mocker.patch("os.rename", side_effect=OSError(errno.EXDEV, "Invalid cross-device link"))
    with pytest.raises(OSError, match="'mounted/a': its directory is on another file system"):
        store.store_segment(last_request("mounted/a", b"new", b"new"))
    mocker.stopall()
    assert left_in(working_dir) == set()


def test_files_under_way_that_somebody_removed(store: FileStoreManager, working_dir: Path) -> None:
    file_id = store.store_segment(request_of(b"abc", segment_number="1")).file_id
    for name in left_in(working_dir):
        (working_dir / name).unlink()
    with pytest.raises(OSError, match="cannot store 'a'") as raised:
        store.store_segment(last_request("a", b"abcde", b"de", 2, file_id))
    assert str(working_dir) not in str(raised.value)
    with pytest.raises(UnknownFileError):
        store.store_segment(request_of(b"de", segment_number="2", file_id=file_id))


def test_a_file_from_before_that_cannot_be_read(storage_dir: Path, mocker: MockerFixture) -> None:
    with FileStoreManager(storage_dir) as before:
        file_id = before.store_segment(request_of(b"abc", segment_number="1")).file_id
    with FileStoreManager(storage_dir) as after:
        mocker.patch("os.pread", side_effect=OSError(errno.EIO, os.strerror(errno.EIO)))
        with pytest.raises(OSError, match="cannot store segment 2"):
            after.store_segment(request_of(b"de", segment_number="2", file_id=file_id))
        mocker.stopall()
        after.store_segment(request_of(b"de", segment_number="2", file_id=file_id))


def test_an_interrupt_leaves_nothing(
    store: FileStoreManager, working_dir: Path, mocker: MockerFixture
) -> None:
    mocker.patch("os.pwrite", side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        store.store_segment(request_of(b"abc", segment_number="1"))
    mocker.stopall()
    assert left_in(working_dir) == set()


def test_directories_are_made(tmp_path: Path) -> None:
    storage, working = tmp_path / "a" / "b", tmp_path / "c" / "d"
    FileStoreManager(storage, working).close()
    assert storage.is_dir()
    assert working.is_dir()


def test_a_storage_directory_that_cannot_be_made(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(
        Path, "mkdir", side_effect=PermissionError(errno.EACCES, "Permission denied")
    )
    with pytest.raises(PermissionError, match="storage directory cannot be made") as raised:
        FileStoreManager(tmp_path / "s")
    assert str(tmp_path / "s") in str(raised.value)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_storage_directory_that_cannot_be_written_to(
    tmp_path: Path, mocker: MockerFixture, code: int
) -> None:
    mocker.patch("tempfile.TemporaryFile", side_effect=OSError(code, os.strerror(code)))
    with pytest.raises(PermissionError, match="written to") as raised:
        FileStoreManager(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert os.strerror(code) in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_storage_directory_without_write_permission(tmp_path: Path) -> None:
    storage = tmp_path / "s"
    storage.mkdir(0o555)
    with pytest.raises(PermissionError, match="storage directory"):
        FileStoreManager(storage, tmp_path / "w")


@pytest.mark.parametrize("below", ["", "s"])
def test_a_file_where_the_storage_directory_should_be(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="storage directory"):
        FileStoreManager(tmp_path / "file" / below)


def test_one_directory_for_both(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for working in (tmp_path, tmp_path / "link", tmp_path / "a" / ".."):
        with pytest.raises(ValueError, match="must not be the storage directory"):
            FileStoreManager(tmp_path, working)


def test_a_working_directory_on_another_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system to write to")
    working = other / f"dxlft-test-{os.getpid()}"
    try:
        with pytest.raises(ValueError, match="another file system"):
            FileStoreManager(tmp_path, working)
    finally:
        working.rmdir()


@pytest.mark.parametrize("lifetime", [0, -1, float("nan")])
def test_a_lifetime_out_of_range(tmp_path: Path, lifetime: float) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        FileStoreManager(tmp_path / "s", partial_lifetime=lifetime)
    assert not (tmp_path / "s").exists()

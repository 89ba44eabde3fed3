import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage import flushing
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.flushing import ALL_AT_ONCE, FileSystem, Flusher
from tests.unit.client.fabric import open_descriptors

MANY = [f"f{number}" for number in range(ALL_AT_ONCE)]


class SyncFs:
    """Stands in for the system's call."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.descriptors: list[int] = []

    def __call__(self, descriptor: int) -> int:
        os.fstat(descriptor)
        self.descriptors.append(descriptor)
        ctypes.set_errno(self.number)
        return -1 if self.number else 0


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    for name in MANY:
        (tmp_path / name).write_bytes(b"x")
    with open_directory(tmp_path) as opened:
        yield opened


@pytest.fixture
def flushed(mocker: MockerFixture) -> list[str]:
    """The names of the files that are flushed one by one."""
    found: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    mocker.patch("os.fsync", fsync)
    return found


def system(mocker: MockerFixture, syncfs: SyncFs | None) -> FileSystem:
    mocker.patch.object(flushing, "_syncfs", return_value=syncfs)
    return FileSystem()


def test_many_files_are_flushed_at_once(
    directory: Directory, flushed: list[str], mocker: MockerFixture
) -> None:
    syncfs = SyncFs()
    before = open_descriptors()
    with Flusher(directory, system(mocker, syncfs)) as flusher:
        flusher.files(directory, MANY)

    assert len(syncfs.descriptors) == 1
    assert flushed == []
    assert open_descriptors() == before


def test_few_files_do_not_wait_for_what_others_write(
    directory: Directory, flushed: list[str], mocker: MockerFixture
) -> None:
    syncfs = SyncFs()
    with Flusher(directory, system(mocker, syncfs)) as flusher:
        flusher.files(directory, MANY[1:])
        flusher.files(directory, MANY[:1])
        flusher.files(directory, [])

    assert syncfs.descriptors == []
    assert sorted(flushed) == sorted(MANY)


def test_without_the_call_each_file_is_flushed(
    directory: Directory, flushed: list[str], mocker: MockerFixture
) -> None:
    with Flusher(directory, system(mocker, None)) as flusher:
        flusher.files(directory, MANY)

    assert sorted(flushed) == sorted(MANY)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_a_call_that_is_not_offered_is_not_made_again(
    directory: Directory, flushed: list[str], mocker: MockerFixture, number: int
) -> None:
    syncfs = SyncFs(number)
    file_system = system(mocker, syncfs)
    for _ in range(2):
        with Flusher(directory, file_system) as flusher:
            flusher.files(directory, MANY)

    assert len(syncfs.descriptors) == 1
    assert sorted(flushed) == sorted(MANY * 2)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_what_cannot_be_written_is_told(
    directory: Directory, flushed: list[str], mocker: MockerFixture, number: int
) -> None:
    with (
        Flusher(directory, system(mocker, SyncFs(number))) as flusher,
        pytest.raises(OSError, match=os.strerror(number)) as raised,
    ):
        flusher.files(directory, MANY)

    assert raised.value.errno == number
    assert flushed == []


def test_one_of_many_files_that_cannot_be_flushed_is_told(
    directory: Directory, mocker: MockerFixture
) -> None:
    with (
        Flusher(directory, system(mocker, None)) as flusher,
        pytest.raises(FileNotFoundError),
    ):
        flusher.files(directory, [*MANY, "absent"])


def test_the_real_call(directory: Directory) -> None:
    with Flusher(directory, FileSystem()) as flusher:
        flusher.files(directory, MANY)
        done = flusher.everything()
        flusher.close()
        assert not flusher.everything()
    assert done == (flushing._syncfs() is not None)


def test_paths_alone_are_flushed_one_by_one(
    directory: Directory, flushed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    with open_directory(tmp_path) as paths, Flusher(paths, FileSystem()) as flusher:
        assert not flusher.everything()
        flusher.files(paths, MANY)
    assert sorted(flushed) == sorted(MANY)


@pytest.mark.parametrize(
    ("name", "release", "reports"),
    [
        ("Linux", "6.18.44-fc", True),
        ("Linux", "5.8.0", True),
        ("Linux", "5.7.19-generic", False),
        ("Linux", "4.18.0-553.el8_10.x86_64", False),
        ("Linux", "strange", False),
        ("Darwin", "23.1.0", False),
        ("Windows", "10", False),
    ],
)
def test_systems_that_tell_what_could_not_be_written(
    name: str, release: str, reports: bool
) -> None:
    assert flushing._reports_failures(name, release) == reports

"""Files opened for sending: what is read, hashed, and noticed."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import SourceChangedError
from dxlfiletransferclient.sending.source import FileSource, read_small
from tests.unit.client.fabric import open_descriptors, sha256

CONTENT = bytes(number % 251 for number in range(1000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def source(path: Path) -> Iterator[FileSource]:
    source = FileSource(str(path))
    yield source
    source.close()


def later(path: Path) -> None:
    """Give a file a later modification time: the clock of the file system may be too coarse."""
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


def test_what_a_source_tells(path: Path) -> None:
    path.chmod(0o755)
    source = FileSource(str(path))
    status = path.stat()
    assert (source.size, source.available, source.modified_ns) == (1000, 1000, status.st_mtime_ns)
    assert source.identity == (status.st_dev, status.st_ino)
    assert source.executable
    assert not source.full
    assert not source.pressed
    assert source.extend(400) == 400
    assert source.extend(4000) == 1000
    source.close()
    source.close()


def test_bytes_are_hashed_as_they_are_read_in_order(
    source: FileSource, mocker: MockerFixture
) -> None:
    read = mocker.spy(os, "pread")
    assert source.read(0, 400) == CONTENT[:400]
    assert source.read(400, 1000) == CONTENT[400:]
    assert source.hash_up_to(1000)
    assert read.call_count == 2, "each byte is read once"
    assert source.finish() == sha256(CONTENT)


def test_bytes_that_are_read_again_are_not_hashed_again(source: FileSource) -> None:
    source.read(0, 500)
    source.read(0, 400)
    source.read(300, 1000)
    assert source.finish() == sha256(CONTENT)


def test_bytes_that_are_not_sent_are_hashed_in_steps(
    source: FileSource, mocker: MockerFixture
) -> None:
    mocker.patch("dxlfiletransferclient.sending.source.HASH_STEP", 300)
    assert source.read(600, 1000) == CONTENT[600:]
    assert [source.hash_up_to(600), source.hash_up_to(600)] == [False, True]
    assert [source.hash_up_to(1000) for _ in range(2)] == [False, True]
    assert source.finish() == sha256(CONTENT)


def test_a_new_beginning_hashes_anew(source: FileSource) -> None:
    source.read(0, 700)
    assert source.restart()
    source.read(0, 1000)
    assert source.finish() == sha256(CONTENT)


def test_reads_that_return_less(source: FileSource, mocker: MockerFixture) -> None:
    real = os.pread

    def pread(descriptor: int, count: int, offset: int) -> bytes:
        return real(descriptor, min(count, 7), offset)

    mocker.patch("dxlfiletransferclient.sending.source.os.pread", pread)
    assert source.read(3, 900) == CONTENT[3:900]


def shrink(path: Path) -> None:
    os.truncate(path, 12)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])
    later(path)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(CONTENT)
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shrink, "had 1000 bytes when sending began, and has 12 now"),
        (grow, "had 1000 bytes when sending began, and has 1004 now"),
        (rewrite, "was written to"),
        (replace, "was replaced"),
        (remove, "was removed"),
    ],
)
def test_changes_are_noticed_at_the_end(
    source: FileSource, path: Path, change: Callable[[Path], None], message: str
) -> None:
    source.read(0, 1000)
    change(path)
    with pytest.raises(SourceChangedError, match=message) as raised:
        source.finish()
    assert str(path) in str(raised.value)


def test_a_file_that_shrinks_is_noticed_when_it_is_read(source: FileSource, path: Path) -> None:
    shrink(path)
    with pytest.raises(SourceChangedError, match="ended after 12 bytes, before its size of 1000"):
        source.read(0, 100)


def test_holes_are_zeros(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(5000)
        file.write(b"end")
    source = FileSource(str(path))
    assert source.read(0, source.size) == bytes(5000) + b"end"
    assert source.finish() == sha256(bytes(5000) + b"end")
    source.close()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(IsADirectoryError):
        FileSource(str(tmp_path))
    with pytest.raises(IsADirectoryError):
        read_small(str(tmp_path), 10)
    assert open_descriptors() == before


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceChangedError, match="no regular file"):
        FileSource(str(tmp_path / "pipe"))


def test_a_small_file(path: Path) -> None:
    path.chmod(0o744)
    found = read_small(str(path), 1000)
    assert found is not None
    assert hashlib.sha256(found.content).digest() == hashlib.sha256(CONTENT).digest()
    assert (found.modified_ns, found.executable) == (path.stat().st_mtime_ns, True)


def test_a_file_that_is_not_small_any_more(path: Path) -> None:
    before = open_descriptors()
    assert read_small(str(path), 999) is None
    assert open_descriptors() == before


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e").touch()
    found = read_small(str(tmp_path / "e"), 0)
    assert found is not None
    assert found.content == b""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shrink, "has 12 now"),
        (grow, "has 1004 now"),
        (rewrite, "was written to"),
    ],
)
def test_a_small_file_that_changes_while_it_is_read(
    path: Path, mocker: MockerFixture, change: Callable[[Path], None], message: str
) -> None:
    real = os.read
    changed: list[bool] = []

    def read(descriptor: int, count: int) -> bytes:
        if not changed:
            changed.append(True)
            data = real(descriptor, 100)
            change(path)
            return data
        return real(descriptor, count)

    mocker.patch("dxlfiletransferclient.sending.source.os.read", read)
    with pytest.raises(SourceChangedError, match=message):
        read_small(str(path), 2000)


def test_a_file_that_claims_to_be_empty_and_is_not(path: Path, mocker: MockerFixture) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = list(real(descriptor))
        status[6] = 0
        return os.stat_result(status)

    mocker.patch("dxlfiletransferclient.sending.source.os.fstat", fstat)
    with pytest.raises(SourceChangedError, match="more than the 0 bytes"):
        read_small(str(path), 2000)
    source = FileSource(str(path))
    with pytest.raises(SourceChangedError, match="more than the 0 bytes"):
        source.finish()
    source.close()


def test_a_file_that_claims_more_than_it_holds(path: Path, mocker: MockerFixture) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = list(real(descriptor))
        status[6] = 4096
        return os.stat_result(status)

    mocker.patch("dxlfiletransferclient.sending.source.os.fstat", fstat)
    with pytest.raises(SourceChangedError, match="ended after 1000 bytes"):
        read_small(str(path), 5000)

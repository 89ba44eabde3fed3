import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Directory, open_directory
from tests.unit.client.fabric import open_descriptors


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with open_directory(tmp_path) as directory:
        yield directory


def test_a_file_stays_open(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    descriptors = Descriptors(directory)
    with descriptors.use("a") as first:
        assert os.pread(first, 10, 0) == b"abc"
    with descriptors.use("a") as second:
        assert second == first
    descriptors.close()


def test_only_so_many_stay_open(directory: Directory) -> None:
    before = open_descriptors()
    descriptors = Descriptors(directory, idle=3)
    for number in range(20):
        descriptors.create(str(number))
        with descriptors.use(str(number)):
            assert open_descriptors() - before <= 4
    assert open_descriptors() - before == 3
    descriptors.close()
    assert open_descriptors() == before


def test_the_one_used_longest_ago_is_closed(directory: Directory) -> None:
    descriptors = Descriptors(directory, idle=2)
    for name in "ab":
        descriptors.create(name)
    with descriptors.use("a") as kept:
        pass
    descriptors.create("c")
    with descriptors.use("a") as again:
        assert again == kept
    assert set(descriptors._open) == {"a", "c"}


def test_what_is_in_use_is_not_closed(directory: Directory) -> None:
    descriptors = Descriptors(directory, idle=1)
    for name in "abc":
        descriptors.create(name)
    with descriptors.use("a") as first, descriptors.use("b") as second:
        with descriptors.use("c"):
            pass
        for each in (first, second):
            assert os.pread(each, 1, 0) == b""


def test_a_forgotten_file_is_closed_once_nobody_uses_it(directory: Directory) -> None:
    before = open_descriptors()
    descriptors = Descriptors(directory)
    descriptors.create("a")
    with descriptors.use("a") as old:
        descriptors.forget("a")
        directory.unlink("a")
        descriptors.create("a")
        os.pwrite(old, b"old", 0)
        with descriptors.use("a") as new:
            assert os.pread(new, 3, 0) == b""
    del old
    descriptors.forget("a")
    descriptors.forget("unknown")
    assert open_descriptors() == before


def test_a_file_that_is_not_there(directory: Directory) -> None:
    with pytest.raises(FileNotFoundError), Descriptors(directory).use("a"):
        pytest.fail("there is no such file")


def test_a_name_is_made_once(directory: Directory) -> None:
    descriptors = Descriptors(directory)
    descriptors.create("a")
    with pytest.raises(FileExistsError):
        descriptors.create("a")


def test_whoever_forgets_them_closes_them(directory: Directory) -> None:
    before = open_descriptors()
    descriptors = Descriptors(directory)
    descriptors.create("a")
    del descriptors
    assert open_descriptors() == before


def test_many_threads(directory: Directory) -> None:
    before = open_descriptors()
    descriptors = Descriptors(directory, idle=2)
    for number in range(8):
        descriptors.create(str(number))

    def work(number: int) -> None:
        for turn in range(50):
            with descriptors.use(str((number + turn) % 8)) as descriptor:
                os.pwrite(descriptor, b"x", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=60))
    for number in range(8):
        with descriptors.use(str(number)) as descriptor:
            assert os.pread(descriptor, 10, 0) == b"x" * 8
    descriptors.close()
    assert open_descriptors() == before

"""Removing files, links and directories."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import RemoveAnswer, RemoveRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.quotas import Quota, QuotaLimits
from tests.unit.client.cataloguing import PLENTY, Opened, directory, file, link, opened, refused
from tests.unit.client.fabric import open_descriptors


def remove(files: Opened, name: str, *, recursive: bool = False) -> RemoveAnswer:
    return files.catalogue.remove(RemoveRequest(name=name, recursive=recursive))


def remove_all(files: Opened, name: str) -> list[int]:
    """Remove a directory step by step, and return how many things each step removed."""
    steps = []
    more = True
    while more:
        answer = remove(files, name, recursive=True)
        steps.append(answer.removed)
        more = answer.more
    return steps


def test_files_links_and_empty_directories(files: Opened, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"safe")
    files.put(file("a"), file("d/b"), directory("e"), link("l", "d"))
    (files.root / "out").symlink_to(tmp_path)
    before = open_descriptors()

    for name in ("a", "d/b", "e", "l", "out"):
        assert remove(files, name) == RemoveAnswer(removed=1)

    assert files.names() == ["d"]
    assert (tmp_path / "victim").read_bytes() == b"safe"
    assert open_descriptors() == before


def test_what_is_not_removed(files: Opened, tmp_path: Path) -> None:
    files.put(file("d/a"), file("f"))
    (files.root / "out").symlink_to(tmp_path)

    with refused(ErrorCode.NOT_EMPTY, "'d' is not empty: remove it recursively"):
        remove(files, "d")
    for name in ("absent", "absent/x", "f/x", "out/storage"):
        for recursive in (False, True):
            with refused(ErrorCode.NOT_FOUND):
                remove(files, name, recursive=recursive)
    for name in ("", ".", "..", "d/..", "/", ".workdir", ".workdir/.lock"):
        for recursive in (False, True):
            with refused(ErrorCode.UNSAFE_NAME):
                remove(files, name, recursive=recursive)
    assert files.names() == ["d", "d/a", "f", "out"]
    assert (tmp_path / "storage").exists()


def test_a_directory_with_everything_in_it(files: Opened, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"safe")
    files.put(
        *(file(f"d/{a}/{b}") for a in "xyz" for b in "12"),
        directory("d/empty"),
        link("d/l", "x"),
        file("d-"),
        file("e"),
    )
    (files.root / "d" / "out").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(files.root) + b"/d/x/bad\xff")).touch()
    os.mkfifo(files.root / "d" / "pipe")

    assert remove(files, "d", recursive=True) == RemoveAnswer(removed=6 + 3 + 1 + 1 + 1 + 1 + 1 + 1)

    assert files.names() == ["d-", "e"]
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_large_directories_go_in_steps(files: Opened, step: int) -> None:
    files.put(*(file(f"d/{a}/{b}/{c}") for a in "xy" for b in "12" for c in "ab"), file("e"))
    files.catalogue._remover._step = step

    steps = remove_all(files, "d")

    assert sum(steps) == 8 + 4 + 2 + 1
    assert max(steps) <= step
    assert files.names() == ["e"]


def test_deep_directories(files: Opened) -> None:
    files.put(file("/".join(["d"] * 200)))
    assert remove_all(files, "d") == [200]
    assert files.names() == []


def test_the_working_directory_stays_with_what_it_is_in(tmp_path: Path) -> None:
    inner = tmp_path / "storage" / "x" / "work"
    with opened(tmp_path, working=inner) as files:
        files.put(file("x/a"), file("x/y/b"))
        for recursive in (False, True):
            with refused(ErrorCode.UNSAFE_NAME, "working directory"):
                remove(files, "x", recursive=recursive)
        assert files.names() == ["x", "x/a", "x/y", "x/y/b"]
        assert remove_all(files, "x/y") == [2]
        assert inner.is_dir()


def test_what_comes_in_meanwhile_is_looked_for_again(files: Opened, mocker: MockerFixture) -> None:
    files.put(file("d/a"))
    real = type(files.working).rmdir
    calls: list[str] = []

    def rmdir(self: object, name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            (files.root / "d" / "new").touch()
        real(self, name)  # type: ignore[arg-type]

    mocker.patch.object(type(files.working), "rmdir", rmdir)
    assert remove(files, "d", recursive=True) == RemoveAnswer(removed=1, more=True)
    assert remove(files, "d", recursive=True) == RemoveAnswer(removed=2)


def test_a_directory_that_is_never_empty_is_told(files: Opened, mocker: MockerFixture) -> None:
    files.put(directory("d"))
    error = OSError(errno.ENOTEMPTY, "Directory not empty")
    mocker.patch.object(type(files.working), "rmdir", side_effect=error)
    with refused(ErrorCode.NOT_EMPTY, "others are storing"):
        remove(files, "d", recursive=True)


def test_two_requests_for_the_same_directory(files: Opened) -> None:
    """A request that is sent again while the first one is being carried out."""
    files.put(*(file(f"d/{number % 10}/{number}") for number in range(400)))

    def run(_number: int) -> int:
        try:
            return sum(remove_all(files, "d"))
        except RefusedError as error:
            return -error.code

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))

    assert files.names() == []
    assert max(results) > 0
    assert all(result >= 0 or result == -ErrorCode.NOT_FOUND for result in results)


def test_a_disk_that_fails(files: Opened, mocker: MockerFixture) -> None:
    files.put(file("d/a"))
    error = OSError(errno.EACCES, "Permission denied", "/secret")
    mocker.patch.object(type(files.working), "unlink", side_effect=error)
    for name in ("d/a", "d"):
        with refused(ErrorCode.STORAGE_FAILED, f"^cannot remove '{name}': Permission denied$"):
            remove(files, name, recursive=True)
    assert files.names() == ["d", "d/a"]


def test_names_are_flushed(tmp_path: Path, mocker: MockerFixture) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    with opened(tmp_path) as files:
        files.put(file("d/a"), file("e/f/b"), file("e/f/c"))
        mocker.patch("os.fsync", fsync)
        remove(files, "d/a")
        assert flushed == ["d"]
        flushed.clear()
        files.catalogue._remover._step = 1
        remove(files, "e", recursive=True)
        assert flushed == ["f"]
        flushed.clear()
        files.catalogue._remover._step = 10
        remove(files, "e", recursive=True)
        assert flushed == ["storage"]


def test_the_quota_gets_its_bytes_back(tmp_path: Path) -> None:
    quota = Quota(QuotaLimits(total_bytes=100), free=lambda: PLENTY, used=lambda: 0)
    with opened(tmp_path, quota=quota) as files:
        files.put(file("a", b"x" * 50), file("d/b", b"x" * 30), file("d/c", b"x" * 20))
        with refused(ErrorCode.QUOTA):
            quota.reserve("x", 1)
        remove(files, "a")
        quota.reserve("x", 50)
        remove(files, "d", recursive=True)
        quota.reserve("x", 100)


def test_what_is_replaced_and_removed_at_the_same_time_counts_once(tmp_path: Path) -> None:
    quota = Quota(
        QuotaLimits(total_bytes=PLENTY),
        free=lambda: 2 * PLENTY,
        used=lambda: 0,
        clock=lambda: 1000.0,
    )
    with opened(tmp_path, quota=quota) as files:

        def work(number: int) -> None:
            for turn in range(60):
                if (number + turn) % 2:
                    files.put(file("a", b"x" * (1000 * number + turn)))
                else:
                    with suppress(RefusedError):
                        remove(files, "a")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        files.put(file("a", b"x" * 100))
    quota.reserve("exactly", PLENTY - 100)
    with pytest.raises(RefusedError):
        quota.reserve("more", 1)

"""The part file: bytes at their places, checkpoints, and what a crash leaves."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.digests import RunningSha256
from dxlfiletransferclient.receiving import partfile
from dxlfiletransferclient.receiving.errors import TargetError, TargetInUseError
from dxlfiletransferclient.receiving.part import (
    Part,
    Place,
    is_reserved,
    journal_name,
    link_name,
    part_id,
)
from dxlfiletransferclient.receiving.partfile import PartFile
from dxlfiletransferclient.storage.directory import open_directory
from tests.unit.client.receiving import Inline, content_of, nothing_stays_open, sha256

MODULE = partfile.__name__
SIZE = 1000
CONTENT = content_of(SIZE)
ID = part_id("topic", "name", "file")


def opened(
    directory: Path,
    *,
    version: str = "1",
    size: int = SIZE,
    flusher: Executor | None = None,
    checkpoint_bytes: int = 10**9,
) -> PartFile:
    return PartFile(
        Place(open_directory(directory), "file", directory / "file"),
        ID,
        "name",
        version,
        size,
        flusher=flusher or Inline(),
        checkpoint_bytes=checkpoint_bytes,
        checkpoint_seconds=2.0,
    )


def write(file: PartFile, *ranges: tuple[int, int]) -> None:
    for start, end in ranges:
        file.write(start, CONTENT[start:end])


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with nothing_stays_open():
        yield


def test_in_order(tmp_path: Path, mocker: MockerFixture) -> None:
    read = mocker.spy(Part, "read")
    file = opened(tmp_path)
    write(file, (0, 400), (400, 1000))

    assert (file.complete, file.behind, file.sha256) == (True, False, sha256(CONTENT))
    assert read.call_count == 0
    file.discard()
    assert list(tmp_path.iterdir()) == []


def test_out_of_order(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (600, 1000), (200, 600))
    assert (file.behind, file.sha256, file.complete) == (False, None, False)
    write(file, (0, 200))

    assert (file.complete, file.behind, file.sha256) == (True, True, None)
    file.hash_some()
    assert (file.behind, file.sha256) == (False, sha256(CONTENT))
    file.close()


def test_nothing_at_all(tmp_path: Path) -> None:
    file = opened(tmp_path, size=0)

    assert (file.complete, file.sha256) == (True, sha256(b""))
    file.close()


def test_closing_makes_it_safe(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (0, 400), (600, 700))
    file.close()
    file.close()

    again = opened(tmp_path)
    assert (again.held.ranges, again.resumed) == (((0, 400), (600, 700)), 500)
    write(again, (400, 600), (700, 1000))
    again.hash_some()
    assert again.sha256 == sha256(CONTENT)
    again.close()


def test_checkpoints_by_bytes_and_by_time(tmp_path: Path) -> None:
    file = opened(tmp_path, checkpoint_bytes=300)

    def durable_at(now: float) -> int:
        # The first call begins a checkpoint that is due, the second one learns that it is done.
        file.keep_safe(now)
        file.keep_safe(now)
        return file.durable

    write(file, (0, 299))
    assert durable_at(10.0) == 0
    write(file, (299, 300))
    assert durable_at(10.5) == 300
    write(file, (300, 310))
    assert durable_at(12.4) == 300
    assert durable_at(12.5) == 310
    file.close()


def test_nothing_new_needs_no_checkpoint(tmp_path: Path, mocker: MockerFixture) -> None:
    file = opened(tmp_path)
    sync = mocker.patch(f"{MODULE}.sync_data")
    file.keep_safe(0.0)
    file.keep_safe(100.0)

    assert sync.call_count == 0
    file.close()


def test_bytes_are_flushed_before_the_checkpoint_that_tells_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path)
    order = []
    journal = tmp_path / journal_name(ID)

    def sync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().suffix
        order.append((name, journal.stat().st_size > 0))

    monkeypatch.setattr(f"{MODULE}.sync_data", sync)
    write(file, (0, 100))
    file.checkpoint()

    assert order == [(".part", False), (".journal", True)]
    file.close()


def test_a_checkpoint_that_fails_is_heard_of(tmp_path: Path, mocker: MockerFixture) -> None:
    file = opened(tmp_path)
    failing = mocker.patch(f"{MODULE}.sync_data", side_effect=OSError(5, "broken"))
    write(file, (0, 100))
    file.checkpoint()

    with pytest.raises(TargetError, match=r"cannot write .*file: broken"):
        file.keep_safe(0.0)
    mocker.stop(failing)
    file.close()


def test_a_slow_disk_is_waited_for(tmp_path: Path, mocker: MockerFixture) -> None:
    with ThreadPoolExecutor(1) as flusher:
        file = opened(tmp_path, flusher=flusher, checkpoint_bytes=100)
        sync = mocker.spy(partfile, "sync_data")
        for start in range(0, SIZE, 50):
            write(file, (start, start + 50))
            file.keep_safe(0.0)
            # What is not safe yet is never more than two checkpoints, whatever the thread does.
            assert file.held.total - file.durable <= 200
        file.close()
    assert sync.call_count >= 2


def test_another_version_begins_with_nothing(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (0, 1000))
    file.close()

    again = opened(tmp_path, version="2", size=500)
    assert (again.held.total, again.part.size) == (0, 0)
    again.close()
    # And what was there of the first one does not come back.
    first = opened(tmp_path)
    assert first.held.total == 0
    first.close()


def test_beginning_anew(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (0, 1000))
    file.checkpoint()
    file.begin_anew("2", 600)
    assert (file.held.total, file.version, file.durable) == (0, ("2", 600), 0)
    write(file, (0, 600))

    assert file.sha256 == sha256(CONTENT[:600])
    assert file.release().size == 600
    file.part.close()


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (0, 1000))
    file.close()
    os.truncate(tmp_path / file.part.name, 999)

    again = opened(tmp_path)
    assert again.held.total == 0
    again.close()


def test_a_file_that_is_cut_meanwhile(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (500, 1000), (0, 500))
    os.truncate(tmp_path / file.part.name, 400)

    with pytest.raises(TargetError, match="was cut by somebody"):
        file.hash_some()
    file.close()


def test_a_state_of_another_platform(tmp_path: Path, mocker: MockerFixture) -> None:
    file = opened(tmp_path)
    write(file, (0, 400))
    file.close()
    mocker.patch.object(RunningSha256, "restored", side_effect=ValueError)

    again = opened(tmp_path)
    assert (again.held.total, again.behind) == (400, True)
    write(again, (400, 1000))
    again.hash_some()
    assert again.sha256 == sha256(CONTENT)
    again.close()


def test_two_at_once(tmp_path: Path) -> None:
    file = opened(tmp_path)
    with pytest.raises(TargetInUseError, match="being received by another process"):
        opened(tmp_path)
    file.close()
    opened(tmp_path).close()


def test_somebody_else_s_file(tmp_path: Path) -> None:
    place = Place(open_directory(tmp_path), "file", tmp_path / "file")
    name = f".dxlft-{ID}.part"
    (tmp_path / "theirs").write_bytes(b"")
    (tmp_path / name).hardlink_to(tmp_path / "theirs")

    with pytest.raises(TargetError, match="is somebody else's"):
        Part.opened(place, ID)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("theirs")
    with pytest.raises(TargetError, match="cannot write"):
        Part.opened(place, ID)


def test_a_part_that_gets_its_name_while_it_is_opened(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    place = Place(open_directory(tmp_path), "file", tmp_path / "file")
    first = Part.opened(place, ID)
    first.write(0, b"whole")
    locked: list[int] = []

    def lock(descriptor: int) -> bool:
        if not locked:
            first.rename()
        locked.append(descriptor)
        return True

    mocker.patch("dxlfiletransferclient.receiving.part.try_lock", side_effect=lock)
    second = Part.opened(place, ID)
    second.write(0, b"other")

    assert len(locked) == 2
    assert (tmp_path / "file").read_bytes() == b"whole"
    second.close()


def test_ids() -> None:
    assert part_id("topic", "name", "file") == ID
    others = {
        part_id("x", "name", "file"),
        part_id("topic", "x", "file"),
        part_id("topic", "name", "x"),
    }
    assert len(others | {ID}) == 4
    names = [f".dxlft-{ID}.part", journal_name(ID), link_name(ID), journal_name(ID).upper()]
    assert all(is_reserved(name) for name in names)
    assert not any(is_reserved(name) for name in ["file", ".dxlft-1.part", f"dxlft-{ID}.part", ""])


class Disk:
    """Keeps what is safe of a part file and its journal: what they held when they were flushed."""

    def __init__(self) -> None:
        self.safe: dict[str, bytes] = {}

    def sync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.safe[path.name] = path.read_bytes()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 9), st.integers(1, 4)).map(lambda pair: ("write", *pair)),
        st.just(("checkpoint",)),
        st.just(("hash",)),
        st.just(("reopen",)),
        st.sampled_from([("crash", lost) for lost in ((), (".part",), (".journal", ".part"))]),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
def test_whatever_a_crash_leaves_is_right(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[Any, ...]],
) -> None:
    directory = tmp_path_factory.mktemp("crash")
    disk = Disk()
    monkeypatch.setattr(f"{MODULE}.sync_data", disk.sync)
    file = opened(directory)
    for kind, *arguments in steps:
        if kind == "write":
            first, count = arguments
            write(file, (100 * first, min(SIZE, 100 * (first + count))))
        elif kind == "checkpoint":
            file.checkpoint()
        elif kind == "hash":
            file.hash_some()
        else:
            if kind == "reopen":
                file.close()
            else:
                (lost,) = arguments
                file.part.close()
                file._let_go()
                for path in directory.iterdir():
                    if path.suffix in lost:
                        path.write_bytes(disk.safe.get(path.name, b""))
            file = opened(directory)
        for start, end in file.held.ranges:
            assert file.part.read(start, end - start) == CONTENT[start:end]
    for start, end in file.held.missing(0, SIZE):
        write(file, (start, end))
    file.hash_some()
    assert file.sha256 == sha256(CONTENT)
    file.close()


def test_when_the_next_checkpoint_is_due(tmp_path: Path) -> None:
    file = opened(tmp_path)
    write(file, (0, 10))
    found = [file.safe_at]
    for now in (5.0, 7.0):
        file.keep_safe(now)
        found.append(file.safe_at)

    assert found == [None, 7.0, None]
    file.close()

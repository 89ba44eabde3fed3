"""Giving names to many files: in groups, flushed before and after."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.receiving.errors import TargetError
from dxlfiletransferclient.receiving.part import Part, Place, part_id
from dxlfiletransferclient.receiving.publications import ReadyFile
from dxlfiletransferclient.receiving.publishing import (
    GROUP_BYTES,
    GROUP_SECONDS,
    GROUP_SIZE,
    Outcome,
    Publisher,
)
from dxlfiletransferclient.storage import flushing
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.directory import Directory, open_directory
from tests.unit.client.receiving import Inline, files_in, nothing_stays_open, sha256


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with nothing_stays_open():
        yield


@pytest.fixture(params=["whole", "one by one"], autouse=True)
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flush the whole file system where the system offers that, and where it does not."""
    if request.param == "one by one":
        monkeypatch.setattr(flushing, "_syncfs", lambda: None)


class Hall:
    """Publishes files and hears what became of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.publisher = Publisher(Inline())
        self.heard: dict[str, Outcome] = {}
        self.directories: dict[Path, Directory] = {}

    def add(self, name: str, content: bytes = b"content", *, size: int = 1) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        if path.parent not in self.directories:
            self.directories[path.parent] = open_directory(path.parent)
        place = Place(self.directories[path.parent], path.name, path)
        identity = part_id("topic", name, path.name)
        part = Part.opened(place, identity)
        part.write(0, content)
        ready = ReadyFile(
            part,
            identity,
            resumable=False,
            sha256=sha256(content),
            attributes=Attributes(modified_ns=5),
            runnable=0,
            overwrite=Overwrite.REPLACE,
        )
        self.publisher.add(ready, size, lambda outcome: self.heard.__setitem__(name, outcome))


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    hall = Hall(tmp_path)
    yield hall
    hall.publisher.close()
    for directory in hall.directories.values():
        directory.close()


@pytest.mark.parametrize("count", [1, 7, 8, GROUP_SIZE])
def test_all_together(hall: Hall, tmp_path: Path, count: int) -> None:
    names = [f"{number % 10}/{number}" for number in range(count)]
    for name in names:
        hall.add(name)
    hall.publisher.close()

    assert files_in(tmp_path) == dict.fromkeys(names, b"content")
    assert hall.heard == dict.fromkeys(names, Result.STORED)
    assert {path.stat().st_mtime_ns for path in tmp_path.glob("*/*")} == {5}


def test_nothing_is_due_before_its_time(hall: Hall) -> None:
    hall.publisher.tick(100.0)
    hall.add("a")
    hall.publisher.tick(200.0)
    hall.publisher.tick(200.0 + GROUP_SECONDS - 0.01)
    assert hall.heard == {}
    hall.publisher.tick(200.0 + GROUP_SECONDS)
    hall.publisher.tick(201.0)
    assert hall.heard == {"a": Result.STORED}


def test_a_full_group_goes_at_once(hall: Hall) -> None:
    for number in range(GROUP_SIZE):
        hall.add(str(number))
    hall.publisher.tick(0.0)
    assert len(hall.heard) == GROUP_SIZE
    hall.add("large", size=GROUP_BYTES)
    hall.publisher.tick(0.0)
    assert len(hall.heard) == GROUP_SIZE + 1


@pytest.mark.parametrize("count", [3, 20])
def test_flushed_before_and_after(hall: Hall, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    steps: list[str] = []

    def noting(name: str, call: Any) -> Any:
        def noted(*arguments: Any, **more: Any) -> Any:
            if steps[-1:] != [name]:
                steps.append(name)
            return call(*arguments, **more)

        return noted

    for number in range(count):
        hall.add(f"{number}/a")
    monkeypatch.setattr(os, "fsync", noting("flush", os.fsync))
    monkeypatch.setattr(os, "rename", noting("rename", os.rename))
    whole = flushing.FileSystem.flush
    monkeypatch.setattr(flushing.FileSystem, "flush", noting("flush", whole))
    hall.publisher.close()

    assert steps == ["flush", "rename", "flush"]
    assert len(hall.heard) == count


@pytest.mark.parametrize("count", [2, 20])
def test_one_that_cannot_have_its_name(hall: Hall, tmp_path: Path, count: int) -> None:
    (tmp_path / "0").mkdir()
    for number in range(count):
        hall.add(str(number))
    hall.publisher.close()

    assert isinstance(hall.heard.pop("0"), TargetError)
    assert set(hall.heard.values()) == {Result.STORED}
    assert len(files_in(tmp_path)) == count - 1


def test_bytes_that_cannot_be_made_safe(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for number in range(20):
        hall.add(str(number))
    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(flushing.FileSystem, "flush", fail)
    hall.publisher.close()

    assert files_in(tmp_path) == {}
    assert {str(outcome) for outcome in hall.heard.values()} == {
        f"cannot write {tmp_path / str(number)}: No space left on device" for number in range(20)
    }


def test_a_bug_is_heard_of_by_all(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadyFile, "publish", lambda _: 1 / 0)
    hall.add("a")
    hall.add("b")
    hall.publisher.close()

    assert [type(outcome) for outcome in hall.heard.values()] == [ZeroDivisionError] * 2

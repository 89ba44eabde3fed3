"""The ways below a target, and what lies across them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.receiving.errors import TargetError
from dxlfiletransferclient.receiving.target import OPEN_DIRECTORIES, Target
from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.directory import Directory
from tests.unit.client.receiving import nothing_stays_open, open_descriptors


@pytest.fixture(params=["descriptors", "paths"], autouse=True)
def _platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "paths":
        monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with nothing_stays_open():
        yield


@pytest.fixture
def made() -> list[Directory]:
    return []


@pytest.fixture
def target(tmp_path: Path, made: list[Directory]) -> Iterator[Target]:
    target = Target(tmp_path / "x" / "base", made.append)
    yield target
    target.close()
    made.clear()


def write(target: Target, *parts: str) -> Path:
    place = target.place(parts)
    os.close(place.parent.open_file(place.name, os.O_WRONLY | os.O_CREAT))
    return place.path


def test_looking_makes_nothing(target: Target, tmp_path: Path) -> None:
    assert target.found(("a", "b")) is None
    assert list(tmp_path.iterdir()) == []


def test_directories_are_made_and_told(
    target: Target, made: list[Directory], tmp_path: Path
) -> None:
    path = write(target, "a", "b", "c")

    assert path == tmp_path / "x/base/a/b/c"
    assert path.is_file()
    parents = ["", "x", "x/base", "x/base/a"]
    expected = sorted((tmp_path / parent).stat().st_ino for parent in parents)
    assert sorted(directory.identity[1] for directory in made) == expected
    write(target, "a", "b", "d")
    assert len(made) == 4


def test_what_is_there_is_found(target: Target) -> None:
    write(target, "a", "b")

    found = target.found(("a", "b"))
    assert found is not None
    assert stat.S_ISREG(found.st_mode)
    assert target.found(("a", "c")) is None
    assert target.found(("c", "b")) is None


def test_few_directories_are_open_at_a_time(target: Target, made: list[Directory]) -> None:
    before = open_descriptors()
    for number in range(100):
        write(target, str(number), "a")
        made.clear()

    assert open_descriptors() - before <= OPEN_DIRECTORIES + 1
    assert write(target, "0", "b").is_file()


def test_a_very_deep_way(target: Target) -> None:
    parts = tuple("d" * 1500)
    assert target.found(parts) is None


@pytest.mark.parametrize("kind", ["link", "file"])
def test_no_way_through_it(target: Target, tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").mkdir()
    write(target, "a", "b")
    if kind == "link":
        (tmp_path / "x/base/a/way").symlink_to(tmp_path / "outside")
    else:
        (tmp_path / "x/base/a/way").write_bytes(b"")
    message = (
        f"file name 'a/way' leads through {tmp_path / 'x/base/a/way'}, which is a link or a file"
    )

    for call in (target.place, target.found, target.open_existing):
        with pytest.raises(UnsafeNameError, match=message):
            call(("a", "way", "in"))
    with pytest.raises(UnsafeNameError):
        target.make_directory(("a", "way"))
    assert list((tmp_path / "outside").iterdir()) == []


def test_making_a_directory(target: Target, tmp_path: Path) -> None:
    assert target.make_directory(("a", "b"))
    assert not target.make_directory(("a", "b"))
    assert (tmp_path / "x/base/a/b").is_dir()
    assert not target.make_directory(())


def test_a_root_that_is_a_file(tmp_path: Path, made: list[Directory]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TargetError, match=f"directory {tmp_path / 'file'}: "):
        Target(tmp_path / "file", made.append).place(("a",))


def test_a_root_behind_links_is_the_caller_s(tmp_path: Path, made: list[Directory]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    target = Target(tmp_path / "link", made.append)
    write(target, "a")

    assert (tmp_path / "real/a").is_file()
    target.close()


@pytest.mark.parametrize(("mask", "bits"), [(0o022, 0o111), (0o077, 0o100), (0o777, 0)])
def test_executable_bits(target: Target, tmp_path: Path, mask: int, bits: int) -> None:
    (tmp_path / "x" / "base").mkdir(parents=True)
    before = os.umask(mask)
    try:
        assert target.runnable(target.place(("a",))) == bits
    finally:
        os.umask(before)
    assert list((tmp_path / "x/base").iterdir()) == []

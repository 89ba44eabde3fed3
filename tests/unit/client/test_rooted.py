"""Reaching things below a root: nothing leads out, and every name is durable at the end."""

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.rooted import MAX_OPEN, ObstructedError, RootedDirectory
from tests.unit.client.cataloguing import place
from tests.unit.client.fabric import open_descriptors


@pytest.fixture(params=["descriptors", "paths"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with open directories, and with paths alone as on Windows."""
    if request.param == "paths":
        monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    return outside


@pytest.fixture
def work(platform: str, tmp_path: Path) -> Iterator[Directory]:
    (tmp_path / "work").mkdir()
    with open_directory(tmp_path / "work") as directory:
        yield directory


def put(work: Directory, content: bytes) -> str:
    descriptor = work.open_file("part", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, content)
    os.close(descriptor)
    return "part"


def test_a_file_moves_to_its_name(root: Path, work: Directory) -> None:
    place(RootedDirectory(root), work, put(work, b"abc"), ("a", "b", "c"))

    assert (root / "a" / "b" / "c").read_bytes() == b"abc"
    assert work.names() == []


def test_an_older_file_is_replaced(root: Path, work: Directory) -> None:
    (root / "a").write_bytes(b"old")

    place(RootedDirectory(root), work, put(work, b"new"), ("a",))

    assert (root / "a").read_bytes() == b"new"


def test_a_link_with_the_name_is_replaced_and_not_followed(
    root: Path, outside: Path, work: Directory
) -> None:
    victim = outside / "victim"
    victim.write_bytes(b"safe")
    (root / "a").symlink_to(victim)

    place(RootedDirectory(root), work, put(work, b"new"), ("a",))

    assert not (root / "a").is_symlink()
    assert (root / "a").read_bytes() == b"new"
    assert victim.read_bytes() == b"safe"


@pytest.mark.parametrize("parts", [("link", "a"), ("link", "made", "a"), ("real", "link", "a")])
def test_a_link_on_the_way_is_refused(
    root: Path, outside: Path, work: Directory, parts: tuple[str, ...]
) -> None:
    (root / "real").mkdir()
    (root / "link").symlink_to(outside)
    (root / "real" / "link").symlink_to(outside)

    with pytest.raises(UnsafeNameError, match="link"):
        place(RootedDirectory(root), work, put(work, b"new"), parts)

    assert list(outside.iterdir()) == []
    assert work.names() == ["part"]


def test_a_link_that_leads_nowhere_is_refused(root: Path, outside: Path, work: Directory) -> None:
    (root / "link").symlink_to(outside / "absent")

    with pytest.raises(UnsafeNameError, match="link"):
        place(RootedDirectory(root), work, put(work, b"new"), ("link", "a"))

    assert list(outside.iterdir()) == []


def test_a_file_on_the_way_is_refused(root: Path, work: Directory) -> None:
    (root / "file").write_bytes(b"old")

    with pytest.raises(UnsafeNameError, match="leads through 'file'"):
        place(RootedDirectory(root), work, put(work, b"new"), ("file", "a"))

    assert (root / "file").read_bytes() == b"old"


def test_a_directory_with_the_name_stays(root: Path, work: Directory) -> None:
    (root / "a").mkdir()

    with pytest.raises(IsADirectoryError):
        place(RootedDirectory(root), work, put(work, b"new"), ("a",))

    assert work.names() == ["part"]


def test_a_reserved_directory_is_known_by_any_name(root: Path, work: Directory) -> None:
    (root / "hidden").mkdir()
    with open_directory(root / "hidden") as hidden:
        rooted = RootedDirectory(root, reserved=[hidden.identity])

    with pytest.raises(UnsafeNameError, match="reserved"):
        place(rooted, work, put(work, b"new"), ("hidden", "a"))


def test_a_link_in_the_path_of_the_root_is_the_operators(root: Path, work: Directory) -> None:
    link = root.parent / "link"
    link.symlink_to(root)

    place(RootedDirectory(link), work, put(work, b"abc"), ("a", "b"))

    assert (root / "a" / "b").read_bytes() == b"abc"


def test_another_file_system_is_named(root: Path, work: Directory, mocker: MockerFixture) -> None:
    error = OSError(errno.EXDEV, "Invalid cross-device link")
    mocker.patch.object(type(work), "move", side_effect=error)

    with pytest.raises(OSError, match="another file system") as raised:
        place(RootedDirectory(root), work, put(work, b"new"), ("a",))

    assert raised.value.errno == errno.EXDEV


@pytest.mark.parametrize("platform", ["descriptors"], indirect=True)
def test_a_parent_exchanged_for_a_link_while_the_file_moves(
    root: Path, outside: Path, work: Directory, mocker: MockerFixture
) -> None:
    """The attack that looks are too early for: the directory is one when it is looked at."""
    real = os.rename

    def exchanged_first(*args: Any, **kwargs: Any) -> None:
        real(root / "dir", root / "moved")
        (root / "dir").symlink_to(outside)
        real(*args, **kwargs)

    (root / "dir").mkdir()
    mocker.patch("os.rename", exchanged_first)

    place(RootedDirectory(root), work, put(work, b"new"), ("dir", "a"))

    assert list(outside.iterdir()) == []
    assert (root / "moved" / "a").read_bytes() == b"new"


@pytest.mark.parametrize("platform", ["descriptors"], indirect=True)
def test_a_parent_exchanged_for_a_link_before_it_is_entered(
    root: Path, outside: Path, work: Directory, mocker: MockerFixture
) -> None:
    real = os.open

    def exchanged_first(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == "inner":
            (root / "outer" / "inner").rmdir()
            (root / "outer" / "inner").symlink_to(outside)
        return real(path, *args, **kwargs)

    (root / "outer" / "inner").mkdir(parents=True)
    mocker.patch("os.open", exchanged_first)

    with pytest.raises(UnsafeNameError, match="outer/inner"):
        place(RootedDirectory(root), work, put(work, b"new"), ("outer", "inner", "a"))

    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("platform", ["descriptors"], indirect=True)
def test_all_names_are_flushed_before_the_end(
    root: Path, work: Directory, mocker: MockerFixture
) -> None:
    steps: list[str] = []
    real_fsync, real_rename, real_mkdir = os.fsync, os.rename, os.mkdir

    def fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_fsync(descriptor)

    def rename(source: Any, target: Any, **kwargs: Any) -> None:
        steps.append(f"rename {source} {target}")
        real_rename(source, target, **kwargs)

    def mkdir(name: Any, *args: Any, **kwargs: Any) -> None:
        steps.append(f"mkdir {name}")
        real_mkdir(name, *args, **kwargs)

    name = put(work, b"new")
    mocker.patch("os.fsync", fsync)
    mocker.patch("os.rename", rename)
    mocker.patch("os.mkdir", mkdir)

    place(RootedDirectory(root), work, name, ("new", "deep", "a"))

    assert steps[:3] == ["mkdir new", "mkdir deep", "rename part a"]
    assert sorted(steps[3:]) == ["fsync deep", "fsync new", "fsync root"]


@pytest.mark.parametrize("platform", ["descriptors"], indirect=True)
def test_a_directory_that_another_one_just_made_is_flushed_by_both(
    root: Path, work: Directory, mocker: MockerFixture
) -> None:
    """A file that was answered for must not go with its directory in a power failure."""
    flushing, go_on = threading.Event(), threading.Event()
    flushes: list[threading.Thread] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == root.stat().st_ino:
            flushes.append(threading.current_thread())
            if not flushing.is_set():
                flushing.set()
                assert go_on.wait(10)
        real(descriptor)

    for name in ("first", "second", "third"):
        os.close(work.open_file(name, os.O_WRONLY | os.O_CREAT))
    mocker.patch("os.fsync", fsync)
    rooted = RootedDirectory(root)
    with ThreadPoolExecutor(2) as pool:
        maker = pool.submit(place, rooted, work, "first", ("made", "first"))
        assert flushing.wait(10)
        try:
            pool.submit(place, rooted, work, "second", ("made", "second")).result(10)
            assert len(flushes) == len(set(flushes)) == 2
        finally:
            go_on.set()
        maker.result(10)
    place(rooted, work, "third", ("made", "third"))

    # Once flushed it stays so.
    assert len(flushes) == 2
    assert sorted(path.name for path in (root / "made").iterdir()) == ["first", "second", "third"]


def test_a_directory_made_by_another_process_meanwhile(
    root: Path, work: Directory, mocker: MockerFixture
) -> None:
    real = type(work).make

    def made_before(self: Directory, name: str) -> None:
        real(self, name)
        real(self, name)

    mocker.patch.object(type(work), "make", made_before)

    place(RootedDirectory(root), work, put(work, b"abc"), ("a", "b"))

    assert (root / "a" / "b").read_bytes() == b"abc"


def test_no_descriptor_stays_open(root: Path, outside: Path, work: Directory) -> None:
    (root / "link").symlink_to(outside)
    rooted = RootedDirectory(root)
    before = open_descriptors()

    place(rooted, work, put(work, b"abc"), ("a", "b", "c"))
    for parts in [("link", "a"), ("link", "a", "b"), ("a", "b", "c", "d")]:
        with pytest.raises(UnsafeNameError):
            place(rooted, work, put(work, b"abc"), parts)

    assert open_descriptors() == before


def test_a_reader_never_sees_half_a_file(root: Path, work: Directory) -> None:
    """Old and new content differ in size and in every byte, so that any mix would show."""
    versions = [bytes([number]) * (50_000 + number) for number in range(40)]
    rooted = RootedDirectory(root)
    place(rooted, work, put(work, versions[0]), ("a",))
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            seen.add((root / "a").read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in versions:
            place(rooted, work, put(work, version), ("a",))
    finally:
        done.set()
        reader.join(10)

    assert seen
    assert seen <= set(versions)


def test_many_directories_are_visited_with_few_open(root: Path, work: Directory) -> None:
    rooted = RootedDirectory(root)
    before = open_descriptors()

    with rooted.visit() as directories:
        for number in range(3 * MAX_OPEN):
            directories.open(("a", f"b{number}", "c"), make=True)
        # The root, its one child and many of theirs: each is still found, whatever was closed.
        assert directories.open(("a", "b0", "c")).names() == []
        assert len(directories.open(("a",)).names()) == 3 * MAX_OPEN
        assert open_descriptors() - before <= MAX_OPEN + 1
        directories.settle()

    assert open_descriptors() == before


def test_a_long_way_down(root: Path, work: Directory) -> None:
    # Deeper than may be open at once; what removes the files of tests recurses into each.
    parts = tuple("d" for _ in range(3 * MAX_OPEN))
    with RootedDirectory(root).visit() as directories:
        directories.open(parts, make=True)
        directories.settle()
        with pytest.raises(FileNotFoundError):
            directories.open((*parts, "absent"))
        assert directories.open(parts).names() == []


def test_nothing_is_made_unless_it_is_to_be(root: Path, work: Directory) -> None:
    with RootedDirectory(root).visit() as directories, pytest.raises(FileNotFoundError):
        directories.open(("a", "b"))
    assert list(root.iterdir()) == []


def test_a_removed_directory_is_made_again(root: Path, work: Directory) -> None:
    with RootedDirectory(root).visit() as directories:
        directories.open(("a", "b"), make=True)
        directories.open(("a",)).rmdir("b")
        directories.removed(("a", "b"))
        with pytest.raises(FileNotFoundError):
            directories.open(("a", "b"))
        directories.open(("a", "b"), make=True)
        directories.settle()
    assert (root / "a" / "b").is_dir()


def test_names_that_vanish_before_they_are_flushed_are_no_error(
    root: Path, work: Directory
) -> None:
    with RootedDirectory(root).visit() as directories:
        directories.open(("a", "b"), make=True)
        directories.forget()
        (root / "a" / "b").rmdir()
        (root / "a").rmdir()
        directories.settle()


def test_a_root_that_is_gone_is_no_missing_file(root: Path, work: Directory) -> None:
    rooted = RootedDirectory(root)
    root.rmdir()
    with rooted.visit() as directories, pytest.raises(OSError, match="not there any more") as error:
        directories.open(())
    assert not isinstance(error.value, FileNotFoundError)


@pytest.mark.parametrize(("kind", "word"), [("file", "file"), ("link", "link")])
def test_what_obstructs_the_way_is_named(root: Path, work: Directory, kind: str, word: str) -> None:
    if kind == "file":
        (root / "a").touch()
    else:
        (root / "a").symlink_to("absent")
    with RootedDirectory(root).visit() as directories:
        for make in (False, True):
            with pytest.raises(ObstructedError, match=f"'a', which is a {word}") as raised:
                directories.open(("a", "b"), make=make)
            assert not raised.value.reserved

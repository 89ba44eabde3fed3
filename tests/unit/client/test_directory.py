import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.directory import Directory, open_directory


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def directory(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Directory]:
    monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", request.param)
    with open_directory(tmp_path) as opened:
        yield opened


def test_names_of_what_is_there(directory: Directory, tmp_path: Path) -> None:
    directory.make("d")
    os.close(directory.open_file("f", os.O_CREAT | os.O_EXCL | os.O_WRONLY))

    assert sorted(directory.names()) == ["d", "f"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["d", "f"]

    directory.rmdir("d")
    directory.unlink("f")
    assert directory.names() == []


def test_identity_tells_directories_apart(directory: Directory, tmp_path: Path) -> None:
    directory.make("d")
    with open_directory(tmp_path) as same, directory.child("d") as other:
        assert same.identity == directory.identity
        assert other.identity != directory.identity


def test_a_child_is_no_link_and_no_file(directory: Directory, tmp_path: Path) -> None:
    directory.make("d")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "file").touch()

    for name in ("link", "file"):
        with pytest.raises(NotADirectoryError):
            directory.child(name)
    with pytest.raises(FileNotFoundError):
        directory.child("absent")
    with directory.child("d") as child:
        assert child.names() == []


def test_a_linked_file_is_not_opened(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")

    for flags in (os.O_RDONLY, os.O_WRONLY | os.O_CREAT):
        with pytest.raises(OSError, match="symbolic"):
            directory.open_file("link", flags)
    with pytest.raises(FileNotFoundError):
        directory.open_file("absent", os.O_RDONLY)


def test_a_file_moves_over_another(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("new")
    directory.make("d")
    (tmp_path / "d" / "old").write_text("old")

    with directory.child("d") as child:
        directory.move("file", child, "old")
        child.sync()

    assert (tmp_path / "d" / "old").read_text() == "new"


def test_closing_twice_is_no_error(directory: Directory) -> None:
    directory.close()
    directory.close()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()])
def test_what_is_no_directory_is_not_opened(
    directory: Directory, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "other")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        open_directory(tmp_path / "other")


def test_files_do_not_move_between_kinds_of_directories(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", not directory_module._HAS_DESCRIPTORS)
    with open_directory(tmp_path) as other, pytest.raises(TypeError):
        directory.move("a", other, "b")


def test_a_link_is_made_and_read(directory: Directory, tmp_path: Path) -> None:
    directory.symlink("any/where", "link")

    assert directory.readlink("link") == "any/where"
    assert str((tmp_path / "link").readlink()) == str(Path("any/where"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        directory.readlink("file")


def test_a_time_is_set_to_the_nanosecond(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory.make("d")

    for number, name in enumerate(["file", "d"]):
        directory.set_modified(name, 1_234_567_890_123_456_789 + number)
        assert (tmp_path / name).stat().st_mtime_ns == 1_234_567_890_123_456_789 + number
    directory.set_modified(None, 17)
    assert directory.status().st_mtime_ns == tmp_path.stat().st_mtime_ns == 17


def test_the_time_of_a_link_is_not_that_of_its_target(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    before = (tmp_path / "file").stat().st_mtime_ns

    directory.set_modified("link", 17)

    assert (tmp_path / "file").stat().st_mtime_ns == before


def test_a_pipe_is_opened_without_waiting_for_its_writer(
    directory: Directory, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.close(directory.open_to_read("pipe"))
    (tmp_path / "file").write_bytes(b"abc")
    descriptor = directory.open_to_read("file")
    assert os.read(descriptor, 10) == b"abc"
    os.close(descriptor)


def test_permissions_of_a_new_file_are_those_asked_for(directory: Directory) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(directory.open_file("plain", flags))
    os.close(directory.open_file("program", flags, 0o777))

    assert not directory.lstat("plain").st_mode & 0o111
    assert directory.lstat("program").st_mode & 0o100


def test_a_descriptor_of_its_own_outlives_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_directory(tmp_path) as opened:
        descriptor = opened.descriptor_of_its_own()
    assert descriptor is not None
    assert os.fstat(descriptor).st_ino == tmp_path.stat().st_ino
    os.close(descriptor)

    monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    with open_directory(tmp_path) as opened:
        assert opened.descriptor_of_its_own() is None

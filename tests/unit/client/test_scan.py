"""What there is to send, found in directories of every kind."""

import os
import socket
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.messages import Kind
from dxlfiletransferclient.sending import scan as scanning
from dxlfiletransferclient.sending.naming import Source, name_sources
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferclient.sending.scan import Item, NotSentError, Unsent, scan


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, content in {
        "b/2": b"12",
        "b/1": b"1",
        "a": b"",
        "ä/x": b"xyz",
        "b.txt": b".",
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tree / "empty").mkdir()
    return tree


def found_in(path: Path, links: Links = Links.FOLLOW) -> list[Item | Unsent]:
    return list(scan(name_sources(path), links))


def names(found: list[Item | Unsent]) -> list[str]:
    return [each.name for each in found]


def only_unsent(found: list[Item | Unsent]) -> Unsent:
    (unsent,) = [each for each in found if isinstance(each, Unsent)]
    return unsent


def test_a_tree_in_order(tree: Path) -> None:
    found = found_in(tree)
    assert names(found) == [
        "tree/a",
        "tree/b/1",
        "tree/b/2",
        "tree/b.txt",
        "tree/empty",
        "tree/ä/x",
    ]
    assert all(isinstance(each, Item) for each in found)
    assert [each.size for each in found if isinstance(each, Item)] == [0, 1, 2, 1, 0, 3]
    assert [each.kind for each in found if isinstance(each, Item)] == [
        *[Kind.FILE] * 4,
        Kind.DIRECTORY,
        Kind.FILE,
    ]
    assert [Path(each.path) for each in found] == [tree.parent / each.name for each in found]


def test_directories_are_read_in_pieces_and_stay_in_order(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    expected = sorted(f"{number * 7919 % 1000}" for number in range(25))
    for name in expected:
        (tmp_path / name).touch()
    for at_once in (1, 2, 24, 25, 26):
        found = list(scanning._names_in_order(str(tmp_path), at_once))
        assert found == expected


def test_nothing_is_looked_at_before_it_is_needed(tree: Path, mocker: MockerFixture) -> None:
    listed = mocker.spy(os, "scandir")
    found = scan(name_sources(tree))
    assert next(found).name == "tree/a"
    assert listed.call_count == 1
    (tree / "b" / "3").touch()
    assert "tree/b/3" in names(list(found))


def test_an_empty_source(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    assert names(found_in(directory)) == ["d"]
    assert list(scan([Source(str(directory), "", directory=True)])) == []


def test_links_are_followed(tree: Path) -> None:
    (tree / "empty" / "to-file").symlink_to(tree / "b" / "2")
    (tree / "empty" / "to-directory").symlink_to(tree / "b")
    found = found_in(tree)
    assert names(found)[-4:] == [
        "tree/empty/to-directory/1",
        "tree/empty/to-directory/2",
        "tree/empty/to-file",
        "tree/ä/x",
    ]
    assert all(isinstance(each, Item) and each.kind is Kind.FILE for each in found)


@pytest.mark.parametrize(
    ("target", "message"),
    [("nowhere", "leads nowhere"), ("link", "back to itself"), ("..", "leads back to a directory")],
)
def test_links_that_cannot_be_followed(tmp_path: Path, target: str, message: str) -> None:
    directory = tmp_path / "d"
    (directory / "e").mkdir(parents=True)
    (directory / "e" / "link").symlink_to(target)
    (directory / "e" / "other").touch()

    found = found_in(directory)

    unsent = only_unsent(found)
    assert (unsent.name, unsent.result) == ("d/e/link", Result.FAILED)
    assert isinstance(unsent.error, NotSentError)
    assert message in str(unsent.error)
    assert str(directory / "e" / "link") in str(unsent.error)
    assert "d/e/other" in names(found)


def test_the_same_directory_twice_side_by_side_is_no_loop(tree: Path) -> None:
    (tree / "c").symlink_to("b")
    assert names(found_in(tree))[4:6] == ["tree/c/1", "tree/c/2"]


def test_links_are_kept(tree: Path) -> None:
    (tree / "empty" / "link").symlink_to("../b/2")
    (tree / "empty" / "nowhere").symlink_to("/nowhere/at/all")
    found = found_in(tree, Links.KEEP)
    links = [each for each in found if isinstance(each, Item) and each.kind is Kind.LINK]
    assert [(link.name, link.target) for link in links] == [
        ("tree/empty/link", "../b/2"),
        ("tree/empty/nowhere", "/nowhere/at/all"),
    ]


def test_links_are_skipped(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / "link").symlink_to("anywhere")
    found = found_in(directory, Links.SKIP)
    unsent = only_unsent(found)
    assert (unsent.name, unsent.result) == ("d/link", Result.SKIPPED)
    assert "symbolic link" in str(unsent.error)
    assert names(found) == ["d/link", "d"], "nothing in it is sent, so it is sent as empty"


def test_pipes_and_sockets_in_directories_are_left_out(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    os.mkfifo(directory / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / "socket"))
        found = found_in(directory)
    assert [(each.name, each.result) for each in found if isinstance(each, Unsent)] == [
        ("d/pipe", Result.SKIPPED),
        ("d/socket", Result.SKIPPED),
    ]
    assert "a named pipe" in str(found[0].error) if isinstance(found[0], Unsent) else False
    assert found[2:] == [Item(str(directory), "d", Kind.DIRECTORY)]


def test_a_pipe_that_is_named_is_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert found_in(tmp_path / "pipe") == [Item(str(tmp_path / "pipe"), "pipe", stream=True)]
    (device,) = found_in(Path("/dev/null"))
    assert isinstance(device, Item)
    assert device.stream


def test_a_socket_that_is_named_fails(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        unsent = only_unsent(found_in(tmp_path / "socket"))
    assert unsent.result is Result.FAILED


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    unsent = only_unsent(found_in(tmp_path / "absent"))
    assert unsent.result is Result.FAILED
    assert isinstance(unsent.error, FileNotFoundError)
    assert "absent" in str(unsent.error)


def test_a_directory_that_cannot_be_read(tree: Path, mocker: MockerFixture) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    mocker.patch("dxlfiletransferclient.sending.scan.os.scandir", scandir)
    found = found_in(tree)
    unsent = only_unsent(found)
    assert (unsent.name, unsent.result) == ("tree/b", Result.FAILED)
    assert isinstance(unsent.error, PermissionError)
    assert names(found) == ["tree/a", "tree/b", "tree/b.txt", "tree/empty", "tree/ä/x"]


def test_a_file_that_vanishes(tree: Path) -> None:
    found = scan(name_sources(tree))
    assert next(found).name == "tree/a"
    (tree / "b" / "1").unlink()
    listed = list(found)
    assert "tree/b/1" not in names(listed)


def test_names_that_no_service_takes(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    Path(os.fsdecode(os.fsencode(directory) + b"/bad\xff")).touch()
    (directory / "good").touch()
    found = found_in(directory)
    unsent = only_unsent(found)
    assert unsent.result is Result.FAILED
    assert isinstance(unsent.error, UnsafeNameError)
    assert "UTF-8" in str(unsent.error)
    assert "d/good" in names(found)


def test_names_that_are_too_long_in_all(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    (directory / ("f" * 200)).touch()
    (directory / "g").touch()
    found = list(scan(name_sources(directory, "/".join(["x" * 250] * 16))))
    unsent = only_unsent(found)
    assert unsent.name.endswith("f" * 200)
    assert "4096 bytes" in str(unsent.error)
    assert unsent.result is Result.FAILED
    assert len(found) == 2

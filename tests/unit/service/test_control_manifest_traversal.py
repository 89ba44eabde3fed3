import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.control.constants import (
    SYMLINK_FOLLOW,
    SYMLINK_FOLLOW_DIRECTORIES,
    SYMLINK_FOLLOW_FILES,
    SYMLINK_IGNORE,
)
from dxlfiletransferservice.control.manifests.traversal import (
    Entry,
    Root,
    StoppedError,
    TraversalError,
    Walk,
    shown_path,
)
from tests.unit.service.manifesting import Seen, write_tree


def walk(
    path: Path,
    dest: str = "to",
    *,
    symlinks: int = SYMLINK_FOLLOW,
    forbidden: frozenset[str] = frozenset(),
    **options: Any,
) -> list[Entry]:
    root = Root(mapping=7, path=str(path), shown="/mine", dest=dest)
    guard = Seen(path, {str(path / each) for each in forbidden})
    return list(Walk(root, symlinks, guard, **options).entries())


def dests(entries: list[Entry]) -> list[str]:
    """Return destinations, those of empty directories with ``/`` at the end."""
    return [
        (f"{each.parent}/{each.name}" if each.parent else each.name) + "/" * each.directory
        for each in entries
    ]


def failure(path: Path, **options: Any) -> str:
    with pytest.raises(TraversalError) as caught:
        walk(path, **options)
    return str(caught.value)


def test_a_file_is_found_with_what_is_known_of_it(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(b"12345")
    path.chmod(0o755)
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    assert walk(path, "bin/my tool") == [
        Entry(
            place="bin\0my tool",
            mapping=7,
            parent="bin",
            name="my tool",
            size=5,
            directory=False,
            executable=True,
            modified_us=1_700_000_000_123_456,
        )
    ]


def test_what_is_in_a_directory_is_found_in_order(tmp_path: Path) -> None:
    write_tree(tmp_path, ["b", "a/z", "a/b/c", "a-b", "empty/", "a/empty/"])
    found = ["to/a/b/c", "to/a/empty/", "to/a/z", "to/a-b", "to/b", "to/empty/"]
    assert dests(walk(tmp_path)) == found
    (tmp_path / "b").chmod(0o600)
    (plain,) = [each for each in walk(tmp_path) if each.name == "b"]
    assert not plain.executable
    assert plain.modified_us == (tmp_path / "b").stat().st_mtime_ns // 1000


def test_a_directory_can_go_to_the_top(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/b", "c"])
    assert dests(walk(tmp_path, "")) == ["a/b", "c"]
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "c").unlink()
    assert walk(tmp_path, "") == []


def test_an_empty_directory_is_an_entry(tmp_path: Path) -> None:
    assert walk(tmp_path, "x/to") == [
        Entry("x\0to", 7, "x", "to", 0, directory=True, executable=False, modified_us=None)
    ]


names = st.text(
    st.characters(min_codepoint=1, max_codepoint=0x1F600, exclude_characters="/", codec="utf-8"),
    min_size=1,
    max_size=3,
).filter(lambda name: name not in (".", ".."))
trees = st.lists(st.lists(names, min_size=1, max_size=4), max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=trees, at_once=st.integers(1, 5), in_all=st.integers(0, 5))
def test_any_tree_is_what_the_system_says_it_is(
    tmp_path: Path, tree: list[list[str]], at_once: int, in_all: int
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    try:
        for number, parts in enumerate(tree):
            path = root.joinpath(*parts)
            try:
                if number % 3:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"x" * number)
                else:
                    path.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue
        expected = {}
        for directory, below, files in os.walk(root):
            here = Path(directory)
            dest = Path("to", here.relative_to(root))
            for name in files:
                expected[str(dest / name)] = ((here / name).stat().st_size, False)
            if not below and not files:
                expected[str(dest)] = (0, True)
        found = walk(root, at_once=at_once, in_all=in_all)
        assert {
            f"{each.parent}/{each.name}" if each.parent else each.name: (each.size, each.directory)
            for each in found
        } == expected
        assert len(found) == len(expected)
        places = [each.place for each in found]
        assert places == sorted(places)
        assert found == walk(root)
    finally:
        shutil.rmtree(root)


def test_links_are_followed_as_wished(tmp_path: Path) -> None:
    write_tree(tmp_path, ["there/file"], b"123")
    write_tree(tmp_path, ["tree/plain"])
    (tmp_path / "tree/to-file").symlink_to("../there/file")
    (tmp_path / "tree/to-directory").symlink_to("../there")
    tree = tmp_path / "tree"
    plain, file, directory = "to/plain", "to/to-file", "to/to-directory/file"
    assert dests(walk(tree, symlinks=SYMLINK_IGNORE)) == [plain]
    assert dests(walk(tree, symlinks=SYMLINK_FOLLOW_FILES)) == [plain, file]
    assert dests(walk(tree, symlinks=SYMLINK_FOLLOW_DIRECTORIES)) == [plain, directory]
    followed = walk(tree, symlinks=SYMLINK_FOLLOW)
    assert dests(followed) == [plain, directory, file]
    assert [each.size for each in followed] == [1, 3, 3]


def test_the_named_source_is_followed_always(tmp_path: Path) -> None:
    write_tree(tmp_path, ["there/file"])
    (tmp_path / "to-directory").symlink_to("there")
    (tmp_path / "to-file").symlink_to("there/file")
    assert dests(walk(tmp_path / "to-directory", symlinks=SYMLINK_IGNORE)) == ["to/file"]
    assert dests(walk(tmp_path / "to-file", symlinks=SYMLINK_IGNORE)) == ["to"]


def test_a_directory_with_links_that_are_left_out_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/link").symlink_to("/")
    assert dests(walk(tmp_path, symlinks=SYMLINK_IGNORE)) == ["to/d/"]


def test_a_link_in_a_circle_is_an_error(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/b/"])
    (tmp_path / "a/b/up").symlink_to("../..")
    assert failure(tmp_path) == (
        "'/mine/a/b/up' is a link that leads back to a directory it is in; leave it out by "
        "symlinkOptions, or remove it"
    )
    assert dests(walk(tmp_path, symlinks=SYMLINK_FOLLOW_FILES)) == ["to/a/b/"]


def test_a_directory_can_be_reached_twice_without_a_circle(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/file", "b/"])
    (tmp_path / "b/a").symlink_to("../a")
    assert dests(walk(tmp_path)) == ["to/a/file", "to/b/a/file"]


def test_a_link_that_cannot_be_followed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert failure(tmp_path) == (
        "'/mine/link' is a link that cannot be followed (leads nowhere); leave links out by "
        "symlinkOptions, or remove it"
    )
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("link")
    assert "cannot be followed (too many levels of symbolic links)" in failure(tmp_path)
    assert dests(walk(tmp_path, symlinks=SYMLINK_IGNORE)) == ["to/"]


def test_special_files_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        assert dests(walk(tmp_path)) == ["to/"]
    write_tree(tmp_path, ["file"])
    assert dests(walk(tmp_path)) == ["to/file"]


def test_what_must_not_be_read_is_an_error(tmp_path: Path) -> None:
    write_tree(tmp_path, ["tree/file", "tree/secret/file", "secret/file"])
    text = "is not among what may be sent from this server"
    assert failure(tmp_path / "tree", forbidden=frozenset({"secret"})) == f"'/mine/secret' {text}"
    shutil.rmtree(tmp_path / "tree/secret")
    (tmp_path / "tree/link").symlink_to("../secret/file")
    real = frozenset({os.path.realpath(tmp_path / "secret")})
    assert failure(tmp_path / "tree", forbidden=real) == f"'/mine/link' {text}"
    assert dests(walk(tmp_path / "tree", forbidden=real, symlinks=SYMLINK_IGNORE)) == ["to/file"]


def test_every_directory_and_followed_link_is_checked(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/b/file", "c"])
    (tmp_path / "link").symlink_to("c")
    guard = Seen(tmp_path, set())
    root = Root(0, str(tmp_path), "/mine", "to")
    list(Walk(root, SYMLINK_FOLLOW, guard).entries())
    assert {os.path.relpath(path, tmp_path) for path in guard.checked} == {".", "a", "a/b", "link"}


def test_a_name_that_is_no_utf8_is_an_error(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_tree(tmp_path, [f"a/{name}"])
    assert failure(tmp_path) == (
        "'/mine/a/caf\\udce9' cannot be sent: its name at the destination cannot be encoded as "
        "UTF-8; rename it"
    )


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    write_tree(tmp_path, ["x" * 200])
    dest = "/".join(["d" * 99] * 39)
    assert failure(tmp_path, dest=dest) == (
        f"...{('/mine/' + 'x' * 200)[-200:]!r} cannot be sent: its name at the destination has "
        "more than 4096 bytes; rename it"
    )
    assert len(walk(tmp_path, "/".join(["d" * 99] * 38))) == 1


def test_a_name_that_is_a_drive_of_windows_is_an_error(tmp_path: Path) -> None:
    write_tree(tmp_path, ["C:/file"])
    assert "'/mine/C:/file' cannot be sent: its name at the destination is absolute" in failure(
        tmp_path, dest=""
    )


def test_a_directory_that_cannot_be_read_is_an_error(tmp_path: Path, mocker: MockerFixture) -> None:
    write_tree(tmp_path, ["a/b/c"])
    real = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    mocker.patch("dxlfiletransferservice.control.manifests.traversal.os.scandir", scandir)
    assert failure(tmp_path) == "'/mine/a/b' cannot be read: permission denied"


def test_something_that_cannot_be_looked_at_is_an_error(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    write_tree(tmp_path, ["a"])
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        if path.endswith("/a"):
            raise OSError(5, "Input/output error")
        return real(path)

    mocker.patch("dxlfiletransferservice.control.manifests.traversal.os.lstat", lstat)
    assert failure(tmp_path) == "'/mine/a' cannot be looked at: input/output error"


def test_a_root_that_is_not_there_any_more_is_an_error(tmp_path: Path) -> None:
    assert failure(tmp_path / "gone") == "'/mine' does not exist any more"
    os.mkfifo(tmp_path / "pipe")
    assert failure(tmp_path / "pipe") == "'/mine' is neither a file nor a directory"


def test_a_root_that_vanishes_or_is_replaced_meanwhile_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for replaced, text in ((False, "does not exist any more"), (True, "was replaced while")):
        write_tree(root, ["a", "b"])
        found = Walk(Root(0, str(root), "/mine", ""), 0, Seen(root, set())).entries()
        assert next(found).name == "a"
        root.rename(tmp_path / f"other-{replaced}")
        if replaced:
            root.mkdir()
        with pytest.raises(TraversalError, match=text):
            list(found)


def test_what_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a", "b", "c/d", "e/f", "g"])
    found = Walk(Root(0, str(tmp_path), "/mine", ""), 0, Seen(tmp_path, set())).entries()
    assert next(found).name == "a"
    (tmp_path / "b").unlink()
    shutil.rmtree(tmp_path / "c")
    assert dests(list(found)) == ["e/f", "g"]


def test_a_directory_that_vanishes_before_it_is_read_is_left_out(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    write_tree(tmp_path, ["a/b", "c"])
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("/a"):
            shutil.rmtree(path)
        return real(path)

    mocker.patch("dxlfiletransferservice.control.manifests.traversal.os.scandir", scandir)
    assert dests(walk(tmp_path)) == ["to/c"]


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    write_tree(tmp_path, ["a/b", "c/d"])
    told = iter([False, False, True])
    with pytest.raises(StoppedError):
        walk(tmp_path, stopped=lambda: next(told))


def test_few_names_are_held_of_a_large_directory(tmp_path: Path, mocker: MockerFixture) -> None:
    write_tree(tmp_path, [f"{number:03d}" for number in range(100)])
    sizes: list[int] = []
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        if walker._levels:
            sizes.append(len(walker._levels[0].names))
        return real(path)

    mocker.patch("dxlfiletransferservice.control.manifests.traversal.os.lstat", lstat)
    guard = Seen(tmp_path, set())
    walker = Walk(Root(0, str(tmp_path), "/m", "to"), 0, guard, at_once=10)
    assert [each.name for each in walker.entries()] == [f"{number:03d}" for number in range(100)]
    assert max(sizes) == 9


def test_a_path_is_shown_in_quotes_and_a_long_one_by_its_end() -> None:
    assert shown_path("/a\n") == "'/a\\n'"
    assert shown_path("/a" + "b" * 300 + "c") == f"...{'b' * 199 + 'c'!r}"


def test_unfinished_files_of_a_store_are_left_out(tmp_path: Path) -> None:
    for name in ("a/.workdir/.lock", "a/.workdir/x.part", "a/file", "b/.workdir/mine"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("x")
    assert dests(walk(tmp_path / "tree")) == ["to/a/file", "to/b/.workdir/mine"]

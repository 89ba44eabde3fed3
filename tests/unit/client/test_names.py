import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage.directory import open_directory
from dxlfiletransferclient.storage.names import parse_directory_name, parse_name
from dxlfiletransferclient.storage.rooted import ObstructedError, RootedDirectory
from tests.unit.client.cataloguing import place

# Names made of what matters: separators, dots, drives, odd characters, and some plain text.
pieces = st.sampled_from(
    ["/", "\\", "..", ".", "a", "b.txt", "C:", " ", "\0", "CON", "nul.txt", "ä", "\ud800", "~", "-"]
)
names = st.text(max_size=30) | st.lists(pieces, max_size=12).map("".join)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("a",)),
        ("a/b/c.txt", ("a", "b", "c.txt")),
        ("./a//b/.", ("a", "b")),
        ("a/../b", ("b",)),
        ("a/b/../../c", ("c",)),
        ("a/", ("a",)),
        ("...", ("...",)),
        ("..a", ("..a",)),
        (".hidden", (".hidden",)),
        ("with space ", ("with space ",)),
        ("back\\slash", ("back\\slash",)),
        ("..\\a", ("..\\a",)),
        ("a:b", ("a:b",)),
        ("con", ("con",)),
        ("x" * 255, ("x" * 255,)),
        ("ä" * 127, ("ä" * 127,)),
    ],
)
def test_names_that_are_safe(name: str, parts: tuple[str, ...]) -> None:
    assert parse_name(name, windows=False) == parts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "no text"),
        (b"a", "no text"),
        (5, "no text"),
        ("", "names no file"),
        (".", "names no file"),
        ("a/..", "names no file"),
        ("//", "absolute"),
        ("/", "absolute"),
        ("/etc/passwd", "absolute"),
        ("C:\\a", "absolute"),
        ("c:/a", "absolute"),
        ("\\\\server\\share\\a", "absolute"),
        ("..", "leads out"),
        ("../a", "leads out"),
        ("a/../../a", "leads out"),
        ("./../a", "leads out"),
        ("a/../../storage/a", "leads out"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        ("a\udcffb", "UTF-8"),
        ("x" * 256, "255 bytes"),
        ("a/" + "ä" * 128, "255 bytes"),
        ("a/" * 2049, "4096 bytes"),
        ("ä" * 2049, "4096 bytes"),
        ("x" * 10_000_000, "4096 bytes"),
    ],
)
def test_names_that_are_not_safe(name: object, reason: str) -> None:
    with pytest.raises(UnsafeNameError, match=reason) as raised:
        parse_name(name, windows=False)
    assert isinstance(raised.value, ValueError)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a\\b/c", ("a", "b", "c")),
        ("a\\..\\b", ("b",)),
        ("console", ("console",)),
        ("com10", ("com10",)),
        ("a.con", ("a.con",)),
    ],
)
def test_names_that_are_safe_on_windows(name: str, parts: tuple[str, ...]) -> None:
    assert parse_name(name, windows=True) == parts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("\\a", "absolute"),
        ("..\\a", "leads out"),
        ("a\\..\\..\\b", "leads out"),
        ("c:a", "character"),
        ("a:stream", "character"),
        ("a<b", "character"),
        ('a"b', "character"),
        ("a|b", "character"),
        ("a?", "character"),
        ("a*", "character"),
        ("a\x1fb", "character"),
        ("a.", "dot or a space"),
        ("a ", "dot or a space"),
        ("a./b", "dot or a space"),
        ("...", "dot or a space"),
        ("CON", "device"),
        ("nul.tar.gz", "device"),
        ("x/Com1", "device"),
        ("lpt9 .txt", "device"),
        ("COM¹", "device"),
        ("CONIN$", "device"),
    ],
)
def test_names_that_are_not_safe_on_windows(name: str, reason: str) -> None:
    with pytest.raises(UnsafeNameError, match=reason):
        parse_name(name, windows=True)


@pytest.mark.parametrize("name", [".workdir", ".workdir/a", "a/../.workdir/b", "./.workdir//c"])
def test_reserved_directories(name: str) -> None:
    with pytest.raises(UnsafeNameError, match="working directory"):
        parse_name(name, reserved=[(".workdir",)])


def test_reserved_directories_are_whole_parts() -> None:
    reserved = [(".workdir",), ("deep", "down")]
    assert parse_name(".workdirs/a", reserved=reserved) == (".workdirs", "a")
    assert parse_name("deep/a", reserved=reserved) == ("deep", "a")
    with pytest.raises(UnsafeNameError):
        parse_name("deep/down/a", reserved=reserved)


def test_windows_knows_a_reserved_directory_in_any_case() -> None:
    with pytest.raises(UnsafeNameError):
        parse_name(".WorkDir/a", windows=True, reserved=[(".workdir",)])
    assert parse_name(".WorkDir/a", windows=False, reserved=[(".workdir",)])


@pytest.mark.parametrize("name", ["", ".", "./", "a/..", "./."])
def test_names_of_the_root(name: str) -> None:
    assert parse_directory_name(name) == ()


@given(names, st.booleans())
def test_directories_have_the_same_names_as_files(name: str, windows: bool) -> None:
    try:
        parts = parse_directory_name(name, windows=windows, reserved=[("a", "b.txt")])
    except UnsafeNameError as error:
        with pytest.raises(UnsafeNameError, match=re.escape(error.reason)):
            parse_name(name, windows=windows, reserved=[("a", "b.txt")])
        return
    if parts:
        assert parse_name(name, windows=windows, reserved=[("a", "b.txt")]) == parts
    else:
        with pytest.raises(UnsafeNameError, match="names no file"):
            parse_name(name, windows=windows)


@given(names, st.booleans())
def test_a_name_is_refused_or_means_a_file_below_the_root(name: str, windows: bool) -> None:
    try:
        parts = parse_name(name, windows=windows)
    except UnsafeNameError:
        return
    root = Path("/srv/storage")
    path = root.joinpath(*parts)
    assert path != root
    assert path.is_relative_to(root)
    assert path == Path(os.path.normpath(path))
    assert parse_name("/".join(parts), windows=windows) == parts


@given(names)
def test_what_windows_allows_is_allowed_elsewhere(name: str) -> None:
    try:
        parts = parse_name(name, windows=True)
    except UnsafeNameError:
        return
    assert parse_name("/".join(parts), windows=False) == parts


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


@given(names)
def test_an_accepted_name_holds_its_file_on_disk(root: Path, name: str) -> None:
    try:
        parts = parse_name(name)
    except UnsafeNameError:
        return
    storage = root / "storage"
    storage.mkdir(exist_ok=True)
    (root / "source").write_bytes(name.encode())
    with open_directory(root) as directory:
        try:
            place(RootedDirectory(storage), directory, "source", parts)
        except (ObstructedError, IsADirectoryError):
            # An earlier name has put a file where this one needs a directory, or the other way.
            return
    assert storage.joinpath(*parts).read_bytes() == name.encode()
    assert {entry.name for entry in root.iterdir()} <= {"storage", "source"}


ordinary_names = st.lists(
    st.text("aZ09_.-+,=@ ()~:", min_size=0, max_size=5), min_size=1, max_size=4
).map("/".join)


@given(ordinary_names | names)
def test_ordinary_names_are_taken_apart_as_all_others(name: str) -> None:
    def parts() -> tuple[str, ...] | str:
        try:
            return parse_directory_name(name, windows=False, reserved=[("a",)])
        except UnsafeNameError as error:
            return error.reason

    shortcut = parts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dxlfiletransferclient.storage.names._ORDINARY", re.compile("(?!)"))
        assert shortcut == parts()

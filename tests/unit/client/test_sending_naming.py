"""Which names sources get on the service."""

from pathlib import Path

import pytest

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.sending.naming import name_sources


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "f").touch()
    (tmp_path / "g").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "to", "names"),
    [
        ("f", "", ["f"]),
        ("f", "x", ["x"]),
        ("f", "x/", ["x/f"]),
        ("f", "./x//y", ["x/y"]),
        ("f", ".", ["f"]),
        (["f", "g"], "x", ["x/f", "x/g"]),
        (["f", "g"], "", ["f", "g"]),
        ("d", "", ["d"]),
        ("d", "x", ["x/d"]),
        ("d/", "x", ["x/d"]),
        ("d/.", "x", ["x"]),
        ("d/.", "", [""]),
        (".", "x/", ["x"]),
        ("d/sub/..", "", ["d"]),
        ("absent", "x", ["x"]),
        ("absent", "", ["absent"]),
        (["d", "f"], "x", ["x/d", "x/f"]),
        (["d/sub", "d"], "", ["sub", "d"]),
    ],
)
def test_names(here: Path, sources: str | list[str], to: str, names: list[str]) -> None:
    named = name_sources(sources, to)
    assert [each.name for each in named] == names
    assert [each.path for each in named] == ([sources] if isinstance(sources, str) else sources)


def test_paths_of_any_kind(here: Path) -> None:
    assert [each.name for each in name_sources(Path("d"), "x")] == ["x/d"]
    assert [each.name for each in name_sources((Path("f"), "g"))] == ["f", "g"]
    assert [each.directory for each in name_sources(["f", "d"])] == [False, True]


def test_a_link_to_a_directory_is_a_directory(here: Path) -> None:
    (here / "link").symlink_to("d")
    assert [each.name for each in name_sources("link", "x")] == ["x/link"]


def test_nothing_to_send() -> None:
    with pytest.raises(ValueError, match="nothing to send"):
        name_sources([])


def test_two_files_of_one_name(here: Path) -> None:
    (here / "d" / "f").touch()
    with pytest.raises(ValueError, match="2 files would be stored as 'x/f'"):
        name_sources(["f", "d/f"], "x")


@pytest.mark.parametrize("to", ["..", "x/../..", "/x", "a\0b", "x" * 256])
def test_targets_that_no_service_takes(here: Path, to: str) -> None:
    with pytest.raises(UnsafeNameError):
        name_sources("f", to)


def test_things_that_are_no_paths() -> None:
    with pytest.raises(TypeError):
        name_sources([5])  # type: ignore[list-item]

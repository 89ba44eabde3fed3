"""Working directories of stores are told from others of their name."""

from pathlib import Path

from dxlfiletransferclient.storage.local import LocalStore
from dxlfiletransferclient.storage.workplaces import (
    is_working_directory,
    lies_in_working_directory,
)


def test_those_of_stores_are(tmp_path: Path) -> None:
    LocalStore(tmp_path / "store").close()
    working = tmp_path / "store" / ".workdir"
    assert is_working_directory(str(working))
    assert lies_in_working_directory(str(working))
    assert lies_in_working_directory(str(working / "any" / "file.part"))
    assert not lies_in_working_directory(str(tmp_path / "store" / "file"))


def test_others_of_that_name_are_not(tmp_path: Path) -> None:
    other = tmp_path / ".workdir" / "deeper" / ".workdir"
    other.mkdir(parents=True)
    (other / "file").touch()
    assert not is_working_directory(str(other))
    assert not lies_in_working_directory(str(other / "file"))
    (other / ".lock").touch()
    assert lies_in_working_directory(str(other / "file"))
    assert not lies_in_working_directory(str(tmp_path / ".workdir" / "file"))


def test_names_that_only_begin_so_are_not(tmp_path: Path) -> None:
    near = tmp_path / ".workdir2"
    near.mkdir()
    (near / ".lock").touch()
    assert not is_working_directory(str(near))
    assert not lies_in_working_directory(str(near / "file"))

"""What was stored is compared with what was sent."""

from pathlib import Path

import pytest

from benchmarks.checks import files_of, size_of, stored_as_sent, tree_as_sent
from benchmarks.processes import ProgramError


def tree(root: Path) -> Path:
    (root / "inside").mkdir(parents=True)
    (root / "inside" / "one").write_bytes(b"one")
    (root / "two").write_bytes(b"more")
    return root


def test_a_stored_file_is_removed_and_another_one_refused(tmp_path: Path) -> None:
    source, stored = tmp_path / "source", tmp_path / "stored"
    source.write_bytes(b"content")
    stored.write_bytes(b"content")
    stored_as_sent(stored, source)
    assert not stored.exists()
    stored.write_bytes(b"Content")
    with pytest.raises(ProgramError, match="differs"):
        stored_as_sent(stored, source)
    with pytest.raises(ProgramError, match="differs"):
        stored_as_sent(tmp_path / "missing", source)


def test_a_source_that_changed_is_read_anew(tmp_path: Path) -> None:
    source, stored = tmp_path / "source", tmp_path / "stored"
    for content in (b"first", b"and second"):
        source.write_bytes(content)
        stored.write_bytes(content)
        stored_as_sent(stored, source)


def test_a_stored_tree_is_moved_aside(tmp_path: Path) -> None:
    source, stored = tree(tmp_path / "source"), tree(tmp_path / "stored")
    tree_as_sent(stored, source)
    assert not stored.exists()
    (aside,) = tmp_path.glob(".aside-*")
    assert (aside / "inside" / "one").read_bytes() == b"one"


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_tree_with_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    source, stored = tree(tmp_path / "source"), tree(tmp_path / "stored")
    victim = stored / "inside" / "one"
    victim.write_bytes(b"eno") if damage == "changed" else victim.unlink()
    with pytest.raises(ProgramError, match="one"):
        tree_as_sent(stored, source)


def test_sizes_and_counts_are_of_all_files(tmp_path: Path) -> None:
    root = tree(tmp_path / "root")
    assert (size_of(root), files_of(root)) == (7, 2)
    assert (size_of(root / "two"), files_of(root / "two")) == (4, 1)

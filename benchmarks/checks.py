"""Compares what was stored with what was sent."""

import hashlib
import itertools
from functools import cache
from pathlib import Path

from benchmarks.processes import ProgramError

_moved = itertools.count(1)


def stored_as_sent(stored: Path, source: Path) -> None:
    """Check a file that was stored, and remove it.

    Raises:
        ProgramError: It differs from what was sent.
    """
    if not stored.is_file() or _sha256(stored) != _sha256_of_source(source):
        raise ProgramError(f"{stored} differs from {source}")
    stored.unlink()


def tree_as_sent(stored: Path, source: Path) -> None:
    """Check a tree that was stored, and move it aside.

    It is not removed: removing so many files slows the next run's making of files down.

    Raises:
        ProgramError: A file is missing or has another content.
    """
    for path in source.rglob("*"):
        copy = stored / path.relative_to(source)
        if path.is_file() and not (copy.is_file() and copy.read_bytes() == path.read_bytes()):
            raise ProgramError(f"{path} was stored with another content")
    stored.rename(stored.with_name(f".aside-{next(_moved)}"))


def size_of(source: Path) -> int:
    """Return the bytes of a file, or of all files of a tree."""
    if not source.is_dir():
        return source.stat().st_size
    return sum(path.stat().st_size for path in source.rglob("*") if path.is_file())


def files_of(source: Path) -> int:
    """Return how many files a path stands for."""
    return sum(path.is_file() for path in source.rglob("*")) if source.is_dir() else 1


def _sha256_of_source(path: Path) -> str:
    found = path.stat()
    return _remembered_sha256(path, found.st_size, found.st_mtime_ns)


@cache
def _remembered_sha256(path: Path, _size: int, _modified: int) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

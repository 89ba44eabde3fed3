"""Small files that appear whole and stay: configurations, certificates and keys."""

import os
import tempfile
from pathlib import Path

PUBLIC_MODE = 0o644
"""Mode of a file that anybody on the machine may read."""

PRIVATE_MODE = 0o600
"""Mode of a private key."""

PRIVATE_DIRECTORY_MODE = 0o700
"""Mode of a directory that holds private keys."""


def write_file(path: Path, data: bytes, *, mode: int = PUBLIC_MODE) -> None:
    """Write a file so that, whatever happens, either the old or the new one is there, whole.

    The data goes to a file beside it, which no other user can open from its first byte on; it is
    flushed to disk, given its mode and renamed, and the directory is flushed.

    Args:
        path: The file, in a directory that exists.
        data: What it holds.
        mode: Its access mode.

    Raises:
        OSError: It could not be written; nothing is left behind.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    flush_directory(path.parent)


def flush_directory(path: Path) -> None:
    """Flush a directory to disk, and with it the names in it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(path: Path) -> None:
    """Make a directory, with its parents, that only its owner can enter; close one that is open.

    Raises:
        OSError: It cannot be made, or belongs to somebody else.
    """
    path.mkdir(mode=PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)
    close_to_others(path, PRIVATE_DIRECTORY_MODE)


def close_to_others(path: Path, mode: int) -> None:
    """Set a mode on a file or directory that others have any access to; leave the rest alone."""
    if path.stat().st_mode & 0o077:
        path.chmod(mode)

"""Opens files of this machine that may be read for somebody, whatever is put in their place."""

import os
from typing import Final

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.courier.seams import SourceGuard

_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_PASSED: Final = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | _NO_FOLLOW
)
"""Flags for a directory on the way: where the system can, it need not be readable."""

# Without the last flag, opening a pipe that took the place of a file would wait for its writer.
_READ: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | _NO_FOLLOW


def open_allowed(path: str, guard: SourceGuard) -> int:
    """Open a file to read it, if it may be read, and return its descriptor.

    Links are followed first. Where they lead to is what is checked, and what is then opened
    without following any: a link that somebody puts there meanwhile leads nowhere.

    Args:
        path: The path on this machine.
        guard: Says what may be read.

    Raises:
        CommandError: The file may not be read.
        OSError: It cannot be opened, or there is a link on the way by now.
    """
    real = os.path.realpath(path)
    try:
        guard.check(real)
    except CommandError:
        # Its error names the file as whoever sends it knows it.
        guard.check(path)
        raise
    return _open_without_links(real)


def _open_without_links(path: str) -> int:
    if os.open not in os.supports_dir_fd:
        return os.open(path, _READ)
    *directories, name = path.strip("/").split("/")
    at = os.open("/", _PASSED)
    try:
        for each in directories:
            below = os.open(each, _PASSED, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, _READ, dir_fd=at)
    finally:
        os.close(at)

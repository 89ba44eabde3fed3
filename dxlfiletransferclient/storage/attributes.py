"""What a file has besides its name and bytes: when it was modified, and whether it is a program."""

import os
import stat
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.storage.directory import PROGRAM_MODE, Directory

_READABLE: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_RUNNABLE_BITS: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes that travel with a file.

    Attributes:
        modified_ns: Modification time in nanoseconds since 1970; ``None`` for that of its arrival.
        executable: Whether those who may read the file may run it.
    """

    modified_ns: int | None = None
    executable: bool = False


def apply(
    directory: Directory, name: str, descriptor: int, attributes: Attributes, *, runnable: int
) -> None:
    """Give an open file its attributes; they are flushed with it.

    Args:
        directory: Where the file is.
        name: Its name there.
        descriptor: The file.
        attributes: What it is to have.
        runnable: The executable bits that new files may have (see :func:`runnable_bits`).

    Raises:
        OSError: If the file system does not take them.
    """
    if attributes.executable and hasattr(os, "fchmod"):
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        # Executable for those who can read it, which the umask has decided when it was made.
        wanted = mode | ((mode & _READABLE) >> 2 & runnable)
        if wanted != mode:
            os.fchmod(descriptor, wanted)
    if attributes.modified_ns is not None:
        set_modified(directory, name, descriptor, attributes.modified_ns)


def set_modified(directory: Directory, name: str, descriptor: int, modified_ns: int) -> None:
    """Give an open file its modification time; see :func:`apply`."""
    if os.utime in os.supports_fd:
        os.utime(descriptor, ns=(modified_ns, modified_ns))
    else:
        directory.set_modified(name, modified_ns)


def runnable_bits(directory: Directory, probe: str) -> int:
    """Find out which executable bits new files get.

    The umask cannot be asked for without changing it for all threads, and the defaults of a
    directory may count instead, so a file is made and looked at.

    Args:
        directory: Where to make the file; it is removed again.
        probe: A free name for it.

    Raises:
        OSError: If it cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = directory.open_file(probe, flags, PROGRAM_MODE)
    try:
        return os.fstat(descriptor).st_mode & _RUNNABLE_BITS
    finally:
        os.close(descriptor)
        directory.unlink(probe)


def is_executable(status: os.stat_result) -> bool:
    """Whether a file's owner may run it."""
    return bool(status.st_mode & stat.S_IXUSR)

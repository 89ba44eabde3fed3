"""What an older file under the name of a new one means. No input or output."""

import errno
import os
import stat
from enum import Enum, auto
from pathlib import Path

from dxlfiletransferclient.protocol.messages import Entry, Overwrite
from dxlfiletransferclient.receiving.errors import TargetError, TargetExistsError


class Decision(Enum):
    """What is to be done about a file of the service."""

    GET = auto()
    """It is to be received."""

    KEEP = auto()
    """The older file stays."""

    COMPARE = auto()
    """Both may have the same content: their SHA-256 tell, without anything that travels."""


def decide(
    found: os.stat_result | None, entry: Entry, overwrite: Overwrite, path: Path
) -> Decision:
    """Decide what becomes of a file of the service.

    Size and modification time alone prove nothing, but where both are the same a comparison of the
    contents is worth while: a call that is repeated gets only what is missing.

    Args:
        found: What is there under the name (links not followed); ``None`` for nothing.
        entry: The file on the service.
        overwrite: What becomes of an older file.
        path: The name, for messages.

    Raises:
        TargetExistsError: The older file is to be kept, and has another size.
        TargetError: Something that is no file has the name.
    """
    if found is None:
        return Decision.GET
    check_replaceable(found, path)
    regular = stat.S_ISREG(found.st_mode)
    if overwrite is Overwrite.KEEP:
        return Decision.KEEP
    if overwrite is Overwrite.NEWER and entry.modified_ns <= found.st_mtime_ns:
        return Decision.KEEP
    if overwrite is Overwrite.FAIL:
        if not regular or found.st_size != entry.size:
            raise exists(path)
        return Decision.COMPARE
    if regular and (found.st_size, found.st_mtime_ns) == (entry.size, entry.modified_ns):
        return Decision.COMPARE
    return Decision.GET


def check_replaceable(found: os.stat_result, path: Path) -> None:
    """Make sure that something may be replaced by a file.

    Raises:
        TargetError: If it is a directory, device, pipe or socket.
    """
    if stat.S_ISDIR(found.st_mode):
        raise TargetError(errno.EISDIR, f"cannot write {path}: it is a directory")
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):
        text = f"cannot write {path}: it is neither a file nor a directory"
        raise TargetError(errno.EINVAL, text)


def exists(path: Path) -> TargetExistsError:
    """Return the error for an older file that is to be kept."""
    text = f"{path} exists with other content, and is to be kept; get it to another place"
    return TargetExistsError(errno.EEXIST, text)

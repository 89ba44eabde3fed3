"""What version 0.1 of the service left in a working directory: ``<uuid>/file``.

It never came back to such files, so they are removed once they have expired. A directory that holds
anything else was not made by it and is never touched.
"""

import logging
import re
import stat
from typing import Final

from dxlfiletransferclient.storage.directory import Directory

logger = logging.getLogger(__name__)

_DIRECTORY_NAME: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE_NAME: Final = "file"


def last_write(directory: Directory, name: str) -> float | None:
    """Return when a leftover was last written to (seconds), ``None`` if it is none."""
    if not _DIRECTORY_NAME.fullmatch(name):
        return None
    try:
        with directory.child(name) as leftover:
            time = directory.lstat(name).st_mtime
            found = leftover.names()
            if not found:
                return time
            status = leftover.lstat(_FILE_NAME)
            if len(found) > 1 or not stat.S_ISREG(status.st_mode):
                return None
            return max(time, status.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(directory: Directory, name: str) -> None:
    """Remove a leftover; what cannot be removed is logged and stays."""
    try:
        with directory.child(name) as leftover:
            if leftover.names():
                leftover.unlink(_FILE_NAME)
        directory.rmdir(name)
    except OSError as error:
        logger.warning("Could not remove %s from the working directory: %s", name, error)

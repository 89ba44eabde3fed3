"""What files under way are called in a working directory, and how they are removed."""

import logging
import re
from typing import Final

from dxlfiletransferclient.constants import MAX_FILE_ID_LENGTH
from dxlfiletransferclient.storage.directory import Directory

logger = logging.getLogger(__name__)

_OWN_NAME: Final = re.compile(rf"dxlft-([A-Za-z0-9_-]{{1,{MAX_FILE_ID_LENGTH}}})\.(?:part|journal)")


def part_name(file_id: str) -> str:
    """Return the name of the bytes of a file under way."""
    return f"dxlft-{file_id}.part"


def journal_name(file_id: str) -> str:
    """Return the name of the journal of a file under way."""
    return f"dxlft-{file_id}.journal"


def file_id_of(name: str) -> str | None:
    """Return the id of the file that a name in the working directory belongs to, if any."""
    match = _OWN_NAME.fullmatch(name)
    return match[1] if match else None


def exist(directory: Directory, file_id: str) -> bool:
    """Whether there are any files of an id."""
    return last_write(directory, file_id) is not None


def last_write(directory: Directory, file_id: str) -> float | None:
    """Return when a file was last written to (seconds), ``None`` if nothing of it is there."""
    # Every write is recorded in the journal; the bytes may have the time of their source already.
    for name in (journal_name(file_id), part_name(file_id)):
        try:
            return directory.lstat(name).st_mtime
        except FileNotFoundError:
            continue
    return None


def remove(directory: Directory, file_id: str) -> None:
    """Remove what there is of a file; what cannot be removed is logged and stays."""
    # The journal first: one without its bytes would tell that they were given their name.
    for name in (journal_name(file_id), part_name(file_id)):
        remove_one(directory, name)


def remove_one(directory: Directory, name: str) -> None:
    """Remove a file that may be gone already; if it cannot be removed, that is logged."""
    try:
        directory.unlink(name)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("Could not remove %s from the working directory: %s", name, error)

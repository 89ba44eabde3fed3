"""The hidden file beside the target that a file is received into."""

import errno
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.receiving.errors import TargetError, TargetInUseError, local_errors
from dxlfiletransferclient.receiving.locking import try_lock
from dxlfiletransferclient.storage.directory import Directory

_PART: Final = ".dxlft-{}.part"
_JOURNAL: Final = ".dxlft-{}.journal"
_LINK: Final = ".dxlft-{}.link"
_RESERVED: Final = re.compile(r"\.dxlft-[0-9a-f]{32}\.(?:part|journal|link)", re.IGNORECASE)
_ID_LENGTH: Final = 32

_ATTEMPTS: Final = 10
"""Times that a part file is looked for again because another process just gave it its name."""

_RENAMES_OPEN_FILES: Final = os.name != "nt"

Payload = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is to appear.

    Attributes:
        parent: Its directory.
        name: Its name there.
        path: The same for people.
    """

    parent: Directory
    name: str
    path: Path


def part_id(store_topic: str, name: str, target_name: str) -> str:
    """Return the id of a part file: the same when the same is received again.

    Args:
        store_topic: Names the service.
        name: Name of the file there.
        target_name: Name of the file here, without its directory.
    """
    described = json.dumps([store_topic, name, target_name]).encode()
    return hashlib.sha256(described).hexdigest()[:_ID_LENGTH]


def is_reserved(name: str) -> bool:
    """Whether a name is one of those that files under way have; no other file may have it."""
    return _RESERVED.fullmatch(name) is not None


def journal_name(identity: str) -> str:
    """Return the name of the journal of a part file."""
    return _JOURNAL.format(identity)


def link_name(identity: str) -> str:
    """Return the name that a link has until it gets its own."""
    return _LINK.format(identity)


class Part:
    """A part file, open and locked until it is closed. Make one with :meth:`opened`.

    Attributes:
        place: Where the file is to appear.
        name: Name of the part file, in the same directory.
        descriptor: The open file, for reading and writing.
    """

    def __init__(self, place: Place, name: str, descriptor: int) -> None:
        self.place = place
        self.name = name
        self.descriptor = descriptor

    @classmethod
    def opened(cls, place: Place, identity: str) -> "Part":
        """Open the part file for a place, with what it holds; make it if there is none.

        Args:
            place: Where the file is to appear.
            identity: From :func:`part_id`.

        Raises:
            TargetInUseError: If another process, or another file of this one, has it open.
            TargetError: If it cannot be made, or somebody else put something else there.
        """
        name = _PART.format(identity)
        with local_errors("write", place.path):
            for _ in range(_ATTEMPTS):
                descriptor = place.parent.open_file(name, os.O_RDWR | os.O_CREAT)
                try:
                    if _is_ours(place, name, descriptor):
                        return cls(place, name, descriptor)
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
        raise _in_use(place)

    @property
    def size(self) -> int:
        """Bytes of the part file."""
        return os.fstat(self.descriptor).st_size

    def write(self, offset: int, data: Payload) -> None:
        """Write bytes at their place.

        Raises:
            TargetError: If they cannot be written.
        """
        with local_errors("write", self.place.path):
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]

    def read(self, offset: int, size: int) -> bytes:
        """Read bytes back; there are fewer where the file ends, and none behind it.

        Raises:
            TargetError: If they cannot be read.
        """
        with local_errors("read back", self.place.path):
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, size)

    def cut(self, size: int) -> None:
        """Make the part file so long.

        Raises:
            TargetError: If that cannot be done.
        """
        with local_errors("write", self.place.path):
            os.ftruncate(self.descriptor, size)

    def rename(self) -> None:
        """Give the file its name, over whatever file has it, and let go of it."""
        if not _RENAMES_OPEN_FILES:
            self.close()
        self.place.parent.move(self.name, self.place.parent, self.place.name)
        self.close()

    def remove(self) -> None:
        """Remove the part file and let go of it."""
        if not _RENAMES_OPEN_FILES:
            self.close()
        try:
            self.place.parent.unlink(self.name)
        except FileNotFoundError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the part file; it stays. May be repeated."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _is_ours(place: Place, name: str, descriptor: int) -> bool:
    """Lock a part file; false if it was given its name, or removed, just before."""
    if not try_lock(descriptor):
        raise _in_use(place)
    status = os.fstat(descriptor)
    alone = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
    if not alone or (hasattr(os, "geteuid") and status.st_uid != os.geteuid()):
        # In a directory that others write to, as /tmp is, they could read along.
        if status.st_nlink == 0:
            return False
        text = f"cannot write {place.path}: {name!r} beside it is somebody else's; remove it"
        raise TargetError(errno.EPERM, text)
    try:
        found = place.parent.lstat(name)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def _in_use(place: Place) -> TargetInUseError:
    text = f"{place.path} is being received by another process; wait for it or stop it"
    return TargetInUseError(errno.EBUSY, text)

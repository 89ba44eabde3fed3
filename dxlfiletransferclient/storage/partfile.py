"""The bytes of a file under way, on the disk."""

import os

from dxlfiletransferclient.digests import short_digest
from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.frontier import READ_SIZE
from dxlfiletransferclient.storage.journal import Segment
from dxlfiletransferclient.storage.journalfile import sync_data, write_at
from dxlfiletransferclient.storage.partialnames import remove_one
from dxlfiletransferclient.storage.recovery import damaged_segments


class PartFile:
    """Reads and writes at any offset; for several threads, as long as they write different bytes.

    Every method raises ``OSError`` if the disk does not do what is asked.

    Args:
        directory: The directory that it is in.
        descriptors: Opens files of this directory.
        name: Its name there.
    """

    def __init__(self, directory: Directory, descriptors: Descriptors, name: str) -> None:
        self.name = name
        self._directory = directory
        self._descriptors = descriptors

    def is_here(self) -> bool:
        """Whether it has its name in the working directory still."""
        try:
            self._directory.lstat(self.name)
        except FileNotFoundError:
            return False
        return True

    def read(self, size: int, offset: int) -> bytes:
        """Read so many bytes from an offset; fewer only at the end of the file."""
        with self._descriptors.use(self.name) as part:
            return os.pread(part, size, offset)

    def differs(self, offset: int, view: memoryview) -> int | None:
        """Compare with bytes in memory; return about where the first other one is, if any."""
        with self._descriptors.use(self.name) as part:
            for at in range(0, len(view), READ_SIZE):
                piece = view[at : at + READ_SIZE]
                if os.pread(part, len(piece), offset + at) != piece:
                    return offset + at
        return None

    def write(self, offset: int, view: memoryview, digest: bytes | None = None) -> Segment:
        """Write bytes to an offset, and return what there is to record of them.

        Args:
            offset: Where they begin.
            view: The bytes.
            digest: Their short digest, where it is known.
        """
        part = self._descriptors.lend(self.name)
        try:
            write_at(part.number, offset, view)
        finally:
            self._descriptors.give_back(part)
        return Segment(offset, len(view), digest or short_digest(view))

    def sync(self) -> None:
        """Wait until everything written so far is safe on the disk."""
        with self._descriptors.use(self.name) as part:
            sync_data(part)

    def cut(self, size: int) -> int:
        """Take away what lies behind the end of the file, and return the number of its inode."""
        with self._descriptors.use(self.name) as part:
            status = os.fstat(part)
            if status.st_size != size:
                os.ftruncate(part, size)
            return status.st_ino

    def let_go(self) -> None:
        """Close it: under its new name somebody may remove it, and wants its bytes back."""
        self._descriptors.forget(self.name)

    def remove(self) -> None:
        """Remove it; if that cannot be done, it is logged."""
        self._descriptors.forget(self.name)
        remove_one(self._directory, self.name)

    def damaged(self, journal_name: str) -> IntervalSet:
        """Read everything again and return the ranges that are not as a journal recorded them."""
        with (
            self._descriptors.use(self.name) as part,
            self._descriptors.use(journal_name) as journal,
        ):
            return damaged_segments(part, journal)

"""The journal of a file under way, on the disk."""

import os
from typing import Final

from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.journal import Record, Segment, Writer

sync_data: Final = getattr(os, "fdatasync", os.fsync)
"""Flushes the bytes of a file, and of what is known about it only what is needed to find them."""


MOST_GATHERED: Final = 256
"""Records of segments that wait in memory for the next checkpoint, some hundred bytes each.

A checkpoint comes after fewer large segments; small ones are recorded so many at a time.
"""


def write_at(descriptor: int, offset: int, data: memoryview) -> None:
    """Write all of some bytes to an offset.

    Raises:
        OSError: If they cannot be written; some of them may have been.
    """
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


class JournalFile:
    """Appends records. Not for several threads at once, except for :meth:`sync`.

    Args:
        directory: The directory that it is in.
        descriptors: Opens files of this directory.
        name: Its name there.
        writer: Goes on after its last good record.
        named: Whether its name is known to be safe on the disk.
        gathers: Whether records of segments may wait for the next checkpoint. A process that is
            killed loses them, so the segments have to be sent again, which version 1 cannot.
    """

    def __init__(
        self,
        directory: Directory,
        descriptors: Descriptors,
        name: str,
        *,
        writer: Writer,
        named: bool,
        gathers: bool,
    ) -> None:
        self._directory = directory
        self._descriptors = descriptors
        self._name = name
        self._writer = writer
        self._named = named
        self._most_gathered = MOST_GATHERED if gathers else 0
        self._owed: list[Record] = []

    @property
    def position(self) -> int:
        """Bytes so far."""
        return self._writer.position

    @property
    def owes(self) -> bool:
        """Whether there are records that were not written yet."""
        return bool(self._owed)

    def owe(self, *records: Record) -> None:
        """Have records written before the next ones."""
        self._owed += records

    def gather(self, segments: list[Segment]) -> None:
        """Have segments recorded before the next checkpoint: now, where many wait for it already.

        Raises:
            OSError: As for :meth:`append`.
        """
        if len(self._owed) < self._most_gathered:
            self._owed += segments
        else:
            self.append(*segments)

    def append(self, *records: Record) -> None:
        """Write what is owed, and some more records.

        Raises:
            OSError: If they cannot be written. What was owed is owed still; the other records
                count as never written, and the next ones take their place.
        """
        data, writer = self._writer.encoded(*self._owed, *records)
        if data:
            with self._descriptors.use(self._name) as journal:
                write_at(journal, self._writer.position, memoryview(data))
            self._writer = writer
            self._owed.clear()

    def sync(self) -> None:
        """Wait until everything written so far, and the name, are safe on the disk.

        Raises:
            OSError: If that cannot be done.
        """
        if not self._named:
            self._directory.sync()
            self._named = True
        with self._descriptors.use(self._name) as journal:
            sync_data(journal)

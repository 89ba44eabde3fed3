"""One file under way: its bytes so far, and a journal of where each segment ended.

The journal is a row of 8-byte numbers, one per segment: the size of the file after it. It lets a
restarted service go on after the last whole segment. Neither file is flushed for each segment: what
a power failure takes, the hash of the whole file finds missing, and nothing false is published.
"""

import hashlib
import logging
import os
import re
import struct
from collections.abc import Iterator
from typing import Final, Protocol

from dxlfiletransferclient.constants import MAX_FILE_ID_LENGTH
from dxlfiletransferclient.storage.directory import Directory

logger = logging.getLogger(__name__)

FLUSH_EVERY: Final = 64 * 2**20
"""Bytes after which a file under way is flushed to disk.

Flushing as it grows keeps the last flush, which a sender waits for, short however large the file
is. At this size it costs no throughput that can be measured; more often would.
"""

READ_SIZE: Final = 2**20
"""Bytes read at a time when a partial file or its journal is read again (memory per file)."""

_RECORD: Final = struct.Struct(">Q")
_PART: Final = "dxlft-{}.part"
_JOURNAL: Final = "dxlft-{}.journal"
_OWN_NAME: Final = re.compile(rf"dxlft-([A-Za-z0-9_-]{{1,{MAX_FILE_ID_LENGTH}}})\.(?:part|journal)")

_sync_data = getattr(os, "fdatasync", os.fsync)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def file_id_of(name: str) -> str | None:
    """Return the id of the file that a name in the working directory belongs to, if any."""
    match = _OWN_NAME.fullmatch(name)
    return match[1] if match else None


def last_write(directory: Directory, file_id: str) -> float | None:
    """Return when a partial file was last written to (seconds), ``None`` if nothing is there."""
    times = []
    for name in _names(file_id):
        try:
            times.append(directory.lstat(name).st_mtime)
        except FileNotFoundError:
            continue
    return max(times, default=None)


def recorded_segments(directory: Directory, file_id: str) -> int:
    """Return how many segments the journal of a partial file counts, without reading the file."""
    try:
        return directory.lstat(_JOURNAL.format(file_id)).st_size // _RECORD.size
    except FileNotFoundError:
        return 0


def remove(directory: Directory, file_id: str) -> None:
    """Remove what there is of a partial file; what cannot be removed is logged and stays."""
    for name in _names(file_id):
        try:
            directory.unlink(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("Could not remove %s from the working directory: %s", name, error)


class Partial:
    """A file that arrives segment by segment, strictly in order. Not for several threads at once.

    Make one with :meth:`create` or :meth:`reopen`. No file stays open between two segments.

    Attributes:
        file_id: Id of the file.
        segments: Whole segments so far.
        size: Bytes so far.
    """

    def __init__(
        self, directory: Directory, file_id: str, segments: int, size: int, digest: _Digest
    ) -> None:
        self._directory = directory
        self._part, self._journal = _names(file_id)
        self._digest = digest
        self._unflushed = 0
        self.file_id = file_id
        self.segments = segments
        self.size = size

    @classmethod
    def create(cls, directory: Directory, file_id: str) -> "Partial":
        """Begin a file.

        Raises:
            FileExistsError: If there is one with this id.
            OSError: If it cannot be made; nothing of it is left then.
        """
        made: list[str] = []
        try:
            for name in _names(file_id):
                os.close(directory.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                made.append(name)
        except OSError:
            for name in made:
                directory.unlink(name)
            raise
        return cls(directory, file_id, 0, 0, hashlib.sha256())

    @classmethod
    def reopen(cls, directory: Directory, file_id: str) -> "Partial":
        """Go on with a file after its last whole segment; what is torn behind it is cut off.

        The bytes are read once to hash them again, which takes about a second per gigabyte.

        Raises:
            OSError: If it cannot be read or cut.
        """
        part, journal = _names(file_id)
        descriptor = directory.open_file(part, os.O_RDWR)
        try:
            segments, size = _read_journal(directory, journal, os.fstat(descriptor).st_size)
            os.ftruncate(descriptor, size)
            digest = hashlib.sha256()
            for data in _pieces(descriptor):
                digest.update(data)
        finally:
            os.close(descriptor)
        logger.info("Going on with file %s after segment %d", file_id, segments)
        return cls(directory, file_id, segments, size, digest)

    @property
    def name(self) -> str:
        """Name of the file's bytes in its directory."""
        return self._part

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes so far, in lower-case hex."""
        return self._digest.hexdigest()

    def append(self, payload: bytes) -> None:
        """Add the next segment.

        Raises:
            OSError: If it could not be written; the file is of no use then.
        """
        if payload:
            descriptor = self._directory.open_file(self._part, os.O_WRONLY)
            try:
                _write_at(descriptor, self.size, payload)
                self._flush_sometimes(descriptor, len(payload))
            finally:
                os.close(descriptor)
        self._digest.update(payload)
        self.size += len(payload)
        self._record()

    def _flush_sometimes(self, descriptor: int, written: int) -> None:
        self._unflushed += written
        if self._unflushed >= FLUSH_EVERY:
            _sync_data(descriptor)
            self._unflushed = 0

    def _record(self) -> None:
        descriptor = self._directory.open_file(self._journal, os.O_WRONLY)
        try:
            _write_at(descriptor, self.segments * _RECORD.size, _RECORD.pack(self.size))
        finally:
            os.close(descriptor)
        self.segments += 1


def _names(file_id: str) -> tuple[str, str]:
    return _PART.format(file_id), _JOURNAL.format(file_id)


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _pieces(descriptor: int) -> Iterator[bytes]:
    while data := os.read(descriptor, READ_SIZE):
        yield data


def _read_journal(directory: Directory, name: str, part_size: int) -> tuple[int, int]:
    """Return whole segments and their size, and cut off what follows their records."""
    try:
        descriptor = directory.open_file(name, os.O_RDWR)
    except FileNotFoundError:
        # The service ended between making the one file and the other.
        descriptor = directory.open_file(name, os.O_RDWR | os.O_CREAT)
    try:
        segments, size = whole_segments(_pieces(descriptor), part_size)
        os.ftruncate(descriptor, segments * _RECORD.size)
    finally:
        os.close(descriptor)
    return segments, size


def whole_segments(journal: Iterator[bytes], part_size: int) -> tuple[int, int]:
    """Find the last whole segment of a journal; no input or output.

    Args:
        journal: The journal's bytes, in pieces of any size.
        part_size: Bytes of the partial file.

    Returns:
        The number of whole segments and their bytes together. The first record that is cut off,
        lies beyond the file's end or goes backwards ends the count.
    """
    segments, size, torn = 0, 0, b""
    for piece in journal:
        data = torn + piece
        whole = len(data) - len(data) % _RECORD.size
        torn = data[whole:]
        for (end,) in _RECORD.iter_unpack(data[:whole]):
            if not size <= end <= part_size:
                return segments, size
            segments, size = segments + 1, end
    return segments, size

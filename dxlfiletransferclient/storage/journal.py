"""The journal of a file under way: its records as bytes, and what they add up to. No input, output.

A journal is only ever appended to. Each record ends with a checksum that covers it and, through the
one before, everything up to it, so whatever was torn, damaged or left over ends the journal there
and is never taken for a record.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from dxlfiletransferclient.digests import SHORT_DIGEST_LENGTH
from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.storage.overwriting import NO_TERMS, Terms

MAX_RECORD: Final = 32 * 1024
"""Bytes of the content of a record at most.

Only the header comes near it, with a name of 4 KiB whose every byte takes six in JSON. A length
beyond it is damage, and no memory is set aside for it.
"""

_FRAME: Final = struct.Struct(">BI")
_CHECK: Final = struct.Struct(">I")
_SEGMENT: Final = struct.Struct(f">QI{SHORT_DIGEST_LENGTH}s")
_CHECKPOINT: Final = struct.Struct(">QQ")
_DROPPED: Final = struct.Struct(">QQI")
_INTENT: Final = struct.Struct(">QQ32s")
_LARGEST_NUMBER: Final = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a file is to become, as it was opened.

    Attributes:
        version: Version of the wire that it arrives by, 1 or 2.
        name: Name that it is to have; empty with version 1, which tells it at the end.
        size: Bytes in all, if known.
        modified_ns: Modification time to be set, in nanoseconds since 1970.
        executable: Whether it is to be executable.
        overwrite: What becomes of an older file.
        terms: On which terms.
    """

    version: int = 2
    name: str = ""
    size: int | None = None
    modified_ns: int | None = None
    executable: bool = False
    overwrite: Overwrite = Overwrite.REPLACE
    terms: Terms = NO_TERMS


class Segment(NamedTuple):
    """Some bytes were written.

    Attributes:
        start: Where they begin.
        length: How many they are; 0 only with version 1.
        digest: Their xxh3-128.
    """

    start: int
    length: int
    digest: bytes

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was written before a certain place in the journal is safe on the disk.

    Attributes:
        mark: That place: bytes of the journal. Records between it and this one are not covered.
        hashed: Bytes at the beginning of the file that the SHA-256 has taken in.
        state: State of the SHA-256 after them; empty where it cannot be saved.
    """

    mark: int
    hashed: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """Bytes are held no more: they are not what was sent.

    Attributes:
        start: Where they begin.
        end: The offset after the last one.
        segments: With version 1, how many segments count no more: the last ones.
    """

    start: int
    end: int
    segments: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """The file is whole and about to be given its name.

    Attributes:
        size: Bytes in all.
        inode: Number of the file, by which it is known again under its new name.
        sha256: SHA-256 in hex.
    """

    size: int
    inode: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The file could not be given its name; it is under way as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The file has its name, or an older one was kept.

    Attributes:
        kept: Whether an older file was kept.
        version: Version of the file that had the name then.
        size: Bytes of the file that was under way.
        sha256: SHA-256 of that file in hex.
    """

    kept: bool = False
    version: str
    size: int
    sha256: str


Record = Metadata | Segment | Checkpoint | Dropped | Intent | Withdrawn | Stored

_KINDS: Final[dict[type[Record], int]] = {
    Metadata: 1,
    Segment: 2,
    Checkpoint: 3,
    Dropped: 4,
    Intent: 5,
    Withdrawn: 6,
    Stored: 7,
}


class Writer:
    """Turns records into the bytes to be appended to a journal.

    Args:
        position: Bytes of the journal so far.
        check: Checksum at its end.
    """

    __slots__ = ("_check", "position")

    def __init__(self, position: int = 0, check: int = 0) -> None:
        self.position = position
        self._check = check

    def encoded(self, *records: Record) -> tuple[bytes, "Writer"]:
        """Return the bytes of some records, and the writer to go on with once they are written."""
        check, pieces = self._check, []
        for record in records:
            content = _content(record)
            framed = _FRAME.pack(_KINDS[type(record)], len(content)) + content
            check = zlib.crc32(framed, check)
            pieces += [framed, _CHECK.pack(check)]
        data = b"".join(pieces)
        return data, Writer(self.position + len(data), check)


class Reader:
    """Finds the records of a journal that comes in pieces; stops for good at the first bad one."""

    __slots__ = ("_broken", "_check", "_rest", "position")

    def __init__(self) -> None:
        self.position = 0
        self._check = 0
        self._rest = b""
        self._broken = False

    def read(self, piece: bytes) -> Iterator[tuple[int, Record]]:
        """Yield each record that ends in this piece, with the place where it begins."""
        data, at = self._rest + piece, 0
        while not self._broken and len(data) - at >= _FRAME.size:
            kind, length = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + length
            if length > MAX_RECORD:
                self._broken = True
            elif len(data) < end + _CHECK.size:
                break
            else:
                check = zlib.crc32(data[at:end], self._check)
                record = _record(kind, data[at + _FRAME.size : end])
                if _CHECK.unpack_from(data, end) != (check,) or record is None:
                    self._broken = True
                else:
                    begin, self._check = self.position, check
                    self.position += end + _CHECK.size - at
                    at = end + _CHECK.size
                    yield begin, record
        self._rest = b"" if self._broken else data[at:]

    def writer(self) -> Writer:
        """Return what goes on after the last good record."""
        return Writer(self.position, self._check)


class History:
    """What the records of a journal add up to.

    Attributes:
        metadata: What the file is to become; ``None`` if the journal has no beginning.
        durable: Ranges that a checkpoint covers.
        pending: Segments after it, in order; whether they are on the disk has to be seen.
        hashed: Bytes that the saved SHA-256 has taken in.
        state: Saved state of the SHA-256; empty if there is none.
        segments: Segments that count, with version 1.
        intent: Where the file was about to be given its name.
        stored: Where it has its name.
    """

    def __init__(self) -> None:
        self.metadata: Metadata | None = None
        self.durable = IntervalSet()
        self.hashed = 0
        self.state = b""
        self.segments = 0
        self.intent: Intent | None = None
        self.stored: Stored | None = None
        self._uncovered: list[tuple[int, Segment | Dropped]] = []

    @property
    def pending(self) -> list[Segment]:
        """Segments that no checkpoint covers, without those that were dropped again."""
        found: list[Segment] = []
        for _, record in self._uncovered:
            if isinstance(record, Segment):
                found.append(record)
            elif record.segments:
                # With version 1, which has empty segments too, it is always the last ones.
                del found[-record.segments :]
            else:
                found = [each for each in found if not _meet(each, record)]
        return found

    def add(self, position: int, record: Record) -> None:
        """Take in the next record.

        Args:
            position: Where in the journal it begins.
            record: The record.
        """
        match record:
            case Metadata():
                self.metadata = record
            case Segment():
                self.segments += 1
                self._uncovered.append((position, record))
            case Dropped():
                self.segments -= record.segments
                self._uncovered.append((position, record))
                self.durable.remove(record.start, record.end)
                if record.start < self.hashed:
                    self.hashed, self.state = 0, b""
            case Checkpoint():
                self._cover(record)
            case Intent():
                self.intent = record
            case Withdrawn():
                self.intent = None
            case Stored():
                self.stored = record

    def _cover(self, checkpoint: Checkpoint) -> None:
        later = []
        for position, record in self._uncovered:
            if position >= checkpoint.mark:
                later.append((position, record))
            elif isinstance(record, Segment):
                self.durable.add(record.start, record.end)
            else:
                self.durable.remove(record.start, record.end)
        self._uncovered = later
        # What was dropped behind the mark does not become durable again by what lies before it.
        for _, record in later:
            if isinstance(record, Dropped):
                self.durable.remove(record.start, record.end)
        if checkpoint.hashed <= self.durable.prefix:
            self.hashed, self.state = checkpoint.hashed, checkpoint.state


def _meet(segment: Segment, dropped: Dropped) -> bool:
    return segment.start < dropped.end and dropped.start < segment.end


def _content(record: Record) -> bytes:
    match record:
        case Segment():
            return _SEGMENT.pack(record.start, record.length, record.digest)
        case Checkpoint():
            return _CHECKPOINT.pack(record.mark, record.hashed) + record.state
        case Dropped():
            return _DROPPED.pack(record.start, record.end, record.segments)
        case Intent():
            return _INTENT.pack(record.size, record.inode, bytes.fromhex(record.sha256))
        case Withdrawn():
            return b""
        case Metadata(terms=terms) if terms == NO_TERMS:
            # As programs read it that know no terms.
            fields = asdict(record)
            del fields["terms"]
            return json.dumps(fields).encode()
        case _:
            return json.dumps(asdict(record)).encode()


def _record(kind: int, content: bytes) -> Record | None:
    """Read the content of a record; ``None`` if it is none."""
    try:
        return _read(kind, content)
    except (ValueError, TypeError, LookupError, AttributeError, struct.error, RecursionError):
        return None


def _read(kind: int, content: bytes) -> Record:
    match kind:
        case 1:
            return _metadata(json.loads(content))
        case 2:
            return Segment(*_SEGMENT.unpack(content))
        case 3:
            mark, hashed = _CHECKPOINT.unpack_from(content)
            return Checkpoint(mark, hashed, content[_CHECKPOINT.size :])
        case 4:
            return Dropped(*_DROPPED.unpack(content))
        case 5:
            size, inode, digest = _INTENT.unpack(content)
            return Intent(size, inode, digest.hex())
        case 6:
            return Withdrawn()
        case 7:
            return Stored(**json.loads(content))
        case _:
            raise ValueError(f"a record of kind {kind}")


def _metadata(fields: dict[str, Any]) -> Metadata:
    terms = Terms(**fields.get("terms", {}))
    return Metadata(**{**fields, "overwrite": Overwrite(fields["overwrite"]), "terms": terms})

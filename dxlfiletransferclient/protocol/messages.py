"""One class for each request and answer of version 2.

Every attribute is a field of the message under the same name; ``None`` and empty ranges are left
out. ``payload`` is the payload, and a tuple of messages is a JSON array in it.
:mod:`~dxlfiletransferclient.protocol.coding` turns them into parcels and back.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dxlfiletransferclient.constants import MAX_FILE_ID_LENGTH
from dxlfiletransferclient.intervals import NOTHING, Ranges
from dxlfiletransferclient.protocol.limits import (
    MAX_BATCH_ENTRIES,
    MAX_FILE_SIZE,
    MAX_PAGE_ENTRIES,
    SEGMENT_SIZE,
)
from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.protocol.sessions import (
    AdmitAnswer,
    AdmitRequest,
    CallAnswer,
    CallRequest,
    LeaveRequest,
    SealedAnswer,
    SealedRequest,
)

_FILE_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_FILE_ID_LENGTH}}}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

_FIRST_TIME: Final = -(2**63)
_LAST_TIME: Final = 2**63 - 1
"""What file systems can hold: times of 64 bits, in nanoseconds."""


class TransferState(StrEnum):
    """How far a file is on the receiving side."""

    RECEIVING = "receiving"
    """Bytes are missing."""

    VERIFYING = "verifying"
    """All is there; it is being flushed and compared. Ask again."""

    STORED = "stored"
    """It has its name, and its bytes are safe on the disk."""

    KEPT = "kept"
    """An older file of that name was kept, as the overwrite mode says; nothing was stored."""

    MISMATCH = "mismatch"
    """Size or SHA-256 are not those of the sender: ``damaged`` has to be sent again."""


class Overwrite(StrEnum):
    """What becomes of an older file of the same name."""

    REPLACE = "replace"
    """The new file takes its place, in one step."""

    NEWER = "newer"
    """The same if the new file was modified later; otherwise the old one is kept."""

    KEEP = "keep"
    """The old file is kept, and that is no error."""

    FAIL = "fail"
    """The old file is kept, and that is an error unless both have the same content."""


class Kind(StrEnum):
    """What a name stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloRequest:
    """Asks what the service is and offers. Answer: :class:`HelloAnswer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloAnswer:
    """What a service is and offers.

    Attributes:
        revision: Additions to version 2 that the service knows.
        store_id: Names its store; the same after a restart, another one for another store.
        segment_size: Largest segment that it takes, in bytes.
        window: Bytes that one client may have outstanding at the moment.
        verbs: The verbs that it takes, with blanks between them.
        public_key: Its key for sessions, if it admits to any; see :mod:`.sessions`.
        server_uid: Names the transfer server behind it; the same after a restart.
        server_name: What people call that server.
    """

    revision: int
    store_id: str
    segment_size: int
    window: int
    verbs: str
    public_key: str | None = None
    server_uid: str | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        _check_range("segment_size", self.segment_size, 1, SEGMENT_SIZE)
        _check_range("window", self.window, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """Begins a file, or goes on with one. Answer: :class:`TransferAnswer`.

    Attributes:
        file_id: Made by the client; 1 to 64 letters, digits, ``-`` or ``_``.
        name: Name below the storage directory, ``/`` between its parts.
        size: Bytes in all; ``None`` while that is unknown.
        modified_ns: Modification time to be set, in nanoseconds since 1970.
        executable: Whether the file is to be executable.
        overwrite: What becomes of an older file.
    """

    file_id: str
    name: str
    size: int | None = None
    modified_ns: int | None = None
    executable: bool = False
    overwrite: Overwrite = Overwrite.REPLACE

    def __post_init__(self) -> None:
        _check_file_id(self.file_id)
        _check_range("size", self.size, 0, MAX_FILE_SIZE)
        _check_modified(self.modified_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """Brings a part of a file. Answer: :class:`TransferAnswer`.

    Attributes:
        file_id: The file.
        offset: Where the part begins, in bytes.
        payload: The bytes, at least one.
        payload_digest: Their digest (see :func:`.parcels.digest_of`), where it was computed
            already; it is right in a request that came over the bus, and not a field of it.
    """

    file_id: str
    offset: int
    payload: Payload
    payload_digest: str | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_file_id(self.file_id)
        _check_range("length of the payload", len(self.payload), 1)
        _check_range("offset", self.offset, 0, MAX_FILE_SIZE - len(self.payload))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """Asks how far a file is. Answer: :class:`TransferAnswer`.

    Attributes:
        file_id: The file.
        flush: Whether what is held shall be made durable before the answer.
    """

    file_id: str
    flush: bool = False

    def __post_init__(self) -> None:
        _check_file_id(self.file_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRequest:
    """Says what the whole file is, to have it checked and stored. Answer: :class:`TransferAnswer`.

    Where bytes are missing, the answer's state is ``receiving`` and nothing else happens.

    Attributes:
        file_id: The file.
        size: Bytes in all.
        sha256: SHA-256 of all, 64 hex digits in lower case.
    """

    file_id: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        _check_file_id(self.file_id)
        _check_range("size", self.size, 0, MAX_FILE_SIZE)
        _check_sha256(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequest:
    """Has a file dropped with all that is held of it. Answer: :class:`DoneAnswer`.

    Attributes:
        file_id: The file; it is no error if it is not known.
        reason: For the service's log.
    """

    file_id: str
    reason: str = ""

    def __post_init__(self) -> None:
        _check_file_id(self.file_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneAnswer:
    """Says that it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAnswer:
    """How far a file is.

    Attributes:
        state: Where it stands.
        held: Ranges that need not be sent again unless the service is restarted; at most 256, the
            first ones, as everywhere.
        durable: Ranges that outlive any crash; part of ``held``.
        segment_size: Largest segment that the service takes, in bytes.
        window: Bytes that the client may have outstanding for this file at the moment.
        size: Bytes in all, once the file is stored.
        sha256: SHA-256 of the stored file.
        version: Version of the stored file, as ``stat`` gives it.
        damaged: Where the state is ``mismatch``: the ranges that are not as they were sent. Empty
            if every segment is: then what the client says of the whole is wrong, or it has sent
            parts of different contents.
    """

    state: TransferState
    held: Ranges = NOTHING
    durable: Ranges = NOTHING
    segment_size: int
    window: int
    size: int | None = None
    sha256: str | None = None
    version: str | None = None
    damaged: Ranges = NOTHING

    def __post_init__(self) -> None:
        _check_range("segment_size", self.segment_size, 1, SEGMENT_SIZE)
        _check_range("window", self.window, 1)
        _check_range("size", self.size, 0, MAX_FILE_SIZE)
        _check_sha256(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """One whole file, empty directory or link of a batch.

    Attributes:
        kind: What it is.
        name: Name below the storage directory.
        payload: Content of a file; empty for anything else.
        sha256: SHA-256 of the content; needed for files.
        target: Where a link leads to, relative to the directory that it is in.
        modified_ns: Modification time to be set, in nanoseconds since 1970.
        executable: Whether a file is to be executable.
        overwrite: What becomes of an older file.
    """

    kind: Kind = Kind.FILE
    name: str
    payload: Payload = b""
    sha256: str | None = None
    target: str | None = None
    modified_ns: int | None = None
    executable: bool = False
    overwrite: Overwrite = Overwrite.REPLACE

    def __post_init__(self) -> None:
        _check_sha256(self.sha256)
        _check_modified(self.modified_ns)
        if self.kind == Kind.FILE:
            if self.sha256 is None:
                raise ValueError("a file in a batch must have a 'sha256'")
            return
        if self.kind == Kind.LINK and not self.target:
            raise ValueError("a link must have a 'target'")
        if len(self.payload):
            raise ValueError(f"a {self.kind} has no content")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Brings many small files whole. Answer: :class:`BatchAnswer`. May be repeated.

    Attributes:
        entries: 1 to 1000 of them, whose payload together fits into one message.
    """

    entries: tuple[BatchEntry, ...]

    def __post_init__(self) -> None:
        _check_range("number of entries", len(self.entries), 1, MAX_BATCH_ENTRIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryResult:
    """What became of one entry of a batch.

    Attributes:
        state: ``stored`` or ``kept``; ``None`` if it failed.
        code: Error code if it failed (see :class:`~.refusals.ErrorCode`).
        text: What is wrong then.
    """

    state: TransferState | None = None
    code: int | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.state is None) == (self.code is None):
            raise ValueError("a result has either a 'state' or a 'code'")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """What became of a batch.

    Attributes:
        results: One for each entry, in the same order.
    """

    results: tuple[EntryResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequest:
    """Asks for a part of a stored file. Answer: :class:`RetrieveAnswer`.

    Attributes:
        name: The file.
        offset: Where the part begins, in bytes.
        length: Bytes wanted, 1 or more; there are fewer at the end of the file.
        version: The version that the client has other parts of; any other is refused (``CHANGED``).
    """

    name: str
    offset: int
    length: int
    version: str | None = None

    def __post_init__(self) -> None:
        _check_range("offset", self.offset, 0, MAX_FILE_SIZE)
        _check_range("length", self.length, 1, SEGMENT_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveAnswer:
    """A part of a stored file.

    Attributes:
        offset: Where the part begins.
        size: Bytes of the whole file.
        version: Version of the file.
        payload: The bytes.
        sha256: SHA-256 of the file, where the payload is the whole of it.
    """

    offset: int
    size: int
    version: str
    payload: Payload
    sha256: str | None = None

    def __post_init__(self) -> None:
        _check_range("offset", self.offset, 0, MAX_FILE_SIZE)
        _check_range("size", self.size, 0, MAX_FILE_SIZE)
        _check_range("length of the payload", len(self.payload), 0, SEGMENT_SIZE)
        _check_sha256(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is stored under a name.

    Attributes:
        name: The whole name below the storage directory.
        kind: What it is.
        size: Bytes of a file, else 0.
        modified_ns: Modification time, in nanoseconds since 1970.
        executable: Whether a file is executable.
        version: Changes whenever the content of a file does; empty for anything else.
        target: Where a link leads to.
    """

    name: str
    kind: Kind
    size: int
    modified_ns: int
    executable: bool = False
    version: str = ""
    target: str | None = None

    def __post_init__(self) -> None:
        _check_range("size", self.size, 0, MAX_FILE_SIZE)
        _check_modified(self.modified_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """Asks for what is in a directory, page by page. Answer: :class:`ListAnswer`.

    Attributes:
        name: The directory; empty for the storage directory itself.
        recursive: Whether to list everything below it too; a directory comes before its content.
        after: ``next`` of the page before; empty for the first page.
        limit: Entries per page, 1 to 1000.
    """

    name: str = ""
    recursive: bool = False
    after: str = ""
    limit: int = MAX_PAGE_ENTRIES

    def __post_init__(self) -> None:
        _check_range("limit", self.limit, 1, MAX_PAGE_ENTRIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAnswer:
    """A page of entries.

    Attributes:
        entries: In the order of their names, part by part, by code point; there may be none.
        next: What to ask for to get the next page; ``None`` after the last one.
    """

    entries: tuple[Entry, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatRequest:
    """Asks what is stored under a name. Answer: :class:`StatAnswer`.

    Attributes:
        name: The name.
        with_sha256: Whether the SHA-256 of a file is wanted too, which may take a while.
    """

    name: str
    with_sha256: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatAnswer:
    """What is stored under a name.

    Attributes:
        entry: It; as one message in an array in the payload.
        sha256: SHA-256 of a file, if it was asked for and is known.
        pending: Whether the SHA-256 is being computed; ask again.
    """

    entry: tuple[Entry]
    sha256: str | None = None
    pending: bool = False

    def __post_init__(self) -> None:
        _check_range("number of entries", len(self.entry), 1, 1)
        _check_sha256(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRequest:
    """Asks to remove a file, link or directory. Answer: :class:`RemoveAnswer`.

    Attributes:
        name: Its name.
        recursive: Whether to remove a directory with everything in it.
    """

    name: str
    recursive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAnswer:
    """What was removed.

    Attributes:
        removed: Files, links and directories.
        more: Whether there is more to remove; ask again.
    """

    removed: int
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalAnswer:
    """Why a request is refused; travels as the fields of an error response.

    Attributes:
        code: Error code (see :class:`~.refusals.ErrorCode`); the error response has it too.
        text: What is wrong; the error response has it too.
        retry_after_ms: Milliseconds after which the same request may go through.
    """

    code: int
    text: str
    retry_after_ms: int | None = None

    def __post_init__(self) -> None:
        _check_range("retry_after_ms", self.retry_after_ms, 0)


Message = (
    HelloRequest
    | HelloAnswer
    | OpenRequest
    | SegmentRequest
    | StatusRequest
    | FinishRequest
    | AbortRequest
    | DoneAnswer
    | TransferAnswer
    | BatchEntry
    | BatchRequest
    | EntryResult
    | BatchAnswer
    | RetrieveRequest
    | RetrieveAnswer
    | Entry
    | ListRequest
    | ListAnswer
    | StatRequest
    | StatAnswer
    | RemoveRequest
    | RemoveAnswer
    | RefusalAnswer
    | AdmitRequest
    | AdmitAnswer
    | SealedRequest
    | SealedAnswer
    | CallRequest
    | CallAnswer
    | LeaveRequest
)


def _check_range(name: str, value: int | None, low: int, high: int | None = None) -> None:
    if value is not None and (value < low or (high is not None and value > high)):
        upper = "or more" if high is None else f"to {high}"
        raise ValueError(f"{name!r} is {value}, but must be {low} {upper}")


def _check_file_id(value: str) -> None:
    if not _FILE_ID.fullmatch(value):
        raise ValueError(f"'file_id' must be 1 to {MAX_FILE_ID_LENGTH} letters, digits, '-' or '_'")


def _check_sha256(value: str | None) -> None:
    if value is not None and not _SHA256.fullmatch(value):
        raise ValueError("'sha256' must be 64 hex digits in lower case")


def _check_modified(value: int | None) -> None:
    if value is not None and not _FIRST_TIME <= value <= _LAST_TIME:
        _check_range("modified_ns", value, _FIRST_TIME, _LAST_TIME)

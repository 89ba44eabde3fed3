"""The steps that the tests of stores are made of."""

# ruff: noqa: S101 - these are tests

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    Entry,
    EntryResult,
    FinishRequest,
    Kind,
    ListRequest,
    OpenRequest,
    Overwrite,
    RetrieveRequest,
    SegmentRequest,
    StatAnswer,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.interface import Store

TIMEOUT: Final = 30.0
"""Seconds that a store may take to check a small file: far more than any does."""

_PAUSE: Final = 0.01


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of something, as messages have it."""
    return hashlib.sha256(content).hexdigest()


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Return bytes that look like chance and are the same each time."""
    return Random(seed).randbytes(size)  # noqa: S311 - the same each time is what is wanted


@contextmanager
def refused(*codes: ErrorCode) -> Iterator[None]:
    """Expect that the store refuses something, and says one of some reasons."""
    with pytest.raises(RefusedError) as caught:
        yield
    assert caught.value.means(*codes), f"{caught.value.code}: {caught.value}"
    assert caught.value.message


def begin(
    store: Store,
    name: str,
    size: int | None = None,
    *,
    file_id: str = "f",
    overwrite: Overwrite = Overwrite.REPLACE,
    modified_ns: int | None = None,
    executable: bool = False,
) -> TransferAnswer:
    """Open a file."""
    request = OpenRequest(
        file_id=file_id,
        name=name,
        size=size,
        overwrite=overwrite,
        modified_ns=modified_ns,
        executable=executable,
    )
    return checked(store.open(request))


def write(store: Store, offset: int, payload: bytes, *, file_id: str = "f") -> TransferAnswer:
    """Write a part of a file."""
    request = SegmentRequest(file_id=file_id, offset=offset, payload=payload)
    return checked(store.write(request))


def status(store: Store, *, file_id: str = "f", flush: bool = False) -> TransferAnswer:
    """Ask how far a file is."""
    return checked(store.status(StatusRequest(file_id=file_id, flush=flush)))


def finish(
    store: Store,
    content: bytes,
    *,
    file_id: str = "f",
    size: int | None = None,
    sha256: str | None = None,
) -> TransferAnswer:
    """Finish a file, and ask again while it is being checked.

    Args:
        store: The store.
        content: What the file is.
        file_id: Its id.
        size: Another size than that of the content.
        sha256: Another SHA-256.
    """
    request = FinishRequest(
        file_id=file_id,
        size=len(content) if size is None else size,
        sha256=sha256 or sha256_of(content),
    )
    deadline = time.monotonic() + TIMEOUT
    while (answer := checked(store.finish(request))).state is TransferState.VERIFYING:
        assert time.monotonic() < deadline, "the file is being checked for too long"
        time.sleep(_PAUSE)
    return answer


def abort(store: Store, *, file_id: str = "f") -> None:
    """Abort a file."""
    store.abort(AbortRequest(file_id=file_id, reason="a test"))


def send(
    store: Store,
    name: str,
    content: bytes,
    *,
    file_id: str = "f",
    overwrite: Overwrite = Overwrite.REPLACE,
    modified_ns: int | None = None,
    executable: bool = False,
) -> TransferAnswer:
    """Send a whole file in one segment, and return the last answer."""
    answer = begin(
        store,
        name,
        len(content),
        file_id=file_id,
        overwrite=overwrite,
        modified_ns=modified_ns,
        executable=executable,
    )
    if answer.state is not TransferState.RECEIVING:
        return answer
    if content:
        write(store, 0, content, file_id=file_id)
    return finish(store, content, file_id=file_id)


def checked(answer: TransferAnswer) -> TransferAnswer:
    """Check what every answer about a file has to be, and return it."""
    for start, end in answer.durable:
        within = [low <= start and end <= high for low, high in answer.held]
        assert any(within), f"{answer.durable} are durable, but only {answer.held} are held"
    if answer.state is TransferState.STORED:
        assert answer.size is not None
        assert answer.sha256 is not None
        assert answer.version
    if answer.state is not TransferState.MISMATCH:
        assert answer.damaged == ()
    return answer


def file_entry(name: str, content: bytes, **more: object) -> BatchEntry:
    """Return an entry of a batch for a file."""
    return BatchEntry(name=name, payload=content, sha256=sha256_of(content), **more)  # type: ignore[arg-type]


def put(store: Store, *entries: BatchEntry) -> list[EntryResult]:
    """Store a batch; there has to be a result for each entry."""
    results = store.put(entries)
    assert len(results) == len(entries)
    return results


def put_all(store: Store, *entries: BatchEntry) -> None:
    """Store a batch of which every entry has to be stored."""
    assert put(store, *entries) == [EntryResult(state=TransferState.STORED)] * len(entries)


def put_tree(store: Store, files: Sequence[str], directories: Sequence[str] = ()) -> None:
    """Store files, whose content is their name, and directories."""
    made = [BatchEntry(name=name, kind=Kind.DIRECTORY) for name in directories]
    put_all(store, *made, *(file_entry(name, name.encode()) for name in files))


def content_of(store: Store, name: str) -> bytes:
    """Read a stored file in parts."""
    found = b""
    version = None
    while True:
        request = RetrieveRequest(
            name=name, offset=len(found), length=SEGMENT_SIZE, version=version
        )
        answer = store.retrieve(request)
        assert answer.offset == len(found)
        found += bytes(answer.payload)
        version = answer.version
        if len(found) >= answer.size:
            assert len(found) == answer.size
            return found
        assert answer.payload, "the end of the file came too early"


def entry_of(store: Store, name: str) -> Entry:
    """Return what is stored under a name."""
    (entry,) = store.stat(StatRequest(name=name)).entry
    return entry


def stat_with_sha256(store: Store, name: str) -> StatAnswer:
    """Ask for a file with its SHA-256, and again while that is pending."""
    request = StatRequest(name=name, with_sha256=True)
    deadline = time.monotonic() + TIMEOUT
    while (answer := store.stat(request)).pending:
        assert time.monotonic() < deadline, "the SHA-256 is being computed for too long"
        time.sleep(_PAUSE)
    return answer


def listed(
    store: Store, name: str = "", *, recursive: bool = False, limit: int = 1000
) -> list[Entry]:
    """Return all pages of a list."""
    found: list[Entry] = []
    after = ""
    while True:
        request = ListRequest(name=name, recursive=recursive, after=after, limit=limit)
        page = store.list(request)
        assert len(page.entries) <= limit
        found += page.entries
        if page.next is None:
            return found
        assert page.next, "a page that is not the last one has to name the next one"
        after = page.next


def names_in(store: Store, name: str = "", *, recursive: bool = True) -> list[str]:
    """Return the names of everything below a directory, in their order."""
    return [entry.name for entry in listed(store, name, recursive=recursive)]


def assert_nothing_at(store: Store, name: str) -> None:
    """Check that nothing can be seen under a name."""
    with refused(ErrorCode.NOT_FOUND):
        store.stat(StatRequest(name=name))
    with refused(ErrorCode.NOT_FOUND):
        store.retrieve(RetrieveRequest(name=name, offset=0, length=1))
    assert name not in names_in(store)

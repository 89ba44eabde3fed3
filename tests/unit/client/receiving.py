"""A service on a bus in memory, with files to receive from it."""

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.outcomes import FileOutcome, TransferReport
from dxlfiletransferclient.protocol.desk import ALL_VERBS
from dxlfiletransferclient.protocol.messages import BatchEntry, Kind
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing import Faults, MemoryBus, MemoryStore, MemoryStoreOptions

T = TypeVar("T")

SEGMENT = 1000
"""Bytes in one message in these tests, so that files of some segments are small."""

MODIFIED = 1_600_000_000_123_456_789


def content_of(size: int, seed: int = 0) -> bytes:
    """Return bytes that differ from place to place and from seed to seed."""
    block = b"".join(hashlib.sha256(f"{seed}.{n}".encode()).digest() for n in range(size // 32 + 1))
    return block[:size]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: Store, files: Mapping[str, bytes], **more: Any) -> None:
    """Store files as they are, past the bus."""
    attributes = {"modified_ns": MODIFIED, **more}
    entries = [
        BatchEntry(name=name, payload=content, sha256=sha256(content), **attributes)
        for name, content in files.items()
    ]
    _put(store, entries)


def put_directory(store: Store, name: str) -> None:
    _put(store, [BatchEntry(kind=Kind.DIRECTORY, name=name)])


def put_link(store: Store, name: str, target: str) -> None:
    _put(store, [BatchEntry(kind=Kind.LINK, name=name, target=target, modified_ns=MODIFIED)])


def _put(store: Store, entries: list[BatchEntry]) -> None:
    for result in store.put(entries):
        assert result.state is not None, result.text


class Stage:
    """A service with a store in memory, and a client of it."""

    def __init__(
        self,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        verbs: frozenset[Verb] = ALL_VERBS,
        **options: Any,
    ) -> None:
        self.bus = MemoryBus(seed=seed, faults=faults or Faults())
        self.store = MemoryStore(MemoryStoreOptions(**options))
        self.service = self.bus.serve(self.store, verbs=verbs)
        self.heard: list[FileOutcome] = []

    def receiver(self, *, segment_size: int | None = SEGMENT, **more: Any) -> Receiver:
        callbacks = {name: more.pop(name) for name in ("cancel", "progress") if name in more}
        return Receiver(
            self.bus,
            DEFAULT_STORE_TOPIC,
            options=GetOptions(segment_size=segment_size, **more),
            on_outcome=self.heard.append,
            **callbacks,
        )

    def get(self, names: str | list[str], target: Path | str, **more: Any) -> TransferReport:
        """Receive something, as a new process would."""
        return self.receiver(**more).get(names, target)


def files_in(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory, hidden ones included, by their names."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def parts_in(directory: Path) -> list[str]:
    """Return what files under way have left."""
    return sorted(path.name for path in directory.rglob(".dxlft-*"))


class Inline(Executor):
    """Runs what it is given at once, in the same thread."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed on
            future.set_exception(error)
        return future


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def nothing_stays_open() -> Iterator[None]:
    """Make sure that no more descriptors are open afterwards than before."""
    before = open_descriptors()
    yield
    if open_descriptors() > before:
        # An exception that a test has caught may hold frames that hold directories.
        gc.collect()
    assert open_descriptors() <= before

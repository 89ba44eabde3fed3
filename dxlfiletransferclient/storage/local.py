"""A store in two directories of this machine."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from dxlfiletransferclient.errors import StoreClosedError
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    EntryResult,
    FinishRequest,
    ListAnswer,
    ListRequest,
    OpenRequest,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    SegmentRequest,
    StatAnswer,
    StatRequest,
    StatusRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.catalogue import Catalogue
from dxlfiletransferclient.storage.checkpoints import (
    CHECKPOINT_BYTES,
    CHECKPOINT_SECONDS,
    CheckpointPolicy,
)
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME, Expiry
from dxlfiletransferclient.storage.faults import refusals_of_storage
from dxlfiletransferclient.storage.finishing import Finisher
from dxlfiletransferclient.storage.grants import WINDOW_EACH, WINDOW_TOTAL, Grants
from dxlfiletransferclient.storage.identity import store_id_in
from dxlfiletransferclient.storage.intake import Intake
from dxlfiletransferclient.storage.interface import StoreLimits
from dxlfiletransferclient.storage.layout import prepare
from dxlfiletransferclient.storage.overwriting import NO_TERMS, Terms
from dxlfiletransferclient.storage.quotas import QuotaLimits, quota_of
from dxlfiletransferclient.storage.working import WorkingDirectory

_UNLIMITED: Final = QuotaLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How a local store works.

    Attributes:
        partial_lifetime: Seconds without a segment after which a file under way is given up, and
            after which it is forgotten that one was stored; above 0, or infinity.
        checkpoint_bytes: Bytes after which a file under way is flushed; 1 or more. Fewer lose less
            by a crash of the machine and cost speed where flushes are slow.
        checkpoint_seconds: Seconds after which it is flushed where fewer bytes arrive; 0 or more.
        window_total: Bytes that all clients together may have outstanding; 1 or more. They wait in
            memory.
        window_each: Bytes that one client may have outstanding for a file; 1 or more.
        quota: Limits on what is stored.
        links: Whether symbolic links are stored.
        segment_size: Largest segment, in bytes: 1 to ``limits.SEGMENT_SIZE``.

    Raises:
        ValueError: If a number is out of range.
    """

    partial_lifetime: float = DEFAULT_LIFETIME
    checkpoint_bytes: int = CHECKPOINT_BYTES
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    window_total: int = WINDOW_TOTAL
    window_each: int = WINDOW_EACH
    quota: QuotaLimits = _UNLIMITED
    links: bool = False
    segment_size: int = SEGMENT_SIZE

    def __post_init__(self) -> None:
        Expiry(self.partial_lifetime)
        CheckpointPolicy(after_bytes=self.checkpoint_bytes, after_seconds=self.checkpoint_seconds)
        for name in ("window_total", "window_each"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if not 1 <= self.segment_size <= SEGMENT_SIZE:
            text = f"segment_size must be 1 to {SEGMENT_SIZE} bytes, not {self.segment_size}"
            raise ValueError(text)


_DEFAULTS: Final = StoreOptions()


class LocalStore:
    """Keeps files in a storage directory, and those under way in a working directory.

    It is an ``interface.Store``. Files under way survive a restart of the program, or a crash of
    the machine from their last checkpoint on. Somebody has to call :meth:`maintain` about every
    second.

    Args:
        storage_dir: Directory below which files are stored; it is made if it is missing.
        working_dir: Directory for files under way, on the same file system; ``.workdir`` in the
            storage directory by default. One store at a time may use it.
        options: How it works.
        clock: Returns the time as file systems know it (seconds since 1970).

    Attributes:
        working: The files under way; for version 1.
        catalogue: The stored files; for version 1.
        quota: The limits of the store; for version 1.

    Raises:
        PermissionError: If a directory cannot be made or written to.
        WorkingDirectoryInUseError: If another store uses the working directory.
        ValueError: If the working directory is the storage directory itself or on another file
            system.

    Example:
        ::

            with LocalStore("/srv/files") as store:
                store.open(OpenRequest(file_id="1", name="a", size=3))
                store.write(SegmentRequest(file_id="1", offset=0, payload=b"abc"))
                store.finish(FinishRequest(file_id="1", size=3, sha256=sha256))
    """

    def __init__(
        self,
        storage_dir: str | os.PathLike[str],
        working_dir: str | os.PathLike[str] | None = None,
        *,
        options: StoreOptions = _DEFAULTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.layout = prepare(Path(storage_dir), Path(working_dir) if working_dir else None)
        self.quota = quota_of(
            options.quota, storage=self.layout.storage, working=self.layout.working
        )
        self._clock = clock
        self._naming = threading.Lock()
        self._store_id: str | None = None
        self.working = WorkingDirectory(
            self.layout.working,
            expiry=Expiry(options.partial_lifetime),
            clock=clock,
            policy=CheckpointPolicy(
                after_bytes=options.checkpoint_bytes, after_seconds=options.checkpoint_seconds
            ),
            on_gone=self.quota.release,
        )
        try:
            for file_id, size in self.working.bytes_under_way():
                self.quota.adopt(file_id, size)
            self.catalogue = Catalogue(
                self.layout, self.working.directory, quota=self.quota, links=options.links
            )
        except BaseException:
            self.working.close()
            raise
        self._intake = Intake(
            self.working,
            self.catalogue,
            Finisher(self.layout, self.catalogue, self.quota),
            self.quota,
            grants=Grants(options.window_total, options.window_each, options.segment_size),
            segment_size=options.segment_size,
            clock=clock,
        )

    @property
    def store_id(self) -> str:
        """Name of the store; made and kept in the working directory when it is first asked for.

        Raises:
            RefusedError: ``STORAGE_FAILED`` or ``STORAGE_FULL``.
        """
        with self._naming, refusals_of_storage("tell the name of the store"):
            if self._store_id is None:
                self._store_id = store_id_in(self.working.directory)
            return self._store_id

    @property
    def limits(self) -> StoreLimits:
        """What the store takes at the moment."""
        return self._intake.limits

    def open(self, request: OpenRequest, terms: Terms = NO_TERMS) -> TransferAnswer:
        """Begin a file, or tell how far it is (see ``interface.Store``).

        Args:
            request: The file.
            terms: On which terms it takes the place of an older one; they are part of what must be
                the same each time.
        """
        return self._intake.open(request, terms)

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file, wherever it lies (see ``interface.Store``)."""
        return self._intake.write(request)

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is (see ``interface.Store``)."""
        return self._intake.status(request)

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check the whole file and give it its name (see ``interface.Store``)."""
        return self._intake.finish(request)

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way (see ``interface.Store``)."""
        self._intake.abort(request)

    def put(self, entries: Sequence[BatchEntry], terms: Terms = NO_TERMS) -> list[EntryResult]:
        """Store small files, directories and links whole (see ``interface.Store``).

        Args:
            entries: What to store.
            terms: On which terms they take the place of older ones.
        """
        return self.catalogue.put(entries, terms)

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a stored file (see ``interface.Store``)."""
        return self.catalogue.retrieve(request)

    def list(self, request: ListRequest) -> ListAnswer:
        """Tell what is in a directory (see ``interface.Store``)."""
        return self.catalogue.list(request)

    def stat(self, request: StatRequest) -> StatAnswer:
        """Tell what is stored under a name (see ``interface.Store``)."""
        return self.catalogue.stat(request)

    def remove(self, request: RemoveRequest) -> RemoveAnswer:
        """Remove what is stored under a name (see ``interface.Store``)."""
        return self.catalogue.remove(request)

    def maintain(self, now: float) -> None:
        """Make the checkpoints that are due, and give up what has expired.

        Args:
            now: The time in seconds since 1970.

        Raises:
            RefusedError: ``CLOSING``, or ``STORAGE_FAILED`` if the working directory cannot be
                read; what fails for one file is logged.
        """
        with refusals_of_storage("look after the files under way"):
            try:
                self.working.checkpoint_if_due(now)
                if self.working.expire_if_due(now) is not None:
                    self.catalogue.expire(now - self.options.partial_lifetime)
            except StoreClosedError as error:
                raise RefusedError(ErrorCode.CLOSING, str(error)) from error

    def expire(self, now: float | None = None) -> int:
        """Remove what was not gone on with for longer than its lifetime.

        Args:
            now: The time in seconds since 1970; the clock's by default.

        Returns:
            The number of files removed.

        Raises:
            OSError: If the working directory cannot be read.
            StoreClosedError: If the store was closed.
        """
        time_now = self._clock() if now is None else now
        removed = self.working.expire(time_now)
        return removed + self.catalogue.expire(time_now - self.options.partial_lifetime)

    def close(self) -> None:
        """Make a last checkpoint and let another store use the directories; may be repeated.

        Raises:
            TimeoutError: If a request is still being carried out after a long wait.
        """
        self.working.stop()
        self.catalogue.close()
        self.working.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

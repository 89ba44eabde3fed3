"""What a store is: a few methods that everything above stands on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a store takes at the moment.

    Attributes:
        segment_size: Largest segment, in bytes.
        window: Bytes that one client may have outstanding; falls as files are opened and rises as
            they end, so that all of them together stay within the store's memory.
    """

    segment_size: int
    window: int


class Store(Protocol):
    """Takes files in parts and keeps them whole.

    All methods may be called from several threads at once, may be repeated with the same
    arguments, and raise :class:`~dxlfiletransferclient.protocol.refusals.RefusedError`, whose text
    names no path of the machine. A file appears under its name all at once, after size and SHA-256
    were found right and its bytes are safe.
    """

    @property
    def store_id(self) -> str:
        """Name of the store: the same for ever, and no other store has it."""
        ...

    @property
    def limits(self) -> StoreLimits:
        """What the store takes at the moment."""
        ...

    def open(self, request: OpenRequest) -> TransferAnswer:
        """Begin a file, or tell how far it is if it was begun with the same metadata.

        Raises:
            RefusedError: ``OTHER_METADATA``, ``UNSAFE_NAME``, ``EXISTS``, ``WRONG_KIND``,
                ``QUOTA``, ``STORAGE_FULL``, ``BUSY``, ``CLOSING``, ``STORAGE_FAILED``.
        """
        ...

    def write(self, request: SegmentRequest) -> TransferAnswer:
        """Take a part of a file, wherever it lies. Held bytes that come again must be the same.

        Raises:
            RefusedError: ``UNKNOWN_TRANSFER``, ``OTHER_BYTES``, ``INVALID`` (beyond the size),
                ``QUOTA``, ``STORAGE_FULL``, ``BUSY``, ``CLOSING``, ``STORAGE_FAILED``. What was
                held before is held on.
        """
        ...

    def status(self, request: StatusRequest) -> TransferAnswer:
        """Tell how far a file is, after a checkpoint if that is asked for.

        Raises:
            RefusedError: ``UNKNOWN_TRANSFER``, ``CLOSING``, ``STORAGE_FAILED``.
        """
        ...

    def finish(self, request: FinishRequest) -> TransferAnswer:
        """Check the whole file and give it its name.

        While that goes on, further calls answer ``verifying``. For a file that was stored lately
        the answer is ``stored`` again.

        Raises:
            RefusedError: ``UNKNOWN_TRANSFER``, ``EXISTS``, ``WRONG_KIND``, ``STORAGE_FULL``,
                ``CLOSING``, ``STORAGE_FAILED``.
        """
        ...

    def abort(self, request: AbortRequest) -> None:
        """Drop a file under way, if it is known.

        Raises:
            RefusedError: ``BUSY`` while it is being stored, ``CLOSING``.
        """
        ...

    def put(self, entries: Sequence[BatchEntry]) -> list[EntryResult]:
        """Store small files, directories and links whole; when this returns, they are durable.

        Returns:
            One result for each, in order: the failure of one is none of the others'.

        Raises:
            RefusedError: ``CLOSING``.
        """
        ...

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        """Read a part of a stored file.

        Raises:
            RefusedError: ``NOT_FOUND``, ``WRONG_KIND``, ``CHANGED``, ``UNSAFE_NAME``, ``CLOSING``,
                ``STORAGE_FAILED``.
        """
        ...

    def list(self, request: ListRequest) -> ListAnswer:
        """Tell what is in a directory; the files under way are not.

        Raises:
            RefusedError: ``NOT_FOUND``, ``WRONG_KIND``, ``UNSAFE_NAME``, ``CLOSING``,
                ``STORAGE_FAILED``.
        """
        ...

    def stat(self, request: StatRequest) -> StatAnswer:
        """Tell what is stored under a name.

        Raises:
            RefusedError: ``NOT_FOUND``, ``UNSAFE_NAME``, ``BUSY``, ``CLOSING``,
                ``STORAGE_FAILED``.
        """
        ...

    def remove(self, request: RemoveRequest) -> RemoveAnswer:
        """Remove what is stored under a name.

        Raises:
            RefusedError: ``NOT_FOUND``, ``NOT_EMPTY``, ``UNSAFE_NAME``, ``BUSY``, ``CLOSING``,
                ``STORAGE_FAILED``.
        """
        ...

    def maintain(self, now: float) -> None:
        """Do what is due: checkpoints, expiry. Call it about every second.

        Args:
            now: The time in seconds since 1970.
        """
        ...

    def close(self) -> None:
        """Make a last checkpoint and let go of everything; files under way stay."""
        ...

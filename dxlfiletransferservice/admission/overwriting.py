"""What a transfer says about older files and times, as stores understand it. No input or output."""

from dataclasses import dataclass, replace
from typing import Final, Self

from dxlfiletransferclient.control.constants import (
    OVERWRITE_ALWAYS,
    OVERWRITE_IN_PLACE_ALWAYS,
    OVERWRITE_IN_PLACE_NEVER,
    OVERWRITE_IN_PLACE_SAME_SIZE,
    OVERWRITE_NEVER,
    OVERWRITE_WITH_BACKUP,
    TRANSFER_FLAG_READ,
    TRANSFER_FLAG_WRITE,
    TRANSFER_FLAG_WRITE_MTIME,
    TRANSFER_FLAG_WRITE_ONLY_NEWER,
)
from dxlfiletransferclient.protocol.messages import BatchEntry, OpenRequest, Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import TransferNote
from dxlfiletransferclient.storage.overwriting import Terms

MAX_RESOLUTION_US: Final = 366 * 24 * 3600 * 1_000_000
"""A year, in microseconds; that times differ by more and count as equal is a mistake."""

_MODES: Final = {
    OVERWRITE_IN_PLACE_NEVER: Overwrite.KEEP,
    OVERWRITE_IN_PLACE_ALWAYS: Overwrite.REPLACE,
    OVERWRITE_IN_PLACE_SAME_SIZE: Overwrite.REPLACE,
    OVERWRITE_NEVER: Overwrite.KEEP,
    OVERWRITE_ALWAYS: Overwrite.REPLACE,
    OVERWRITE_WITH_BACKUP: Overwrite.REPLACE,
}

_FLAGS: Final = (
    TRANSFER_FLAG_READ
    | TRANSFER_FLAG_WRITE
    | TRANSFER_FLAG_WRITE_MTIME
    | TRANSFER_FLAG_WRITE_ONLY_NEWER
)


@dataclass(frozen=True, slots=True)
class OverwriteRules:
    """What becomes of older files in a transfer, and of the times of new ones.

    Attributes:
        overwrite: The overwrite mode of stores that it comes to.
        terms: What is asked for beside that.
        writes: Whether files are stored at all.
    """

    overwrite: Overwrite
    terms: Terms
    writes: bool

    @classmethod
    def of(cls, note: TransferNote) -> Self:
        """Return the rules of a transfer.

        Raises:
            RefusedError: ``INVALID`` if it asks for something that nobody knows.
        """
        overwrite = _MODES.get(note.overwrite_mode)
        if overwrite is None:
            raise _unknown("overwrite mode", note.overwrite_mode)
        if note.flags & ~_FLAGS:
            raise _unknown("combination of transfer flags", note.flags)
        if not 0 <= note.time_resolution_us <= MAX_RESOLUTION_US:
            text = f"a time resolution is 0 to {MAX_RESOLUTION_US} microseconds"
            raise RefusedError(ErrorCode.INVALID, text)
        only_newer = bool(note.flags & TRANSFER_FLAG_WRITE_ONLY_NEWER)
        if only_newer and overwrite is Overwrite.REPLACE:
            overwrite = Overwrite.NEWER
        terms = Terms(
            same_size=note.overwrite_mode == OVERWRITE_IN_PLACE_SAME_SIZE,
            backup=note.overwrite_mode == OVERWRITE_WITH_BACKUP,
            resolution_ns=note.time_resolution_us * 1000 if only_newer else 0,
            sets_modified=bool(note.flags & TRANSFER_FLAG_WRITE_MTIME),
        )
        return cls(overwrite, terms, writes=bool(note.flags & TRANSFER_FLAG_WRITE))

    def opened(self, request: OpenRequest, *, name: str, file_id: str) -> OpenRequest:
        """Return a request to begin a file as it goes to a store.

        Args:
            request: The request as it came; its own overwrite mode does not count.
            name: Name of the file there.
            file_id: Id of the file there.
        """
        return replace(request, name=name, file_id=file_id, overwrite=self.overwrite)

    def entry(self, entry: BatchEntry, *, name: str) -> BatchEntry:
        """Return an entry of a batch as it goes to a store, under a name there."""
        return replace(entry, name=name, overwrite=self.overwrite)


def _unknown(kind: str, value: int) -> RefusedError:
    return RefusedError(ErrorCode.INVALID, f"the receiver knows no {kind} {value}")

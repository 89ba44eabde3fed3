"""One file under way in a store in memory."""

from dataclasses import dataclass

from dxlfiletransferclient.intervals import IntervalSet, Range, Ranges
from dxlfiletransferclient.protocol.messages import OpenRequest
from dxlfiletransferclient.protocol.parcels import Payload, digest_of
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.names import Parts


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    digest: str


class MemoryTransfer:
    """The bytes of a file under way. Not for several threads.

    Args:
        request: What opened it.
        parts: Its name, taken apart.
        now: The time, in seconds.

    Attributes:
        held: What is there.
        durable: What a crash would leave.
        touched: When the last request for it came.
        dirty_since: When the oldest byte came that is not durable; ``None`` if all are.
        finishing: How often ``finish`` was answered with ``verifying``.
    """

    def __init__(self, request: OpenRequest, parts: Parts, now: float) -> None:
        self.request = request
        self.parts = parts
        self.held = IntervalSet()
        self.durable = IntervalSet()
        self.touched = now
        self.dirty_since: float | None = None
        self.finishing = 0
        self._content = bytearray()
        self._pieces: list[_Piece] = []

    @property
    def content(self) -> bytes:
        """The bytes up to the last one that came; zeros where none are yet."""
        return bytes(self._content)

    @property
    def reserved(self) -> int:
        """Bytes that it will take, as far as is known."""
        return max(self.request.size or 0, self.held.end)

    @property
    def at_risk(self) -> int:
        """Bytes that a crash would lose."""
        return self.held.total - self.durable.total

    def write(self, offset: int, payload: Payload, now: float) -> None:
        """Take a part; what is there already must be the same.

        Raises:
            RefusedError: ``OTHER_BYTES``; then nothing is taken.
        """
        view = memoryview(payload)
        end = offset + len(view)
        for start, stop in self.held.overlap(offset, end):
            if self._content[start:stop] != view[start - offset : stop - offset]:
                text = f"other bytes are held in {start}-{stop}"
                raise RefusedError(ErrorCode.OTHER_BYTES, text)
        if len(self._content) < end:
            self._content.extend(bytes(end - len(self._content)))
        for start, stop in self.held.add(offset, end):
            part = view[start - offset : stop - offset]
            self._content[start:stop] = part
            self._pieces.append(_Piece(start, stop, digest_of(part)))
            if self.dirty_since is None:
                self.dirty_since = now

    def checkpoint(self) -> None:
        """Make everything durable."""
        self.durable = self.held.copy()
        self.dirty_since = None

    def drop_damaged(self) -> Ranges:
        """Drop every part that is not as it came, and return the ranges."""
        damaged = IntervalSet()
        kept: list[_Piece] = []
        for piece in self._pieces:
            if digest_of(bytes(self._content[piece.start : piece.end])) == piece.digest:
                kept.append(piece)
                continue
            for part in (self.held, self.durable):
                part.remove(piece.start, piece.end)
            damaged.add(piece.start, piece.end)
        self._pieces = kept
        return damaged.ranges

    def rot(self, offset: int) -> None:
        """Flip the bits of one byte that is held, as a failing disk does."""
        self._content[offset] ^= 0xFF

    def crashed(self) -> "MemoryTransfer":
        """Return a transfer with what a crash would leave."""
        left = MemoryTransfer(self.request, self.parts, self.touched)
        left._pieces = [each for each in self._pieces if self.durable.covers(each.start, each.end)]
        left._content = bytearray(self.durable.end)
        for start, end in self.durable:
            left._content[start:end] = self._content[start:end]
        left.held, left.durable = self.durable.copy(), self.durable.copy()
        return left

    def missing(self, size: int) -> tuple[Range, ...]:
        """Return what is missing of a file of this size."""
        return self.held.missing(0, size)

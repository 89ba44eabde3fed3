"""Cuts a source of bytes or text into numbered segments. Knows no file, bus or thread."""

import hashlib
import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, SupportsIndex

from dxlfiletransferclient.constants import ENVELOPE_ROOM, MAX_SEGMENT_SIZE, MESSAGE_LIMIT
from dxlfiletransferclient.errors import SourceChangedError


class ReadableStream(Protocol):
    """What can be sent: any object that reads bytes, or text, piece by piece."""

    def read(self, size: int, /) -> bytes | str | None:
        """Read up to ``size`` bytes (or characters); nothing means that the stream has ended."""


Read = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a file, as it goes into one request.

    Attributes:
        number: Position in the file; the first segment is 1.
        payload: The bytes; never more than the segment size, empty only at the end of a file.
        sent: Bytes of the file up to and with this segment.
        sha256: SHA-256 of the whole file in hex with the last segment, else ``None``.
    """

    number: int
    payload: bytes
    sent: int
    sha256: str | None

    @property
    def last(self) -> bool:
        """Whether the file ends with this segment."""
        return self.sha256 is not None


def check_segment_size(size: SupportsIndex) -> int:
    """Return a segment size as an ``int`` if a broker can take messages of it.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below 1 or above ``MAX_SEGMENT_SIZE``.
    """
    if isinstance(size, bool):
        msg = "max_segment_size must be an integer number of bytes, not a bool"
        raise TypeError(msg)
    number = operator.index(size)
    if not 1 <= number <= MAX_SEGMENT_SIZE:
        msg = (
            f"max_segment_size must be between 1 and {MAX_SEGMENT_SIZE} bytes, not {number}: "
            f"brokers drop the connection of whoever sends a message above {MESSAGE_LIMIT} bytes, "
            f"and {ENVELOPE_ROOM} of these are needed for the envelope"
        )
        raise ValueError(msg)
    return number


def check_total(total_segments: int | None, stream_size: int | None, segment_size: int) -> None:
    """Check what a caller declares about a stream.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If a number is negative, or the declared segments cannot hold the declared size.
    """
    for name, value in (("stream_size", stream_size), ("total_segments", total_segments)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            msg = f"{name} must be an integer or None, not {type(value).__name__}"
            raise TypeError(msg)
        if value < 0:
            msg = f"{name} must not be negative, but is {value}"
            raise ValueError(msg)
    if total_segments is None or stream_size is None:
        return
    if total_segments * segment_size < stream_size:
        msg = (
            f"total_segments is {total_segments}, but {stream_size} bytes do not fit into as many "
            f"segments of {segment_size} bytes"
        )
        raise ValueError(msg)


def count_segments(size: int, segment_size: int) -> int:
    """Return how many segments so many bytes take: one for none."""
    return max(1, -(-size // segment_size))


def cut(
    read: Read,
    segment_size: int,
    *,
    stream_size: int | None = None,
    total_segments: int | None = None,
    source: str = "the stream",
) -> Iterator[Segment]:
    """Cut a source into segments, reading only as far as the next segment needs.

    Segments are filled up to the segment size however little a single read returns. Where neither
    size nor number of segments is known, the end shows only when a read returns nothing, so an
    empty segment comes last.

    Args:
        read: Reads up to so many bytes or characters; text is sent as UTF-8.
        segment_size: Largest payload, in bytes.
        stream_size: Bytes to send, exactly, if known. What the source holds beyond stays unread.
        total_segments: Number of segments after which to stop, for a source of unknown size.
        source: What the source is called in error messages.

    Yields:
        The segments in order; the last one carries the hash of the whole.

    Raises:
        SourceChangedError: If the source has not as many bytes as declared.
        BlockingIOError: If the source is in non-blocking mode and has no data at the moment.
        TypeError: If the source reads something other than bytes or text.
    """
    feed = Feed(read, source)
    digest = hashlib.sha256()
    sent = 0
    for number in itertools.count(1):
        wanted = segment_size if stream_size is None else min(segment_size, stream_size - sent)
        payload = feed.take(wanted)
        sent += len(payload)
        digest.update(payload)
        if stream_size is None:
            last = not payload or number == total_segments
        else:
            last = sent == stream_size
            check_extent(feed, source, sent, stream_size, short=len(payload) < wanted, last=last)
        yield Segment(number, payload, sent, digest.hexdigest() if last else None)
        if last:
            return


def check_extent(
    feed: "Feed", source: str, sent: int, declared: int, *, short: bool, last: bool
) -> None:
    """Check that a source has as many bytes as declared.

    Args:
        feed: Where the bytes were taken from.
        source: What it is called in messages.
        sent: Bytes taken so far.
        declared: Bytes that there should be.
        short: Whether the last take gave fewer bytes than it was asked for.
        last: Whether all declared bytes were taken.

    Raises:
        SourceChangedError: If there are fewer or, as far as it shows, more.
    """
    if short:
        msg = f"{source} ended after {sent} bytes, before its declared size of {declared} bytes"
        raise SourceChangedError(msg)
    # Characters take up to four bytes each: a size that counts characters would cut the text off.
    if last and feed.surplus:
        msg = (
            f"{source} holds at least {sent + feed.surplus} bytes, more than its declared size of "
            f"{declared} bytes (text counts as UTF-8)"
        )
        raise SourceChangedError(msg)


class Feed:
    """Hands out exact numbers of bytes from a source that reads whatever it likes.

    Args:
        read: Reads up to so many bytes or characters; text is taken as UTF-8.
        source: What the source is called in messages.
    """

    def __init__(self, read: Read, source: str) -> None:
        self._read = read
        self._source = source
        self._left = b""
        self._ended = False

    @property
    def surplus(self) -> int:
        """Bytes that were read and not taken."""
        return len(self._left)

    def take(self, count: int) -> bytes:
        """Return ``count`` bytes, or fewer if the source ends.

        Raises:
            BlockingIOError: If the source is in non-blocking mode and has no data at the moment.
            TypeError: If the source reads something other than bytes or text.
        """
        pieces, missing = [self._left], count - len(self._left)
        while missing > 0 and not self._ended:
            piece = self._read_bytes(missing)
            self._ended = not piece
            pieces.append(piece)
            missing -= len(piece)
        # A file read in one go passes here as the object that was read, without a copy.
        joined = b"".join(pieces) if pieces[0] or len(pieces) != 2 else pieces[1]
        self._left = joined[count:]
        return joined if len(joined) <= count else joined[:count]

    def _read_bytes(self, count: int) -> bytes:
        data = self._read(count)
        if isinstance(data, bytes):
            return data
        if isinstance(data, str):
            return data.encode()
        if isinstance(data, bytearray | memoryview):
            return bytes(data)
        if data is None:
            msg = f"{self._source} is in non-blocking mode and had no data when it was read"
            raise BlockingIOError(msg)
        msg = f"{self._source} reads {type(data).__name__} objects, not bytes or text"
        raise TypeError(msg)

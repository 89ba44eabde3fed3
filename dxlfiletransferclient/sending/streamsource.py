"""Streams that can be read only once, with what may have to be sent again kept in memory."""

import hashlib
from collections.abc import Callable

from dxlfiletransferclient.errors import FileTransferError, brief
from dxlfiletransferclient.segments import Feed, check_extent
from dxlfiletransferclient.sending.options import STREAM_BUFFER


class StreamLostError(FileTransferError):
    """A part of a stream got lost at the service and is not here any more: send it again."""


class StreamSource:
    """What a stream holds, as :class:`~dxlfiletransferclient.sending.source.Content`.

    What the service has not on its disk yet is kept in a buffer, so that its crash loses nothing.
    The stream is read only as far as there is room, and a read that blocks holds up the call.

    Args:
        read: Reads up to so many bytes or characters; text is sent as UTF-8.
        name: What the stream is called in messages.
        size: Bytes to send, exactly, if known. What the stream holds beyond stays unread.
        most: Bytes after which to stop, for a stream of unknown size.
        buffer: Bytes that are kept at most; at least one segment is kept whatever this says.
        close: Is called when nothing more will be read.
    """

    def __init__(
        self,
        read: Callable[[int], object],
        *,
        name: str = "the stream",
        size: int | None = None,
        most: int | None = None,
        buffer: int = STREAM_BUFFER,
        close: Callable[[], object] | None = None,
    ) -> None:
        self._feed = Feed(read, name)
        self._name = name
        self._declared = size
        self._most = size if size is not None else most
        self._room = buffer
        self._close = close
        self._kept = bytearray()
        self._released = 0
        self._ended = self._most == 0
        self._sha256 = hashlib.sha256()

    @property
    def size(self) -> int | None:
        """Bytes in all; ``None`` for a stream of undeclared size before its end is reached."""
        return self.available if self._ended else self._declared

    @property
    def full(self) -> bool:
        """Whether the buffer is full."""
        return len(self._kept) >= self._room

    @property
    def pressed(self) -> bool:
        """Whether two thirds of the buffer are taken."""
        return 3 * len(self._kept) >= 2 * self._room

    @property
    def available(self) -> int:
        """Up to where the stream has been read."""
        return self._released + len(self._kept)

    def restart(self) -> bool:
        """Return whether everything that was read is still in the buffer."""
        return self._released == 0

    def extend(self, end: int) -> int:
        """Read on; see :meth:`Content.extend`.

        Raises:
            SourceChangedError: If there are not as many bytes as declared.
            BlockingIOError: If the stream is in non-blocking mode and has no data.
            TypeError: If it reads something other than bytes or text.
        """
        wanted = (end if self._most is None else min(end, self._most)) - self.available
        if wanted > 0 and not self._ended:
            piece = self._feed.take(wanted)
            self._kept += piece
            self._sha256.update(piece)
            self._ended = len(piece) < wanted or self.available == self._most
            if self._declared is not None:
                self._check(short=len(piece) < wanted)
        return self.available

    def read(self, start: int, end: int) -> bytes:
        """Return bytes that are in the buffer.

        Raises:
            StreamLostError: They are not any more.
        """
        if start < self._released:
            msg = (
                f"the service lost bytes {start} to {min(end, self._released)} of "
                f"{brief(self._name)}, which are not here any more: send it again"
            )
            raise StreamLostError(msg)
        return bytes(memoryview(self._kept)[start - self._released : end - self._released])

    def release(self, end: int) -> None:
        """Drop what is safe at the service from the beginning of the buffer."""
        count = min(end, self.available) - self._released
        if count > 0:
            del self._kept[:count]
            self._released += count

    def hash_up_to(self, end: int) -> bool:  # noqa: ARG002 - as the protocol has it
        """Return true: bytes are hashed when they are read."""
        return True

    def finish(self) -> str:
        """Return the SHA-256 of everything that was read."""
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Drop the buffer, and close what the stream stands on, if anything; may be repeated."""
        self._kept = bytearray()
        if self._close is not None:
            self._close()
            self._close = None

    def _check(self, *, short: bool) -> None:
        declared = self._declared or 0
        last = self.available == declared
        check_extent(self._feed, self._name, self.available, declared, short=short, last=last)

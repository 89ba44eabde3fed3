"""The SHA-256 of a file under way: how far it has come, in step with what arrives."""

import errno
import math
import threading
from collections.abc import Callable
from typing import Final

from dxlfiletransferclient.digests import Buffer, RunningSha256

READ_SIZE: Final = 128 * 1024
"""Bytes read at a time when what is on the disk is hashed: small enough for the CPU's cache."""

HASHED_PER_SEGMENT: Final = 4 * 2**20
"""Bytes that one request hashes for others that came before it (some milliseconds)."""

MOST_FRESH: Final = 8 * 2**20
"""Bytes that a file keeps in memory after they were written, for as long as another thread hashes
what comes before them. They would be read again otherwise; a segment's time of hashing is some of
the others' times of writing, so there are some of them."""

Read = Callable[[int, int], bytes]
"""Reads so many bytes from an offset; fewer only at the end of the file."""


class Frontier:
    """Hashes a file from its beginning as far as it is there without a gap.

    One thread hashes at a time; for others that only want to help on, it is enough that one does.

    Args:
        hashed: Bytes that were hashed before.
        state: State of the SHA-256 after them; empty if they have to be hashed again.
    """

    def __init__(self, hashed: int = 0, state: bytes = b"") -> None:
        self._lock = threading.Lock()
        self._waiting = _Waiting()
        self._hashed = 0
        self._running = RunningSha256()
        self.restart(hashed, state)

    @property
    def hashed(self) -> int:
        """Bytes hashed so far."""
        return self._hashed

    def restart(self, hashed: int = 0, state: bytes = b"") -> None:
        """Go back to a state that was saved, or to the beginning of the file."""
        with self._lock:
            self._waiting.clear()
            self._hashed, self._running = _restored(hashed, state)

    def help_on(
        self, prefix: Callable[[], int], read: Read, *, at_most: int, fresh: "Fresh"
    ) -> None:
        """Hash what has arrived, unless somebody is at it already.

        Args:
            prefix: Tells how many bytes are there without a gap.
            read: Reads them from the disk.
            at_most: Bytes to hash besides the fresh ones, so that no request has to hash for all
                the others.
            fresh: What has just been written, so that it need not be read.
        """
        if not self._lock.acquire(blocking=False):
            self._waiting.add(fresh)
            return
        try:
            if fresh.offset == self._hashed and fresh.end <= prefix():
                # Most come in order: nobody else need ever see these bytes.
                self._running.update(fresh.data)
                self._hashed = fresh.end
                self._go_on(prefix, read, at_most)
                return
            if fresh.end > self._hashed:
                self._waiting.add(fresh)
            self._go_on(prefix, read, at_most + len(fresh.data))
        finally:
            self._lock.release()

    def let_go(self) -> None:
        """Keep nothing in memory that was written; it is read again where it has to be hashed."""
        self._waiting.clear()

    def go_on(self, end: int, read: Read, *, at_most: int) -> bool:
        """Hash up to an offset; waits while another thread hashes.

        Args:
            end: The offset; everything before it must be there.
            read: Reads from the disk.
            at_most: Bytes to hash now.

        Returns:
            Whether everything before the offset is hashed.

        Raises:
            OSError: If the file cannot be read.
        """
        with self._lock:
            self._go_on(lambda: end, read, at_most)
            return self._hashed >= end

    def saved(self) -> tuple[int, bytes]:
        """Return how many bytes are hashed, and the state after them; nothing if it has none."""
        with self._lock:
            state = self._running.state()
            return (self._hashed, state) if state is not None else (0, b"")

    def sha256(self) -> str:
        """Return the SHA-256 of what is hashed, in lower-case hex."""
        with self._lock:
            return self._running.hexdigest()

    def _go_on(self, prefix: Callable[[], int], read: Read, at_most: int) -> None:
        last = self._hashed + at_most
        while self._hashed < (end := min(prefix(), last)):
            data = self._waiting.take(self._hashed)
            if data is None:
                # Up to what is in memory, which need not be read.
                stop = int(min(end, self._waiting.next(self._hashed)))
                data = read(min(READ_SIZE, stop - self._hashed), self._hashed)
                if not data:
                    text = f"the file ends after {self._hashed} bytes and not after {end}"
                    raise OSError(errno.EIO, text)
            self._running.update(data)
            self._hashed += len(data)
        if self._waiting.found:
            self._waiting.forget(self._hashed)


class Fresh:
    """Bytes that are in memory and on the disk.

    Args:
        offset: Where they begin in the file.
        data: The bytes.

    Attributes:
        end: Where they end in the file.
    """

    __slots__ = ("data", "end", "offset")

    def __init__(self, offset: int, data: Buffer) -> None:
        self.offset = offset
        self.data = data
        self.end = offset + len(data)

    def after(self, offset: int) -> Buffer | None:
        """Return what they have from an offset of the file on, if that lies within them."""
        skipped = offset - self.offset
        if not 0 <= skipped < len(self.data):
            return None
        return memoryview(self.data)[skipped:] if skipped else self.data


class _Waiting:
    """Fresh bytes that are not hashed yet, as many as are worth the memory. For several threads.

    Attributes:
        found: By where they begin; from outside only to see whether there are any.
    """

    __slots__ = ("_bytes", "_guard", "found")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.found: dict[int, Fresh] = {}
        self._bytes = 0

    def add(self, fresh: Fresh) -> None:
        with self._guard:
            self._drop(fresh.offset)  # what came later counts
            if self._bytes + len(fresh.data) <= MOST_FRESH:
                self.found[fresh.offset] = fresh
                self._bytes += len(fresh.data)

    def take(self, offset: int) -> Buffer | None:
        """Take out bytes from an offset of the file on, if they are here."""
        with self._guard:
            exact = self.found.pop(offset, None)
            if exact is not None:
                self._bytes -= len(exact.data)
                return exact.data
            for each in self.found.values():
                data = each.after(offset)
                if data is not None:
                    self._drop(each.offset)
                    return data
        return None

    def next(self, offset: int) -> float:
        """Return where the next bytes behind an offset begin."""
        with self._guard:
            return min((each for each in self.found if each > offset), default=math.inf)

    def forget(self, before: int) -> None:
        """Drop what lies before an offset."""
        with self._guard:
            for each in list(self.found.values()):
                if each.end <= before:
                    self._drop(each.offset)

    def clear(self) -> None:
        with self._guard:
            self.found.clear()
            self._bytes = 0

    def _drop(self, offset: int) -> None:
        found = self.found.pop(offset, None)
        if found is not None:
            self._bytes -= len(found.data)


def _restored(hashed: int, state: bytes) -> tuple[int, RunningSha256]:
    try:
        return hashed, RunningSha256.restored(state)
    except ValueError:
        return 0, RunningSha256()

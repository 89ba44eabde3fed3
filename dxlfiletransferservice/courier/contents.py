"""What is sent where files are not read."""

import hashlib
from typing import Final

from dxlfiletransferclient.sending.source import HASH_STEP

_ZEROS: Final = bytes(HASH_STEP)


class ZeroContent:
    """Zeros in place of a file; a ``sending.source.Content``.

    Args:
        size: How many.

    Example:
        >>> content = ZeroContent(3)
        >>> content.read(0, 3) == bytes(3), content.hash_up_to(3), content.finish()[:8]
        (True, True, '709e80c8')
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._sha256 = hashlib.sha256()
        self._hashed = 0

    @property
    def size(self) -> int:
        """How many there are."""
        return self._size

    @property
    def full(self) -> bool:
        """False: they take no memory."""
        return False

    @property
    def pressed(self) -> bool:
        """False, for the same reason."""
        return False

    @property
    def available(self) -> int:
        """Up to where there are some: all of them."""
        return self._size

    def restart(self) -> bool:
        """Prepare to give all of them once more."""
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        return True

    def extend(self, end: int) -> int:
        """Return up to where there are some."""
        return min(end, self._size)

    def read(self, start: int, end: int) -> bytes:
        """Return a range of them."""
        self._hash(start, end)
        return bytes(end - start)

    def release(self, end: int) -> None:
        """Do nothing: they take no memory."""

    def hash_up_to(self, end: int) -> bool:
        """Go on with the SHA-256; see ``sending.source.Content``."""
        if self._hashed < end:
            self._hash(self._hashed, min(end, self._hashed + HASH_STEP))
        return self._hashed >= end

    def finish(self) -> str:
        """Return the SHA-256 of all of them."""
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _hash(self, start: int, end: int) -> None:
        while start <= self._hashed < end:
            piece = memoryview(_ZEROS)[: end - self._hashed]
            self._sha256.update(piece)
            self._hashed += len(piece)

"""Versions of stored files, and the SHA-256 of those that are known."""

import hashlib
import os
import struct
import threading
from collections import OrderedDict
from typing import Final

KNOWN_DIGESTS: Final = 16_384
"""Versions whose SHA-256 is remembered: some hundred bytes each, a few megabytes in all.

Beyond, those that were not asked for or stored for the longest time are forgotten; they are read
again when they are asked for.
"""

_STATUS: Final = struct.Struct(">QQqq")
_UNSIGNED: Final = 2**64 - 1
_VERSION_LENGTH: Final = 12
"""Bytes of a version: as good as never the same by accident, and short in every entry of a list."""


def version_of(status: os.stat_result) -> str:
    """Return what names the present content of a file.

    It is made of inode, size and the times of the last change of content and of status. It changes
    with every change of the content, and sometimes without one.

    Args:
        status: What ``stat`` says of the file.

    Returns:
        24 hex digits; to be compared and nothing else.
    """
    packed = _STATUS.pack(
        status.st_ino & _UNSIGNED, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )
    return hashlib.blake2b(packed, digest_size=_VERSION_LENGTH).hexdigest()


class KnownDigests:
    """The SHA-256 of versions that were stored or read lately; safe for several threads.

    Args:
        limit: How many are remembered.
    """

    def __init__(self, limit: int = KNOWN_DIGESTS) -> None:
        self._limit = limit
        self._guard = threading.Lock()
        self._digests: OrderedDict[str, str] = OrderedDict()

    def remember(self, version: str, sha256: str) -> None:
        """Note the SHA-256 of a version."""
        with self._guard:
            self._digests[version] = sha256
            self._digests.move_to_end(version)
            if len(self._digests) > self._limit:
                self._digests.popitem(last=False)

    def get(self, version: str) -> str | None:
        """Return the SHA-256 of a version if it is known."""
        with self._guard:
            if version in self._digests:
                self._digests.move_to_end(version)
            return self._digests.get(version)

"""Small files, collected until they fill a message. No input or output."""

from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Final

from dxlfiletransferclient.protocol.limits import MAX_BATCH_ENTRIES, MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import BatchEntry
from dxlfiletransferclient.sending.scan import Item

LEAST_PAYLOAD: Final = 64 * 1024
"""Bytes that a batch may have however small the caller or the service wants segments to be.

Directories and links travel in batches only, and their names alone can take some kilobytes.
"""

_FRAME: Final = 8
"""Bytes around the entries: the length of the header, and the brackets of its array."""

_FIELDS: Final = 300
"""Bytes in the header that one entry takes at most beside its name and target, rounded up: the keys
with quotes, colons and commas are 115, SHA-256, times and words another 110."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that go into one message.

    Attributes:
        items: What they are here.
        entries: The entries, in the same order.
        size: Bytes that they take in the message, at most.
    """

    items: list[Item] = field(default_factory=list)
    entries: list[BatchEntry] = field(default_factory=list)
    size: int = _FRAME


class Batcher:
    """Fills batches.

    Args:
        limit: Bytes of a message's payload; at least :data:`LEAST_PAYLOAD` are taken.

    Example:
        >>> batcher = Batcher(1_000_000)
        >>> for item, entry in found:  # doctest: +SKIP
        ...     full = batcher.add(item, entry)
        ...     if full:
        ...         send(full)
        >>> rest = batcher.take()
    """

    def __init__(self, limit: int) -> None:
        self._limit = min(MAX_PAYLOAD, max(LEAST_PAYLOAD, limit))
        self._begin()

    def content_limit(self, name: str) -> int:
        """Return how many bytes a file of a name may have to fit into a batch at all."""
        return self._limit - _FRAME - _header_size(name, None)

    def add(self, item: Item, entry: BatchEntry) -> Batch | None:
        """Put an entry into the batch.

        Args:
            item: What it is here.
            entry: The entry; its content is within :meth:`content_limit`.

        Returns:
            The batch before, if the entry does not fit into it any more and begins the next one.
        """
        size = _header_size(entry.name, entry.target) + len(entry.payload)
        full = None
        if self._size + size > self._limit or len(self._entries) == MAX_BATCH_ENTRIES:
            full = self.take()
        self._items.append(item)
        self._entries.append(entry)
        self._size += size
        return full

    def take(self) -> Batch | None:
        """Return the batch as it is, if there is anything in it, and begin another one."""
        if not self._entries:
            return None
        batch = Batch(self._items, self._entries, self._size)
        self._begin()
        return batch

    def _begin(self) -> None:
        self._items: list[Item] = []
        self._entries: list[BatchEntry] = []
        self._size = _FRAME


def _header_size(name: str, target: str | None) -> int:
    return _FIELDS + _json_size(name) + (_json_size(target) if target is not None else 0)


def _json_size(text: str) -> int:
    quoted = encode_basestring(text)
    return len(quoted) if quoted.isascii() else len(quoted.encode("utf-8", "surrogatepass"))

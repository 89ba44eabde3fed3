"""Memory for large packets, used again once nobody looks at it any more."""

from typing import Final

BUFFER_SIZE: Final = 1024 * 1024 + 4096
"""Bytes of a buffer: the largest packet of a fabric as brokers come, and a little more."""

SMALLEST: Final = BUFFER_SIZE // 2
"""Bytes of a packet below which it gets memory of its own: it would keep a buffer more than twice
its size, and whoever counts the bytes that wait would be wrong by as much."""

MOST_BUFFERS: Final = 16
"""Buffers that are kept, 16 MiB: as many large messages as are usually under way at a time."""


class Buffers:
    """Lends memory to packets. For one thread at a time.

    New memory has to be filled with zeros and is in no cache of the processor; together that is a
    twentieth of what it costs to receive a large message. For the same reason, what was used last
    is used first: as long as few messages are under way, the others are left alone, which is worth
    another twentieth to everybody on the way.

    Example:
        >>> buffers = Buffers()
        >>> view = buffers.take(100_000)
        >>> len(view)
        100000
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[bytearray] = []

    def take(self, size: int) -> memoryview:
        """Return memory for ``size`` bytes, whatever is in it; keep it as long as it is needed."""
        if not SMALLEST <= size <= BUFFER_SIZE:
            return memoryview(bytearray(size))
        kept = self._kept
        for position, buffer in enumerate(kept):
            if _is_free(buffer):
                if position:
                    del kept[position]
                    kept.insert(0, buffer)
                return memoryview(buffer)[:size]
        if len(kept) == MOST_BUFFERS:
            return memoryview(bytearray(size))
        buffer = bytearray(BUFFER_SIZE)
        kept.insert(0, buffer)
        return memoryview(buffer)[:size]


def _is_free(buffer: bytearray) -> bool:
    """Tell whether no view of a buffer is left; as long as there is one, it keeps its size."""
    try:
        buffer.append(0)
    except BufferError:
        return False
    buffer.pop()
    return True

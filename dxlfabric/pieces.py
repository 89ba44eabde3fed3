"""What is encrypted next of the pieces that wait to be sent. No input or output."""

from collections import deque
from typing import Final

from dxlfabric.message import Body

SMALL_PIECE: Final = 4096
"""Bytes up to which pieces are joined before they are encrypted: a copy is cheaper than a TLS
record of its own, which takes some microseconds at both ends."""


def next_piece(waiting: deque[Body], room: int) -> Body:
    """Take what is to be encrypted next: part of a large piece, or some small ones together.

    Args:
        waiting: What waits, none of it empty; at least one.
        room: Bytes that are wanted at most, above 0; small pieces may be a little more.
    """
    piece = waiting.popleft()
    size = len(piece)
    if size > room:
        view = memoryview(piece)
        waiting.appendleft(view[room:])
        return view[:room]
    if size > SMALL_PIECE or not waiting:
        return piece
    size += len(waiting[0])
    if size > SMALL_PIECE:
        return piece
    small = [piece]
    while size <= SMALL_PIECE:
        small.append(waiting.popleft())
        if not waiting:
            break
        size += len(waiting[0])
    return b"".join(small)

"""Identifiers of messages, without a system call for each."""

import itertools
import uuid
from typing import Final

_NODE_BITS: Final = 48
_NODE_DIGITS: Final = 12


class MessageIds:
    """Makes identifiers in the form of the official client: UUIDs in lower case and braces.

    The first 74 random bits are drawn once, and the last 48 count up from a random start, so that
    two makers do not meet. For several threads.

    Example:
        >>> ids = MessageIds()
        >>> first, second = ids.next(), ids.next()
        >>> first != second and len(first) == len(str(uuid.UUID(second))) + 2
        True
    """

    __slots__ = ("_counter", "_prefix")

    def __init__(self) -> None:
        drawn = uuid.uuid4()
        self._prefix = "{" + str(drawn)[:-_NODE_DIGITS]
        self._counter = itertools.count(drawn.node)

    def next(self) -> str:
        """Return one that was not returned before."""
        number = next(self._counter) & ((1 << _NODE_BITS) - 1)
        return f"{self._prefix}{number:0{_NODE_DIGITS}x}}}"

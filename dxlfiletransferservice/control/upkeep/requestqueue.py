"""Whose request is next. No input or output, and no threads."""

from collections import Counter, deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class RequestQueue(Generic[_Item]):
    """Holds what waits to be carried out: one by one and in order for each caller, callers in turn.

    A place is reserved first, so that what was noted elsewhere finds room here for certain. Whoever
    asks for a lot waits for himself: others have their turn after each of his items.

    Args:
        most: Items at most, those that are being carried out included.
        most_each: The same for one caller.

    Example:
        >>> queue = RequestQueue[str](most=10, most_each=5)
        >>> for key, item in (("ann", "a1"), ("ann", "a2"), ("bob", "b1")):
        ...     if queue.reserve(key):
        ...         queue.add(key, item)
        >>> queue.take(), queue.take(), queue.take()
        (('ann', 'a1'), ('bob', 'b1'), None)
        >>> queue.done("ann")
        >>> queue.take()
        ('ann', 'a2')
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._places: Counter[str] = Counter()
        self._total = 0
        self._waiting: dict[str, deque[_Item]] = {}
        self._busy: set[str] = set()
        self._turns: deque[str] = deque()

    def __len__(self) -> int:
        return self._total

    def reserve(self, key: str, *, always: bool = False) -> bool:
        """Take a place for an item to come; returns whether there was one.

        Args:
            key: Whose it is.
            always: Whether to take a place where there is none: for what had one before.
        """
        full = self._total >= self._most or self._places[key] >= self._most_each
        if full and not always:
            self._forget(key)
            return False
        self._places[key] += 1
        self._total += 1
        return True

    def release(self, key: str) -> None:
        """Give back a place for which no item came."""
        self._places[key] -= 1
        self._total -= 1
        self._forget(key)

    def add(self, key: str, item: _Item) -> None:
        """Put an item into a place that was reserved."""
        waiting = self._waiting.setdefault(key, deque())
        if not waiting and key not in self._busy:
            self._turns.append(key)
        waiting.append(item)

    def take(self) -> tuple[str, _Item] | None:
        """Return what is next, and whose it is; ``None`` if there is nothing to begin with now."""
        if not self._turns:
            return None
        key = self._turns.popleft()
        waiting = self._waiting[key]
        item = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        self._busy.add(key)
        return key, item

    def done(self, key: str) -> None:
        """Note that the item of a caller was carried out, and let his next one have its turn."""
        self._busy.discard(key)
        self.release(key)
        if key in self._waiting:
            self._turns.append(key)

    def _forget(self, key: str) -> None:
        if not self._places[key]:
            del self._places[key]

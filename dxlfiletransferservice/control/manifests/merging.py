"""Brings the trees of several mappings into one order. No input or output."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dxlfiletransferservice.control.manifests.mappings import SEPARATOR
from dxlfiletransferservice.control.manifests.traversal import Entry, TraversalError, shown_path


class Branch(NamedTuple):
    """What a mapping brings in.

    Attributes:
        place: Its destination; all its entries lie there or below.
        entries: Yields its entries in the order of their places.
    """

    place: str
    entries: Callable[[], Iterator[Entry]]


def merged(branches: Iterable[Branch]) -> Iterator[Entry]:
    """Yield the entries of all branches in the order of their places.

    A branch is begun when its turn comes, so that only those that overlap are under way at once.
    An empty directory is left out if another branch has something in it, or has it as well.

    Args:
        branches: The branches in the order of their places.

    Raises:
        TraversalError: Two have a file for the same place, or one has something below a file of
            another one.
    """
    held: Entry | None = None
    for entry in _in_order(iter(branches)):
        if held is not None and not _gives_way(held, entry):
            yield held
        held = entry
    if held is not None:
        yield held


def _gives_way(before: Entry, entry: Entry) -> bool:
    """Whether an entry is not wanted, because of the one after it."""
    if entry.place == before.place:
        if entry.directory and before.directory:
            return True
        raise TraversalError(
            f"two mappings have the same destination, {_shown(entry)}, and at least one of them "
            "has a file there"
        )
    if not entry.place.startswith(before.place + SEPARATOR):
        return False
    if before.directory:
        return True
    raise TraversalError(
        f"one mapping has a file at the destination {_shown(before)}, and another one a directory"
    )


def _in_order(branches: Iterator[Branch]) -> Iterator[Entry]:
    heap: list[tuple[str, int, Entry, Iterator[Entry]]] = []
    coming = next(branches, None)
    begun = 0
    while coming is not None or heap:
        while coming is not None and (not heap or coming.place <= heap[0][0]):
            rest = coming.entries()
            first = next(rest, None)
            if first is not None:
                heapq.heappush(heap, (first.place, begun, first, rest))
            begun += 1
            coming = next(branches, None)
        if heap:
            yield from _first(heap, None if coming is None else coming.place)


def _first(
    heap: list[tuple[str, int, Entry, Iterator[Entry]]], coming: str | None
) -> Iterator[Entry]:
    """Yield from the first branch for as long as it is the first."""
    _, number, entry, rest = heap[0]
    others = [each[0] for each in heap[1:3]]
    limit = min(others if coming is None else [*others, coming], default=None)
    while True:
        yield entry
        found = next(rest, None)
        if found is None:
            heapq.heappop(heap)
            return
        entry = found
        if limit is not None and entry.place >= limit:
            heapq.heapreplace(heap, (entry.place, number, entry, rest))
            return


def _shown(entry: Entry) -> str:
    return shown_path(entry.place.replace(SEPARATOR, "/"))

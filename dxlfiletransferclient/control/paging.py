"""Fetches long lists page by page, so that no answer has to hold all of one."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import ControlError

Item = TypeVar("Item")
Cursor = TypeVar("Cursor", bound=str | int)


def paged(
    fetch: Callable[[Cursor | None, int], list[Item]],
    cursor_of: Callable[[Item], Cursor],
    *,
    after: Cursor | None = None,
    limit: int | None = None,
) -> Iterator[Item]:
    """Return what a list holds, one by one; pages are fetched as they are needed.

    A page may be shorter than it could be, so only an empty one is the end.

    Args:
        fetch: Fetches a page: what comes after a cursor (``None`` for the beginning), up to a
            number of items.
        cursor_of: Returns the cursor of an item.
        after: Where to begin.
        limit: Items at most; ``None`` for all.

    Raises:
        ControlError: The server goes round in circles.

    Example:
        >>> def fetch(after, most):
        ...     return list(range((after or 0) + 1, 6))[:2]
        >>> list(paged(fetch, lambda number: number)), list(paged(fetch, lambda n: n, limit=3))
        ([1, 2, 3, 4, 5], [1, 2, 3])
    """
    rest = limit
    while rest is None or rest > 0:
        page = fetch(after, MAX_PAGE if rest is None else min(rest, MAX_PAGE))
        if not page:
            return
        last = cursor_of(page[-1])
        if last == after:
            raise ControlError(f"the server does not go on with its list after {last!r}")
        after = last
        wanted = page if rest is None else page[:rest]
        yield from wanted
        if rest is not None:
            rest -= len(wanted)

"""Pages: as much of a list as fits into one answer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferservice.control.arguments import MAX_ID, Arguments

MAX_PAGE_BYTES: Final = 448 * 1024
"""Bytes of JSON in a page at most, unless its first structure alone has more: what an answer may
have, less room for what goes around it."""


@dataclass(frozen=True, slots=True)
class PageOrder:
    """Which part of a list is wanted; lists go by id, upwards.

    Attributes:
        before: Only what has a lower id.
        after: Only what has a higher id.
        limit: Structures at most; never more than fit into one answer, and the caller asks on.
    """

    before: int | None = None
    after: int | None = None
    limit: int = MAX_PAGE

    def apply(
        self, query: Select[Any], table: Table, condition: ColumnElement[bool]
    ) -> Select[Any]:
        """Return a query for the rows of a table for which a condition holds."""
        query = query.where(condition).order_by(table.c.id).limit(self.limit)
        if self.before is not None:
            query = query.where(table.c.id < self.before)
        return query if self.after is None else query.where(table.c.id > self.after)


def take_page(arguments: Arguments, field: str) -> PageOrder:
    """Take the arguments ``before``, ``after`` and ``limit``.

    Args:
        arguments: The arguments.
        field: Field of the structures that has their id.

    Returns:
        What is wanted. ``limit`` 0 is the same as none.

    Raises:
        CommandError: One of them is wrong.
    """
    limit = arguments.optional_integer("limit", least=0, most=MAX_ID) or MAX_PAGE
    return PageOrder(
        before=arguments.optional_object_id("before", field),
        after=arguments.optional_object_id("after", field),
        limit=min(limit, MAX_PAGE),
    )


def fitting(structures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first of some structures: as many as fit into one answer, and one at least."""
    page: list[dict[str, Any]] = []
    room = MAX_PAGE_BYTES
    for structure in structures:
        room -= len(json.dumps(structure)) + 1
        if page and room < 0:
            break
        page.append(structure)
    return page

"""Objects as arguments: by id, or by structure. No input or output."""

from collections.abc import Mapping
from typing import Any, Final

ObjectId = str | int | Mapping[str, Any]
"""An object: its id, or a structure that has it."""

_TELLING: Final = ("transferId", "token", "destinationId", "manifestId")
"""Fields that tell what a structure is, in this order: a transfer has ids of others as well, and a
shared token that of its manifest."""


def id_in(given: ObjectId | None, field: str) -> Any:
    """Return the id of an object.

    Args:
        given: The object.
        field: Field of its structure that has the id.

    Returns:
        The id alone: structures can be large, and only the id counts. What has no such field is
        returned as it is, so that the server says what is wrong with it.

    Example:
        >>> id_in({"transferId": "17", "status": "sending"}, "transferId"), id_in(17, "transferId")
        ('17', 17)
    """
    if isinstance(given, Mapping):
        return given.get(field, dict(given))
    return given


def any_id_in(given: ObjectId) -> Any:
    """Return the id of a destination, manifest, transfer or token, with what it is the id of.

    Args:
        given: The object.

    Returns:
        A structure with that one field; an id as it is.

    Example:
        >>> any_id_in({"transferId": "17", "manifestId": "2", "status": "sending"})
        {'transferId': '17'}
    """
    if isinstance(given, Mapping):
        for field in _TELLING:
            if field in given:
                return {field: given[field]}
        return dict(given)
    return given

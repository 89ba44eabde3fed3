"""Objects as callers name them: by their id, or by a structure that has it."""

from dataclasses import dataclass
from typing import Final

from dxlfiletransferservice.control.arguments import Arguments

NONE: Final = -1
"""A number that no object has."""


@dataclass(frozen=True, slots=True)
class Named:
    """An object as a caller names it.

    Attributes:
        number: Its number; ``NONE`` if what is given can be no number.
        shown: What is given, without the rest of a structure, for error messages.
    """

    number: int
    shown: object


def take_object(arguments: Arguments, field: str) -> Named:
    """Take the argument that names an object.

    Args:
        arguments: The arguments.
        field: Name of the argument, and of the field of a structure that has the id.

    Raises:
        CommandError: It is missing, or neither an id nor such a structure.
    """
    number = arguments.object_id(field, field)
    found = arguments.value(field)
    return Named(
        NONE if number is None else number, found[field] if isinstance(found, dict) else found
    )


def take_optional_object(arguments: Arguments, field: str) -> Named | None:
    """Take the argument that may name an object; ``None`` if it is left out."""
    return take_object(arguments, field) if field in arguments else None

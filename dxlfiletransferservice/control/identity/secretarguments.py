"""Arguments of commands that nobody else may see: their error messages do not show them."""

from typing import Any, Final

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.identity.passwords import MAX_PASSWORD

MAX_TOKEN: Final = 256
"""Characters of a token or ticket at most; those that are made here have less than half."""


def secret(arguments: Arguments, name: str, *, most: int = MAX_PASSWORD) -> str:
    """Return an argument that is a secret text of 1 to ``most`` characters.

    Raises:
        CommandError: It is not, or was left out.
    """
    arguments.required(name)
    return optional_secret(arguments, name, most=most) or ""


def optional_secret(arguments: Arguments, name: str, *, most: int = MAX_PASSWORD) -> str | None:
    """Return an argument that is a secret text of 1 to ``most`` characters, or left out.

    Raises:
        CommandError: It is something else.
    """
    found = arguments.value(name)
    if found is None or (isinstance(found, str) and 0 < len(found) <= most and "\0" not in found):
        return found
    raise CommandError(f"the argument {name!r} must be text of 1 to {most} characters")


def token_id(arguments: Arguments, name: str) -> str:
    """Return the id of a token, which is given by its id, as a whole, or by its structure.

    Returns:
        The id; what could be no id becomes ``""``, which no token has.

    Raises:
        CommandError: The argument is of another type, or was left out.
    """
    return _token_id(name, arguments.required(name))


def optional_token_id(arguments: Arguments, name: str) -> str | None:
    """Return the id of a token as :func:`token_id`, or ``None`` if it was left out."""
    found = arguments.value(name)
    return None if found is None else _token_id(name, found)


def _token_id(name: str, found: Any) -> str:
    if isinstance(found, dict):
        found = found.get("token")
    if not isinstance(found, str):
        raise CommandError(f"the argument {name!r} must be a token, or a structure of one")
    # What follows the point is the secret, which is not needed to look at a token.
    shown = found.partition(".")[0]
    return shown if len(shown) <= MAX_TOKEN else ""

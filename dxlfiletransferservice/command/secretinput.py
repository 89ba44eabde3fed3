"""How people and programs tell passwords to a command."""

import getpass
import os
import sys
import warnings
from typing import Final

_LONGEST_LINE: Final = 8192
"""Bytes of a line with a password at most; a password has 1024 characters."""


class SecretInputError(Exception):
    """A password that was not told, or not as it must be."""


def new_password(what: str) -> str:
    """Return a password that somebody chooses now.

    On a terminal it is asked for twice, and not shown. From a pipe or file come two lines, which
    must be equal; a single one will do, as programs do not mistype.

    Args:
        what: Whose password it is, as in "password of jsmith".

    Raises:
        SecretInputError: The two differ, or there is none.
    """
    if sys.stdin.isatty():
        first = _asked(f"New {what}: ")
        second: str | None = _asked("The same again: ")
    else:
        line = standard_input_line()
        if line is None:
            raise SecretInputError(f"standard input has no {what}: write it there, in a line")
        first, second = line, standard_input_line()
    if second is not None and first != second:
        raise SecretInputError(f"the {what} was not the same twice: try again")
    return first


def known_password(what: str, variable: str) -> str:
    """Return a password that was chosen before.

    Args:
        what: Whose password it is.
        variable: Environment variable that may hold it; otherwise it is asked for.

    Raises:
        SecretInputError: There is no terminal to ask on.
    """
    found = os.environ.get(variable)
    if found:
        return found
    try:
        with warnings.catch_warnings():
            # It would be shown while it is typed.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return _asked(f"The {what}: ")
    except getpass.GetPassWarning as error:
        raise SecretInputError(
            f"there is no terminal to ask for the {what}: set the environment variable {variable}"
        ) from error


def standard_input_line() -> str | None:
    """Return the next line of standard input, without its end; ``None`` at the end of it.

    Raises:
        SecretInputError: It is too long, or no text.
    """
    raw = sys.stdin.buffer.readline(_LONGEST_LINE)
    if not raw:
        return None
    if len(raw) == _LONGEST_LINE:
        raise SecretInputError("standard input has a line that is too long to be a secret")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SecretInputError("standard input is no text in UTF-8") from error


def _asked(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError as error:
        raise SecretInputError("nothing was typed") from error

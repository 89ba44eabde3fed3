"""The arguments of a command, checked as they are taken."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import brief

MAX_TEXT: Final = 4096
"""Characters of an argument at most, unless a command says otherwise."""

_UNKEPT: Final = re.compile("[\0\ud800-\udfff]")

MAX_ID: Final = 2**63 - 1
"""Highest number of any object."""


class Arguments:
    """The arguments of a command; ``None`` stands for one that is left out.

    Every method raises ``CommandError`` if the argument is not what it asks for; the text names
    the argument and says what is allowed.

    Args:
        command: Name of the command, for error messages.
        values: The arguments by name.

    Example:
        >>> arguments = Arguments("send.setSomething", {"priority": 7, "name": "a"})
        >>> arguments.integer("priority", least=0, most=10), arguments.text("name")
        (7, 'a')
        >>> arguments.finish()
    """

    def __init__(self, command: str, values: Mapping[str, Any]) -> None:
        self._command = command
        self._values = values
        self._known: set[str] = set()

    @property
    def command(self) -> str:
        """Name of the command."""
        return self._command

    @property
    def values(self) -> Mapping[str, Any]:
        """All arguments as they came, not checked."""
        return self._values

    def __contains__(self, name: str) -> bool:
        self._known.add(name)
        return self._values.get(name) is not None

    def finish(self) -> None:
        """Check that there is no argument that nobody has asked for.

        Raises:
            CommandError: There is.
        """
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known)) or "none"
            raise CommandError(
                f"{self._command} takes no argument {brief(unknown[0])}; it takes {known}"
            )

    def value(self, name: str) -> Any:
        """Return an argument as it is; ``None`` if it was left out."""
        self._known.add(name)
        return self._values.get(name)

    def required(self, name: str) -> Any:
        """Return an argument as it is, which must not be left out."""
        found = self.value(name)
        if found is None:
            raise CommandError(f"{self._command} needs the argument {name!r}")
        return found

    def text(self, name: str, *, most: int = MAX_TEXT) -> str:
        """Return an argument that is text of 1 to ``most`` characters."""
        return self._text(name, self.required(name), most, least=1)

    def optional_text(self, name: str, *, most: int = MAX_TEXT) -> str | None:
        """Return an argument that is text of up to ``most`` characters, or left out."""
        found = self.value(name)
        return None if found is None else self._text(name, found, most)

    def integer(self, name: str, *, least: int, most: int) -> int:
        """Return an argument that is a whole number in a range, both ends included."""
        return self._integer(name, self.required(name), least, most)

    def optional_integer(self, name: str, *, least: int, most: int) -> int | None:
        """Return an argument that is a whole number in a range, or left out."""
        found = self.value(name)
        return None if found is None else self._integer(name, found, least, most)

    def number(self, name: str, *, least: float, most: float = math.inf) -> float:
        """Return an argument that is a finite number in a range."""
        return self._number(name, self.required(name), least, most)

    def optional_number(self, name: str, *, least: float, most: float = math.inf) -> float | None:
        """Return an argument that is a finite number in a range, or left out."""
        found = self.value(name)
        return None if found is None else self._number(name, found, least, most)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return an argument that is true or false; ``default`` if it is left out."""
        found = self.value(name)
        if found is None:
            return default
        if isinstance(found, bool):
            return found
        raise self._wrong(name, found, "true or false")

    def choice(self, name: str, choices: Iterable[int]) -> int | None:
        """Return an argument that is one of some whole numbers, or left out."""
        found = self.value(name)
        if found is None:
            return None
        allowed = sorted(choices)
        if type(found) is int and found in allowed:
            return found
        raise self._wrong(name, found, "one of " + ", ".join(map(str, allowed)))

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an argument that is an object with text as its keys."""
        found = self.required(name)
        if isinstance(found, dict) and all(isinstance(key, str) for key in found):
            return found
        raise self._wrong(name, found, "an object with names and values")

    def texts(self, name: str) -> dict[str, str] | None:
        """Return an argument that is an object with text as keys and values, or left out."""
        if self.value(name) is None:
            return None
        found = self.mapping(name)
        texts = [*found.keys(), *found.values()]
        if all(isinstance(each, str) and _can_be_kept(each) for each in texts):
            return found
        raise self._wrong(name, found, "an object with texts as its values")

    def object_id(self, name: str, field: str) -> int | None:
        """Return the number of an object, which is given by its id or its structure.

        Args:
            name: The argument.
            field: Field of the structure that has the id.

        Returns:
            The number; ``None`` if it is no id that any object could have, so that the caller says
            that there is none.
        """
        found = self.required(name)
        if isinstance(found, dict):
            if found.get(field) is None:
                raise self._wrong(name, found, f"an id, or a structure with the field {field!r}")
            found = found[field]
        if isinstance(found, bool) or not isinstance(found, int | str):
            raise self._wrong(name, found, f"an id, or a structure with the field {field!r}")
        text = str(found)
        if text.isascii() and text.isdigit() and len(text) < len(str(MAX_ID)):
            return int(text)
        return None

    def optional_object_id(self, name: str, field: str) -> int | None:
        """Return the number of an object as :meth:`object_id`, or ``None`` if it is left out.

        What no object could have for an id becomes -1, which none has.
        """
        if self.value(name) is None:
            return None
        found = self.object_id(name, field)
        return -1 if found is None else found

    def _text(self, name: str, found: Any, most: int, *, least: int = 0) -> str:
        if isinstance(found, str) and least <= len(found) <= most and _can_be_kept(found):
            return found
        raise self._wrong(name, found, f"text of {least} to {most} characters")

    def _integer(self, name: str, found: Any, least: int, most: int) -> int:
        if type(found) is int and least <= found <= most:
            return found
        raise self._wrong(name, found, f"a whole number from {least} to {most}")

    def _number(self, name: str, found: Any, least: float, most: float) -> float:
        fits = isinstance(found, int | float) and not isinstance(found, bool)
        if fits and math.isfinite(found) and least <= found <= most:
            return float(found)
        upper = "" if math.isinf(most) else f" to {most:g}"
        raise self._wrong(name, found, f"a number from {least:g}{upper or ' up'}")

    def _wrong(self, name: str, found: Any, allowed: str) -> CommandError:
        return CommandError(
            f"the argument {name!r} of {self._command} is {brief(found)}; allowed is {allowed}"
        )


def _can_be_kept(text: str) -> bool:
    """Whether databases can hold a text: not all do with NUL, and none with half a character."""
    return _UNKEPT.search(text) is None

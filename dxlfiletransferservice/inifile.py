"""Ini files whose every section and setting is known, and errors that name what is wrong."""

import configparser
import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.errors import brief

_FIRST_PRINTABLE: Final = 32  # below are ASCII's control characters
_SHOWN_LENGTH: Final = 80  # characters of a wrong name that an error message repeats
_MAX_DIGITS: Final = 20  # of a whole number; more would only take time to read


def read_parser(path: Path) -> configparser.ConfigParser:
    """Read an ini file.

    Args:
        path: The file, UTF-8 with or without a byte order mark.

    Returns:
        A parser that holds what the file says.

    Raises:
        ConfigurationError: The file cannot be read or is no ini file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is no text in UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse_ini(text, source=str(path))


def parse_ini(text: str, *, source: str) -> configparser.ConfigParser:
    """Parse the text of an ini file.

    Args:
        text: What the file says.
        source: The name of the file, for error messages.

    Returns:
        A parser that holds the sections and settings.

    Raises:
        ConfigurationError: The text is no ini file; the message names the line.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        raise ConfigurationError(f"{source}: {_describe(error)}") from error
    return parser


def refuse_unknown_names(
    parser: configparser.ConfigParser, known: Mapping[str, tuple[str, ...]], *, source: str
) -> None:
    """Make sure that every section and setting is one that means something.

    Args:
        parser: What the file says.
        known: The sections, and the settings in each.
        source: The name of the file, for error messages.

    Raises:
        ConfigurationError: One is not known; the message has a hint.
    """
    for section in parser.sections():
        names = known.get(section)
        if names is None:
            raise ConfigurationError(
                f"{source}: unknown section [{_plain(section)}]; {_hint(section, tuple(known))}"
            )
        # Names in [DEFAULT] show up in every section; they serve as %(name)s in values.
        allowed = {parser.optionxform(name) for name in names} | set(parser.defaults())
        for name in parser.options(section):
            if name not in allowed:
                raise ConfigurationError(
                    f"{source}: [{section}] unknown setting {_plain(name)}; {_hint(name, names)}"
                )


class Section:
    r"""One section of a parsed file, read setting by setting.

    A setting that is absent or empty has the default. All methods raise ``ConfigurationError`` for
    a value that is malformed or out of range; the message names file, section, setting and value,
    and says what is allowed.

    Args:
        parser: What the file says.
        name: The section, which may be absent.
        source: The name of the file, for error messages.

    Example:
        >>> parser = parse_ini("[Lamp]\nwatts = 40", source="example")
        >>> Section(parser, "Lamp", "example").integer("watts", 60, 1000)
        40
    """

    def __init__(self, parser: configparser.ConfigParser, name: str, source: str) -> None:
        self._parser = parser
        self._name = name
        self._source = source

    def error(self, setting: str, problem: str) -> ConfigurationError:
        """Return the error to raise about a setting."""
        return ConfigurationError(f"{self._source}: [{self._name}] {setting} {problem}")

    def text(self, setting: str) -> str:
        """Return the value without surrounding blanks; empty if the setting is absent."""
        if not self._parser.has_option(self._name, setting):
            return ""
        try:
            value = self._parser.get(self._name, setting).strip()
        except configparser.InterpolationError as error:
            raise self.error(setting, "has a % that stands for nothing: write it as %%") from error
        if "\n" in value:
            raise self.error(
                setting,
                f"= {brief(value)} goes over several lines; a line that begins with a blank "
                "continues the one before it",
            )
        if any(ord(character) < _FIRST_PRINTABLE for character in value):
            raise self.error(setting, f"= {brief(value)} has control characters in it")
        return value

    def directory(self, setting: str) -> Path | None:
        """Return a path, with ``~`` as the home directory; ``None`` if it is absent."""
        value = self.text(setting)
        if not value:
            return None
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise self.error(
                setting, f"= {brief(value)} names a home directory that is not known"
            ) from error

    def topic(self, setting: str, default: str, longest: int) -> str:
        """Return a topic of at most ``longest`` bytes."""
        value = self.text(setting) or default
        if "+" in value or "#" in value or len(value.encode(errors="replace")) > longest:
            raise self.error(
                setting,
                f"= {brief(value)} is no topic; allowed are up to {longest} bytes without + and #",
            )
        return value

    def integer(self, setting: str, default: int, maximum: int, *, minimum: int = 1) -> int:
        """Return a whole number from ``minimum`` to ``maximum``."""
        number = self.optional_integer(setting, maximum, minimum=minimum)
        return default if number is None else number

    def optional_integer(self, setting: str, maximum: int, *, minimum: int = 1) -> int | None:
        """Return a whole number from ``minimum`` to ``maximum``; ``None`` if it is absent."""
        value = self.text(setting)
        if not value:
            return None
        number = _whole_number(value)
        if number is None or not minimum <= number <= maximum:
            raise self.error(
                setting, f"= {brief(value)}; allowed is a whole number from {minimum} to {maximum}"
            )
        return number

    def decimal(self, setting: str, default: float, maximum: float) -> float:
        """Return a number above 0 and up to ``maximum``."""
        value = self.text(setting)
        if not value:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number <= maximum:
            raise self.error(
                setting,
                f"= {brief(value)}; allowed is a number above 0 and up to {maximum:.0f}, "
                "decimals with a point",
            )
        return number

    def yes_or_no(self, setting: str, *, default: bool) -> bool:
        """Return whether a setting says yes, in any of the words that ini files have for it."""
        value = self.text(setting)
        if not value:
            return default
        try:
            return self._parser.BOOLEAN_STATES[value.lower()]
        except KeyError as error:
            raise self.error(setting, f"= {brief(value)}; allowed is yes or no") from error


def _whole_number(text: str) -> int | None:
    try:
        return int(text) if len(text) <= _MAX_DIGITS else None
    except ValueError:
        return None


def _hint(name: str, known: tuple[str, ...]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    guess = f"did you mean {by_lower[close[0]]}? " if close else ""
    return f"{guess}known are {', '.join(known)}"


def _plain(name: str) -> str:
    """Return a name as an error message repeats it: printable, on one line, not too long."""
    return "".join(each if each.isprintable() else "?" for each in name[:_SHOWN_LENGTH])


def _describe(error: configparser.Error) -> str:
    """Return what is wrong with an ini file, on one line."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return (
            f"line {error.lineno}: {brief(str(error.line).strip())} stands before the first "
            "[section]; is this an ini file?"
        )
    if isinstance(error, configparser.DuplicateOptionError):
        name = f"[{_plain(error.section)}] {_plain(error.option)}"
        return f"line {error.lineno}: {name} is set a second time"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: section [{_plain(error.section)}] appears a second time"
    if isinstance(error, configparser.ParsingError) and error.errors:
        line, text = error.errors[0]
        return f"line {line}: {brief(text)} is neither 'setting = value' nor [section]"
    return " ".join(str(error).split())

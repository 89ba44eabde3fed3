"""The settings of the service, as ``dxlfiletransferservice.config`` gives them."""

import configparser
import difflib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dxlfabric.errors import ConfigurationError
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME

DEFAULT_QUEUE_SIZE: Final = 1000
"""Messages that wait in one pool; with up to 1 MiB each, a full queue costs 1 GB of memory."""

MAX_QUEUE_SIZE: Final = 1_000_000
"""Above this, memory ends long before the queue does."""

DEFAULT_THREAD_COUNT: Final = 10
"""Threads of one pool: so many segments of different files are written to disk at the same time."""

MAX_THREAD_COUNT: Final = 1000
"""Above this, threads cost more than they bring."""

MAX_PARTIAL_FILE_LIFETIME_HOURS: Final = 100 * 365 * 24.0
"""A hundred years stand for "never"; a longer time is a typing error."""

_GENERAL: Final = "General"
_INCOMING_POOL: Final = "IncomingMessagePool"
_CALLBACK_POOL: Final = "MessageCallbackPool"
_POOL_NAMES: Final = ("queueSize", "threadCount")
_KNOWN_NAMES: Final = {
    _GENERAL: ("storageDir", "workingDir", "storeTopic", "partialFileLifetimeHours"),
    _INCOMING_POOL: _POOL_NAMES,
    _CALLBACK_POOL: _POOL_NAMES,
}

_SECONDS_PER_HOUR: Final = 3600.0
_MAX_TOPIC_BYTES: Final = 65_535  # the length of an MQTT topic is a 16-bit number
_FIRST_PRINTABLE: Final = 32  # below are ASCII's control characters
_SHOWN_LENGTH: Final = 80  # characters of a wrong name that an error message repeats


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool of threads with its queue.

    Attributes:
        queue_size: Messages that may wait, 1 to 1,000,000. A full queue slows the connection down.
        thread_count: Threads, 1 to 1000.
    """

    queue_size: int = DEFAULT_QUEUE_SIZE
    thread_count: int = DEFAULT_THREAD_COUNT


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that ``dxlfiletransferservice.config`` can say.

    Attributes:
        storage_dir: Directory under which files are stored. A relative path counts from the
            directory in which the process was started; a leading ``~`` is the home directory.
        working_dir: Directory of files that are still being received, or ``None`` for ``.workdir``
            in the storage directory. Same rules for the path.
        store_topic: Topic that the service takes segments on.
        partial_file_lifetime: Seconds without a segment after which an unfinished file is removed.
        incoming: The pool that takes messages from the connection and stores the segments.
        callbacks: The pool for callbacks that are registered to run on separate threads.
    """

    storage_dir: Path
    working_dir: Path | None = None
    store_topic: str = DEFAULT_STORE_TOPIC
    partial_file_lifetime: float = DEFAULT_LIFETIME
    incoming: PoolSettings = field(default_factory=PoolSettings)
    callbacks: PoolSettings = field(default_factory=PoolSettings)


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


def parse_settings(parser: configparser.ConfigParser, *, source: str) -> ServiceSettings:
    r"""Turn a parsed ini file into checked settings.

    Args:
        parser: What the file says.
        source: The name of the file, for error messages.

    Returns:
        The settings; those that are absent or empty have their defaults.

    Raises:
        ConfigurationError: A section or setting is unknown, the storage directory is missing, or a
            value is malformed or out of range. The message names file, section, setting and value,
            and says what is allowed.

    Example:
        >>> parser = parse_ini("[General]\nstorageDir = /srv/files", source="example")
        >>> parse_settings(parser, source="example").storage_dir
        PosixPath('/srv/files')
    """
    _refuse_unknown_names(parser, source)
    general = _Section(parser, _GENERAL, source)
    storage_dir = general.directory("storageDir")
    if storage_dir is None:
        raise general.error(
            "storageDir", "is required: set it to the directory under which files are stored"
        )
    working_dir = general.directory("workingDir")
    if working_dir is not None and _is_within(storage_dir, working_dir):
        raise general.error(
            "workingDir",
            f"= {brief(str(working_dir))} holds the storage directory; allowed is a directory "
            "outside of it, or one inside the storage directory",
        )
    hours = general.decimal(
        "partialFileLifetimeHours",
        DEFAULT_LIFETIME / _SECONDS_PER_HOUR,
        MAX_PARTIAL_FILE_LIFETIME_HOURS,
    )
    return ServiceSettings(
        storage_dir=storage_dir,
        working_dir=working_dir,
        store_topic=general.topic("storeTopic", DEFAULT_STORE_TOPIC),
        partial_file_lifetime=hours * _SECONDS_PER_HOUR,
        incoming=_parse_pool(_Section(parser, _INCOMING_POOL, source)),
        callbacks=_parse_pool(_Section(parser, _CALLBACK_POOL, source)),
    )


def read_settings(path: Path) -> ServiceSettings:
    """Read and check a settings file.

    Args:
        path: The file.

    Returns:
        The settings.

    Raises:
        ConfigurationError: As for `read_parser` and `parse_settings`.
    """
    return parse_settings(read_parser(path), source=str(path))


class _Section:
    """One section of a parsed file, read setting by setting."""

    def __init__(self, parser: configparser.ConfigParser, name: str, source: str) -> None:
        self._parser = parser
        self._name = name
        self._source = source

    def error(self, setting: str, problem: str) -> ConfigurationError:
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
        value = self.text(setting)
        if not value:
            return None
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise self.error(
                setting, f"= {brief(value)} names a home directory that is not known"
            ) from error

    def topic(self, setting: str, default: str) -> str:
        value = self.text(setting) or default
        if "+" in value or "#" in value or len(value.encode()) > _MAX_TOPIC_BYTES:
            raise self.error(
                setting,
                f"= {brief(value)} is no topic; allowed are up to {_MAX_TOPIC_BYTES} bytes "
                "without + and #",
            )
        return value

    def integer(self, setting: str, default: int, maximum: int) -> int:
        value = self.text(setting)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 1 <= number <= maximum:
            raise self.error(
                setting, f"= {brief(value)}; allowed is a whole number from 1 to {maximum}"
            )
        return number

    def decimal(self, setting: str, default: float, maximum: float) -> float:
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


def _parse_pool(section: _Section) -> PoolSettings:
    return PoolSettings(
        queue_size=section.integer("queueSize", DEFAULT_QUEUE_SIZE, MAX_QUEUE_SIZE),
        thread_count=section.integer("threadCount", DEFAULT_THREAD_COUNT, MAX_THREAD_COUNT),
    )


def _refuse_unknown_names(parser: configparser.ConfigParser, source: str) -> None:
    for section in parser.sections():
        names = _KNOWN_NAMES.get(section)
        if names is None:
            raise ConfigurationError(
                f"{source}: unknown section [{_plain(section)}]; "
                f"{_hint(section, tuple(_KNOWN_NAMES))}"
            )
        # Names in [DEFAULT] show up in every section; they serve as %(name)s in values.
        known = {parser.optionxform(name) for name in names} | set(parser.defaults())
        for name in parser.options(section):
            if name not in known:
                raise ConfigurationError(
                    f"{source}: [{section}] unknown setting {_plain(name)}; {_hint(name, names)}"
                )


def _hint(name: str, known: tuple[str, ...]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    guess = f"did you mean {by_lower[close[0]]}? " if close else ""
    return f"{guess}known are {', '.join(known)}"


def _is_within(path: Path, directory: Path) -> bool:
    """Whether `path` is `directory` or lies below it, wherever links lead."""
    return path.resolve().is_relative_to(directory.resolve())


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

"""What the caller of ``createManifest`` names, checked and brought into one form."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dxlfiletransferclient.control.constants import FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.storage.names import parse_directory_name
from dxlfiletransferservice.control.arguments import MAX_ID, MAX_TEXT, Arguments
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.courier.seams import SourceGuard

EXECUTABLE: Final = "x"
"""The only ``access`` that a mapping may name: the file is executable."""

SEPARATOR: Final = "\0"
"""What stands between the parts of a place: it is in no name, and comes before everything that is,
so that the places of a tree go directory by directory."""

_FIELDS: Final = ("src", "size", "flags", "access")


class CallerSources(Protocol):
    """What one caller sees of the files of this machine."""

    def locate(self, path: str) -> str:
        """Return where on this machine something is that the caller names; it may not be there.

        Raises:
            CommandError: The caller may not have it; the text names the path.
        """
        ...


class Sources(Protocol):
    """Says what users may send, and where it is."""

    def sources(self, principal: Principal) -> CallerSources:
        """Return what somebody sees of the files of this machine."""
        ...

    def guard_for(self, owner: str, token: str | None) -> SourceGuard:
        """Return what says which files may be read for what a user, or a token, has made."""
        ...


@dataclass(frozen=True, slots=True)
class NamedMapping:
    """A mapping as the caller has named it.

    Attributes:
        dest: Where it goes, ``/`` between the parts, none at the beginning; empty for the top.
        rooted: Whether the caller has named that with ``/`` at the beginning.
        src: What the caller calls the source.
        flags: ``FILETYPE_…`` of what is not looked at; ``None`` for what is.
        size: Bytes of a file that is not looked at.
        executable: Whether that is executable.
    """

    dest: str
    rooted: bool
    src: str
    flags: int | None = None
    size: int | None = None
    executable: bool = False

    @property
    def shown(self) -> str:
        """What the mapping is called in error messages."""
        return brief(f"/{self.dest}" if self.rooted else self.dest)


@dataclass(frozen=True, slots=True)
class ManifestMapping:
    """A mapping whose source is found.

    Attributes:
        named: As the caller has named it.
        path: Path of the source on this machine.
    """

    named: NamedMapping
    path: str

    def row(self) -> dict[str, Any]:
        """Return its columns in the table, but for whose it is."""
        named = self.named
        return {
            "place": stored_place(named.dest),
            "dest": named.dest,
            "rooted": named.rooted,
            "src": self.path,
            "shown": named.src,
            "size": named.size,
            "flags": named.flags,
            "executable": named.executable,
        }


def place_of(dest: str) -> str:
    """Return the text by which destinations are put in order.

    Example:
        >>> sorted(["a-b", "a/x", "a"], key=place_of)
        ['a', 'a/x', 'a-b']
    """
    return dest.replace("/", SEPARATOR)


def stored_place(dest: str) -> str:
    """Return a text without NUL, which databases do not take, that has the order of places."""
    return dest.replace("\x01", "\x01\x02").replace("/", "\x01\x01")


def named_mappings(arguments: Arguments) -> list[NamedMapping]:
    """Take ``mappings``, or the older ``fileMappings``, from the arguments of a command.

    Args:
        arguments: The arguments.

    Returns:
        The mappings in the order of their places; no two go to the same place, and none lies below
        a file of another one, as far as that can be told without looking at the sources.

    Raises:
        CommandError: Something about them is wrong; the text names the mapping.
    """
    if ("mappings" in arguments) == ("fileMappings" in arguments):
        raise CommandError(
            "name what the manifest is to hold either as mappings, from destinations to sources, "
            "or as fileMappings, from sources to destinations"
        )
    if "mappings" in arguments:
        found = [_named(dest, value) for dest, value in arguments.mapping("mappings").items()]
    else:
        texts = arguments.texts("fileMappings") or {}
        found = [_plain(dest, src) for src, dest in texts.items()]
    found.sort(key=lambda each: place_of(each.dest))
    check_apart((each, each.flags == FILETYPE_REGULAR_FILE) for each in found)
    return found


def check_apart(mappings: Iterable[tuple[NamedMapping, bool]]) -> None:
    """Check that mappings do not get in each other's way.

    Args:
        mappings: The mappings in the order of their places, each with whether it is a file.

    Raises:
        CommandError: Two go to the same place, or one goes below a file.
    """
    before: NamedMapping | None = None
    file = False
    for each, is_file in mappings:
        if before is not None and each.dest == before.dest:
            raise CommandError(f"two mappings have the same destination, {each.shown}")
        if before is not None and file and each.dest.startswith(f"{before.dest}/"):
            raise CommandError(
                f"the mapping to {each.shown} lies below {before.shown}, which another mapping "
                "makes a file"
            )
        before, file = each, is_file


def found_mappings(
    named: Iterable[NamedMapping], principal: Principal, sources: Sources
) -> list[ManifestMapping]:
    """Find the sources of mappings on this machine.

    Args:
        named: The mappings, in the order of their places.
        principal: Who has named them.
        sources: Knows what that is for this caller.

    Returns:
        The mappings in the same order.

    Raises:
        CommandError: A source is not there, is not the caller's, or is neither a file nor a
            directory; or a mapping lies below another one, which is a file.
    """
    seen = sources.sources(principal)
    found, kinds = [], []
    for each in named:
        try:
            path = seen.locate(each.src)
        except CommandError as error:
            text = f"the mapping to {each.shown} is not possible: {error.message}"
            raise CommandError(text, error.kind) from error
        is_file = _is_file(path, each) if each.flags is None else each.flags != FILETYPE_DIRECTORY
        kinds.append((each, is_file))
        found.append(ManifestMapping(each, path))
    check_apart(kinds)
    return found


def _is_file(path: str, named: NamedMapping) -> bool:
    """Return whether a source is a file, and not a directory; links are followed."""
    where = f"the source {brief(named.src)} of the mapping to {named.shown}"
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - for each of many thousand
    except FileNotFoundError as error:
        raise CommandError(f"{where} does not exist") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise CommandError(f"{where} cannot be looked at: {reason}") from error
    if stat.S_ISDIR(mode):
        return False
    if not stat.S_ISREG(mode):
        raise CommandError(f"{where} is neither a file nor a directory")
    if not named.dest:
        raise CommandError(f"{where} is a file, so the destination has to name it")
    return True


def _named(dest: str, value: Any) -> NamedMapping:
    if isinstance(value, str):
        return _plain(dest, value)
    if not isinstance(value, dict):
        text = "allowed is a source path, or an object with src, size, flags and access"
        raise CommandError(f"the mapping to {brief(dest)} is {brief(value)}; {text}")
    unknown = sorted(str(each) for each in set(value) - set(_FIELDS))
    if unknown:
        known = ", ".join(_FIELDS)
        raise _wrong(dest, f"has no field {brief(unknown[0])}; its fields are {known}")
    place, rooted = _destination(dest)
    flags, size = _kind(dest, value)
    if flags == FILETYPE_REGULAR_FILE and not place:
        raise _wrong(dest, "is a file, so the destination has to name it")
    return NamedMapping(
        dest=place,
        rooted=rooted,
        src=_source(dest, value.get("src")),
        flags=flags,
        size=size,
        executable=_executable(dest, value.get("access")),
    )


def _plain(dest: str, src: str) -> NamedMapping:
    place, rooted = _destination(dest)
    return NamedMapping(place, rooted, _source(dest, src))


def _destination(dest: str) -> tuple[str, bool]:
    """Return a destination as its parts are stored, and whether it began with ``/``."""
    try:
        if ".." in dest.split("/"):
            raise UnsafeNameError(dest, "contains '..'")
        parts = parse_directory_name(dest.lstrip("/"))
    except UnsafeNameError as error:
        raise CommandError(f"the destination {brief(dest)} {error.reason}") from error
    return "/".join(parts), dest.startswith("/")


def _source(dest: str, src: Any) -> str:
    if isinstance(src, str) and 0 < len(src) <= MAX_TEXT and "\0" not in src and _is_utf8(src):
        return src
    allowed = f"allowed is a path of 1 to {MAX_TEXT} characters"
    raise _wrong(dest, f"has the source {brief(src)}; {allowed}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(dest: str, value: Mapping[str, Any]) -> tuple[int, int | None]:
    """Return what something that is not looked at is, and the size of a file."""
    flags, size = value.get("flags"), value.get("size")
    if flags is not None and (
        type(flags) is not int or flags not in (FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE)
    ):
        raise _wrong(
            dest,
            f"has the flags {brief(flags)}; allowed are FILETYPE_DIRECTORY ({FILETYPE_DIRECTORY}) "
            f"and FILETYPE_REGULAR_FILE ({FILETYPE_REGULAR_FILE})",
        )
    if flags == FILETYPE_DIRECTORY or (flags is None and size is None):
        return FILETYPE_DIRECTORY, None
    if type(size) is not int or not 0 <= size <= MAX_ID:
        raise _wrong(
            dest, f"has the size {brief(size)}; allowed is a whole number of bytes from 0 up"
        )
    return FILETYPE_REGULAR_FILE, size


def _executable(dest: str, access: Any) -> bool:
    if access is None or access == EXECUTABLE:
        return access is not None
    raise _wrong(
        dest, f"has the access {brief(access)}; allowed is only {EXECUTABLE!r}, for executable"
    )


def _wrong(dest: str, what: str) -> CommandError:
    return CommandError(f"the mapping to {brief(dest)} {what}")

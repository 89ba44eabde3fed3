"""Which names files may be stored under. No input or output.

A name comes from whoever may send a request, so it is taken apart here into plain parts before
anything on disk is touched. What the parts meet there is checked again by
:mod:`dxlfiletransferclient.storage.rooted`.
"""

import os
import re
from collections.abc import Iterable
from typing import Final

from dxlfiletransferclient.constants import MAX_NAME_BYTES
from dxlfiletransferclient.errors import UnsafeNameError

MAX_PART_BYTES: Final = 255
"""Bytes of UTF-8 in one part of a name; what nearly all file systems allow."""

Parts = tuple[str, ...]

_ABSOLUTE_ON_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_FORBIDDEN_ON_WINDOWS: Final = re.compile(r'[<>:"|?*\x00-\x1f]')
_ORDINARY_PART: Final = r"\.?[A-Za-z0-9_+,=@-][A-Za-z0-9_+,=@ .()-]*"
_ORDINARY: Final = re.compile(f"(?:{_ORDINARY_PART}/)*{_ORDINARY_PART}")
"""What most names are made of; nothing is wrong with these, unless they are long."""

_DEVICE_ON_WINDOWS: Final = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(\..*)?",
    re.IGNORECASE | re.DOTALL,
)


def parse_name(
    name: object, *, windows: bool = os.name == "nt", reserved: Iterable[Parts] = ()
) -> Parts:
    r"""Take a requested name apart into the directories and the file it means.

    Empty parts and ``.`` mean nothing and are dropped; ``..`` takes the part before it away.

    Args:
        name: The name as it was requested, with ``/`` between its parts.
        windows: Whether the rules of Windows apply as well: ``\`` is a separator, and names of
            devices, some characters and trailing dots and spaces are refused. Elsewhere they are
            ordinary.
        reserved: Directories, as parts, in which nothing may be stored.

    Returns:
        At least one part; none is empty, ``.`` or ``..`` or contains a separator.

    Raises:
        UnsafeNameError: If the name means no file below the root or cannot exist there.

    Example:
        >>> parse_name("reports//2024/./may.csv")
        ('reports', '2024', 'may.csv')
    """
    parts = parse_directory_name(name, windows=windows, reserved=reserved)
    if not parts:
        raise UnsafeNameError(name, "names no file")
    return parts


def parse_directory_name(
    name: object, *, windows: bool = os.name == "nt", reserved: Iterable[Parts] = ()
) -> Parts:
    """Take the requested name of a directory apart, as :func:`parse_name` does.

    Returns:
        The parts; none for the root itself, which an empty name and ``.`` mean.

    Raises:
        UnsafeNameError: If the name means nothing below the root or cannot exist there.

    Example:
        >>> parse_directory_name("reports/."), parse_directory_name("")
        (('reports',), ())
    """
    if not isinstance(name, str):
        raise UnsafeNameError(name, "is no text")
    if not windows and len(name) <= MAX_PART_BYTES and _ORDINARY.fullmatch(name):
        parts = tuple(name.split("/"))
    else:
        parts = _checked_parts(name, windows=windows)
    for directory in reserved:
        above = parts[: len(directory)]
        if above == directory or (windows and _folded(above) == _folded(directory)):
            raise UnsafeNameError(name, "lies in the working directory, which is reserved")
    return parts


def _checked_parts(name: str, *, windows: bool) -> Parts:
    _check_whole(name, windows=windows)
    parts = _resolve(name, name.replace("\\", "/") if windows else name)
    for part in parts:
        if len(part.encode()) > MAX_PART_BYTES:
            raise UnsafeNameError(name, f"has a part of more than {MAX_PART_BYTES} bytes")
        if windows:
            _check_windows_part(name, part)
    return parts


def _check_whole(name: str, *, windows: bool) -> None:
    # Every character takes a byte at least, so a huge name is refused before it is encoded.
    if len(name) > MAX_NAME_BYTES or len(_encoded(name)) > MAX_NAME_BYTES:
        raise UnsafeNameError(name, f"has more than {MAX_NAME_BYTES} bytes")
    if "\0" in name:
        raise UnsafeNameError(name, "contains a NUL character")
    # A drive or server name is refused everywhere: whoever sends one means no file below our root.
    rooted = name.startswith(("/", "\\") if windows else "/")
    if rooted or _ABSOLUTE_ON_WINDOWS.match(name):
        raise UnsafeNameError(name, "is absolute; give it relative to the storage directory")


def _encoded(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise UnsafeNameError(name, "cannot be encoded as UTF-8") from error


def _resolve(name: str, path: str) -> Parts:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise UnsafeNameError(name, "leads out of the storage directory")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def _check_windows_part(name: str, part: str) -> None:
    if _FORBIDDEN_ON_WINDOWS.search(part):
        raise UnsafeNameError(name, "contains a character that Windows does not allow")
    if part.endswith((".", " ")):
        raise UnsafeNameError(name, "has a part that ends with a dot or a space")
    if _DEVICE_ON_WINDOWS.fullmatch(part):
        raise UnsafeNameError(name, "has a part that Windows reserves for a device")


def _folded(parts: Parts) -> Parts:
    return tuple(part.casefold() for part in parts)

"""What a user is confined to: names, and directories that they stand for. No input or output."""

import json
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.identity.users import is_user_name

MAX_NAMES: Final = 256
"""Directories that a sandbox may have."""

MAX_MAPPING: Final = 64 * 1024
"""Bytes of JSON that a sandbox may have, so that several fit into one answer."""

MAX_NAME: Final = 255
"""Bytes of a directory's name, as file systems allow."""

_FILE: Final = "File"

Targets = dict[str, str]
"""Directories of this machine by their names, with the placeholders in them."""


def parse_mapping(mapping: Mapping[str, Any]) -> Targets:
    """Check a sandbox as somebody gives it.

    Args:
        mapping: For each name the absolute path of a directory, as text or as
            ``{"type": "File", "path": …}``. The name ``""`` or ``"/"`` makes a directory the root
            of everything, and is then the only one. In a path, ``%u`` stands for the user and
            ``%%`` for a percent sign.

    Returns:
        The paths by the names; none for no sandbox.

    Raises:
        CommandError: It cannot be one.

    Example:
        >>> parse_mapping({"home": "/home/%u", "pub": {"type": "File", "path": "/srv/pub/"}})
        {'home': '/home/%u', 'pub': '/srv/pub'}
    """
    if len(mapping) > MAX_NAMES:
        raise CommandError(f"a sandbox has at most {MAX_NAMES} names, and this has {len(mapping)}")
    targets: Targets = {}
    for given, target in mapping.items():
        name = _checked_name(given)
        targets[name] = _checked_path(given, _path_of(given, target))
    if "" in targets and len(mapping) > 1:
        raise CommandError("a sandbox with the name '' must have no other names: it is the root")
    if len(json.dumps(structure_of(targets))) > MAX_MAPPING:
        raise CommandError(f"a sandbox has at most {MAX_MAPPING} bytes as JSON")
    return targets


def structure_of(targets: Targets) -> dict[str, dict[str, str]]:
    """Return the structure of a sandbox, which is also how it is stored."""
    return {name: {"type": _FILE, "path": path} for name, path in targets.items()}


def directories(targets: Mapping[str, str], user: str | None) -> Targets:
    """Put a user in the place of the placeholders.

    Args:
        targets: What :func:`parse_mapping` has returned.
        user: The user; ``None`` for somebody who has not logged on.

    Raises:
        CommandError: There is a ``%u``, and the user is not known or has a name that cannot be a
            part of a path.

    Example:
        >>> directories({"home": "/home/%u"}, "ann")
        {'home': '/home/ann'}
    """
    return {name: _filled_in(path, user) for name, path in targets.items()}


def _filled_in(path: str, user: str | None) -> str:
    parts = _pieces(path)
    if "%u" in parts and user is None:
        raise AuthenticationError("log on first: what may be reached here depends on the user")
    if "%u" in parts and not is_user_name(user or ""):
        text = f"the name of the user {brief(user)} cannot be a part of the path of its sandbox"
        raise CommandError(text, ErrorKind.NOT_ALLOWED)
    filled = {"%u": user or "", "%%": "%"}
    return "".join(filled.get(piece, piece) for piece in parts)


def _pieces(path: str) -> list[str]:
    """Cut a path into placeholders, of two characters, and what is between them."""
    pieces: list[str] = []
    at = 0
    while at < len(path):
        end = path.find("%", at)
        if end < 0:
            pieces.append(path[at:])
            break
        if end > at:
            pieces.append(path[at:end])
        pieces.append(path[end : end + 2])
        at = end + 2
    return pieces


def _checked_name(given: str) -> str:
    name = "" if given == "/" else given
    printable = all(character.isprintable() for character in name)
    if "/" in name or name in (".", "..") or not printable or len(name.encode()) > MAX_NAME:
        raise CommandError(
            f"{brief(given)} cannot be a name in a sandbox: it must have up to {MAX_NAME} "
            "printable characters, and no '/'"
        )
    return name


def _path_of(name: str, target: Any) -> str:
    if isinstance(target, dict):
        kind = target.get("type", _FILE)
        if kind != _FILE:
            raise CommandError(
                f"the target of {brief(name)} has the type {brief(kind)}: only 'File' is possible, "
                "a directory of the server's machine; S3 and the like are not"
            )
        unknown = sorted(set(target) - {"type", "path"}, key=str)
        if unknown:
            text = f"the target of {brief(name)} has the unknown field {brief(unknown[0])}"
            raise CommandError(f"{text}; it takes 'type' and 'path'")
        target = target.get("path")
    if not isinstance(target, str):
        raise CommandError(
            f"the target of {brief(name)} must be the path of a directory, or "
            "{'type': 'File', 'path': ...}"
        )
    return target


def _checked_path(name: str, path: str) -> str:
    for piece in _pieces(path):
        if piece.startswith("%") and piece not in ("%u", "%%"):
            raise CommandError(
                f"the path of {brief(name)} has the placeholder {brief(piece)}; there are '%u' for "
                "the user and '%%' for a percent sign"
            )
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or "\0" in path or not _encodes(path):
        raise CommandError(
            f"the path of {brief(name)} is {brief(path)}; it must be absolute, without '..'"
        )
    return posixpath.normpath("/" + path.lstrip("/"))


def _encodes(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Where symbolic links may lead. No input or output."""

import os
from collections.abc import Iterable

from dxlfiletransferclient.constants import MAX_NAME_BYTES
from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.storage.names import Parts, parse_directory_name


def check_target(
    parts: Parts, target: str, *, reserved: Iterable[Parts] = (), windows: bool = os.name == "nt"
) -> Parts:
    """Make sure that a link leads to somewhere below the root, whether anything is there or not.

    ``..`` is taken at the beginning only. Behind the name of another link it would lead up from
    where that one leads, so several harmless links could add up to one that leads out.

    Args:
        parts: The link's own name.
        target: Where it leads to, relative to the directory it is in.
        reserved: Directories, as parts, into which no link may lead.
        windows: Whether the rules of Windows apply as well (see ``names.parse_name``).

    Returns:
        What it leads to, as parts; none for the root.

    Raises:
        UnsafeNameError: If it leads elsewhere, or that cannot be told.

    Example:
        >>> check_target(("reports", "latest"), "../archive/may.csv")
        ('archive', 'may.csv')
    """
    name = "/".join(parts)
    path = target.replace("\\", "/") if windows else target
    if path.startswith("/") or len(path) > MAX_NAME_BYTES:
        reason = "is a link to an absolute or over-long name; only relative ones are stored"
        raise UnsafeNameError(name, reason)
    wanted = [part for part in path.split("/") if part not in ("", ".")]
    up = next((at for at, part in enumerate(wanted) if part != ".."), len(wanted))
    if up >= len(parts):
        raise UnsafeNameError(name, "is a link that leads out of the storage directory")
    if ".." in wanted[up:]:
        raise UnsafeNameError(name, "is a link with '..' behind another part of its target")
    reached = (*parts[: len(parts) - 1 - up], *wanted[up:])
    try:
        return parse_directory_name("/".join(reached), windows=windows, reserved=reserved)
    except UnsafeNameError as error:
        raise UnsafeNameError(name, f"is a link to a name that {error.reason}") from error


def leads_below_root(
    parts: Parts, target: str, *, reserved: Iterable[Parts] = (), windows: bool = os.name == "nt"
) -> bool:
    """Whether :func:`check_target` takes a link."""
    try:
        check_target(parts, target, reserved=reserved, windows=windows)
    except UnsafeNameError:
        return False
    return True

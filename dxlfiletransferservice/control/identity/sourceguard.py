"""Where somebody's files are on this machine, and which files may be read for him."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.storage.workplaces import lies_in_working_directory

MAX_PATH: Final = 4096
"""Bytes of a path at most, as the system allows."""

_PROCESSES: Final = Path("/proc")
"""Shows the memory of this process, with all keys in it, as a file."""


class Reserved:
    """Directories that belong to the server, and others in them that do not.

    Args:
        forbidden: Directories of the server, which nobody may send or store anything in.
        allowed: Directories below them which do not count. In these again others may be forbidden:
            what is deepest counts.
    """

    def __init__(self, forbidden: Sequence[Path] = (), allowed: Sequence[Path] = ()) -> None:
        rules = {os.path.realpath(path): False for path in allowed}
        rules |= {os.path.realpath(path): True for path in (_PROCESSES, *forbidden)}
        self._rules = sorted(rules.items(), key=lambda rule: -len(rule[0]))

    def has(self, real: str) -> bool:
        """Whether a path, with all links followed, belongs to the server."""
        return next((forbidden for path, forbidden in self._rules if _below(real, path)), False)

    def touches(self, real: str) -> bool:
        """Whether a directory, with all links followed, belongs to the server, or has what does."""
        holds = any(forbidden and _below(path, real) for path, forbidden in self._rules)
        return holds or self.has(real)


class Sources:
    """What one user, or token of a user, sees of the files of this machine.

    It is a :class:`~dxlfiletransferservice.courier.seams.SourceGuard`. It knows the sandbox as it
    was when this was made.

    Args:
        directories: Directories by their names, as in a sandbox; ``None`` for all files.
        prefix: Path, as the user has it, that a token is confined to.
        reserved: What belongs to the server.
    """

    def __init__(
        self, directories: Mapping[str, str] | None, prefix: str | None, reserved: Reserved
    ) -> None:
        self._directories = directories
        self._prefix = tuple(_parts(prefix)) if prefix else ()
        self._reserved = reserved
        self._roots: list[tuple[str, ...]] | None = None

    def locate(self, path: str) -> str:
        """Return where a file is on this machine; it need not be there.

        Args:
            path: As the caller has it. Without a sandbox it is absolute; in one it begins with a
                name of the sandbox, with a ``/`` before it or without; with a token that is
                confined to a directory, it goes on from there.

        Raises:
            CommandError: There can be no such file, or the caller may not have it.
        """
        _check(path)
        if self._directories is None and not self._prefix:
            if not path.startswith("/"):
                raise CommandError(f"the path {brief(path)} must be absolute: begin it with '/'")
            self.check(path)
            return path
        found = self._joined((*self._prefix, *_parts(path)), path)
        self.check(found)
        return found

    def check(self, path: str) -> None:
        """Make sure that a file may be read, with all links in its path followed.

        Args:
            path: The path on this machine.

        Raises:
            CommandError: ``NOT_ALLOWED``; the text names the path as the caller has it.
        """
        real = os.path.realpath(path)
        if self._reserved.has(real):
            raise self._refused(path, "it belongs to the server itself")
        if lies_in_working_directory(real):
            raise self._refused(path, "it is an unfinished file of a store")
        if not self._confines(real):
            raise self._refused(path, "it leads out of where you are confined to")

    def _confines(self, real: str) -> bool:
        if self._directories is None and not self._prefix:
            return True
        if self._roots is None:
            self._roots = self._found_roots()
        return any(all(_below(real, root) for root in roots) for roots in self._roots)

    def _found_roots(self) -> list[tuple[str, ...]]:
        """Return directories, with all links followed; files lie below all that are together."""
        if not self._prefix:
            return [(os.path.realpath(path),) for path in (self._directories or {}).values()]
        try:
            start = os.path.realpath(self._joined(self._prefix, "/"))
        except CommandError:
            return []
        if self._directories is None:
            return [(start,)]
        # A link below the sandbox must not lead a token to where its user may not go.
        return [(start, os.path.realpath(path)) for path in self._directories.values()]

    def _joined(self, parts: tuple[str, ...], shown: str) -> str:
        if self._directories is None:
            return "/" + "/".join(parts)
        if "" in self._directories:
            return os.path.join(self._directories[""], *parts)  # noqa: PTH118 - stays text
        directory = self._directories.get(parts[0]) if parts else None
        if directory is None:
            known = ", ".join(brief(name) for name in sorted(self._directories))
            allowed = "" if self._prefix else f"; it must begin with one of {known}"
            text = f"the path {brief(shown)} is not in your sandbox{allowed}"
            raise CommandError(text, ErrorKind.NOT_ALLOWED)
        return os.path.join(directory, *parts[1:])  # noqa: PTH118 - stays text

    def _refused(self, path: str, why: str) -> CommandError:
        shown = self._shown(path)
        what = "a file" if shown is None else brief(shown)
        return CommandError(f"{what} may not be read: {why}", ErrorKind.NOT_ALLOWED)

    def _shown(self, path: str) -> str | None:
        """Return a path of this machine as the caller has it; ``None`` if it is none of his."""
        for name, directory in (self._directories or {"": "/"}).items():
            if not _below(path, directory):
                continue
            rest = [part for part in path[len(directory) :].split("/") if part]
            parts = (name, *rest) if name else tuple(rest)
            if parts[: len(self._prefix)] == self._prefix:
                return "/" + "/".join(parts[len(self._prefix) :])
        return None


def check_prefix(path: str) -> str:
    """Return the path that a token is confined to, in the form in which it is kept.

    Raises:
        CommandError: It cannot be one.

    Example:
        >>> check_prefix("reports//2024/")
        '/reports/2024'
    """
    _check(path)
    return "/" + "/".join(_parts(path))


def _check(path: str) -> None:
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError as error:
        raise CommandError(f"the path {brief(path)} cannot be the name of a file") from error
    if not path or "\0" in path or size > MAX_PATH:
        raise CommandError(f"a path must have 1 to {MAX_PATH} bytes; {brief(path)} has not")


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        text = f"the path {brief(path)} has '..' in it, which is not possible in a sandbox"
        raise CommandError(text, ErrorKind.NOT_ALLOWED)
    return parts


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")

"""The mappings of a manifest, in pieces that fit into calls. No input or output."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dxlfiletransferclient.control.callcoding import to_json
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import brief

PIECE_SIZE: Final = 512 * 1024
"""Bytes of mappings in one call at most: half of what a message takes, so that the sizes need not
be exact."""

MAX_SIZE_OF_ONE: Final = 900_000
"""Bytes of one mapping at most; what is larger makes no sense, and fits into no message."""

Mappings = dict[str, Any]
"""Sources by destination path, as they travel."""


def plain(mappings: Mapping[Any, Any], argument: str) -> Mappings:
    """Return mappings as they travel: paths may be given as ``os.PathLike``.

    Args:
        mappings: As the caller gives them.
        argument: Name of the argument, for error messages.

    Raises:
        CommandError: It is no mapping, or a path is no text.
    """
    if not isinstance(mappings, Mapping):
        raise CommandError(f"the argument {argument!r} is {brief(mappings)}, but must be a dict")
    return {_text(key, argument): _value(value, argument) for key, value in mappings.items()}


def turned(file_mappings: Mapping[str, Any]) -> Mappings:
    """Return mappings from source to destination the other way round.

    Raises:
        CommandError: Two sources have the same destination, or one is no text.

    Example:
        >>> turned({"/usr/docs/readme.txt": "/project/introduction.txt"})
        {'/project/introduction.txt': '/usr/docs/readme.txt'}
    """
    found: Mappings = {}
    for source, path in file_mappings.items():
        if not isinstance(path, str):
            raise CommandError(f"'fileMappings' maps {brief(source)} to {brief(path)}, not to text")
        if path in found:
            raise CommandError(
                f"'fileMappings' maps both {brief(found[path])} and {brief(source)} to "
                f"{brief(path)}"
            )
        found[path] = source
    return found


def pieces(mappings: Mappings, size: int = PIECE_SIZE) -> Iterator[Mappings]:
    """Cut mappings into pieces, in their order; there is one at least.

    Args:
        mappings: The mappings.
        size: Bytes of JSON in a piece at most, unless one mapping alone has more.

    Raises:
        CommandError: One mapping is larger than any call takes, or JSON cannot hold it.

    Example:
        >>> list(pieces({"a": "/1", "b": "/2", "c": "/3"}, size=20))
        [{'a': '/1', 'b': '/2'}, {'c': '/3'}]
    """
    piece: Mappings = {}
    filled = 0
    for path, source in mappings.items():
        taken = _size(path, source)
        if piece and filled + taken > size:
            yield piece
            piece, filled = {}, 0
        piece[path] = source
        filled += taken
    yield piece


def _size(path: str, source: Any) -> int:
    try:
        found = len(to_json({path: source}))
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandError(f"the mapping of {brief(path)} cannot be sent: {error}") from error
    if found > MAX_SIZE_OF_ONE:
        raise CommandError(f"the mapping of {brief(path)} takes {found} bytes: that is too much")
    return found


def _value(value: Any, argument: str) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _text(each, argument) if isinstance(each, os.PathLike) else each
            for name, each in value.items()
        }
    return _text(value, argument)


def _text(path: Any, argument: str) -> str:
    found = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(found, str):
        return found
    raise CommandError(f"the argument {argument!r} has the path {brief(path)}, which is no text")


def mapped(paths: Iterable[str], relative_to: str | None = None) -> dict[str, str]:
    """Return the mapping that keeps the paths of files.

    Args:
        paths: The sources, as absolute paths at the server.
        relative_to: A directory; what lies below it loses that part of its path.

    Raises:
        ValueError: A path does not lie below the directory.

    Example:
        >>> mapped(["/data/a/1", "/data/b"], "/data")
        {'a/1': '/data/a/1', 'b': '/data/b'}
    """
    found = {}
    for path in paths:
        name = path
        if relative_to is not None:
            name = posixpath.relpath(path, relative_to)
            if name == ".." or name.startswith("../"):
                raise ValueError(f"{path} does not lie below {relative_to}")
        found[name] = path
    return found

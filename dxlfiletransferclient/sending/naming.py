"""Which names sources get on the service. Looks at the disk only to tell directories from files."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dxlfiletransferclient.storage.names import parse_directory_name

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Source:
    """Something that a caller names to be sent.

    Attributes:
        path: Where it is.
        name: What it is to be called on the service; empty for a directory whose content goes
            directly into the storage directory.
        directory: Whether it is a directory, or a link to one.
    """

    path: str
    name: str
    directory: bool


def name_sources(sources: PathLike | Iterable[PathLike], to: str = "") -> list[Source]:
    """Give sources their names on the service.

    Args:
        sources: One path or several. A directory ``dir`` is sent as ``dir/...``; ``dir/.``, or
            ``.`` alone, stands for what is in it. (:class:`pathlib.Path` drops the ``/.``.)
        to: Where they go: empty for the storage directory itself; for a single file, its name,
            unless it ends with ``/``; for anything else, the directory that they go to.

    Raises:
        TypeError: If something is no path.
        ValueError: If there is nothing to send, or two files would get the same name.
        UnsafeNameError: If nothing may be stored under ``to``, or it is no text.

    Example:
        >>> name_sources("may.csv", "reports/2026/")
        [Source(path='may.csv', name='reports/2026/may.csv', directory=False)]
    """
    paths = [os.fsdecode(path) for path in _several(sources)]
    if not paths:
        msg = "there is nothing to send: name at least one file or directory"
        raise ValueError(msg)
    target = "/".join(parse_directory_name(to))
    if len(paths) == 1 and target and not to.endswith("/") and not Path(paths[0]).is_dir():
        return [Source(paths[0], target, directory=False)]
    named = [_below(path, target) for path in paths]
    _check_different(named)
    return named


def _several(sources: PathLike | Iterable[PathLike]) -> Iterable[PathLike]:
    return [sources] if isinstance(sources, str | bytes | os.PathLike) else sources


def _below(path: str, target: str) -> Source:
    directory = Path(path).is_dir()
    content_only = directory and os.path.basename(path) == "."  # noqa: PTH119 - Path drops it
    base = "" if content_only else os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119
    return Source(path, "/".join(part for part in (target, base) if part), directory)


def _check_different(named: Iterable[Source]) -> None:
    for name, count in Counter(each.name for each in named if not each.directory).items():
        if count > 1:
            msg = f"{count} files would be stored as {name!r}; send them in calls of their own"
            raise ValueError(msg)

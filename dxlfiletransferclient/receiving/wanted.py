"""What a caller wants, and where it is to go. Looks at the target, and touches nothing."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.storage.names import Parts, parse_directory_name

PathLike = str | os.PathLike[str]

_SEPARATORS: Final = tuple({"/", os.sep})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A name that a caller wants.

    Attributes:
        parts: The name on the service, as parts; none for all that is stored.
        directory: The directory here into which it goes under its own last part.
        exact: Where it goes instead if it turns out to be a file or link; ``None`` if the target is
            a directory in any case.
    """

    parts: Parts
    directory: Path
    exact: Path | None

    @property
    def name(self) -> str:
        """The name on the service; empty for all that is stored."""
        return "/".join(self.parts)


def wanted_of(names: str | Iterable[str], target: PathLike) -> list[Wanted]:
    """Find out what goes where.

    Args:
        names: Names of files and directories on the service; empty or ``.`` for all that is stored.
        target: Where to put them: a directory if there is one of that name, for several names, or
            if it ends with a separator; otherwise the name that a single file gets.

    Raises:
        ValueError: If there are no names, or two of them would get the same place.
        UnsafeNameError: If nothing can be stored under a name.

    Example:
        >>> wanted_of(["reports/may.csv"], "copies/")[0].directory
        PosixPath('copies')
    """
    given = [names] if isinstance(names, str) else list(names)
    if not given:
        msg = "there are no names of what to receive"
        raise ValueError(msg)
    text = os.fspath(target)
    path = Path(text)
    exact = None
    if len(given) == 1 and not text.endswith(_SEPARATORS) and not path.is_dir():
        # What the caller names is the caller's own, so a link there is followed.
        exact = Path(os.path.realpath(path)) if path.is_symlink() else path
    wanted = [Wanted(parse_directory_name(name), path, exact) for name in given]
    _check_places(wanted)
    return wanted


def _check_places(wanted: Iterable[Wanted]) -> None:
    places: dict[str, str] = {}
    for each in wanted:
        if each.parts:
            other = places.setdefault(each.parts[-1], each.name)
            if other != each.name:
                raise ValueError(
                    f"{brief(other)} and {brief(each.name)} would both become {each.parts[-1]!r}: "
                    "get them one by one, to different targets"
                )

"""The names in directories, sorted; those of large directories are remembered between pages."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.storage.contents import changed_just_now
from dxlfiletransferclient.storage.directory import Directory, Identity

logger = logging.getLogger(__name__)

REMEMBERED_FROM: Final = 2000
"""Names in a directory from which on they are remembered: more than two pages of them.

Otherwise each page of a large directory would cost reading and sorting all of it.
"""

NAMES_REMEMBERED: Final = 500_000
"""Names that are remembered in all, some tens of megabytes if it comes to that.

A directory with more is read for each of its pages, which takes about a second for a million.
"""

_Stamp = tuple[int, int]
"""When a directory was changed: a sender can set the one time, and on Windows the other stays."""


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: _Stamp
    names: Sequence[str]


class SortedNames:
    """Sorted names of directories, read again when anything in them has changed.

    Safe for several threads.

    Args:
        limit: Names that are remembered in all.
        clock: Returns the time as the file system knows it (seconds since 1970).
    """

    def __init__(
        self, limit: int = NAMES_REMEMBERED, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._guard = threading.Lock()
        self._known: OrderedDict[Identity, _Known] = OrderedDict()
        self._total = 0

    def of(self, directory: Directory, name: str) -> Sequence[str]:
        """Return the names in a directory by code point; those that are no UTF-8 are left out.

        Args:
            directory: The directory.
            name: What it is called in the log.

        Raises:
            OSError: If it cannot be read.
        """
        status = directory.status()
        stamp = (status.st_mtime_ns, status.st_ctime_ns)
        with self._guard:
            known = self._known.get(directory.identity)
            if known is not None and known.stamp == stamp:
                self._known.move_to_end(directory.identity)
                return known.names
        names = _read(directory, name)
        settled = not changed_just_now(status, self._clock())
        if settled and REMEMBERED_FROM < len(names) <= self._limit:
            self._remember(directory.identity, _Known(stamp, names))
        return names

    def _remember(self, identity: Identity, known: _Known) -> None:
        with self._guard:
            old = self._known.pop(identity, None)
            self._total += len(known.names) - (len(old.names) if old else 0)
            self._known[identity] = known
            while self._total > self._limit:
                self._total -= len(self._known.popitem(last=False)[1].names)


def _read(directory: Directory, name: str) -> list[str]:
    names = directory.names()
    good = [each for each in names if _is_utf8(each)]
    if len(good) < len(names):
        where = brief(name or ".")
        logger.info("%d names in %s are no UTF-8 and not listed", len(names) - len(good), where)
    good.sort()
    return good


def _is_utf8(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

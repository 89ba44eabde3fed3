"""What becomes of an older file of the same name. No input or output, and no clock."""

import os
import stat
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.names import MAX_PART_BYTES, Parts

BACKUP_SUFFIX: Final = ".jetbak"
"""What follows the name of an older file that is kept beside the one that has replaced it."""

LOCKS: Final = 64
"""Locks that all names share.

Held for the moment in which it is decided what becomes of an older file, and done; two names that
happen to share one wait that long for each other.
"""

LOCK_TIMEOUT: Final = 20.0
"""Seconds to wait for such a moment: longer than any, unless the disk does not answer."""

_RETRY_AFTER: Final = 1.0


class Decision(Enum):
    """What to do with a new file."""

    TAKE = auto()
    """Give it the name."""

    KEEP = auto()
    """Keep the older one, which is no error."""

    COMPARE = auto()
    """Keep the older one, which is an error unless both have the same content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a new file takes the place of an older one, beside the overwrite mode.

    Attributes:
        same_size: Whether the older one must be empty or have the same size; if not, that is an
            error.
        backup: Whether the older one is kept under its name with ``BACKUP_SUFFIX``, in the place of
            what has that name. One with the same content is not.
        resolution_ns: Nanoseconds by which modification times may differ and count as equal where
            the mode is ``newer``; 0 or more.
        sets_modified: Whether the new file gets the modification time that it came with.
    """

    same_size: bool = False
    backup: bool = False
    resolution_ns: int = 0
    sets_modified: bool = True


NO_TERMS: Final = Terms()
"""The overwrite mode says it all."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is known of a new file, or link.

    Attributes:
        parts: Its name.
        size: Its bytes; ``None`` while that is not known.
        modified_ns: When it was modified; ``None`` if that is not known, which is now.
        link: Whether it is a link.
        terms: On which terms it comes.
    """

    parts: Parts
    size: int | None
    modified_ns: int | None
    link: bool = False
    terms: Terms = NO_TERMS


def decide(
    overwrite: Overwrite, new: Newcomer, old: os.stat_result | None, *, subject: str = ""
) -> Decision:
    """Say what to do with a new file or link.

    Args:
        overwrite: What the sender wants.
        new: The new file.
        old: What has the name; ``None`` if nothing has it.
        subject: Name for messages; that of the newcomer by default.

    Raises:
        RefusedError: ``WRONG_KIND`` if a directory has the name; ``EXISTS`` if the mode is ``fail``
            and the contents cannot be the same, or the terms want the same size;
            ``UNSAFE_NAME`` if the name is too long for that of a backup.
    """
    if old is None:
        return Decision.TAKE
    if stat.S_ISDIR(old.st_mode):
        text = f"{subject or brief('/'.join(new.parts))} is the name of an existing directory"
        raise RefusedError(ErrorCode.WRONG_KIND, text)
    match overwrite:
        case Overwrite.KEEP:
            return Decision.KEEP
        case Overwrite.NEWER:
            limit = old.st_mtime_ns + new.terms.resolution_ns
            if new.modified_ns is not None and new.modified_ns <= limit:
                return Decision.KEEP
        case Overwrite.FAIL:
            if not _may_be_equal(new, old):
                raise exists(new.parts)
            return Decision.COMPARE
        case Overwrite.REPLACE:
            pass
    _check_terms(new, old)
    return Decision.TAKE


def backup_of(parts: Parts) -> Parts:
    """Return the name under which an older file of some name is kept."""
    return (*parts[:-1], parts[-1] + BACKUP_SUFFIX)


def exists(parts: Parts) -> RefusedError:
    """Return the error that something else has the name and is to be kept."""
    text = f"{brief('/'.join(parts))} exists with another content and is not to be overwritten"
    return RefusedError(ErrorCode.EXISTS, text)


def _check_terms(new: Newcomer, old: os.stat_result) -> None:
    name = brief("/".join(new.parts))
    if new.terms.same_size:
        fits = stat.S_ISREG(old.st_mode) and (not old.st_size or new.size in (None, old.st_size))
        if not fits:
            text = (
                f"{name} exists, and is to be overwritten only if it is empty or of the same size"
            )
            raise RefusedError(ErrorCode.EXISTS, text)
    if new.terms.backup and len(backup_of(new.parts)[-1].encode()) > MAX_PART_BYTES:
        text = f"{name} exists, and its name is too long to keep it with {BACKUP_SUFFIX!r} after it"
        raise RefusedError(ErrorCode.UNSAFE_NAME, text)


def _may_be_equal(new: Newcomer, old: os.stat_result) -> bool:
    if new.link:
        return stat.S_ISLNK(old.st_mode)
    return stat.S_ISREG(old.st_mode) and new.size in (None, old.st_size)


class NameLocks:
    """Lets one at a time decide about a name."""

    def __init__(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    def held(self, parts: Parts, *more: Parts) -> AbstractContextManager[None]:
        """Hold a name or several, and all that some file system may take for the same.

        Raises:
            RefusedError: Entering: ``BUSY`` if somebody else holds it for too long.
        """
        if not more:
            return _Held(self._locks[_number(parts)], parts)
        return self._all_held((parts, *more))

    @contextmanager
    def _all_held(self, names: Sequence[Parts]) -> Iterator[None]:
        numbers = {_number(each) for each in names}
        with ExitStack() as stack:
            # In one order for all, so that no two wait for each other.
            for number in sorted(numbers):
                stack.enter_context(_Held(self._locks[number], names[0]))
            yield


class _Held:
    """A lock of a name, waited for only so long; for each of many small files, so it is lean."""

    __slots__ = ("_lock", "_parts")

    def __init__(self, lock: threading.Lock, parts: Parts) -> None:
        self._lock = lock
        self._parts = parts

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=LOCK_TIMEOUT):
            text = f"{brief('/'.join(self._parts))} is being stored by somebody else; try again"
            raise RefusedError(ErrorCode.BUSY, text, _RETRY_AFTER)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def folded(parts: Parts) -> str:
    """Return one name for all that differ in case or in how their characters are composed."""
    name = "/".join(parts)
    if name.isascii():
        return name.lower()
    return "/".join([unicodedata.normalize("NFKC", part).casefold() for part in parts])


def _number(parts: Parts) -> int:
    """Return which of the locks a name has."""
    return hash(folded(parts)) % LOCKS

"""Limits on the bytes of a store: of each file, of all together, and what the disk keeps free."""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

logger = logging.getLogger(__name__)

MEASURE_EVERY: Final = 600.0
"""Seconds between two measurements of the stored files, where they are limited.

Somebody else may add and remove files. A measurement looks at every file once, some hundred
thousand a second; between two of them the store only adds up what it does itself.
"""

FIRST_MEASUREMENT: Final = 20.0
"""Seconds that the first file waits for the first measurement before it is told to come again.

Senders give up a request after 30 seconds.
"""

MEASURE_AGAIN_AFTER: Final = 2.0
"""Seconds after a measurement from which a file that would be refused has the store measure again.

So room that somebody made counts at once, and a crowd of refused senders does not busy the disk.
"""

MEASURE_AGAIN_SHARE: Final = 10.0
"""Times as long as the last measurement took, that pass at least before one is made for a refusal.

Otherwise senders that are refused by a store of millions of files would keep its disk busy, and
the threads that wait for the measurement.
"""

WRITTEN_KNOWN: Final = 1.0
"""Seconds for which it is known how much of the files under way is written.

To find that out costs a look at each of them, some ten milliseconds for thousands.
"""

RETRY_AFTER: Final = 2.0
"""Seconds after which a file that came before the first measurement was done may come again."""

_BLOCK: Final = 512
"""Bytes that ``st_blocks`` counts in, whatever the blocks of the file system are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLimits:
    """Limits on a store.

    Attributes:
        total_bytes: Bytes of all files together, those under way included; ``None`` for no limit.
            The stored ones are counted by reading the directories now and then.
        file_bytes: Bytes of one file; ``None`` for no limit.
        keep_free_bytes: Bytes of the disk that files must leave free. More keeps other programs on
            the same disk working when senders fill it.

    Raises:
        ValueError: If one is below 0.
    """

    total_bytes: int | None = None
    file_bytes: int | None = None
    keep_free_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("total_bytes", "file_bytes", "keep_free_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")


class Quota:
    """Adds up what is stored and under way, and refuses what is too much. For several threads.

    Whoever publishes a file says :meth:`stored` with its size, and :meth:`shrunk` with that of the
    older file it replaced.

    Args:
        limits: The limits.
        free: Returns the bytes that are free on the disk.
        used: Returns the bytes of all stored files; called now and then in a thread of its own,
            and only if there is a limit on them.
        written: Returns the bytes that files under way have on the disk already; called only when
            the disk is nearly full. Without it, what is reserved for other files does not count
            against the free bytes.
        clock: Returns seconds that never go backwards.
    """

    def __init__(
        self,
        limits: QuotaLimits,
        *,
        free: Callable[[], int],
        used: Callable[[], int],
        written: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._free = free
        self._measure = used
        self._written = written
        self._clock = clock
        # Entered for each of many small files: the lock itself costs less than its condition.
        self._guard = threading.RLock()
        self._measured_anew = threading.Condition(self._guard)
        self._reserved: dict[str, int] = {}
        self._reserved_total = 0
        self._used: int | None = None
        self._changed = 0
        self._seen_written = 0
        self._looked_at_written: float | None = None
        self._began = 0.0
        self._took = 0.0
        self._measured = 0.0
        self._measurement: threading.Thread | None = None

    @property
    def counts_stored(self) -> bool:
        """Whether it matters how many bytes all stored files have."""
        return self._limits.total_bytes is not None

    def adopt(self, key: str, size: int) -> None:
        """Note bytes that a file under way from before takes already, whatever the limits are.

        Args:
            key: Names the file from now until it is stored or released.
            size: Its bytes.
        """
        with self._guard:
            self._set_aside(key, size)

    def is_reserved(self, key: str) -> bool:
        """Whether bytes are put aside for a file."""
        with self._guard:
            return key in self._reserved

    def reserve(self, key: str, size: int, *, shrink: bool = True) -> None:
        """Put bytes aside for a file under way.

        Args:
            key: Names the file from now until it is stored or released.
            size: Bytes that it will take in all; may be called again with another size.
            shrink: Whether that may be fewer than were put aside before.

        Raises:
            RefusedError: ``QUOTA`` or ``STORAGE_FULL`` if that is too much, ``BUSY`` while the
                stored files are still being counted. What was reserved before stays so.
        """
        limit = self._limits.file_bytes
        if limit is not None and size > limit:
            text = f"a file of {size} bytes is over the limit of {limit} bytes for one file"
            raise RefusedError(ErrorCode.QUOTA, text)
        with self._guard:
            self._measure_if_older(MEASURE_EVERY)
            self._wait_until_counted()
            more = size - self._reserved.get(key, 0)
            if more > 0:
                self._look_again_if_short(more)
                # Meanwhile another request for the same file may have put some aside.
                more = size - self._reserved.get(key, 0)
                self._check_total(more)
                self._check_free(more)
            if more > 0 or shrink:
                self._set_aside(key, size)

    def reserve_all(self, sizes: Mapping[str, int]) -> bool:
        """Put bytes aside for several files under way, if there is plenty of room for all of them.

        Args:
            sizes: Their bytes, by what names each file from now until it is stored or released;
                nothing is put aside for any of them yet.

        Returns:
            Whether that was done. If not, :meth:`reserve` finds out for which there is room.
        """
        total, each = self._limits.total_bytes, self._limits.file_bytes
        if each is not None and any(size > each for size in sizes.values()):
            return False
        more = sum(sizes.values())
        with self._guard:
            if total is not None:
                self._measure_if_older(MEASURE_EVERY)
                if self._used is None or more > self._left(total):
                    return False
            if more + self._reserved_total + self._limits.keep_free_bytes > self._free():
                return False
            self._reserved.update(sizes)
            self._reserved_total += more
        return True

    def release(self, key: str) -> None:
        """Give back what was put aside for a file; no error if there is nothing."""
        with self._guard:
            self._end(key)

    def stored(self, key: str, *, grown: int) -> None:
        """Note that a file was stored, which ends what was put aside for it.

        Args:
            key: Names the file.
            grown: Bytes by which the stored files have grown.
        """
        with self._guard:
            self._end(key)
            self._changed += grown

    def shrunk(self, by: int) -> None:
        """Note that stored files were removed or replaced.

        Args:
            by: Their bytes.
        """
        with self._guard:
            self._changed -= by

    def _set_aside(self, key: str, size: int) -> None:
        self._reserved_total += size - self._reserved.get(key, 0)
        self._reserved[key] = size

    def _end(self, key: str) -> None:
        size = self._reserved.pop(key, 0)
        self._reserved_total -= size
        # What it had written is not the others'.
        self._seen_written = max(0, self._seen_written - size)

    def _wait_until_counted(self) -> None:
        if self._limits.total_bytes is None or self._used is not None:
            return
        self._wait_for_measurement()
        if self._used is None:
            text = "the stored files are still being counted; try again in a moment"
            raise RefusedError(ErrorCode.BUSY, text, RETRY_AFTER)

    def _look_again_if_short(self, more: int) -> None:
        limit = self._limits.total_bytes
        if limit is not None and more > self._left(limit):
            self._measure_if_older(max(MEASURE_AGAIN_AFTER, MEASURE_AGAIN_SHARE * self._took))
            self._wait_for_measurement()

    def _wait_for_measurement(self) -> None:
        # Counted from its beginning, so that a batch of files does not wait for each of them.
        timeout = max(0.0, self._began + FIRST_MEASUREMENT - self._clock())
        self._measured_anew.wait_for(lambda: self._measurement is None, timeout)

    def _left(self, limit: int) -> int:
        return limit - max(0, (self._used or 0) + self._changed) - self._reserved_total

    def _check_total(self, more: int) -> None:
        limit = self._limits.total_bytes
        if limit is None:
            return
        left = self._left(limit)
        if more > left:
            text = (
                f"the limit of {limit} bytes for all files is reached: {more} bytes are asked for, "
                f"{max(0, left)} are left; remove files, or have the limit raised"
            )
            raise RefusedError(ErrorCode.QUOTA, text)

    def _check_free(self, more: int) -> None:
        keep = self._limits.keep_free_bytes
        free = self._free()
        if more + self._reserved_total + keep <= free:
            return
        # Close to the end it matters how much of what is reserved has been written already.
        for read_anew in (False, True):
            left = free - keep - self._outstanding(read_anew=read_anew)
            if more <= left:
                return
        kept = f" beside the {keep} bytes to be kept free" if keep else ""
        text = (
            f"the disk of the service is full: {more} bytes are asked for, {max(0, left)} are "
            f"left{kept}; remove files there"
        )
        raise RefusedError(ErrorCode.STORAGE_FULL, text)

    def _outstanding(self, *, read_anew: bool) -> int:
        """Return how much of what is reserved is not written yet."""
        if self._written is None:
            return 0
        now = self._clock()
        looked = self._looked_at_written
        if read_anew or looked is None or not 0 <= now - looked <= WRITTEN_KNOWN:
            self._seen_written = self._written()
            self._looked_at_written = now
        return max(0, self._reserved_total - self._seen_written)

    def _measure_if_older(self, age: float) -> None:
        """Begin to measure, unless that was done less than so many seconds ago; under the guard."""
        if self._limits.total_bytes is None or self._measurement is not None:
            return
        if self._used is not None and self._clock() - self._measured < age:
            return
        self._began = self._clock()
        # Nothing waits for it to end: it changes nothing on the disk.
        self._measurement = threading.Thread(
            target=self._measure_all, name="dxlft-quota", daemon=True
        )
        self._measurement.start()

    def _measure_all(self) -> None:
        with self._guard:
            changed_before = self._changed
        used: int | None = None
        try:
            used = self._measure()
        except OSError:
            logger.exception("Could not count the bytes of the stored files; trying again later")
        with self._guard:
            self._measurement = None
            self._measured = self._clock()
            self._took = self._measured - self._began
            if used is not None:
                # What changed meanwhile may have been seen or not; the next measurement will tell.
                self._used = used
                self._changed -= changed_before
            self._measured_anew.notify_all()


def quota_of(limits: QuotaLimits, *, storage: Path, working: Path) -> Quota:
    """Return a quota for the two directories of a store.

    Args:
        limits: The limits.
        storage: Directory of the stored files.
        working: Directory of the files under way, whose bytes are no stored ones.
    """
    name = str(storage)
    return Quota(
        limits,
        free=lambda: _free_bytes(name),
        used=lambda: stored_bytes(storage, skip=working),
        written=lambda: written_bytes(working),
    )


def _free_bytes(name: str) -> int:
    # For each of many small files; what shutil has for this takes three times as long.
    found = os.statvfs(name)
    return found.f_bavail * found.f_frsize


def stored_bytes(storage: Path, *, skip: Path) -> int:
    """Add up the sizes of all files below a directory; links are not followed.

    Args:
        storage: The directory.
        skip: A directory below it that does not count.

    Raises:
        OSError: If the directory itself cannot be read; what cannot be read below it is left out.
    """
    left_out = _identity(skip.stat())
    total = 0
    waiting = [os.fspath(storage)]
    first = True
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = _status(entry)
                    if status is None:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        total += status.st_size
                    elif stat.S_ISDIR(status.st_mode) and _identity(status) != left_out:
                        waiting.append(entry.path)
        except OSError:
            if first:
                raise
            logger.debug("A directory was left out of the count", exc_info=True)
        first = False
    return total


def written_bytes(working: Path) -> int:
    """Add up what the files of one directory take on the disk, holes in them left out.

    Raises:
        OSError: If the directory cannot be read.
    """
    with os.scandir(working) as entries:
        found = [status for entry in entries if (status := _status(entry)) is not None]
    return sum(_on_disk(status) for status in found if stat.S_ISREG(status.st_mode))


def _on_disk(status: os.stat_result) -> int:
    return min(status.st_size, getattr(status, "st_blocks", status.st_size) * _BLOCK)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        # It vanished, or may not be looked at.
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

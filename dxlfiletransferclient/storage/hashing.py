"""Computes the SHA-256 of stored files in the background, one after the other."""

import logging
import queue
import threading
from collections import OrderedDict
from typing import Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.contents import ContentReader
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferclient.storage.rooted import ObstructedError

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 256
"""Files that may wait to be hashed; some hundred bytes each. Who comes then is told to come later.

They are read one after the other: the disk is needed for transfers, too.
"""

RETRY_AFTER: Final = 2.0
"""Seconds after which a request that found too many files waiting may come again."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that closing waits for the thread, which stops after the megabyte it is reading."""

_FAILURES_KNOWN: Final = 1024


class BackgroundDigests:
    """A thread that hashes files; it is started with the first one. For several threads.

    Args:
        reader: Reads the files, and remembers what they have.
    """

    def __init__(self, reader: ContentReader) -> None:
        self._reader = reader
        self._guard = threading.Lock()
        self._queue: queue.Queue[tuple[Parts, str] | None] = queue.Queue()
        self._waiting: set[str] = set()
        self._failures: OrderedDict[str, OSError] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, parts: Parts, version: str) -> None:
        """Have a version of a file hashed, if that is not under way.

        Raises:
            RefusedError: ``BUSY`` if too many files are waiting.
            OSError: If it was tried and the file could not be read; the next call tries again.
        """
        with self._guard:
            if version in self._failures:
                raise self._failures.pop(version)
            if version in self._waiting or self._closed:
                return
            if len(self._waiting) >= MAX_WAITING:
                text = (
                    f"{len(self._waiting)} other files wait for their SHA-256; ask for that of "
                    f"{brief('/'.join(parts))} again later"
                )
                raise RefusedError(ErrorCode.BUSY, text, RETRY_AFTER)
            self._waiting.add(version)
            self._queue.put((parts, version))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dxlft-digests", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, whatever waits for it; may be repeated."""
        with self._guard:
            self._closed = True
            thread = self._thread
        self._queue.put(None)
        if thread is not None:
            thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None and not self._closed:
            parts, version = job
            failure: OSError | None = None
            try:
                self._reader.digest(parts, version)
            except (RefusedError, ObstructedError, FileNotFoundError):
                # It is gone, or another kind of thing by now; who asks again is told so.
                logger.debug("Not hashed: %r", "/".join(parts), exc_info=True)
            except OSError as error:
                logger.exception("Could not read %r to hash it", "/".join(parts))
                failure = error
            except Exception:
                # The thread lives on: otherwise no large file would have a SHA-256 any more.
                logger.exception("A fault while hashing %r", "/".join(parts))
            with self._guard:
                self._waiting.discard(version)
                if failure is not None:
                    self._failures[version] = failure
                    while len(self._failures) > _FAILURES_KNOWN:
                        self._failures.popitem(last=False)

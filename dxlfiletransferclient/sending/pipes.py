"""Named pipes, devices and other descriptors as streams, whose waiting can be cancelled."""

import os
import queue
import select
import stat
import threading
from contextlib import suppress
from typing import Final, Self

from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError

_POLL: Final = 0.1
"""Seconds between two looks at whether waiting was cancelled while nothing comes: nobody notices
such a delay, and ten looks a second cost nothing."""

_RELEASES: Final = 20
"""Times that a thread is released which waits for a pipe to be opened. Once is enough, unless it
has only just begun; it never ends if the pipe was removed, and then ends with the process."""

_FLAGS: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_POKE: Final = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class DescriptorStream:
    """What comes from a descriptor, as a stream.

    Args:
        descriptor: Where to read.
        cancel: Ends a read that waits.
    """

    def __init__(self, descriptor: int, cancel: Cancellation) -> None:
        self._descriptor = descriptor
        self._cancel = cancel

    def read(self, size: int) -> bytes:
        """Wait for bytes, and return at most so many; none at the end.

        Raises:
            TransferCancelledError: Waiting was cancelled.
            OSError: It cannot be read, as when it was closed.
        """
        while not self._cancel.cancelled:
            if select.select([self._descriptor], [], [], _POLL)[0]:
                return os.read(self._descriptor, size)
        raise TransferCancelledError("reading was cancelled")


class PipeStream(DescriptorStream):
    """A named pipe or device as a stream; as a context manager it is closed at the end.

    Args:
        path: Its path; for a named pipe, it is waited until somebody writes to it.
        cancel: Ends whatever waits.

    Raises:
        TransferCancelledError: Waiting was cancelled.
        OSError: It cannot be opened.
    """

    def __init__(self, path: str, cancel: Cancellation) -> None:
        super().__init__(_opened(path, cancel), cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; may be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _opened(path: str, cancel: Cancellation) -> int:
    if stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116 - the path is a string throughout
        return _Opening(path).wait(cancel)
    return os.open(path, _FLAGS)


class _Opening:
    """Opens a named pipe in a thread, because that waits for a writer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._results: queue.SimpleQueue[int | OSError] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._open, name="dxlft-pipe", daemon=True)
        self._thread.start()

    def wait(self, cancel: Cancellation) -> int:
        """Return the descriptor."""
        try:
            while True:
                cancel.check()
                with suppress(queue.Empty):
                    result = self._results.get(timeout=_POLL)
                    break
        except BaseException:
            self._give_up()
            raise
        if isinstance(result, OSError):
            raise result
        return result

    def _open(self) -> None:
        try:
            self._results.put(os.open(self._path, _FLAGS))
        except OSError as error:
            self._results.put(error)

    def _give_up(self) -> None:
        """Be the writer that the thread waits for, and close what it has opened."""
        for _ in range(_RELEASES):
            with suppress(OSError):  # the thread does not wait yet, or any more
                os.close(os.open(self._path, _POKE))
            self._thread.join(_POLL)
            if not self._thread.is_alive():
                break
        with suppress(queue.Empty):
            result = self._results.get_nowait()
            if isinstance(result, int):
                os.close(result)

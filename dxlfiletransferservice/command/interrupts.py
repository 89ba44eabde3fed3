"""What Ctrl-C and SIGTERM do to a command that transfers files."""

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from dxlfiletransferclient.exchange.cancelling import Cancellation
from dxlfiletransferservice.endings import Stopped, stopped_by_signals

INTERRUPTED: Final = "interrupted"
"""What is said where nothing is kept."""

GOES_ON: Final = "interrupted; the same command goes on where this one stopped"
"""What is said where a transfer can be resumed."""

GOES_ON_WITHOUT_STREAMS: Final = f"{GOES_ON}, but begins pipes and devices anew"
"""What is said where some of it can be resumed."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class InterruptedTransferError(Exception):
    """A transfer that was ended by a signal; the message says whether it can go on later."""


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into ``KeyboardInterrupt``; a second one ends the process.

    Raises:
        KeyboardInterrupt: A signal has come.
    """
    try:
        with stopped_by_signals():
            yield
    except Stopped:
        raise KeyboardInterrupt from None


@contextmanager
def cancelled_by_signals() -> Iterator[Cancellation]:
    """Turn the first SIGTERM or SIGINT into the cancellation of a transfer.

    The transfer ends in order then: it says what is done, and gives back what it holds. A second
    signal ends the process at once.
    """
    cancellation = Cancellation()
    # A handler may run in the middle of anything, so it must take no lock: this queue takes none.
    requests: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def request(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        requests.put(number)

    def watch() -> None:
        if requests.get() is not None:
            cancellation.cancel()

    watcher = threading.Thread(target=watch, name="interrupts", daemon=True)
    watcher.start()
    before = {each: signal.signal(each, request) for each in _SIGNALS}
    try:
        yield cancellation
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        requests.put(None)
        watcher.join()

"""How a process that runs for long learns that it is time to end."""

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_IDLE_SECONDS: Final = 3600.0
_READ_AT_ONCE: Final = 4096


class Stopped(BaseException):
    """SIGTERM or SIGINT has arrived; an event as ``KeyboardInterrupt`` is, and no error."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into :class:`Stopped`, raised in the main thread.

    A second one ends the process at once, so that nobody has to wait for an orderly end.
    """

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        raise Stopped

    before = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def wait_for_ever() -> NoReturn:
    """Wait, in the main thread, until a signal raises something.

    A signal interrupts a system call only if the main thread is in it. One that comes just before,
    or to another thread, is noticed here as well: the interpreter writes a byte at once, which ends
    the wait, and its handler runs then.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)  # noqa: FBT003 - the method has no other form
        writer.setblocking(False)  # noqa: FBT003
        former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            while True:
                if select.select([reader], [], [], _IDLE_SECONDS)[0]:
                    reader.recv(_READ_AT_ONCE)
        finally:
            signal.set_wakeup_fd(former)


def stop_with_stdin() -> None:
    """Send this process a SIGTERM when its standard input ends.

    The process at the other end need not do anything for that, not even end in an orderly way.
    """

    def watch() -> None:
        # Not through sys.stdin, whose lock would be held when the interpreter ends.
        while os.read(0, _READ_AT_ONCE):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()

"""Files of one directory, kept open while they are used often: a bounded number of descriptors."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dxlfiletransferclient.storage.directory import Directory

MAX_IDLE: Final = 256
"""Files kept open while nobody reads or writes them.

Opening one again costs some microseconds for each segment. A process may usually have 1024 files
open, and connections, databases and other stores in it need theirs.
"""


class Descriptors:
    """Opens files of a directory for reading and writing, and closes those used longest ago.

    May be used by several threads at once; what lies at which offset is for them to agree on.

    Args:
        directory: The directory. Close this before it.
        idle: Files kept open while nobody uses them.
    """

    def __init__(self, directory: Directory, *, idle: int = MAX_IDLE) -> None:
        self._directory = directory
        self._idle = idle
        self._guard = threading.Lock()
        self._open: OrderedDict[str, Lent] = OrderedDict()

    @contextmanager
    def use(self, name: str) -> Iterator[int]:
        """Lend the descriptor of a file for the length of a ``with`` block.

        Raises:
            OSError: If the file cannot be opened.
        """
        held = self.lend(name)
        try:
            yield held.number
        finally:
            self.give_back(held)

    def lend(self, name: str) -> "Lent":
        """Lend the descriptor of a file until :meth:`give_back`, as :meth:`use` does.

        Raises:
            OSError: If the file cannot be opened.
        """
        with self._guard:
            held = self._open.get(name)
            if held is None:
                held = self._open[name] = Lent(self._directory.open_file(name, os.O_RDWR))
            else:
                self._open.move_to_end(name)
            held.users += 1
            return held

    def give_back(self, held: "Lent") -> None:
        """Use a descriptor no more."""
        with self._guard:
            held.users -= 1
            if len(self._open) > self._idle:
                self._close_idle()

    def create(self, name: str) -> None:
        """Make a file and keep it open.

        Raises:
            FileExistsError: If the name is taken.
            OSError: If it cannot be made.
        """
        number = self._directory.open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        with self._guard:
            self._open[name] = Lent(number)
            if len(self._open) > self._idle:
                self._close_idle()

    def forget(self, name: str) -> None:
        """Close a file, as soon as nobody uses it: another one may get its name."""
        with self._guard:
            # Whoever uses it still has it, and it is closed when he lets go of it.
            self._open.pop(name, None)

    def close(self) -> None:
        """Close everything that nobody uses."""
        with self._guard:
            self._open.clear()

    def _close_idle(self) -> None:
        idle = [name for name, held in self._open.items() if not held.users]
        for name in idle[: len(self._open) - self._idle]:
            del self._open[name]


class Lent:
    """A descriptor, closed when the last one who knows it lets go of it.

    Attributes:
        number: The descriptor.
        users: How many use it at the moment.
    """

    __slots__ = ("number", "users")

    def __init__(self, number: int) -> None:
        self.number = number
        self.users = 0

    def __del__(self) -> None:
        os.close(self.number)

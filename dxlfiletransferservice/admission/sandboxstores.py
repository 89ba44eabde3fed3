"""The stores of those who are confined to directories of their own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dxlfiletransferclient.errors import WorkingDirectoryInUseError, brief
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.names import Parts
from dxlfiletransferservice.admission.placing import ReceivingStore

MAX_STORES: Final = 64
"""Stores that are open at the same time; each holds some descriptors and a thread or two.

Where more are needed at once, whoever comes last is told to come again.
"""

IDLE_SECONDS: Final = 300.0
"""Seconds after which a store that nobody uses is closed. Opening it again costs reading what is
under way there."""

BUSY_SECONDS: Final = 5.0
"""Seconds after which somebody for whom no store could be opened may come again."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Opened:
    """A directory with its store, once that is open."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    store: LocalStore | None = None
    users: int = 0
    left: float = 0.0


class SandboxStores:
    """Opens stores in directories as they are needed, and closes them when nobody uses them.

    A directory that lies in the server's own storage directory belongs to the server's own store:
    two stores must not lie in one another. Safe for several threads.

    Args:
        main: The server's own store.
        storage_dir: Its storage directory.
        options: How stores work.
        private: Directories and files that nobody may write to: keys, database, working directory.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        main: ReceivingStore,
        storage_dir: Path,
        *,
        options: StoreOptions,
        private: Sequence[Path] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.main = main
        self._storage_dir = storage_dir.resolve()
        self._options = options
        self._private = [path.resolve() for path in private]
        self._clock = clock
        self._guard = threading.Lock()
        self._opened: dict[Path, _Opened] = {}
        self._closed = False

    def ground(self, places: Mapping[str, Path] | None, below: Parts) -> "SandboxGround":
        """Return where somebody may write.

        Args:
            places: His directories by name, as ``seams.Confinement`` gives them; ``None`` for the
                server's own store.
            below: What every name begins with besides.
        """
        return SandboxGround(self, places, below)

    def taken(self, directory: Path) -> tuple[ReceivingStore, Parts, Path | None]:
        """Return the store that a directory belongs to, to be given back by :meth:`give_back`.

        Returns:
            The store, what the directory is called in it, and what to give back: ``None`` for the
            server's own store.

        Raises:
            RefusedError: ``NOT_ALLOWED`` for a private directory, ``STORAGE_FAILED`` if it cannot
                be used, ``BUSY`` if too many are in use, ``CLOSING``.
        """
        path = directory.resolve()
        if path.is_relative_to(self._storage_dir):
            # The store itself keeps names out of its working directory.
            return self.main, path.relative_to(self._storage_dir).parts, None
        if any(_meet(path, private) for private in self._private):
            _logger.error("A sandbox is, contains or lies in a directory of the server: %s", path)
            text = "the directory that you are confined to is one that the server needs for itself"
            raise RefusedError(ErrorCode.NOT_ALLOWED, text)
        opened = self._entered(path)
        try:
            with opened.turn:
                if opened.store is None:
                    opened.store = self._made(path)
                return opened.store, (), path
        except BaseException:
            self.give_back(path)
            raise

    def give_back(self, path: Path) -> None:
        """Use a store no more."""
        with self._guard:
            opened = self._opened.get(path)
            if opened is not None:
                opened.users -= 1
                opened.left = self._clock()

    def maintain(self, now: float) -> None:
        """Do what is due in the open stores, and close those that nobody has used for long.

        Args:
            now: The time in seconds since 1970.
        """
        with self._guard:
            idle = self._idle(now - IDLE_SECONDS)
            stores = [each.store for each in self._opened.values() if each.store is not None]
        for path in idle:
            self._close(path)
        for store in stores:
            try:
                store.maintain(now)
            except RefusedError as error:
                # It was closed meanwhile, or its disk has failed, which it has logged.
                _logger.debug("A sandbox is not looked after: %s", error)

    def close(self) -> None:
        """Close all stores; may be repeated."""
        with self._guard:
            self._closed = True
            paths = list(self._opened)
        for path in paths:
            self._close(path)

    def _entered(self, path: Path) -> _Opened:
        for _ in range(MAX_STORES):
            with self._guard:
                if self._closed:
                    raise RefusedError(ErrorCode.CLOSING, ErrorCode.CLOSING.meaning)
                if path in self._opened or len(self._opened) < MAX_STORES:
                    opened = self._opened.setdefault(path, _Opened())
                    opened.users += 1
                    return opened
                idle = self._idle(self._clock())
            if not idle:
                break
            self._close(idle[0])
        text = f"{MAX_STORES} directories of users are in use; try again"
        raise RefusedError(ErrorCode.BUSY, text, BUSY_SECONDS)

    def _idle(self, left_before: float) -> list[Path]:
        """Return the directories that nobody uses, those first that were left first."""
        found = [
            (each.left, path)
            for path, each in self._opened.items()
            if not each.users and each.left <= left_before
        ]
        return [path for _, path in sorted(found)]

    def _close(self, path: Path) -> None:
        with self._guard:
            opened = self._opened.get(path)
            if opened is None or (opened.users and not self._closed):
                return
            # As a user, so that nobody else closes it; who comes for it waits for his turn.
            opened.users += 1
        with opened.turn:
            store, opened.store = opened.store, None
            try:
                if store is not None:
                    store.close()
            except TimeoutError as error:
                _logger.warning("A sandbox is closed while it is in use: %s", error)
        with self._guard:
            opened.users -= 1
            if not opened.users or self._closed:
                self._opened.pop(path, None)

    def _made(self, path: Path) -> LocalStore:
        try:
            return LocalStore(path, options=self._options)
        except (OSError, ValueError, WorkingDirectoryInUseError) as error:
            _logger.exception("Cannot use the sandbox %s", path)
            reason = getattr(error, "strerror", None) or type(error).__name__
            text = f"the directory that you are confined to cannot be used: {reason}"
            raise RefusedError(ErrorCode.STORAGE_FAILED, text) from error


class SandboxGround:
    """Where one session may write; a ``placing.Ground``. Safe for several threads.

    Args:
        stores: Opens the stores.
        places: Directories by name; ``None`` for the server's own store.
        below: What every name begins with besides.
    """

    def __init__(
        self, stores: SandboxStores, places: Mapping[str, Path] | None, below: Parts
    ) -> None:
        self._stores = stores
        self._places = places
        self._below = below
        self._guard = threading.Lock()
        self._taken: dict[str, tuple[ReceivingStore, Parts, Path | None]] = {}
        self._closed = False

    def find(self, parts: Parts) -> tuple[ReceivingStore, Parts]:
        """Return the store that a name belongs to, and what it is called there.

        Raises:
            RefusedError: ``NOT_ALLOWED`` if it belongs to none; what opening a store raises.
        """
        whole = (*self._below, *parts)
        if self._places is None:
            return self._stores.main, whole
        if whole and whole[0] in self._places:
            store, before = self._place(whole[0])
            return store, (*before, *whole[1:]) if whole[1:] else ()
        if "" in self._places:
            store, before = self._place("")
            return store, (*before, *whole)
        names = ", ".join(brief(name) for name in sorted(self._places)) or "none"
        text = f"{brief('/'.join(whole))} begins with no directory that you may write to: {names}"
        raise RefusedError(ErrorCode.NOT_ALLOWED, text)

    def stores(self) -> Iterator[ReceivingStore]:
        """Return all stores, each once."""
        if self._places is None:
            yield self._stores.main
            return
        seen: list[ReceivingStore] = []
        for name in sorted(self._places):
            store, _ = self._place(name)
            if all(store is not each for each in seen):
                seen.append(store)
                yield store

    def close(self) -> None:
        """Use the stores no more; may be repeated."""
        with self._guard:
            self._closed = True
            taken, self._taken = list(self._taken.values()), {}
        for _, _, path in taken:
            if path is not None:
                self._stores.give_back(path)

    def _place(self, name: str) -> tuple[ReceivingStore, Parts]:
        assert self._places is not None  # noqa: S101 - for who has places only
        with self._guard:
            if self._closed:
                text = ErrorCode.UNKNOWN_SESSION.meaning
                raise RefusedError(ErrorCode.UNKNOWN_SESSION, text)
            if name not in self._taken:
                self._taken[name] = self._stores.taken(self._places[name])
            store, parts, _ = self._taken[name]
            return store, parts


def _meet(path: Path, private: Path) -> bool:
    return path.is_relative_to(private) or private.is_relative_to(path)

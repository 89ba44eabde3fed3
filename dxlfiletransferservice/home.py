"""The home: the directory in which a transfer server of one's own keeps everything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dxlfiletransferclient.control.configuration import (
    HOME_VARIABLE,
    client_configuration,
    home_directory,
)
from dxlfiletransferservice.configdirectory import SETTINGS_FILE


class HomeError(Exception):
    """A home that cannot be used; the message names it and the way out."""


class HomeInUseError(HomeError):
    """Another process works in the home."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where things lie in a home.

    Attributes:
        path: The home itself, as an absolute path.
    """

    path: Path

    @classmethod
    def at(cls, path: Path | None = None) -> "Home":
        """Return a home.

        Args:
            path: Where it is; by default as :func:`.configuration.home_directory` says.
        """
        return cls(home_directory(path))

    @property
    def storage(self) -> Path:
        """Where files are stored, unless the settings of the service say otherwise."""
        return self.path / "storage"

    @property
    def client_configuration(self) -> Path:
        """The configuration that clients on this machine use by default."""
        return client_configuration(self.path)

    @property
    def service(self) -> Path:
        """Configuration directory of the service behind the embedded broker."""
        return self.path / "service"

    @property
    def joined_service(self) -> Path:
        """Configuration directory of the service when it joins a fabric that exists already."""
        return self.path / "joined"

    @property
    def state(self) -> Path:
        """Where the transfer server keeps its key, its database and its triggers."""
        return self.path / "state"

    @property
    def server_log(self) -> Path:
        """What a server writes that runs in the background."""
        return self.path / "server.log"

    @contextmanager
    def held_for(self, role: str, *, timeout: float = 0.0) -> Iterator[None]:
        """Keep other processes from doing the same in this home; make it if it is missing.

        Args:
            role: What the process does here, in one word; roles exclude only themselves.
            timeout: Seconds to wait for another process to end.

        Raises:
            HomeInUseError: Another process holds it.
            HomeError: The home cannot be made or written to.
        """
        note = self.path / f"{role}.pid"
        lock = FileLock(self.path / f"{role}.lock", timeout=timeout)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            note.write_text(f"{os.getpid()}\n")
        except Timeout as error:
            raise HomeInUseError(self._in_use(role, note)) from error
        except OSError as error:
            lock.release()
            raise self.unusable(error) from error
        try:
            yield
        finally:
            note.unlink(missing_ok=True)
            lock.release()

    def unusable(self, error: OSError) -> HomeError:
        """Return the error to raise when a file of the home cannot be read or written."""
        where = error.filename or self.path
        return HomeError(
            f"the home {self.path} cannot be used: {where}: {error.strerror or error}; choose "
            f"another one with --home or {HOME_VARIABLE}"
        )

    def _in_use(self, role: str, note: Path) -> str:
        try:
            process = f"process {int(note.read_text())}"
        except (OSError, ValueError):
            process = "another process"
        return (
            f"the home {self.path} is in use: {process} is its {role}; end that one, or choose "
            f"another home with --home or {HOME_VARIABLE}"
        )


def settings_file(directory: Path) -> Path:
    """Return the settings file in a configuration directory of the service."""
    return directory / SETTINGS_FILE

"""Transfer servers as real processes, with their users, and APIs that are connected to them."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from dxlfabric.durablefiles import make_private_directory
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.passwords import Cost, Passwords
from dxlfiletransferservice.control.identity.users import Users
from dxlfiletransferservice.home import Home
from jetstream import Jetstream
from jetstream.apiinterface import APIInterface
from jetstream.structures import Manifest, Transfer
from tests.commandline import brokers_of, wait_until_gone
from tests.processes import ROOT, Processes, RunningProcess
from tests.tlsservers import unused_port
from tests.waiting import TIMEOUT, wait_until

HOST: Final = "localhost"
"""Where all servers of a stage are."""

USER: Final = "jsmith"
"""A user, once it was added."""

OTHER: Final = "kjones"
"""Another one."""

ADMIN: Final = "admin"
"""A user who may become superuser."""

PASSWORD: Final = "the secret of everybody"
"""Password of each of them."""

KIBIBYTE: Final = 2**10
MEBIBYTE: Final = 2**20

SLOW: Final = 8000
"""Kilobits per second: a megabyte per second."""

Settings = Mapping[str, Mapping[str, object]]
"""Settings of a service: sections, names, values."""

_CHEAP = Cost(rounds=1, memory_kib=8, lanes=1)


class StagedServer:
    """A transfer server with a home and a broker of its own; the home outlives its process.

    Args:
        processes: Starts and ends its processes.
        home: Its home, made when it is missing.
        settings: Settings of its service that are not the defaults.
        arguments: Further arguments of ``dxlft server``.

    Attributes:
        home: Its home.
        storage: Where it stores files.
        port: Port of its broker; the same after each start.
        process: The process that runs, or ran last.
    """

    process: RunningProcess

    def __init__(
        self,
        processes: Processes,
        home: Path,
        *,
        settings: Settings | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._processes = processes
        self._arguments = arguments
        self._logs: list[RunningProcess] = []
        self._apis: list[APIInterface] = []
        self.home = Home.at(home)
        self.storage = self.home.storage
        self.port = unused_port()
        if settings:
            self.write_settings(settings)

    def write_settings(self, settings: Settings) -> None:
        """Write the settings of the service; they hold from the next start on."""
        make_private_directory(self.home.service)
        sections = {name: dict(values) for name, values in settings.items()}
        general = sections.setdefault("General", {})
        general.setdefault("storageDir", self.storage)
        lines = [
            line
            for section, values in sections.items()
            for line in (f"[{section}]", *(f"{key}={value}" for key, value in values.items()))
        ]
        (self.home.service / "dxlfiletransferservice.config").write_text("\n".join(lines))

    def start(self) -> "StagedServer":
        """Start it, again if it has ended, and wait until it is ready."""
        command = ("-m", "dxlfiletransferservice.command", "server", "--home", self.home.path)
        self.process = self._processes.start_python(
            *command, "--port", str(self.port), *self._arguments
        )
        self._logs.append(self.process)
        self.process.wait_for_line("ready")
        return self

    def end(self) -> None:
        """End it as its administrator would."""
        assert self.process.end(TIMEOUT) == 0, self.process.errors

    def kill(self) -> None:
        """End it as a crash would, and wait until its broker has noticed."""
        brokers = self.brokers
        self.process.kill()
        for pid in brokers:
            wait_until_gone(pid)

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()

    @property
    def brokers(self) -> list[int]:
        """The processes of its brokers; the last one runs, those before were replaced."""
        return [pid for pid, _ in brokers_of(self.process)]

    @property
    def log(self) -> str:
        """What it has written on standard error since its first start."""
        return "".join(each.errors for each in self._logs)

    @property
    def configuration(self) -> Path:
        """The configuration of its clients."""
        return self.home.client_configuration

    @property
    def database_path(self) -> Path:
        """Its database."""
        return self.home.state / "server.db"

    def database(self) -> "closing[Database]":
        """Open its database, whether it runs or not; close it after use."""
        make_private_directory(self.home.state)
        return closing(Database(f"sqlite:///{self.database_path}"))

    def add_user(
        self, name: str = USER, password: str = PASSWORD, *, superuser: bool = False
    ) -> None:
        """Add a user as ``dxlft user add`` does, but with a password that is quickly compared."""
        with self.database() as database:
            Users(database, Passwords(_CHEAP)).add(name, password, superuser=superuser)

    def add_users(self) -> None:
        """Add :data:`USER`, :data:`OTHER` and :data:`ADMIN`."""
        self.add_user(USER)
        self.add_user(OTHER)
        self.add_user(ADMIN, superuser=True)

    def api(self, **options: Any) -> APIInterface:
        """Return a connected API on which nobody has logged on; it ends with the stage."""
        options.setdefault("timeoutSeconds", TIMEOUT)
        options.setdefault("waitTimeoutSeconds", 2 * TIMEOUT)
        api = Jetstream().api(HOST, self.port, config=self.configuration, **options)
        api.connect()
        self._apis.append(api)
        return api

    def logged_on(self, name: str = USER, password: str = PASSWORD, **options: Any) -> APIInterface:
        """Return a connected API on which a user has logged on."""
        api = self.api(**options)
        api.server.auth(name, password)
        return api

    def superuser(self) -> APIInterface:
        """Return a connected API on which :data:`ADMIN` has become superuser."""
        api = self.logged_on(ADMIN)
        api.server.superuser()
        return api

    def knows(self, other: "StagedServer") -> None:
        """Let it send to another server, whose fabric takes only certificates of its own."""
        fabrics = self.home.state / "fabrics"
        make_private_directory(self.home.state)
        make_private_directory(fabrics)
        shutil.copy(other.configuration, fabrics / f"port{other.port}.config")

    def command(
        self,
        *arguments: str | Path | int,
        data: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a ``dxlft`` command in its home, with text on standard input, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "dxlfiletransferservice.command", *map(str, arguments)],
            input=data,
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT,
            check=False,
            env={
                **os.environ,
                "DXLFT_HOME": str(self.home.path),
                "PYTHONPATH": str(ROOT),
                **(environment or {}),
            },
        )

    def start_command(
        self, *arguments: str | Path | int, environment: Mapping[str, str] | None = None
    ) -> RunningProcess:
        """Start a ``dxlft`` command in its home."""
        command = ("-m", "dxlfiletransferservice.command", *map(str, arguments))
        return self._processes.start_python(
            *command, environment={"DXLFT_HOME": str(self.home.path), **(environment or {})}
        )

    def close(self) -> None:
        """End all connections to it; together, as each takes a second."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(APIInterface.disconnect, self._apis))


class TransferStage:
    """The servers and source files of a test, in a directory of their own.

    Args:
        directory: The directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers: list[StagedServer] = []
        self.processes = Processes(directory)
        self.sources = directory / "sources"
        self.sources.mkdir()

    def server(
        self, name: str = "server", *, settings: Settings | None = None, start: bool = True
    ) -> StagedServer:
        """Return a server with the three users, by default one that runs."""
        server = StagedServer(self.processes, self._directory / name, settings=settings)
        self.keep(server)
        server.add_users()
        return server.start() if start else server

    def keep(self, server: StagedServer) -> None:
        """End all connections to a server, too, when the stage is closed."""
        self._servers.append(server)

    def source(self, size: int, name: str = "source") -> Path:
        """Make a file that looks the same nowhere.

        Args:
            size: Its size in bytes.
            name: Its name below :attr:`sources`; directories on the way are made.
        """
        path = self.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = random.Random(name)
        with path.open("wb") as file:
            for start in range(0, size, MEBIBYTE):
                file.write(generator.randbytes(min(MEBIBYTE, size - start)))
        return path

    def close(self) -> None:
        """End all connections and kill all processes."""
        with ExitStack() as stack:
            stack.callback(self.processes.close)
            for server in self._servers:
                stack.callback(server.close)


def complete_manifest(api: APIInterface, mappings: Mapping[str, Any]) -> Manifest:
    """Make a manifest and wait until it is complete."""
    manifest = api.send.waitForManifest(api.send.createManifest(mappings=mappings))
    assert manifest["status"] == "complete", manifest["errorMessage"]
    return manifest


def sending_transfer(
    api: APIInterface, server: StagedServer, source: Path, *, rate: float = SLOW
) -> Transfer:
    """Begin to send a file to a server, slowly, and return when it is under way.

    Args:
        api: An API on which somebody has logged on.
        server: The receiver.
        source: The file; its name in the storage will be the same.
        rate: Kilobits per second; see to it that the file takes longer than the test.
    """
    files = complete_manifest(api, {source.name: str(source)})
    destination = api.send.createDestination(HOST, destinationPort=server.port)
    transfer = api.send.createTransfer(destination, files, sendRateMax=rate)
    wait_until(lambda: api.send.getTransfer(transfer)["status"] == "sending")
    return transfer


@contextmanager
def staged(directory: Path) -> Iterator[TransferStage]:
    """Give a stage that ends with the block."""
    stage = TransferStage(directory)
    try:
        yield stage
    finally:
        stage.close()

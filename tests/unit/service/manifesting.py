"""What the tests of manifests have in common."""

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.commands import Commands, Login
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.manifests.manifestcommands import ManifestCommands
from dxlfiletransferservice.control.manifests.manifestfiles import ManifestFiles
from dxlfiletransferservice.control.manifests.manifestfilling import ManifestFilling
from dxlfiletransferservice.control.manifests.manifests import Manifests
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.courier.seams import ManifestFile
from tests.unit.service.calling import ANN, Clock
from tests.waiting import wait_until


class Seen:
    """Files of which some must not be read, under names that differ from the paths.

    Args:
        root: What ``/`` is to the caller.
        forbidden: Paths below which nothing may be read.
        looked_at: Is told of every path before it is checked.
    """

    def __init__(
        self, root: Path, forbidden: set[str], looked_at: Callable[[str], None] | None = None
    ) -> None:
        self._root = root
        self._forbidden = forbidden
        self._looked_at = looked_at
        self.checked: list[str] = []

    def locate(self, path: str) -> str:
        found = str(self._root / path.lstrip("/"))
        self.check(found)
        return found

    def check(self, path: str) -> None:
        self.checked.append(path)
        if self._looked_at is not None:
            self._looked_at(path)
        real = os.path.realpath(path)
        if any(real == each or real.startswith(f"{each}/") for each in self._forbidden):
            raise CommandError("not for you")


class Rooms:
    """Lets every user see one directory as ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.forbidden: set[str] = set()
        self.guarded: list[tuple[str, str | None]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.looked_at: Callable[[str], None] = self._wait_at_gate

    def sources(self, principal: Principal) -> Seen:
        return Seen(self.root, self.forbidden)

    def guard_for(self, owner: str, token: str | None) -> Seen:
        self.guarded.append((owner, token))
        return Seen(self.root, self.forbidden, self.looked_at)

    def _wait_at_gate(self, path: str) -> None:
        assert self.gate.wait(30)


class Events:
    """An event log in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any], str | None, str | None]] = []

    def record(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        owner: str | None = None,
        owner_token: str | None = None,
    ) -> None:
        self.entries.append((name, dict(data), owner, owner_token))

    def names(self) -> list[str]:
        return [entry[0] for entry in self.entries]


class ManifestWorld:
    """The manifests of a server, whose files are in a directory."""

    def __init__(self, directory: Path, *, most: int = 100, page: int = 1000) -> None:
        self.files_root = directory / "files"
        self.files_root.mkdir(exist_ok=True)
        self.database = Database(f"sqlite:///{directory / 'server.db'}")
        self.rooms = Rooms(self.files_root)
        self.events = Events()
        self.clock = Clock()
        self.files = ManifestFiles(self.database, page=page)
        self._most = most
        self._calls = itertools.count(1)
        self.begin()

    def begin(self) -> None:
        """Begin as a started server does, but without listing files yet."""
        self.filling = ManifestFilling(self.database, self.rooms, self.events)
        self.manifests = Manifests(
            self.database, self.events, self.filling.wake, clock=self.clock, most=self._most
        )
        self.commands = Commands()
        self.commands.add(ManifestCommands(self.manifests, self.files, self.rooms))

    def close(self) -> None:
        self.rooms.gate.set()
        self.filling.close()
        self.database.close()

    def call(
        self,
        command: str,
        who: Principal | None = ANN,
        *,
        call_id: str | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a command, and return what it answers."""
        login = Login(session="s", peer="p", principal=who)
        number = call_id or f"{next(self._calls):032x}"
        return self.commands.carry_out(f"send.{command}", arguments, login, number)

    def create(self, mappings: Any, who: Principal = ANN, **arguments: Any) -> dict[str, Any]:
        """Make a manifest."""
        found = self.call("createManifest", who, mappings=mappings, **arguments)
        assert isinstance(found, dict)
        return found

    def ended(self, manifest: Any, who: Principal = ANN) -> dict[str, Any]:
        """Wait until a manifest is processed, and return it."""
        wait_until(lambda: not self.call("getManifest", who, manifestId=manifest)["processing"])
        found = self.call("getManifest", who, manifestId=manifest)
        assert isinstance(found, dict)
        return found

    def made(self, mappings: Any, who: Principal = ANN, **arguments: Any) -> dict[str, Any]:
        """Make a manifest and wait for it."""
        return self.ended(self.create(mappings, who, **arguments), who)

    def listed(self, manifest: Mapping[str, Any]) -> list[ManifestFile]:
        """Return what a manifest holds."""
        return list(self.files.files(int(manifest["manifestId"]), 0))

    def write(self, *names: str, content: bytes = b"x") -> None:
        """Write files below the directory; a name that ends with ``/`` is an empty directory."""
        write_tree(self.files_root, names, content)


def write_tree(root: Path, names: Iterable[str], content: bytes = b"x") -> None:
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@contextmanager
def manifest_world(
    directory: Path, *, started: bool = True, **options: Any
) -> Iterator[ManifestWorld]:
    """Give the manifests of a server that lists files, if it is ``started``."""
    world = ManifestWorld(directory, **options)
    if started:
        world.filling.start()
    try:
        yield world
    finally:
        world.close()

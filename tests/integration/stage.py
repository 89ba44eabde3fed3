"""A broker, services and senders, each in a process of its own, to be killed and started again."""

import hashlib
import json
import random
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import ROOT, Processes, RunningProcess
from tests.waiting import TIMEOUT, wait_until

MEBIBYTE = 2**20

CHECKPOINT = 16 * MEBIBYTE
"""Bytes after which the services of a stage make a checkpoint."""

WINDOW = 16 * MEBIBYTE
"""Bytes that a sender may have outstanding."""

TOPIC = "/test/faults/store"

_LOOK = 0.002


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a sender says of one file."""

    name: str
    result: str
    size: int
    sent: int
    resumed: int
    sha256: str | None
    error: str


class StageService:
    """A file transfer service on the stage; its directories outlive its process."""

    def __init__(self, processes: Processes, directory: Path, storage: Path) -> None:
        self._processes = processes
        self._directory = directory
        self.storage = storage
        self.process = self.start()

    def start(self) -> RunningProcess:
        """Start it, again if it was killed, and wait until it is registered."""
        self.process = self._processes.start_service(self._directory)
        return self.process

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    @property
    def parts(self) -> list[Path]:
        """The part files of files under way."""
        return list((self.storage / ".workdir").glob("*.part"))

    @property
    def received(self) -> int:
        """Bytes of the files under way."""
        return sum(path.stat().st_size for path in self.parts)


class Stage:
    """Everything of one test, in directories of its own."""

    def __init__(self, processes: Processes, directory: Path) -> None:
        self._processes = processes
        self._directory = directory
        self._home = directory / "home"
        self._port = "0"
        self.broker = self.start_broker()

    def start_broker(self) -> RunningProcess:
        """Start the broker, again on its port if it was killed."""
        command = ("-m", "dxlfiletransferservice.command", "broker", "--home", self._home)
        self.broker = self._processes.start_python(*command, "--port", self._port)
        found = re.search(r" port (\d+)", self.broker.wait_for_line("ready"))
        assert found is not None
        self._port = found[1]
        return self.broker

    def service(
        self,
        name: str = "service",
        *,
        storage: Path | None = None,
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> StageService:
        """Start a service."""
        directory = self._directory / name
        files = storage or self._directory / f"{name}-files"
        directory.mkdir()
        shutil.copy(self._home / "service" / "dxlclient.config", directory)
        sections: dict[str, Mapping[str, object]] = {
            "General": {"storageDir": files, "storeTopic": TOPIC},
            "Transfers": {"checkpointMegabytes": CHECKPOINT // MEBIBYTE},
            **(settings or {}),
        }
        lines = [
            line
            for section, values in sections.items()
            for line in (f"[{section}]", *(f"{key}={value}" for key, value in values.items()))
        ]
        (directory / "dxlfiletransferservice.config").write_text("\n".join(lines))
        return StageService(self._processes, directory, files)

    @property
    def configuration(self) -> Path:
        """The configuration of clients."""
        return self._home / "client" / "dxlclient.config"

    def send(self, *pairs: tuple[Path, str], failover_after: float = TIMEOUT) -> RunningProcess:
        """Start a sender."""
        program = ROOT / "tests" / "integration" / "sendfiles.py"
        words = [str(word) for pair in pairs for word in pair]
        return self._processes.start_python(
            program, self.configuration, TOPIC, str(failover_after), *words
        )

    def source(self, size: int, name: str = "source") -> Path:
        """Make a file that looks the same nowhere."""
        path = self._directory / name
        generator = random.Random(name)
        with path.open("wb") as file:
            for start in range(0, size, MEBIBYTE):
                file.write(generator.randbytes(min(MEBIBYTE, size - start)))
        return path


def outcomes(sender: RunningProcess) -> list[Outcome]:
    """Wait for the end of a sender, and return what it says."""
    assert sender.wait(2 * TIMEOUT) == 0, sender.errors
    found: list[dict[str, Any]] = [json.loads(line) for line in sender.output.splitlines()]
    return [Outcome(**each) for each in found]


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wait_until_received(service: StageService, size: int) -> None:
    """Wait until so many bytes of files under way are with a service."""
    wait_until(lambda: service.received >= size)


@contextmanager
def never_seen_half(path: Path, size: int) -> Iterator[None]:
    """Fail the test if a file is ever there under its final name without being whole."""
    seen: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            try:
                seen.add(path.stat().st_size)
            except OSError:
                continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert seen <= {size}

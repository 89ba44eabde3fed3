"""A fabric to measure on: the embedded broker and what stands on it, each in its own process."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.links import Link
from benchmarks.processes import Server, python

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Fabric:
    """A running broker.

    Attributes:
        home: Directory of certificates, configurations and everything that is stored.
        link: Network it runs in.
        broker: The broker's process.
    """

    home: Path
    link: Link
    broker: Server

    @property
    def client_configuration(self) -> Path:
        """The configuration of measured clients."""
        return self.home / "client" / "dxlclient.config"

    @property
    def storage(self) -> Path:
        """Where the transfer service stores files."""
        return self.home / "storage"

    @contextlib.contextmanager
    def transfer_service(self) -> Iterator[Server]:
        """Run the file transfer service."""
        configuration = self.home / "service" / "dxlclient.config"
        command = python(
            *("-m", "dxlfiletransferservice.command", "server"),
            *("--home", self.home / "transfer", "--config", configuration),
            *("--storage", self.storage),
        )
        with Server(command, self.link, self.home / "service.log") as service:
            yield service

    @contextlib.contextmanager
    def answering_service(self, topic: str) -> Iterator[Server]:
        """Run a service that answers and does nothing else."""
        configuration = self.home / "service" / "dxlclient.config"
        command = python(PROGRAMS / "answer_requests.py", configuration, topic)
        with Server(command, self.link, self.home / "answers.log") as service:
            yield service


@contextlib.contextmanager
def running_fabric(home: Path, link: Link) -> Iterator[Fabric]:
    """Run an embedded broker on a port that the system chooses."""
    home.mkdir()
    command = python(
        "-m", "dxlfiletransferservice.command", "broker", "--home", home, "--port", "0"
    )
    with Server(command, link, home / "broker.log") as broker:
        yield Fabric(home, link, broker)

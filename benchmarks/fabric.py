"""A fabric to measure on: the embedded broker and what stands on it, each in its own process."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.links import Link
from benchmarks.processes import Server, python

PROGRAMS = Path(__file__).parent / "programs"

_QUIET = """\
[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
level=ERROR
handlers=console
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stderr,)
[formatter_plain]
format=%(message)s
"""


class Client(StrEnum):
    """Which client of the fabric a program has, at whichever end."""

    OFFICIAL = "official"
    FABRIC = "fabric"


def topic_for(client: Client) -> str:
    """Return the topic on which a service with such a client answers."""
    return f"/benchmark/requests/{client}"


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
    def plain_transfer_service(self) -> Iterator[Server]:
        """Run a service of version 2 that has the official client, and stores in the same place.

        It takes the place of the other one, whose topics it has.
        """
        configuration = self.home / "service" / "dxlclient.config"
        command = python(PROGRAMS / "serve_plain.py", configuration, self.storage)
        with Server(command, self.link, self.home / "plain-service.log") as service:
            yield service

    @contextlib.contextmanager
    def published_service(self, interpreter: str) -> Iterator[Server]:
        """Run the service of the published packages, which stores in the same place.

        Args:
            interpreter: The Python that has them.
        """
        directory = self.home / "published-service"
        shutil.copytree(self.home / "service", directory)
        settings = directory / "dxlfiletransferservice.config"
        settings.write_text(f"[General]\nstorageDir={self.storage}\n")
        (directory / "logging.config").write_text(_QUIET)
        command = [interpreter, "-W", "ignore", str(PROGRAMS / "serve_version1.py"), str(directory)]
        with Server(command, self.link, self.home / "published-service.log") as service:
            yield service

    @contextlib.contextmanager
    def answering_service(self, client: Client = Client.OFFICIAL) -> Iterator[Server]:
        """Run a service that answers and does nothing else."""
        configuration = self.home / "service" / "dxlclient.config"
        command = python(PROGRAMS / "answer_requests.py", client, configuration, topic_for(client))
        with Server(command, self.link, self.home / f"answers-{client}.log") as service:
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

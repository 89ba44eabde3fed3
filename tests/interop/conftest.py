"""The published packages of version 0.1, which run as processes of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from tests.fabric import Fabric
from tests.processes import ROOT, Processes, RunningProcess

PEER_LOGGING = """
[loggers]
keys=root
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=console
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stdout,)
[formatter_plain]
format=%(message)s
"""


class Peer:
    """The published client and service, on one fabric with the usual topic.

    Args:
        python: The Python of the environment they are installed in.
        fabric: The fabric.
        directory: For configurations and stored files.
    """

    def __init__(self, python: Path, fabric: Fabric, directory: Path) -> None:
        self._python = python
        self._fabric = fabric
        self._directory = directory
        self.storage = directory / "files"
        self.configuration = fabric.write_configuration(directory / "client.config")

    def versions(self, processes: Processes) -> list[str]:
        """The versions of the published client and service."""
        code = (
            "import dxlfiletransferclient as c, dxlfiletransferservice as s;"
            "print(c.get_version(), s.get_version())"
        )
        asked = processes.start(self._python, "-W", "ignore", "-c", code)
        assert asked.wait() == 0, asked.errors
        return asked.output.split()

    def start_service(self, processes: Processes) -> RunningProcess:
        """Start the published service, and wait until it is registered."""
        config = self._fabric.write_service_directory(
            self._directory / "config", {"storageDir": self.storage}
        )
        (config / "logging.config").write_text(PEER_LOGGING)
        service = processes.start(self._python, "-m", "dxlfiletransferservice", config)
        service.wait_for_line("On 'DXL connect' callback.")
        return service

    def start_own_service(self, processes: Processes) -> RunningProcess:
        """Start the service of this checkout, and wait until it is registered."""
        return processes.start_service(
            self._fabric.write_service_directory(
                self._directory / "config", {"storageDir": self.storage}
            )
        )

    def send(self, processes: Processes, **files: Path) -> RunningProcess:
        """Start the published client on some files, whose keywords are their names there."""
        arguments = [f"{name}={path}" for name, path in files.items()]
        script = ROOT / "tests" / "interop" / "peer_send.py"
        return processes.start(self._python, script, self.configuration, *arguments)


@pytest.fixture(scope="session")
def peer_python() -> Path:
    """The Python with the published packages."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = ROOT / ".peers" / version
    python = directory / "bin" / "python"
    if not (directory / "ready").exists() or not python.exists():
        pytest.fail(
            f"the published 0.1.x packages are not in {directory}: "
            f"run `make test`, which sets them up, or `make .peers/{version}/ready`",
            pytrace=False,
        )
    return python


@pytest.fixture(scope="module")
def peer_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes that all tests of a module share."""
    processes = Processes(tmp_path_factory.mktemp("peers"))
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def peer_fabric(provisioned: Provisioned) -> Iterator[Fabric]:
    """A fabric for one module, because the usual topic may have one service only."""
    with EmbeddedBroker(provisioned.broker) as broker:
        yield Fabric(broker, provisioned)


@pytest.fixture(scope="module")
def peer(peer_python: Path, peer_fabric: Fabric, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """The published packages on the fabric of this module."""
    return Peer(peer_python, peer_fabric, tmp_path_factory.mktemp("peer"))

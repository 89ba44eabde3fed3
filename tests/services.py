"""File transfer services for tests, as processes of their own on a fabric."""

from pathlib import Path

from dxlclient.client import DxlClient

from dxlfiletransferclient import FileTransferClient
from tests.fabric import Fabric
from tests.processes import Processes, RunningProcess


class Service:
    """A running service.

    Args:
        process: The process.
        storage: Its storage directory.
        topic: Its store topic.
    """

    def __init__(self, process: RunningProcess, storage: Path, topic: str) -> None:
        self.process = process
        self.storage = storage
        self.topic = topic

    @property
    def service_id(self) -> str:
        """The id under which it is registered."""
        return self.process.output.split("as service ")[1].split(",")[0]

    def client(self, dxl_client: DxlClient) -> FileTransferClient:
        """Return a client that sends to this service's topic."""
        return FileTransferClient(dxl_client, self.topic)

    def unfinished(self) -> list[str]:
        """The names of the files under way in the working directory.

        Journals stay for a while when a file was stored, as the memory of that.
        """
        return [path.name for path in (self.storage / ".workdir").glob("*.part")]


class Services:
    """Starts services, each in a directory of its own.

    Args:
        fabric: The fabric that they register with.
        processes: Starts and ends their processes.
        directory: Holds their directories.
    """

    def __init__(self, fabric: Fabric, processes: Processes, directory: Path) -> None:
        self._fabric = fabric
        self._processes = processes
        self._directory = directory

    def start(self, name: str, topic: str, **general: str | Path) -> Service:
        """Start a service and wait until it is registered.

        Args:
            name: Name of its directory; one that was used before starts on the files there.
            topic: Its store topic.
            general: More settings for the section ``[General]``.
        """
        directory = self._directory / name
        settings = {"storageDir": directory / "files", "storeTopic": topic, **general}
        config = self._fabric.write_service_directory(directory / "config", settings)
        process = self._processes.start_service(config)
        return Service(process, Path(settings["storageDir"]), topic)

"""A fabric for tests: one embedded broker, client configurations for it, and connected clients."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.message import ErrorResponse, Request, Response

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.client import FabricClient
from dxlfabric.configuration import BrokerAddress, write_client_configuration
from dxlfabric.connection import connect
from tests.waiting import TIMEOUT


class Fabric:
    """An embedded broker, and all that is needed to reach it.

    Args:
        broker: The running broker.
        provisioned: The certificates that it takes.
    """

    def __init__(self, broker: EmbeddedBroker, provisioned: Provisioned) -> None:
        self.broker = broker
        self.provisioned = provisioned

    def write_configuration(self, path: Path, *, as_service: bool = False) -> Path:
        """Write a ``dxlclient.config`` for the broker's port, and return its path."""
        client = self.provisioned.service if as_service else self.provisioned.client
        address = BrokerAddress(self.broker.broker_id, "127.0.0.1", self.broker.port)
        write_client_configuration(path, client.credentials, address)
        return path

    def write_service_directory(
        self, directory: Path, general: Mapping[str, str | Path], *, more: str = ""
    ) -> Path:
        """Write a configuration directory for a service, and return it.

        Args:
            directory: The directory, which is made if it is missing.
            general: Settings for the section ``[General]``.
            more: Text to add to the settings file.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.write_configuration(directory / "dxlclient.config", as_service=True)
        lines = ["[General]", *(f"{name}={value}" for name, value in general.items()), more]
        (directory / "dxlfiletransferservice.config").write_text("\n".join(lines))
        return directory


def new_topic() -> str:
    """Return a topic that no other test uses."""
    return f"/test/{uuid.uuid4()}"


class Connections:
    """Connected clients, which are destroyed together.

    Args:
        directory: Where their configurations go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clients = ExitStack()
        self._count = 0

    def open(
        self,
        fabric: Fabric,
        kind: type[DxlClient] = FabricClient,
        configure: Callable[[DxlClientConfig], None] = lambda _config: None,
    ) -> DxlClient:
        """Return a new client that is connected to a fabric.

        Args:
            fabric: The fabric.
            kind: Our client, or the official one as it is.
            configure: Changes the configuration.
        """
        self._count += 1
        path = fabric.write_configuration(self._directory / f"client-{self._count}.config")
        config = DxlClientConfig.create_dxl_config_from_file(str(path))
        configure(config)
        return self._clients.enter_context(connected(config, kind))

    def close(self) -> None:
        """Destroy all clients."""
        self._clients.close()


@contextmanager
def connected(config: DxlClientConfig, kind: type[DxlClient]) -> Iterator[DxlClient]:
    """Connect a client of a kind: ours, or the official one as it is."""
    if kind is FabricClient:
        with connect(config) as client:
            yield client
        return
    with kind(config) as client:
        client.connect()
        yield client


def registered_services(client: DxlClient, service_type: str) -> set[str]:
    """The ids of the services of a type that the broker knows."""
    request = Request("/mcafee/service/dxl/svcregistry/query")
    request.payload = json.dumps({"serviceType": service_type}).encode()
    return set(answer_of(client.sync_request(request, timeout=TIMEOUT))["services"])


def answer_of(response: Response) -> dict[str, Any]:
    """What a service or broker answers in JSON; an error response fails the test."""
    if isinstance(response, ErrorResponse):
        raise AssertionError(f"error response {response.error_code}: {response.error_message}")
    content = response.payload
    text = content.decode() if isinstance(content, bytes) else content
    answer: dict[str, Any] = json.loads(text.rstrip("\0"))
    return answer

"""Fixtures for every test: certificates, a fabric, connected clients, processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dxlclient.client import DxlClient

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned, provision
from dxlfabric.client import FabricClient
from tests.fabric import Connections, Fabric, new_topic
from tests.processes import Processes
from tests.services import Service, Services


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    """A home with a CA, a broker's certificate and those of a client and a service."""
    return provision(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def fabric(provisioned: Provisioned) -> Iterator[Fabric]:
    """A fabric that all tests share: use topics and directories of your own."""
    with EmbeddedBroker(provisioned.broker, broker_id=provisioned.broker_id) as broker:
        yield Fabric(broker, provisioned)


@pytest.fixture
def own_fabric(provisioned: Provisioned) -> Iterator[Fabric]:
    """A fabric for one test, which may harm it."""
    with EmbeddedBroker(provisioned.broker) as broker:
        yield Fabric(broker, provisioned)


ONLY_ONCE = {"test_no_name_leads_out_of_the_storage_directory"}
"""Tests that leave something in the shared service, where they would find it again."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have tests with a shared client run with ours and with the official one as it is."""
    if "dxl_client" in metafunc.fixturenames and metafunc.function.__name__ not in ONLY_ONCE:
        kinds = {"ours": FabricClient, "official": DxlClient}
        metafunc.parametrize("dxl_client", kinds.values(), indirect=True, ids=kinds)


@pytest.fixture(scope="session")
def shared_client(
    fabric: Fabric, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[type[DxlClient]], DxlClient]]:
    """Returns the one client of a kind that all tests share: a new one costs a second."""
    opened = Connections(tmp_path_factory.mktemp("client"))

    found: dict[type[DxlClient], DxlClient] = {}

    def client_of(kind: type[DxlClient]) -> DxlClient:
        if kind not in found:
            found[kind] = opened.open(fabric, kind)
        return found[kind]

    yield client_of
    opened.close()


@pytest.fixture
def dxl_client(
    request: pytest.FixtureRequest, shared_client: Callable[[type[DxlClient]], DxlClient]
) -> DxlClient:
    """A client, connected to the shared fabric, that all tests share."""
    return shared_client(getattr(request, "param", FabricClient))


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    """Opens clients on any fabric; they are destroyed after the test."""
    opened = Connections(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes in the test's directory; those left over are killed after the test."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="session")
def service(fabric: Fabric, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on the shared fabric, for all tests that do it no harm, or try in vain."""
    directory = tmp_path_factory.mktemp("service")
    started = Processes(directory)
    yield Services(fabric, started, directory).start("shared", new_topic())
    started.close()


@pytest.fixture
def services(fabric: Fabric, processes: Processes, tmp_path: Path) -> Services:
    """Starts further services on the shared fabric; they are killed after the test."""
    return Services(fabric, processes, tmp_path)

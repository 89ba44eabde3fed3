"""Fixtures for tests with real brokers and processes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned, provision
from tests.commandline import CommandLine
from tests.integration.transferstage import StagedServer, TransferStage, staged
from tests.processes import Processes
from tests.waiting import TIMEOUT


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    """Certificates of another CA."""
    return provision(tmp_path_factory.mktemp("foreign"))


@pytest.fixture
def broker(provisioned: Provisioned) -> Iterator[EmbeddedBroker]:
    """A broker for one test."""
    with EmbeddedBroker(provisioned.broker, broker_id=provisioned.broker_id) as running:
        yield running


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT)
    assert set(threading.enumerate()) <= before


@pytest.fixture
def dxlft(processes: Processes, tmp_path: Path) -> CommandLine:
    """The command line with a home of its own, which is not there yet."""
    return CommandLine(processes, tmp_path / "the home")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A running server for tests that do it no harm."""
    directory = tmp_path_factory.mktemp("shared")
    processes = Processes(directory)
    dxlft = CommandLine(processes, directory / "the home")
    dxlft.server()
    yield dxlft
    processes.close()


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferStage]:
    """A stage for transfer servers that all tests of a module share."""
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="module")
def transfer_server(module_stage: TransferStage) -> StagedServer:
    """A running transfer server for the tests of a module that do it no harm."""
    return module_stage.server("shared")


@pytest.fixture
def transfer_stage(tmp_path: Path) -> Iterator[TransferStage]:
    """A stage for transfer servers of one test, which may harm them."""
    with staged(tmp_path) as stage:
        yield stage

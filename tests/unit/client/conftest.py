"""Fixtures for the tests of the client package."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient import FileStoreManager
from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.working import WorkingDirectory
from tests.unit.client import cataloguing
from tests.unit.client.cataloguing import Opened
from tests.unit.client.fabric import FakeDxlClient, stored_by
from tests.unit.client.workingdirectory import opened


@pytest.fixture
def storage_dir(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def working_dir(storage_dir: Path) -> Path:
    return storage_dir / ".workdir"


@pytest.fixture
def working(tmp_path: Path) -> Iterator[WorkingDirectory]:
    working = opened(tmp_path)
    yield working
    working.close()


@pytest.fixture
def store(storage_dir: Path) -> Iterator[FileStoreManager]:
    with FileStoreManager(storage_dir) as store:
        yield store


@pytest.fixture
def dxl_client(store: FileStoreManager) -> FakeDxlClient:
    """A connected client of a fabric with one service on it, which stores with ``store``."""
    return FakeDxlClient(stored_by(store))


@pytest.fixture(params=["descriptors", "paths"])
def files(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Opened]:
    """A catalogue, on a platform that has descriptors of directories and on one that has none."""
    if request.param == "paths":
        monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    with cataloguing.opened(tmp_path, links=True) as catalogue:
        yield catalogue

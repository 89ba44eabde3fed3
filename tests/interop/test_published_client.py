"""The published client 0.1.0 stores through the service of this checkout."""

import json
import random
from hashlib import sha256
from pathlib import Path

import pytest

from tests.interop.conftest import Peer
from tests.processes import Processes, RunningProcess

SIZES = [0, 1, 51_200, 51_201, 5_000_000]


@pytest.fixture(scope="module", autouse=True)
def running_service(peer: Peer, peer_processes: Processes) -> RunningProcess:
    return peer.start_own_service(peer_processes)


def test_the_peers_are_the_published_packages(peer: Peer, processes: Processes) -> None:
    assert peer.versions(processes) == ["0.1.0", "0.1.1"]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_arrives_whole(peer: Peer, processes: Processes, tmp_path: Path, size: int) -> None:
    path = tmp_path / "sent"
    path.write_bytes(random.Random(size).randbytes(size))
    client = peer.send(processes, **{f"size-{size}": path})
    assert client.wait() == 0, client.errors
    result = json.loads(client.output)
    stored = (peer.storage / f"size-{size}").read_bytes()
    assert stored == path.read_bytes()
    assert result["size"] == size
    assert result["hashes"] == {"sha256": sha256(stored).hexdigest()}
    assert [each.name for each in (peer.storage / ".workdir").iterdir()] == [".lock"]


def test_a_refused_file_is_an_error_there_too(
    peer: Peer, processes: Processes, tmp_path: Path
) -> None:
    path = tmp_path / "sent"
    path.write_bytes(b"x" * 60_000)
    client = peer.send(processes, **{"../outside": path})
    assert client.wait() == 1
    assert "Error: " in client.errors
    assert not (peer.storage.parent / "outside").exists()
    assert [each.name for each in (peer.storage / ".workdir").iterdir()] == [".lock"]

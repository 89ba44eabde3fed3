"""The client of this checkout stores through the published service 0.1.1."""

import random
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from dxlfiletransferclient import FileTransferClient
from tests.fabric import Connections, Fabric
from tests.interop.conftest import Peer
from tests.processes import Processes, RunningProcess

SIZES = [0, 1, 51_200, 51_201, 5_000_000]


@pytest.fixture(scope="module", autouse=True)
def running_service(peer: Peer, peer_processes: Processes) -> RunningProcess:
    return peer.start_service(peer_processes)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_arrives_whole(
    peer: Peer, peer_fabric: Fabric, connections: Connections, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "sent"
    path.write_bytes(random.Random(size).randbytes(size))
    client = FileTransferClient(connections.open(peer_fabric))
    result = client.send_file_request(path, f"size-{size}")
    stored = (peer.storage / f"size-{size}").read_bytes()
    assert stored == path.read_bytes()
    assert result.size == size
    assert result.hashes == {"sha256": sha256(stored).hexdigest()}
    assert list((peer.storage / ".workdir").iterdir()) == []


def test_two_clients_store_at_the_same_time(
    peer: Peer, peer_fabric: Fabric, connections: Connections, tmp_path: Path
) -> None:
    clients = [FileTransferClient(connections.open(peer_fabric)) for _ in range(2)]
    contents = [random.Random(number).randbytes(1_000_000) for number in range(len(clients))]

    def send(number: int) -> None:
        path = tmp_path / f"sent-{number}"
        path.write_bytes(contents[number])
        clients[number].send_file_request(path, f"parallel/{number}")

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(send, range(len(clients))))
    for number, content in enumerate(contents):
        assert (peer.storage / "parallel" / str(number)).read_bytes() == content


def test_a_refused_file_is_an_error_and_leaves_nothing(
    peer: Peer, peer_fabric: Fabric, connections: Connections, tmp_path: Path
) -> None:
    path = tmp_path / "sent"
    path.write_bytes(b"x" * 60_000)
    client = FileTransferClient(connections.open(peer_fabric))
    with pytest.raises(Exception, match="working directory"):
        client.send_file_request(path, ".workdir/inside")
    assert list((peer.storage / ".workdir").iterdir()) == []

"""The service as a process of its own, on the embedded broker."""

import random
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from dxlclient.client import DxlClient
from dxlclient.exceptions import DxlException
from dxlclient.message import ErrorResponse, Request, Response

from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.constants import MAX_SEGMENT_SIZE, SERVICE_TYPE
from tests.fabric import Connections, Fabric, answer_of, new_topic, registered_services
from tests.processes import Processes
from tests.services import Service, Services
from tests.waiting import TIMEOUT

SEGMENT = 10_000


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def ask(client: DxlClient, topic: str, payload: object, fields: dict[str, str]) -> Response:
    """Send one request by hand, with anything as its payload."""
    request = Request(topic)
    request.payload = payload  # type: ignore[assignment]
    request.other_fields = fields
    return client.sync_request(request, timeout=TIMEOUT)


def store_fields(number: int, data: bytes, name: str, file_id: str | None = None) -> dict[str, str]:
    """The fields of the request for the last segment."""
    fields = {
        "segment_number": str(number),
        "result": "store",
        "name": name,
        "size": str(len(data)),
        "hash_sha256": sha256(data).hexdigest(),
    }
    return {**fields, "file_id": file_id} if file_id else fields


@pytest.mark.parametrize("size", [0, 1, SEGMENT, SEGMENT + 1, 1_000_000])
def test_files_are_stored(
    service: Service, dxl_client: DxlClient, tmp_path: Path, size: int
) -> None:
    data = content(size)
    result = service.client(dxl_client).send_file_request(
        write(tmp_path / "sent", data), f"sizes/{size}", max_segment_size=SEGMENT
    )
    assert (service.storage / "sizes" / str(size)).read_bytes() == data
    assert result.hashes == {"sha256": sha256(data).hexdigest()}
    assert service.unfinished() == []


def test_several_files_are_stored_at_the_same_time(
    service: Service, dxl_client: DxlClient, tmp_path: Path
) -> None:
    client = service.client(dxl_client)
    files = {f"parallel/{n}": content(20 * SEGMENT + n, seed=n) for n in range(6)}

    def send(name: str) -> None:
        path = write(tmp_path / Path(name).name, files[name])
        client.send_file_request(path, name, max_segment_size=SEGMENT)

    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(send, files))
    for name, data in files.items():
        assert (service.storage / name).read_bytes() == data


def test_the_service_is_registered_under_its_type(service: Service, dxl_client: DxlClient) -> None:
    assert service.service_id in registered_services(dxl_client, SERVICE_TYPE)


NO_NUMBERS = ["", " ", "-1", "1.5", "ten", "1e3", "9" * 30, "9" * 5000, "\0", "ü", "x" * 60_000]
GARBAGE = {
    "segment_number": ["0", "2", *NO_NUMBERS],
    "size": ["0", "101", *NO_NUMBERS],
    "file_id": [" ", "..", "a/b", "a\\b", "unknown", "\0", "\n", "ü", "x" * 60_000],
    "result": [" ", "STORE", "keep", "cancel", "\0", "ü", "x" * 60_000],
    "name": ["", ".", "..", "/", "/etc/x", "a/../..", "a/\0", "ü" * 300, "a/" * 30_000 + "a"],
    "hash_sha256": ["", " ", "0" * 64, "0" * 63, "z" * 64, "\0", "ü", "x" * 60_000],
}


@pytest.mark.parametrize("field", GARBAGE)
def test_garbage_in_any_field_is_answered_and_survived(
    service: Service, dxl_client: DxlClient, field: str
) -> None:
    data = content(100)
    for garbage in GARBAGE[field]:
        fields = {**store_fields(1, data, "garbage/file"), field: garbage}
        response = ask(dxl_client, service.topic, data, fields)
        assert isinstance(response, ErrorResponse), garbage
        assert response.error_code == 0
        assert 0 < len(response.error_message) < 400
        assert str(service.storage) not in response.error_message
    assert service.unfinished() == []
    assert not (service.storage / "garbage" / "file").exists()
    answer_of(ask(dxl_client, service.topic, data, store_fields(1, data, f"good/{field}")))
    assert (service.storage / "good" / field).read_bytes() == data


def test_a_payload_that_is_no_bytes_is_answered_and_survived(
    service: Service, dxl_client: DxlClient
) -> None:
    for garbage in (7, [b"x"], {b"x": 1}, True, 1.5):
        response = ask(dxl_client, service.topic, garbage, store_fields(1, b"x", "payload"))
        assert isinstance(response, ErrorResponse), garbage
        assert "payload" in response.error_message


@pytest.mark.parametrize("missing", ["segment_number", "name", "size", "hash_sha256"])
def test_a_missing_field_is_answered(service: Service, dxl_client: DxlClient, missing: str) -> None:
    fields = store_fields(1, b"x", "missing/file")
    del fields[missing]
    assert isinstance(ask(dxl_client, service.topic, b"x", fields), ErrorResponse)


def test_a_request_without_fields_is_answered(service: Service, dxl_client: DxlClient) -> None:
    assert isinstance(ask(dxl_client, service.topic, b"", {}), ErrorResponse)


def test_no_name_leads_out_of_the_storage_directory(
    service: Service, dxl_client: DxlClient, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (service.storage / "link").symlink_to(outside)
    for name in ("../out", str(outside / "out"), "link/out", "a/../../out", ".workdir/out"):
        response = ask(dxl_client, service.topic, b"x", store_fields(1, b"x", name))
        assert isinstance(response, ErrorResponse), name
    assert list(outside.iterdir()) == []
    assert not (service.storage.parent / "out").exists()


def test_a_segment_over_the_limit_is_refused_before_it_is_sent(
    service: Service, dxl_client: DxlClient, tmp_path: Path
) -> None:
    path = write(tmp_path / "sent", content(MAX_SEGMENT_SIZE))
    client = service.client(dxl_client)
    with pytest.raises(ValueError, match=str(MAX_SEGMENT_SIZE)):
        client.send_file_request(path, "large", max_segment_size=MAX_SEGMENT_SIZE + 1)
    client.send_file_request(path, "large", max_segment_size=MAX_SEGMENT_SIZE)
    assert (service.storage / "large").stat().st_size == MAX_SEGMENT_SIZE


def test_a_transfer_goes_on_after_the_service_was_killed(
    services: Services, dxl_client: DxlClient
) -> None:
    topic, data = new_topic(), content(3 * SEGMENT)
    parts = [data[start : start + SEGMENT] for start in range(0, len(data), SEGMENT)]
    first = services.start("one", topic)
    answer = answer_of(ask(dxl_client, topic, parts[0], {"segment_number": "1"}))
    file_id = answer["file_id"]
    answer_of(ask(dxl_client, topic, parts[1], {"segment_number": "2", "file_id": file_id}))
    first.process.kill()

    again = services.start("one", topic)
    # The broker may try the registration of the killed process first.
    for _ in range(2):
        response = ask(dxl_client, topic, parts[2], store_fields(3, data, "whole", file_id))
        if not isinstance(response, ErrorResponse):
            break
    answer = answer_of(response)
    assert answer == {"file_id": file_id, "segments_received": 3, "result": "store"}
    assert (again.storage / "whole").read_bytes() == data
    assert again.unfinished() == []


def test_a_transfer_stays_on_one_of_two_instances(
    services: Services, dxl_client: DxlClient, tmp_path: Path
) -> None:
    topic = new_topic()
    instances = [services.start(name, topic) for name in ("one", "two")]
    client, data = FileTransferClient(dxl_client, topic), content(20 * SEGMENT)
    path = write(tmp_path / "sent", data)
    # Each name leads to one of them by chance: all to the same once in two thousand runs.
    names = [f"file-{number:02}" for number in range(12)]
    for name in names:
        client.send_file_request(path, name, max_segment_size=SEGMENT)
    stored = [sorted(path.name for path in each.storage.glob("file-*")) for each in instances]
    assert sorted(stored[0] + stored[1]) == names
    assert all(stored), "files are shared out, so both have some"
    for each in instances:
        assert all(path.read_bytes() == data for path in each.storage.glob("file-*"))


def test_abandoned_files_expire(services: Services, dxl_client: DxlClient) -> None:
    topic = new_topic()
    service = services.start("one", topic, partialFileLifetimeHours="0.0002")
    file_id = answer_of(ask(dxl_client, topic, b"x", {"segment_number": "1"}))["file_id"]
    service.process.wait_for_error_line(file_id)
    response = ask(dxl_client, topic, b"x", {"segment_number": "2", "file_id": file_id})
    assert isinstance(response, ErrorResponse)
    assert service.unfinished() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", directory],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_disk_is_answered_and_survived(
    small_disk: Path, services: Services, dxl_client: DxlClient, tmp_path: Path
) -> None:
    topic = new_topic()
    service = services.start("one", topic, storageDir=small_disk / "files")
    client = FileTransferClient(dxl_client, topic)
    large = write(tmp_path / "large", content(1_000_000))
    small = write(tmp_path / "small-file", content(100_000))
    client.send_file_request(small, "kept")
    with pytest.raises(Exception, match="disk of the service is full"):
        client.send_file_request(large, "large")
    assert service.unfinished() == []
    client.send_file_request(small, "after")
    assert sorted(path.name for path in service.storage.glob("[!.]*")) == ["after", "kept"]
    assert (service.storage / "after").read_bytes() == small.read_bytes()


def test_a_broker_that_vanishes_is_an_error_within_the_time_out(
    own_fabric: Fabric,
    connections: Connections,
    processes: Processes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = new_topic()
    processes.start_service(
        own_fabric.write_service_directory(
            tmp_path / "config", {"storageDir": tmp_path / "files", "storeTopic": topic}
        )
    )
    dxl_client = connections.open(own_fabric)
    client = FileTransferClient(dxl_client, topic)
    monkeypatch.setattr(FileTransferClient, "_MIN_RESPONSE_TIMEOUT", 1)
    client.response_timeout = 3
    vanished = threading.Event()

    def vanish(segment: object) -> None:
        if not vanished.is_set():
            vanished.set()
            own_fabric.broker.__exit__(None, None, None)

    path = write(tmp_path / "sent", content(10 * SEGMENT))
    with pytest.raises(DxlException):
        client.send_file_request(path, "lost", max_segment_size=SEGMENT, callback=vanish)
    assert vanished.is_set()
    assert not (tmp_path / "files" / "lost").exists()

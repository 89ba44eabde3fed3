"""The methods of version 0.1 where the service speaks version 2: what their callers see."""

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dxlclient.message import Request, Response
from pytest_mock import MockerFixture

from dxlfiletransferclient import (
    FileSendSegmentResult,
    FileStoreManager,
    FileTransferError,
    NotConnectedError,
    ServiceError,
    SourceChangedError,
)
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC, MAX_SEGMENT_SIZE
from dxlfiletransferclient.protocol.desk import ALL_VERBS, Desk
from dxlfiletransferclient.protocol.messages import StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from dxlfiletransferclient.testing import MemoryStore
from tests.unit.client.fabric import (
    NOBODY,
    FakeDxlClient,
    client_of,
    open_descriptors,
    sha256,
    stored_by,
)

SEGMENT = 10


class Service:
    """A fabric with a service that speaks version 2."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.dxl_client = FakeDxlClient(_refuse_version_1, Desk(self.store))
        self.client = client_of(self.dxl_client)
        self.heard: list[FileSendSegmentResult] = []

    def asked(self, verb: Verb) -> int:
        return self.dxl_client.asked.count(topic_of(verb))

    def numbers(self) -> list[tuple[int, str | None, int | None]]:
        return [
            (each.segments_received, each.file_result, each.total_segments) for each in self.heard
        ]


def _refuse_version_1(_request: Request) -> Response:
    raise AssertionError("version 1 is not to be used")


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    before = open_descriptors()
    yield service
    assert open_descriptors() == before
    assert service.dxl_client.requests == []
    assert service.dxl_client._listeners == []
    assert not service.store.under_way


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "local.bin"
    path.write_bytes(bytes(25))
    return path


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 30, 35])
def test_a_file(tmp_path: Path, service: Service, size: int) -> None:
    content = bytes(range(size))
    path = tmp_path / "local.bin"
    path.write_bytes(content)

    result = service.client.send_file_request(str(path), "a/b.bin", SEGMENT, service.heard.append)

    assert service.store.stored == {"a/b.bin": content}
    assert result.to_dict() == {
        "file_id": result.file_id,
        "size": size,
        "hashes": {"sha256": sha256(content)},
    }
    total = max(1, -(-size // SEGMENT))
    expected = [(number, None, total) for number in range(1, total)] + [(total, "store", total)]
    assert service.numbers() == expected
    assert {each.file_id for each in service.heard} == {result.file_id}
    if size <= SEGMENT:
        assert (service.asked(Verb.BATCH), service.asked(Verb.OPEN)) == (1, 0)
    else:
        assert service.asked(Verb.SEGMENT) == -(-size // SEGMENT)


@pytest.mark.parametrize("size", [0, 1, 10, 30, 31])
def test_a_stream_of_unknown_size(service: Service, size: int) -> None:
    content = bytes(range(size))
    result = service.client.send_file_from_stream_request(
        io.BytesIO(content), "s", max_segment_size=SEGMENT, callback=service.heard.append
    )
    assert service.store.stored == {"s": content}
    assert result.size == size
    last = -(-size // SEGMENT) + 1
    expected = [(number, None, None) for number in range(1, last)] + [(last, "store", None)]
    assert service.numbers() == expected


@pytest.mark.parametrize(
    ("stream_size", "declared", "reported", "size"),
    [(None, 3, 3, 25), (None, 2, 2, 20), (25, None, 3, 25), (25, 7, 7, 25), (20, None, 2, 20)],
)
def test_a_stream_with_declared_numbers(
    service: Service, stream_size: int | None, declared: int | None, reported: int, size: int
) -> None:
    stream = io.BytesIO(bytes(range(25)))
    service.client.send_file_from_stream_request(
        stream, "a", stream_size, SEGMENT, declared, service.heard.append
    )
    assert service.store.stored == {"a": bytes(range(size))}
    last = -(-size // SEGMENT)
    assert service.numbers() == [
        *[(number, None, reported) for number in range(1, last)],
        (last, "store", reported),
    ]


def test_text_is_stored_as_utf_8(service: Service) -> None:
    text = "Grüße, Zoë, 日本語\n" * 3
    service.client.send_file_from_stream_request(
        io.StringIO(text, newline=""), "t.txt", len(text.encode()), SEGMENT
    )
    assert service.store.stored == {"t.txt": text.encode()}


def test_a_named_pipe_is_sent_until_its_end(tmp_path: Path, service: Service) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(bytes(25),))
    writer.start()
    service.client.send_file_request(pipe, max_segment_size=SEGMENT)
    writer.join(10)
    assert service.store.stored == {"pipe": bytes(25)}


def test_the_file_gets_the_time_when_it_is_stored_as_before(service: Service, path: Path) -> None:
    os.utime(path, (5, 5))
    service.client.send_file_request(path)
    entry = service.store.stat(StatRequest(name="local.bin")).entry[0]
    assert entry.modified_ns != 5 * 10**9


def test_each_file_has_an_id_of_its_own(service: Service, path: Path) -> None:
    first, second = (service.client.send_file_request(path).file_id for _ in range(2))
    assert first != second
    assert service.asked(Verb.BATCH) == 2, "and is sent each time"


def test_other_topics(path: Path) -> None:
    dxl_client = FakeDxlClient(_refuse_version_1, Desk(MemoryStore()))
    client_of(dxl_client, "/other").send_file_request(path)
    topics = {topic for topic in dxl_client.asked if not topic.startswith("/mcafee")}
    assert all(topic.startswith("/other/v2/") for topic in topics)
    assert topic_of(Verb.BATCH, "/other") in topics


# Errors


def test_a_callback_that_raises_leads_to_an_abort(service: Service) -> None:
    def callback(_result: FileSendSegmentResult) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        service.client.send_file_from_stream_request(
            io.BytesIO(bytes(50)), "n", max_segment_size=SEGMENT, callback=callback
        )
    assert service.store.stored == {}
    assert service.asked(Verb.ABORT) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_being_interrupted_leads_to_an_abort(service: Service, error: BaseException) -> None:
    def callback(_result: FileSendSegmentResult) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        service.client.send_file_from_stream_request(
            io.BytesIO(bytes(50)), "n", max_segment_size=SEGMENT, callback=callback
        )
    assert raised.value is error
    assert service.store.stored == {}
    assert service.asked(Verb.ABORT) == 1


def test_a_callback_that_raises_after_the_last_segment_aborts_nothing(service: Service) -> None:
    def callback(result: FileSendSegmentResult) -> None:
        if result.file_result:
            raise LookupError("too late")

    with pytest.raises(LookupError, match="too late"):
        service.client.send_file_from_stream_request(io.BytesIO(b"abc"), "n", 3, callback=callback)
    assert service.store.stored == {"n": b"abc"}
    assert service.asked(Verb.ABORT) == 0


def test_without_a_connection_nothing_is_sent(service: Service, path: Path) -> None:
    service.dxl_client.connected = False
    with pytest.raises(NotConnectedError, match=r"connect\(\)"):
        service.client.send_file_request(path)
    assert service.dxl_client.asked == []


def test_a_directory_is_refused_by_name(service: Service, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="directory") as raised:
        service.client.send_file_request(tmp_path)
    assert raised.value.errno == errno.EISDIR
    assert service.dxl_client.asked == []


def test_a_missing_file(service: Service, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        service.client.send_file_request(str(tmp_path / "absent"))


def shrink(path: Path) -> None:
    os.truncate(path, 12)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shrink, r"ended after 12 bytes.* 50 bytes|has 12 now"),
        (grow, "had 50 bytes when sending began, and has 54 now"),
        (rewrite, "was written to"),
    ],
)
def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    service: Service, path: Path, change: Callable[[Path], None], message: str
) -> None:
    path.write_bytes(bytes(50))

    def callback(result: FileSendSegmentResult) -> None:
        if result.segments_received == 1:
            change(path)

    with pytest.raises(SourceChangedError, match=message) as raised:
        service.client.send_file_request(path, None, SEGMENT, callback)

    assert path.name in str(raised.value)
    assert service.store.stored == {}
    assert service.asked(Verb.ABORT) == 1


def test_a_stream_that_ends_before_its_declared_size(service: Service) -> None:
    with pytest.raises(SourceChangedError, match=r"ended after 25 bytes.* 26 bytes"):
        service.client.send_file_from_stream_request(
            io.BytesIO(bytes(25)), "n", stream_size=26, max_segment_size=SEGMENT
        )
    assert service.asked(Verb.ABORT) == 1


@pytest.mark.parametrize("size", [0, -1, MAX_SEGMENT_SIZE + 1])
def test_segment_sizes_out_of_range(service: Service, path: Path, size: int) -> None:
    with pytest.raises(ValueError, match=str(MAX_SEGMENT_SIZE)):
        service.client.send_file_request(path, max_segment_size=size)
    assert service.dxl_client.asked == []


@pytest.mark.parametrize("name", ["", "x" * 4097, "a\udcff"])
def test_names_that_no_service_takes(service: Service, name: str) -> None:
    with pytest.raises(ValueError, match="file_name_on_server"):
        service.client.send_file_from_stream_request(io.BytesIO(), name)
    with pytest.raises(ValueError, match="file_name_on_server"):
        service.client.send_stream(io.BytesIO(), name)
    assert service.dxl_client.asked == []


def test_a_name_that_the_service_refuses(service: Service) -> None:
    with pytest.raises(ServiceError, match="leads out of the storage directory") as raised:
        service.client.send_file_from_stream_request(io.BytesIO(b"abc"), "../n")
    assert isinstance(raised.value, FileTransferError)
    assert service.asked(Verb.SEGMENT) == 0, "it is checked before anything is sent"


def test_a_small_file_is_refused_as_a_large_one_is(service: Service, path: Path) -> None:
    for size in (MAX_SEGMENT_SIZE, SEGMENT):
        with pytest.raises(ServiceError, match="leads out of") as raised:
            service.client.send_file_request(path, "../n", size)
        assert raised.value.code == ErrorCode.UNSAFE_NAME


def test_a_small_file_that_claims_to_be_empty(
    service: Service, path: Path, mocker: MockerFixture
) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = list(real(descriptor))
        status[6] = 0
        return os.stat_result(status)

    mocker.patch("os.fstat", fstat)
    with pytest.raises(SourceChangedError, match="more than the 0 bytes"):
        service.client.send_file_request(path)
    assert service.store.stored == {}


def test_a_service_without_batches_gets_small_files_by_segments(path: Path) -> None:
    store = MemoryStore()
    desk = Desk(store, ALL_VERBS - {Verb.BATCH})
    client_of(FakeDxlClient(_refuse_version_1, desk)).send_file_request(path)
    assert store.stored == {"local.bin": bytes(25)}


def test_an_error_of_the_service(service: Service, path: Path) -> None:
    class Full(MemoryStore):
        def write(self, request: object) -> object:  # type: ignore[override]
            raise RefusedError(ErrorCode.STORAGE_FULL, "the disk has no room for it")

    service.store = Full()
    service.dxl_client.desk = Desk(service.store)
    with pytest.raises(ServiceError, match="no room") as raised:
        service.client.send_file_request(path, max_segment_size=SEGMENT)
    assert raised.value.code == ErrorCode.STORAGE_FULL


# Which version


def test_whether_a_service_speaks_version_2_is_asked_once(path: Path, storage_dir: Path) -> None:
    with FileStoreManager(storage_dir) as store:
        dxl_client = FakeDxlClient(stored_by(store))
        client = client_of(dxl_client)
        client.send_file_request(path, "a")
        asked = len(dxl_client.asked)
        assert asked
        client.send_file_request(path, "b")
        client.send(path, "c").raise_for_failure()
        assert len(dxl_client.asked) == asked
    assert {each.name for each in storage_dir.iterdir() if each.is_file()} == {"a", "b", "c"}


def test_a_service_that_was_updated_is_noticed_after_a_failure(path: Path) -> None:
    def nobody(_request: Request) -> Response:
        raise ServiceError("unable to locate service", NOBODY)

    store = MemoryStore()
    dxl_client = FakeDxlClient(nobody)
    client = client_of(dxl_client)
    with pytest.raises(ServiceError, match="unable to locate"):
        client.send_file_request(path, "a")
    dxl_client.desk = Desk(store)
    client.send_file_request(path, "a")
    assert store.stored == {"a": bytes(25)}
    assert DEFAULT_STORE_TOPIC in topic_of(Verb.OPEN)

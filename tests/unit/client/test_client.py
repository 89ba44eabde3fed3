"""What a client sends, field by field, and what its caller gets."""

import io
import os
import threading
from pathlib import Path

import pytest
from dxlbootstrap.client import Client

from dxlfiletransferclient import FileSendResult, FileSendSegmentResult, FileTransferClient
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from tests.unit.client.fabric import SERVICE_ID, FakeDxlClient, client_of, left_in, sha256

SEGMENT = 10


def content_of(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


def expected_fields(file_id: str, payloads: list[bytes], name: str) -> list[dict[str, str]]:
    """Return the fields that version 1 prescribes for a file sent in these pieces."""
    content = b"".join(payloads)
    fields = [{"segment_number": str(number)} for number in range(1, len(payloads) + 1)]
    for later in fields[1:]:
        later["file_id"] = file_id
    fields[-1] |= {
        "result": "store",
        "name": name,
        "size": str(len(content)),
        "hash_sha256": sha256(content),
    }
    return fields


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (9, [9]),
        (10, [10]),
        (11, [10, 1]),
        (30, [10, 10, 10]),
        (35, [10, 10, 10, 5]),
    ],
)
def test_a_file(
    tmp_path: Path, storage_dir: Path, dxl_client: FakeDxlClient, size: int, sizes: list[int]
) -> None:
    path = tmp_path / "local.bin"
    path.write_bytes(content_of(size))

    result = client_of(dxl_client).send_file_request(str(path), "a/b.bin", SEGMENT)

    assert [len(payload) for payload in dxl_client.payloads] == sizes
    assert dxl_client.fields == expected_fields(result.file_id, dxl_client.payloads, "a/b.bin")
    assert result.to_dict() == {
        "file_id": result.file_id,
        "size": size,
        "hashes": {"sha256": sha256(content_of(size))},
    }
    assert (storage_dir / "a" / "b.bin").read_bytes() == content_of(size)
    assert left_in(storage_dir / ".workdir") == set()


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(0, [0]), (1, [1, 0]), (10, [10, 0]), (30, [10, 10, 10, 0]), (31, [10, 10, 10, 1, 0])],
)
def test_a_stream_of_unknown_size(
    storage_dir: Path, dxl_client: FakeDxlClient, size: int, sizes: list[int]
) -> None:
    stream = io.BytesIO(content_of(size))

    result = client_of(dxl_client).send_file_from_stream_request(
        stream, "s", max_segment_size=SEGMENT
    )

    assert [len(payload) for payload in dxl_client.payloads] == sizes
    assert dxl_client.fields == expected_fields(result.file_id, dxl_client.payloads, "s")
    assert (storage_dir / "s").read_bytes() == content_of(size)


@pytest.mark.parametrize(
    ("size", "sizes"), [(0, [0]), (1, [1]), (30, [10, 10, 10]), (31, [10, 10, 10, 1])]
)
def test_a_stream_of_known_size(dxl_client: FakeDxlClient, size: int, sizes: list[int]) -> None:
    stream = io.BytesIO(content_of(size))

    result = client_of(dxl_client).send_file_from_stream_request(
        stream, "s", stream_size=size, max_segment_size=SEGMENT
    )

    assert [len(payload) for payload in dxl_client.payloads] == sizes
    assert dxl_client.fields == expected_fields(result.file_id, dxl_client.payloads, "s")


def test_text_is_stored_as_utf_8(storage_dir: Path, dxl_client: FakeDxlClient) -> None:
    text = "Grüße, Zoë, 日本語\n" * 3

    result = client_of(dxl_client).send_file_from_stream_request(
        io.StringIO(text, newline=""), "t.txt", len(text.encode()), SEGMENT
    )

    assert result.size == len(text.encode())
    assert all(len(payload) == SEGMENT for payload in dxl_client.payloads[:-1])
    assert (storage_dir / "t.txt").read_text("utf-8") == text


def test_segments_are_filled_from_a_stream_with_short_reads(dxl_client: FakeDxlClient) -> None:
    class Narrow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 3))

    client_of(dxl_client).send_file_from_stream_request(
        Narrow(content_of(25)), "n", max_segment_size=SEGMENT
    )

    assert [len(payload) for payload in dxl_client.payloads] == [10, 10, 5, 0]


def test_a_named_pipe_is_sent_until_its_end(
    tmp_path: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content_of(25),))
    writer.start()

    client_of(dxl_client).send_file_request(pipe, max_segment_size=SEGMENT)

    writer.join(10)
    assert (storage_dir / "pipe").read_bytes() == content_of(25)


def test_the_name_on_the_server_defaults_to_the_base_name(
    tmp_path: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    path = tmp_path / "sub" / "local.bin"
    path.parent.mkdir()
    path.write_bytes(b"abc")

    client_of(dxl_client).send_file_request(path)

    assert (storage_dir / "local.bin").read_bytes() == b"abc"


def test_the_default_segment_size(tmp_path: Path, dxl_client: FakeDxlClient) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(51_201))

    client_of(dxl_client).send_file_request(path)

    assert [len(payload) for payload in dxl_client.payloads] == [51_200, 1]


def test_requests_go_to_the_topic_asked_for(dxl_client: FakeDxlClient) -> None:
    client_of(dxl_client).send_file_from_stream_request(io.BytesIO(), "a")
    client_of(dxl_client, "/other").send_file_from_stream_request(io.BytesIO(), "b")

    topics = [request.destination_topic for request in dxl_client.requests]
    assert topics == [DEFAULT_STORE_TOPIC, "/other"]


def test_the_instance_that_answers_first_is_asked_for_the_rest(dxl_client: FakeDxlClient) -> None:
    client_of(dxl_client).send_file_from_stream_request(
        io.BytesIO(bytes(25)), "a", max_segment_size=SEGMENT
    )

    service_ids = [request.service_id for request in dxl_client.requests]
    assert service_ids == ["", SERVICE_ID, SERVICE_ID, SERVICE_ID]


def test_each_file_finds_its_instance_anew(dxl_client: FakeDxlClient) -> None:
    client = client_of(dxl_client)
    client.send_file_from_stream_request(io.BytesIO(b"a"), "a")
    client.send_file_from_stream_request(io.BytesIO(b"b"), "b")

    assert [request.service_id for request in dxl_client.requests] == ["", SERVICE_ID] * 2


def test_the_callback_hears_of_every_segment(tmp_path: Path, dxl_client: FakeDxlClient) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(25))
    heard: list[FileSendSegmentResult] = []

    result = client_of(dxl_client).send_file_request(path, None, SEGMENT, heard.append)

    file_id = result.file_id
    assert heard == [
        FileSendSegmentResult(file_id, 1, None, 3),
        FileSendSegmentResult(file_id, 2, None, 3),
        FileSendSegmentResult(file_id, 3, "store", 3),
    ]


@pytest.mark.parametrize(
    ("stream_size", "declared", "reported"),
    [(None, None, None), (None, 3, 3), (25, None, 3), (25, 7, 7)],
)
def test_the_callback_gets_the_total_where_it_is_known(
    dxl_client: FakeDxlClient, stream_size: int | None, declared: int | None, reported: int | None
) -> None:
    heard: list[FileSendSegmentResult] = []

    client_of(dxl_client).send_file_from_stream_request(
        io.BytesIO(bytes(25)), "a", stream_size, SEGMENT, declared, heard.append
    )

    assert {result.total_segments for result in heard} == {reported}


def test_what_a_segment_result_lets_its_owner_set() -> None:
    result = FileSendSegmentResult("id", 2)
    assert (result.file_result, result.total_segments) == (None, None)
    result.total_segments = 5
    result.file_result = "store"
    assert (result.file_result, result.total_segments) == ("store", 5)


def test_a_result_as_a_dictionary() -> None:
    result = FileSendResult("id", 3, {"sha256": "00"})
    assert result.to_dict() == {"file_id": "id", "size": 3, "hashes": {"sha256": "00"}}


def test_the_time_out_of_the_base_class_is_used(dxl_client: FakeDxlClient) -> None:
    client = client_of(dxl_client)
    client.send_file_from_stream_request(io.BytesIO(), "a")
    client.response_timeout = 45
    client.send_file_from_stream_request(io.BytesIO(), "b")

    assert isinstance(client, Client)
    assert isinstance(client, FileTransferClient)
    assert dxl_client.timeouts == [30, 45]
    with pytest.raises(Exception, match="30"):
        client.response_timeout = 29

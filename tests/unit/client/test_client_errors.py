"""What a client does when something goes wrong: which error it raises, and that it cancels."""

import errno
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from dxlclient.exceptions import DxlException, WaitTimeoutException
from dxlclient.message import ErrorResponse, Request, Response
from pytest_mock import MockerFixture

from dxlfiletransferclient import (
    FileSendSegmentResult,
    FileTransferError,
    MalformedAnswerError,
    NoAnswerError,
    NotConnectedError,
    ServiceError,
    SourceChangedError,
)
from dxlfiletransferclient.constants import MAX_SEGMENT_SIZE
from dxlfiletransferclient.transfer import CANCEL_TIMEOUT
from tests.unit.client.fabric import SERVICE_ID, FakeDxlClient, client_of, left_in, response_to

SEGMENT = 10
NOT_FOUND = -2147483647


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "local.bin"
    path.write_bytes(bytes(25))
    return path


def fail_at(
    dxl_client: FakeDxlClient, segment: int, failure: Callable[[Request], Response]
) -> None:
    """Let one request fail in a way of its own; all others reach the store."""
    store = dxl_client.answer

    def answer(request: Request) -> Response:
        at = request.other_fields.get("segment_number") == str(segment)
        return failure(request) if at else store(request)

    dxl_client.answer = answer


def raising(error: BaseException) -> Callable[[Request], Response]:
    def failure(_request: Request) -> Response:
        raise error

    return failure


def answering(content: object) -> Callable[[Request], Response]:
    return lambda request: response_to(request, content)


def error_response(request: Request) -> Response:
    return ErrorResponse(request, error_code=17, error_message="out of paper")


def send(dxl_client: FakeDxlClient, size: int = 25) -> None:
    client_of(dxl_client).send_file_from_stream_request(
        io.BytesIO(bytes(size)), "n", max_segment_size=SEGMENT
    )


def assert_cancelled_once(dxl_client: FakeDxlClient, storage_dir: Path) -> None:
    """Assert that the last request was the only cancel and that nothing is left of the file."""
    cancels = [
        request for request in dxl_client.requests if "cancel" in request.other_fields.values()
    ]
    assert cancels == dxl_client.requests[-1:]
    assert set(cancels[0].other_fields) == {"file_id", "result"}
    assert cancels[0].payload == b""
    assert cancels[0].service_id == SERVICE_ID
    assert dxl_client.timeouts[-1] == CANCEL_TIMEOUT
    assert left_in(storage_dir / ".workdir") == set()
    assert [entry.name for entry in storage_dir.iterdir()] == [".workdir"]


def test_an_error_response_names_its_message_and_code(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    fail_at(dxl_client, 2, error_response)

    with pytest.raises(ServiceError, match=r"out of paper.*17") as raised:
        send(dxl_client)

    assert (raised.value.message, raised.value.code) == ("out of paper", 17)
    assert_cancelled_once(dxl_client, storage_dir)


def test_an_error_response_to_the_last_segment(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    fail_at(dxl_client, 4, error_response)

    with pytest.raises(ServiceError):
        send(dxl_client)

    assert_cancelled_once(dxl_client, storage_dir)


def test_an_error_response_to_the_first_segment_leaves_nothing_to_cancel(
    dxl_client: FakeDxlClient,
) -> None:
    fail_at(dxl_client, 1, error_response)

    with pytest.raises(ServiceError):
        send(dxl_client)

    assert len(dxl_client.requests) == 1


def test_text_of_an_error_response_may_be_bytes(dxl_client: FakeDxlClient) -> None:
    fail_at(dxl_client, 1, lambda request: ErrorResponse(request, 0, "é".encode()))

    with pytest.raises(ServiceError, match="é"):
        send(dxl_client)


@pytest.mark.parametrize(("segment", "hint"), [(1, "is it running"), (2, "is gone")])
def test_a_service_that_is_not_there_is_explained(
    dxl_client: FakeDxlClient, segment: int, hint: str
) -> None:
    fail_at(
        dxl_client, segment, lambda request: ErrorResponse(request, NOT_FOUND, "unable to locate")
    )

    with pytest.raises(ServiceError, match=hint) as raised:
        send(dxl_client)

    assert raised.value.code == NOT_FOUND


def test_no_answer_names_topic_segment_and_seconds(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    fail_at(dxl_client, 2, raising(WaitTimeoutException("Timeout waiting for response")))

    with pytest.raises(NoAnswerError, match=r"segment 2 .*file/store within 30 seconds") as raised:
        send(dxl_client)

    assert isinstance(raised.value, WaitTimeoutException)
    assert isinstance(raised.value, FileTransferError)
    assert_cancelled_once(dxl_client, storage_dir)


@pytest.mark.parametrize(
    "content",
    [
        b"not JSON",
        {},
        {"file_id": "other", "segments_received": 2},
        {"file_id": 5, "segments_received": 2},
    ],
)
def test_an_answer_that_makes_no_sense(
    dxl_client: FakeDxlClient, storage_dir: Path, content: object
) -> None:
    fail_at(dxl_client, 2, answering(content))

    with pytest.raises(MalformedAnswerError):
        send(dxl_client)

    assert_cancelled_once(dxl_client, storage_dir)


def test_a_first_answer_without_file_id(dxl_client: FakeDxlClient) -> None:
    fail_at(dxl_client, 1, answering({"segments_received": 1}))

    with pytest.raises(MalformedAnswerError, match="file_id"):
        send(dxl_client)

    assert len(dxl_client.requests) == 1


def test_an_answer_that_does_not_confirm_the_store(dxl_client: FakeDxlClient) -> None:
    fail_at(dxl_client, 1, answering({"file_id": "a", "segments_received": 1}))

    with pytest.raises(MalformedAnswerError, match="'store' was due"):
        send(dxl_client, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), DxlException("lost")])
def test_any_exception_leads_to_a_cancel_and_goes_up(
    dxl_client: FakeDxlClient, storage_dir: Path, error: BaseException
) -> None:
    fail_at(dxl_client, 3, raising(error))

    with pytest.raises(type(error)) as raised:
        send(dxl_client)

    assert raised.value is error
    assert_cancelled_once(dxl_client, storage_dir)


def test_a_callback_that_raises_leads_to_a_cancel(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    def callback(_result: FileSendSegmentResult) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        client_of(dxl_client).send_file_from_stream_request(
            io.BytesIO(b"abc"), "n", callback=callback
        )

    assert_cancelled_once(dxl_client, storage_dir)


def test_a_callback_that_raises_after_the_last_segment_cancels_nothing(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    def callback(_result: FileSendSegmentResult) -> None:
        raise LookupError("too late")

    with pytest.raises(LookupError, match="too late"):
        client_of(dxl_client).send_file_from_stream_request(
            io.BytesIO(b"abc"), "n", 3, callback=callback
        )

    assert len(dxl_client.requests) == 1
    assert (storage_dir / "n").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "trouble", [WaitTimeoutException("no answer"), ValueError("odd"), DxlException("lost")]
)
def test_a_failing_cancel_is_logged_and_hides_nothing(
    dxl_client: FakeDxlClient, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    first = LookupError("the first")

    def answer(request: Request) -> Response:
        if request.other_fields.get("result") == "cancel":
            raise trouble
        if request.other_fields["segment_number"] == "2":
            raise first
        return response_to(request, {"file_id": "a", "segments_received": 1})

    dxl_client.answer = answer
    with pytest.raises(LookupError, match="the first"), caplog.at_level(logging.WARNING):
        send(dxl_client)

    assert len(dxl_client.requests) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(trouble) in caplog.text


def test_without_a_connection_nothing_is_sent(dxl_client: FakeDxlClient, path: Path) -> None:
    dxl_client.connected = False

    with pytest.raises(NotConnectedError, match=r"connect\(\)") as raised:
        client_of(dxl_client).send_file_request(path)

    assert isinstance(raised.value, DxlException)
    assert dxl_client.requests == []


def test_a_connection_that_breaks_is_noticed_before_the_next_segment(
    dxl_client: FakeDxlClient,
) -> None:
    def callback(result: FileSendSegmentResult) -> None:
        dxl_client.connected = result.segments_received < 2

    with pytest.raises(NotConnectedError, match="segment 3"):
        client_of(dxl_client).send_file_from_stream_request(
            io.BytesIO(bytes(50)), "n", max_segment_size=SEGMENT, callback=callback
        )

    assert len(dxl_client.requests) == 2, "a cancel would only wait in vain"


def test_a_directory_is_refused_by_name(dxl_client: FakeDxlClient, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="directory") as raised:
        client_of(dxl_client).send_file_request(tmp_path)

    assert str(tmp_path) in str(raised.value)
    assert raised.value.errno == errno.EISDIR
    assert dxl_client.requests == []


def test_a_missing_file(dxl_client: FakeDxlClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        client_of(dxl_client).send_file_request(str(tmp_path / "absent"))

    assert dxl_client.requests == []


def shrink(path: Path) -> None:
    os.truncate(path, 12)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    # The clock of the file system may be too coarse to show the change by itself.
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shrink, "ended after 12 bytes.* 25 bytes"),
        (grow, "had 25 bytes when sending began, and has 29 now"),
        (rewrite, "was written to"),
    ],
)
def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    dxl_client: FakeDxlClient,
    storage_dir: Path,
    path: Path,
    change: Callable[[Path], None],
    message: str,
) -> None:
    def callback(result: FileSendSegmentResult) -> None:
        if result.segments_received == 1:
            change(path)

    with pytest.raises(SourceChangedError, match=message) as raised:
        client_of(dxl_client).send_file_request(path, None, SEGMENT, callback)

    assert path.name in str(raised.value)
    assert "store" not in [fields.get("result") for fields in dxl_client.fields]
    assert_cancelled_once(dxl_client, storage_dir)


def test_a_file_that_claims_to_be_empty_and_is_not(
    dxl_client: FakeDxlClient, path: Path, mocker: MockerFixture
) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        status = list(real(descriptor))
        status[6] = 0
        return os.stat_result(status)

    mocker.patch("dxlfiletransferclient.client.os.fstat", fstat)
    with pytest.raises(SourceChangedError, match="more than the 0 bytes"):
        client_of(dxl_client).send_file_request(path)

    assert dxl_client.requests == []


def test_a_stream_that_ends_before_its_declared_size(
    dxl_client: FakeDxlClient, storage_dir: Path
) -> None:
    with pytest.raises(SourceChangedError, match=r"ended after 25 bytes.* 26 bytes"):
        client_of(dxl_client).send_file_from_stream_request(
            io.BytesIO(bytes(25)), "n", stream_size=26, max_segment_size=SEGMENT
        )

    assert_cancelled_once(dxl_client, storage_dir)


@pytest.mark.parametrize("size", [0, -1, MAX_SEGMENT_SIZE + 1])
def test_segment_sizes_out_of_range(dxl_client: FakeDxlClient, path: Path, size: int) -> None:
    client = client_of(dxl_client)
    with pytest.raises(ValueError, match=str(MAX_SEGMENT_SIZE)):
        client.send_file_request(path, max_segment_size=size)
    with pytest.raises(ValueError, match=str(MAX_SEGMENT_SIZE)):
        client.send_file_from_stream_request(io.BytesIO(), "n", max_segment_size=size)
    assert dxl_client.requests == []


@pytest.mark.parametrize("name", ["", "x" * 4097, "a\udcff"])
def test_names_that_no_service_takes(dxl_client: FakeDxlClient, name: str) -> None:
    with pytest.raises(ValueError, match="file_name_on_server"):
        client_of(dxl_client).send_file_from_stream_request(io.BytesIO(), name)
    assert dxl_client.requests == []


def test_declared_segments_that_cannot_hold_the_stream(dxl_client: FakeDxlClient) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        client_of(dxl_client).send_file_from_stream_request(io.BytesIO(), "n", 100, 10, 9)


def test_a_name_that_the_service_refuses(dxl_client: FakeDxlClient, storage_dir: Path) -> None:
    with pytest.raises(ServiceError, match="leads out of the storage directory"):
        client_of(dxl_client).send_file_from_stream_request(io.BytesIO(b"abc"), "../n")

    assert_cancelled_once(dxl_client, storage_dir)

"""Requests are answered whatever they hold and whatever the store does."""

import json
import logging
from pathlib import Path

import pytest
from dxlclient.message import ErrorResponse, Message, Request, Response
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import StorageError, WorkingDirectoryInUseError
from dxlfiletransferclient.store import FileStoreSegmentResult
from dxlfiletransferservice.requesthandlers import (
    FileStoreRequestCallback,
    SegmentRequestCallback,
)


class Outbox:
    """Takes the place of the DXL client: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send_response(self, response: Response) -> None:
        self.sent.append(response)


class FixedStore:
    """A store with one answer or one failure."""

    def __init__(self, outcome: FileStoreSegmentResult | Exception) -> None:
        self.outcome = outcome
        self.messages: list[Message] = []

    def store_segment(self, message: Message) -> FileStoreSegmentResult:
        self.messages.append(message)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def request() -> Request:
    made = Request("/some/topic")
    made.reply_to_topic = "/mcafee/client/abc"
    made.service_id = "the-instance"
    return made


def answer(outbox: Outbox, outcome: FileStoreSegmentResult | Exception) -> Response:
    SegmentRequestCallback(outbox, FixedStore(outcome)).on_request(request())  # type: ignore[arg-type]
    (response,) = outbox.sent
    return response


def error_text(outbox: Outbox, outcome: Exception) -> str:
    response = answer(outbox, outcome)
    assert isinstance(response, ErrorResponse)
    assert response.error_code == 0
    return response.error_message


def test_a_stored_segment_is_answered_with_json(outbox: Outbox) -> None:
    response = answer(outbox, FileStoreSegmentResult("abc", 3))
    assert not isinstance(response, ErrorResponse)
    assert json.loads(response.payload) == {"file_id": "abc", "segments_received": 3}


def test_the_answer_to_the_last_segment_has_the_result(outbox: Outbox) -> None:
    response = answer(outbox, FileStoreSegmentResult("abc", 3, "store"))
    assert json.loads(response.payload)["result"] == "store"


def test_answers_go_to_the_sender_and_name_the_instance(outbox: Outbox) -> None:
    response = answer(outbox, FileStoreSegmentResult("abc", 1))
    assert response.destination_topic == "/mcafee/client/abc"
    assert response.service_id == "the-instance"


def test_the_store_gets_the_request_itself(outbox: Outbox) -> None:
    store = FixedStore(FileStoreSegmentResult("abc", 1))
    sent = request()
    SegmentRequestCallback(outbox, store).on_request(sent)  # type: ignore[arg-type]
    assert store.messages == [sent]


def test_a_mistake_of_the_sender_is_a_warning_without_traceback(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    assert error_text(outbox, ValueError("segment 7 is out of turn")) == "segment 7 is out of turn"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.exc_info is None


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (OSError(28, "No space left on device", "/srv/secret"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/srv/secret"), "Permission denied"),
        (OSError("/srv/secret"), "OSError"),
        (KeyError("/srv/secret"), "internal error of the service: KeyError"),
        (MemoryError("/srv/secret"), "internal error of the service: MemoryError"),
    ],
)
def test_faults_of_the_service_are_answered_without_paths_and_logged_with_traceback(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, failure: Exception, text: str
) -> None:
    answered = error_text(outbox, failure)
    assert text in answered
    assert "secret" not in answered
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info


def test_what_the_store_says_itself_is_answered_and_its_traceback_is_not_logged_again(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    assert error_text(outbox, StorageError(28, "cannot store 'a': disk full")) == (
        "cannot store 'a': disk full"
    )
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None


def test_error_texts_are_short_and_on_one_line(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    text = error_text(outbox, ValueError("a\nb\x00\ud800" + "c" * 10_000))
    assert text.startswith("a?b??ccc")
    assert len(text) <= 301
    assert text.encode()
    assert "\n" not in caplog.messages[0]


def test_an_answer_that_cannot_be_sent_is_logged(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client = mocker.Mock()
    client.send_response.side_effect = RuntimeError("no connection")
    store = FixedStore(FileStoreSegmentResult("abc", 1))
    SegmentRequestCallback(client, store).on_request(request())
    assert "Cannot send the answer to request" in caplog.messages[0]
    client.send_response.assert_called_once()


def test_a_callback_with_its_own_store(outbox: Outbox, tmp_path: Path) -> None:
    storage = tmp_path / "files"
    callback = FileStoreRequestCallback(outbox, storage, partial_file_lifetime=1e-9)  # type: ignore[arg-type]
    sent = request()
    sent.other_fields = {"segment_number": "1"}
    sent.payload = b"abandoned"
    callback.on_request(sent)
    callback.expire()
    sent.other_fields = {
        "segment_number": "2",
        "file_id": json.loads(outbox.sent[0].payload)["file_id"],
    }
    callback.on_request(sent)
    assert isinstance(outbox.sent[1], ErrorResponse)

    with pytest.raises(WorkingDirectoryInUseError):
        FileStoreRequestCallback(outbox, storage)  # type: ignore[arg-type]
    callback.close()
    callback.close()
    callback.on_request(sent)
    assert "closed" in outbox.sent[2].error_message  # type: ignore[attr-defined]
    FileStoreRequestCallback(outbox, storage, str(storage / ".workdir")).close()  # type: ignore[arg-type]

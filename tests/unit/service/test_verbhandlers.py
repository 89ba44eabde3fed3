"""Requests of version 2 are answered whatever they hold and whatever the store does."""

import hashlib
import logging
from typing import Any

import pytest
from dxlclient.message import ErrorResponse, Message, Request, Response
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.coding import decode, decode_refusal, encode
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.messages import (
    FinishRequest,
    HelloAnswer,
    HelloRequest,
    OpenRequest,
    RetrieveAnswer,
    RetrieveRequest,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.messages import Message as VerbMessage
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.testing import MemoryStore
from dxlfiletransferservice.boundedlog import BoundedLog, LineBudget
from dxlfiletransferservice.verbhandlers import VerbRequestCallback, verb_callbacks

LOGGER = "dxlfiletransferservice.verbhandlers"


class Outbox:
    """Takes the place of the DXL client: keeps what is sent, as it comes out at the other end."""

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send_response(self, response: Response) -> None:
        received = Message._from_bytes(response._to_bytes())
        assert isinstance(received, Response)
        received.destination_topic = response.destination_topic
        self.sent.append(received)


class FixedDesk:
    """A desk with one answer or one failure."""

    def __init__(self, outcome: Parcel | Exception) -> None:
        self.outcome = outcome
        self.asked: list[tuple[Verb, Parcel]] = []

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        self.asked.append((verb, request))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def request(parcel: Parcel = Parcel({})) -> Request:  # noqa: B008 - it never changes
    """A request as it arrives."""
    made = Request("/some/topic")
    made.other_fields = dict(parcel.fields)
    made.payload = bytes(parcel.payload)
    made.reply_to_topic = "/mcafee/client/abc"
    made.service_id = "the-instance"
    received = Message._from_bytes(made._to_bytes())
    assert isinstance(received, Request)
    return received


def parcel_of(response: Response) -> Parcel:
    assert isinstance(response.payload, bytes)
    return Parcel(response.other_fields, response.payload)


def refused(outbox: Outbox, outcome: Exception, verb: Verb = Verb.OPEN) -> RefusedError:
    """What a client hears of a failure."""
    VerbRequestCallback(outbox, FixedDesk(outcome), verb).on_request(request())
    (response,) = outbox.sent
    assert isinstance(response, ErrorResponse)
    error = decode_refusal(parcel_of(response))
    assert response.error_code == error.code
    assert response.error_message == error.message
    return error


def test_a_file_goes_in_and_out_again(outbox: Outbox) -> None:
    desk = Desk(MemoryStore())

    def ask(verb: Verb, message: VerbMessage) -> Parcel:
        VerbRequestCallback(outbox, desk, verb).on_request(request(encode(message)))
        response = outbox.sent.pop()
        assert not isinstance(response, ErrorResponse)
        return parcel_of(response)

    hello = decode(HelloAnswer, ask(Verb.HELLO, HelloRequest()))
    assert set(hello.verbs.split()) == set(STORE_VERBS)
    content = b"h\0\xffl" + b"o" * 996
    ask(Verb.OPEN, OpenRequest(file_id="f", name="a/b", size=1000))
    for offset in (500, 0):
        part = SegmentRequest(file_id="f", offset=offset, payload=content[offset:][:500])
        ask(Verb.SEGMENT, part)
    status = decode(TransferAnswer, ask(Verb.STATUS, StatusRequest(file_id="f")))
    assert status.held == ((0, 1000),)
    finish = FinishRequest(file_id="f", size=1000, sha256=hashlib.sha256(content).hexdigest())
    state = TransferState.VERIFYING
    while state == TransferState.VERIFYING:
        state = decode(TransferAnswer, ask(Verb.FINISH, finish)).state
    assert state == TransferState.STORED
    retrieve = RetrieveRequest(name="a/b", offset=0, length=2000)
    assert decode(RetrieveAnswer, ask(Verb.RETRIEVE, retrieve)).payload == content


def test_what_the_store_returns_is_sent_without_a_copy_of_its_own(outbox: Outbox) -> None:
    content = memoryview(b"xx" + bytes(range(256)) + b"xx")[2:-2]
    answer = RetrieveAnswer(offset=0, size=256, version="1", payload=content)
    parcel = encode(answer)
    assert parcel.payload is content
    asking = encode(RetrieveRequest(name="a", offset=0, length=256))
    VerbRequestCallback(outbox, FixedDesk(parcel), Verb.RETRIEVE).on_request(request(asking))
    received = decode(RetrieveAnswer, parcel_of(outbox.sent[0]))
    assert received.payload == bytes(range(256))


def test_the_desk_gets_verb_fields_and_payload_as_they_came(outbox: Outbox) -> None:
    desk = FixedDesk(Parcel({}))
    made = request(Parcel({"a": "1", "dxl.certs": "x;y"}, b"\0\xff"))
    VerbRequestCallback(outbox, desk, Verb.SEGMENT).on_request(made)
    ((verb, parcel),) = desk.asked
    assert verb is Verb.SEGMENT
    assert parcel.fields == {"a": "1", "dxl.certs": "x;y"}
    assert parcel.payload is made.payload


def test_answers_go_to_the_sender_and_name_the_instance(outbox: Outbox) -> None:
    made = request()
    VerbRequestCallback(outbox, FixedDesk(Parcel({"b": "2"}, b"p")), Verb.OPEN).on_request(made)
    (response,) = outbox.sent
    assert response.destination_topic == "/mcafee/client/abc"
    assert response.service_id == "the-instance"
    assert response.request_message_id == made.message_id
    assert parcel_of(response) == Parcel({"b": "2"}, b"p")


@pytest.mark.parametrize("code", [each for each in ErrorCode if each != ErrorCode.NO_SERVICE])
def test_every_error_reaches_the_client_as_it_is(outbox: Outbox, code: ErrorCode) -> None:
    error = refused(outbox, RefusedError(code, "the reason", 1.25))
    assert error.means(code)
    assert (error.message, error.retry_after) == ("the reason", 1.25)


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (ErrorCode.INVALID, logging.WARNING),
        (ErrorCode.OTHER_METADATA, logging.WARNING),
        (ErrorCode.OTHER_BYTES, logging.WARNING),
        (ErrorCode.UNSAFE_NAME, logging.WARNING),
        (ErrorCode.QUOTA, logging.WARNING),
        (ErrorCode.CORRUPT, logging.DEBUG),
        (ErrorCode.BUSY, logging.DEBUG),
        (ErrorCode.UNKNOWN_TRANSFER, logging.DEBUG),
        (ErrorCode.NOT_FOUND, logging.DEBUG),
        (ErrorCode.STORAGE_FULL, logging.ERROR),
        (ErrorCode.STORAGE_FAILED, logging.ERROR),
    ],
)
def test_refusals_are_logged_as_what_they_mean(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, code: ErrorCode, level: int
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    refused(outbox, RefusedError(code, "the reason"))
    (record,) = caplog.records
    assert record.levelno == level
    assert record.exc_info is None
    assert "open" in record.message
    assert "the reason" in record.message


@pytest.mark.parametrize(
    "failure", [KeyError("/srv/secret"), OSError(28, "No space", "/srv/secret"), MemoryError()]
)
def test_unforeseen_faults_are_logged_and_answered_without_details(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    error = refused(outbox, failure)
    assert error.means(ErrorCode.INTERNAL)
    assert error.message == "the service failed in a way it did not foresee"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is failure


def test_texts_that_cannot_be_sent_are_made_sendable(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    error = refused(outbox, RefusedError(ErrorCode.INVALID, "a\nb\0\ud800" + "c" * 10_000))
    assert error.means(ErrorCode.INVALID)
    assert error.message.startswith("a?b??ccc")
    assert len(error.message) <= 300
    (line,) = caplog.messages
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize("payload", [7, None, True, 1.5, [b"x"], {b"x": 1}, "text"])
def test_a_payload_that_is_no_bytes_is_refused(outbox: Outbox, payload: Any) -> None:
    desk, made = FixedDesk(Parcel({})), request()
    made.payload = payload
    VerbRequestCallback(outbox, desk, Verb.SEGMENT).on_request(made)
    assert desk.asked == []
    error = decode_refusal(parcel_of(outbox.sent[0]))
    assert error.means(ErrorCode.INVALID)
    assert "payload" in error.message


@pytest.mark.parametrize(
    "fields", [{}, {"check": ""}, {"digest": "", "check": "x"}, {"file_id": "f", "ü\0": "\n"}]
)
@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_fields_that_were_not_sealed_are_damaged(
    outbox: Outbox, verb: Verb, fields: dict[str, str]
) -> None:
    desk = Desk(MemoryStore())
    VerbRequestCallback(outbox, desk, verb).on_request(request(Parcel(fields, b"x")))
    assert decode_refusal(parcel_of(outbox.sent[0])).means(ErrorCode.CORRUPT)


def test_a_flood_of_mistakes_does_not_fill_the_log(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    log = BoundedLog(logging.getLogger(LOGGER), LineBudget(5, 60.0), clock=lambda: 0.0)
    desk = FixedDesk(RefusedError(ErrorCode.INVALID, "wrong"))
    callbacks = [VerbRequestCallback(outbox, desk, verb, log=log) for verb in STORE_VERBS]
    for _ in range(10):
        for callback in callbacks:
            callback.on_request(request())
    assert len(caplog.records) == 5
    assert len(outbox.sent) == 10 * len(callbacks)


def test_an_answer_that_cannot_be_sent_is_logged(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client = mocker.Mock()
    client.send_response.side_effect = RuntimeError("no connection")
    VerbRequestCallback(client, FixedDesk(Parcel({})), Verb.OPEN).on_request(request())
    assert "Cannot send the answer to a request: open" in caplog.messages[0]
    client.send_response.assert_called_once()


@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_only_large_answers_wait_while_too_many_are_on_their_way(
    outbox: Outbox, verb: Verb
) -> None:
    desk = FixedDesk(Parcel({}))
    crowded = [True]
    callback = VerbRequestCallback(outbox, desk, verb, crowded=lambda: crowded[0])
    callback.on_request(request())
    if verb in (Verb.RETRIEVE, Verb.LIST):
        error = decode_refusal(parcel_of(outbox.sent[0]))
        assert error.means(ErrorCode.BUSY)
        assert error.retry_after == 0.5
        assert desk.asked == []
        crowded[0] = False
        callback.on_request(request())
    assert len(desk.asked) == 1
    assert not isinstance(outbox.sent[-1], ErrorResponse)


def test_there_is_a_topic_for_each_verb_that_is_offered(outbox: Outbox) -> None:
    desk = Desk(MemoryStore(), frozenset({Verb.OPEN, Verb.LIST}))
    callbacks = verb_callbacks(outbox, desk, "/files/store", crowded=lambda: True)
    assert sorted(callbacks) == [f"/files/store/v2/{verb}" for verb in ("hello", "list", "open")]
    callbacks["/files/store/v2/hello"].on_request(request(encode(HelloRequest())))
    assert decode(HelloAnswer, parcel_of(outbox.sent[0])).verbs == "hello list open"
    callbacks["/files/store/v2/list"].on_request(request())
    assert decode_refusal(parcel_of(outbox.sent[1])).means(ErrorCode.BUSY)

"""The bus over a DXL client: what is made of messages, without a fabric."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest
from dxlclient.callbacks import ResponseCallback
from dxlclient.exceptions import DxlException
from dxlclient.message import ErrorResponse, Message, Request, Response

from dxlfiletransferclient.constants import MESSAGE_LIMIT
from dxlfiletransferclient.errors import InvalidRequestError, NotConnectedError
from dxlfiletransferclient.exchange.bus import Reply
from dxlfiletransferclient.exchange.dxlbus import DxlBus, WrongThreadError
from dxlfiletransferclient.protocol.coding import decode, encode, encode_refusal
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import DoneAnswer, SegmentRequest
from dxlfiletransferclient.protocol.parcels import Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

if TYPE_CHECKING:
    from dxlclient.client import DxlClient

TIMEOUT = 30.0


class FakeDxlClient:
    """Keeps what is sent and delivers what a test gives it; has only the public methods."""

    def __init__(self) -> None:
        self.connected = True
        self.requests: list[Request] = []
        self.callbacks: list[ResponseCallback] = []

    def async_request(self, request: Request, response_callback: None = None) -> None:
        assert response_callback is None
        request.reply_to_topic = "/mcafee/client/me"
        arrived = Message._from_bytes(request._to_bytes())
        assert isinstance(arrived, Request)
        arrived.destination_topic = request.destination_topic
        self.requests.append(arrived)

    def add_response_callback(self, topic: None, callback: ResponseCallback) -> None:
        assert topic is None
        self.callbacks.append(callback)

    def remove_response_callback(self, topic: None, callback: ResponseCallback) -> None:
        assert topic is None
        self.callbacks.remove(callback)

    def deliver(self, response: Response) -> None:
        arrived = Message._from_bytes(response._to_bytes())
        assert isinstance(arrived, Response)
        for callback in self.callbacks:
            callback.on_response(arrived)

    def answer(self, parcel: Parcel, *, request: Request | None = None) -> None:
        request = request or self.requests[-1]
        request.service_id = "{service}"
        response = Response(request)
        response.payload = bytes(parcel.payload)
        response.other_fields = {"dxl.certs": "x", **parcel.fields}
        self.deliver(response)

    def fail(self, code: int, text: str, parcel: Parcel | None = None) -> None:
        response = ErrorResponse(self.requests[-1], error_code=code, error_message=text)
        response.other_fields = dict(parcel.fields) if parcel else {}
        self.deliver(response)


@pytest.fixture
def client() -> FakeDxlClient:
    return FakeDxlClient()


@pytest.fixture
def bus(client: FakeDxlClient) -> Iterator[DxlBus]:
    with DxlBus(cast("DxlClient", client)) as bus:
        yield bus
    assert client.callbacks == []


def wait(bus: DxlBus) -> Reply:
    (reply,) = bus.wait(bus.now() + TIMEOUT)
    return reply


def collect(bus: DxlBus) -> list[Reply]:
    return list(bus.wait(bus.now()))


def test_a_request_carries_the_parcel(bus: DxlBus, client: FakeDxlClient) -> None:
    parcel = encode(SegmentRequest(file_id="x", offset=7, payload=memoryview(b"content")))
    bus.ask("/topic", parcel, service_id="{service}")
    (request,) = client.requests
    assert request.destination_topic == "/topic"
    assert request.service_id == "{service}"
    arrived = Parcel(request.other_fields, cast("bytes", request.payload))
    assert decode(SegmentRequest, arrived) == SegmentRequest(
        file_id="x", offset=7, payload=b"content"
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_a_payload(bus: DxlBus, client: FakeDxlClient, kind: type[bytes]) -> None:
    content = bytes(range(256)) * 1000
    bus.ask("/topic", Parcel({}, kind(content)))
    assert client.requests[0].payload == content


def test_an_answer_is_a_reply(bus: DxlBus, client: FakeDxlClient) -> None:
    token = bus.ask("/topic", Parcel({}))
    assert collect(bus) == []
    client.answer(encode(DoneAnswer()))
    reply = wait(bus)
    assert (reply.token, reply.refusal, reply.service_id) == (token, None, "{service}")
    assert decode(DoneAnswer, reply.parcel) == DoneAnswer()


def test_answers_go_with_their_requests_and_count_once(bus: DxlBus, client: FakeDxlClient) -> None:
    tokens = [bus.ask("/topic", Parcel({"n": str(n)})) for n in range(5)]
    for request in [*reversed(client.requests), *client.requests]:
        client.answer(sealed({"n": request.other_fields["n"]}), request=request)
    replies = collect(bus)
    assert [reply.token for reply in replies] == tokens[::-1]
    assert [reply.parcel.fields["n"] for reply in replies] == ["4", "3", "2", "1", "0"]
    assert collect(bus) == []


def test_what_others_ask_is_none_of_its_business(bus: DxlBus, client: FakeDxlClient) -> None:
    foreign = Request("/topic")
    foreign.reply_to_topic = "/mcafee/client/me"
    client.answer(Parcel({}), request=foreign)
    with DxlBus(cast("DxlClient", client)) as other:
        other.ask("/topic", Parcel({}))
        client.answer(Parcel({}))
        assert collect(bus) == []
        assert len(collect(other)) == 1


def test_what_was_forgotten_does_not_come_back(bus: DxlBus, client: FakeDxlClient) -> None:
    token = bus.ask("/topic", Parcel({}))
    bus.forget(token)
    bus.forget(token)
    client.answer(Parcel({}))
    assert collect(bus) == []


def test_an_answer_that_is_here_already_can_be_forgotten(
    bus: DxlBus, client: FakeDxlClient
) -> None:
    tokens = [bus.ask("/topic", Parcel({})) for _ in range(2)]
    for request in client.requests:
        client.answer(Parcel({}), request=request)
    bus.forget(tokens[0])
    assert [reply.token for reply in collect(bus)] == tokens[1:]


def test_errors_of_the_service_come_as_they_were_raised(bus: DxlBus, client: FakeDxlClient) -> None:
    bus.ask("/topic", Parcel({}))
    raised = RefusedError(ErrorCode.BUSY, "wait", 1.5)
    client.fail(raised.code, raised.message, encode_refusal(raised))
    refusal = wait(bus).refusal
    assert refusal is not None
    assert (refusal.code, refusal.message, refusal.retry_after) == (ErrorCode.BUSY, "wait", 1.5)


def test_damaged_errors_are_damage(bus: DxlBus, client: FakeDxlClient) -> None:
    bus.ask("/topic", Parcel({}))
    parcel = encode_refusal(RefusedError(ErrorCode.QUOTA, "full"))
    client.fail(ErrorCode.QUOTA, "full", Parcel({**parcel.fields, "text": "fuel"}))
    refusal = wait(bus).refusal
    assert refusal is not None
    assert refusal.means(ErrorCode.CORRUPT)


@pytest.mark.parametrize(
    ("code", "expected"),
    [(-2147483647, ErrorCode.NO_SERVICE), (0x80000001, ErrorCode.NO_SERVICE), (0, 0)],
)
def test_errors_of_brokers_and_others_keep_their_code(
    bus: DxlBus, client: FakeDxlClient, code: int, expected: int
) -> None:
    bus.ask("/topic", Parcel({}))
    client.fail(code, "unable to locate service")
    reply = wait(bus)
    assert reply.service_id == ""
    assert reply.refusal is not None
    assert reply.refusal.code == expected
    assert reply.refusal.message == "unable to locate service"


def test_a_wait_ends_with_an_answer_a_wake_and_a_change_of_the_connection(
    bus: DxlBus, client: FakeDxlClient
) -> None:
    bus.ask("/topic", Parcel({}))

    def later(action: object, *arguments: object) -> threading.Timer:
        timer = threading.Timer(0.05, cast("type", action), arguments)
        timer.start()
        return timer

    for action in (
        lambda: client.answer(Parcel({})),
        bus.wake,
        lambda: setattr(client, "connected", False),
        lambda: setattr(client, "connected", True),
    ):
        timer = later(action)
        began = bus.now()
        bus.wait(began + TIMEOUT)
        assert bus.now() - began < TIMEOUT
        timer.join()


def test_a_wake_before_the_wait_ends_it_once(bus: DxlBus) -> None:
    bus.wake()
    bus.wait(bus.now() + TIMEOUT)
    began = bus.now()
    assert bus.wait(began + 0.05) == ()
    assert bus.now() - began >= 0.05


def test_a_signal_handler_may_wake_the_thread_that_it_interrupts(bus: DxlBus) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: bus.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        began = bus.now()
        bus.wait(began + TIMEOUT)
        assert bus.now() - began < TIMEOUT
        with bus._changed:
            signal.raise_signal(signal.SIGALRM)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_without_a_connection_nothing_is_asked(bus: DxlBus, client: FakeDxlClient) -> None:
    client.connected = False
    assert not bus.connected
    with pytest.raises(NotConnectedError):
        bus.ask("/topic", Parcel({}))
    assert client.requests == []


def test_a_connection_lost_while_asking_is_told_as_such(bus: DxlBus, client: FakeDxlClient) -> None:
    def lose(_request: Request) -> None:
        client.connected = False
        raise AttributeError("'NoneType' object has no attribute 'publish'")

    client.async_request = lose  # type: ignore[assignment,method-assign]
    with pytest.raises(NotConnectedError):
        bus.ask("/topic", Parcel({}))
    assert bus._tokens == {}


def test_other_failures_of_the_client_are_not_hidden(bus: DxlBus, client: FakeDxlClient) -> None:
    def fail(_request: Request) -> None:
        raise TypeError("no such thing")

    client.async_request = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        bus.ask("/topic", Parcel({}))
    assert bus._tokens == {}


def test_the_largest_message_passes_and_a_larger_one_is_refused(
    bus: DxlBus, client: FakeDxlClient
) -> None:
    fields = {"name": "n" * 4096, "digest": "d" * 32, "check": "c" * 32}
    bus.ask("/topic", Parcel(fields, bytes(MAX_PAYLOAD)))
    with pytest.raises(InvalidRequestError, match=str(MESSAGE_LIMIT)):
        bus.ask("/topic", Parcel({}, bytes(MESSAGE_LIMIT - 100)))
    (request,) = client.requests
    assert len(request._to_bytes()) + len(request.destination_topic) + 2 <= MESSAGE_LIMIT


@pytest.mark.parametrize("character", ["n", "ä", "\ud800", "\U0001f600"])
def test_sizes_are_counted_in_bytes_of_utf_8(bus: DxlBus, character: str) -> None:
    size = len(character.encode(errors="surrogatepass"))
    rest = MESSAGE_LIMIT - 1000
    with contextlib.suppress(UnicodeEncodeError):  # it fits, though nobody can write it
        bus.ask("/topic", Parcel({"a": character * (rest // size)}))
    with pytest.raises(InvalidRequestError):
        bus.ask("/topic", Parcel({"a": character * (MESSAGE_LIMIT // size)}))


def test_the_clients_own_threads_are_turned_away(client: FakeDxlClient) -> None:
    client._message_pool_prefix = "DxlMessagePool-1"  # type: ignore[attr-defined]
    raised: list[BaseException] = []

    def work() -> None:
        with DxlBus(cast("DxlClient", client)) as bus:
            for call in (lambda: bus.ask("/topic", Parcel({})), lambda: bus.wait(bus.now())):
                try:
                    call()
                except WrongThreadError as error:
                    raised.append(error)

    thread = threading.Thread(target=work, name="DxlMessagePool-1-7")
    thread.start()
    thread.join(TIMEOUT)
    assert len(raised) == 2
    assert all(isinstance(error, DxlException) for error in raised)


def test_closing_forgets_everything(client: FakeDxlClient) -> None:
    bus = DxlBus(cast("DxlClient", client))
    bus.ask("/topic", Parcel({}))
    bus.close()
    assert bus._tokens == {}
    assert client.callbacks == []

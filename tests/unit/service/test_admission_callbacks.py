"""Requests about sessions on the bus, and who is kept out without one."""

from typing import Any

import pytest
from dxlclient.message import ErrorResponse, Message, Request, Response

from dxlfiletransferclient.control.names import CONTROL_TOPIC
from dxlfiletransferclient.protocol.coding import decode, decode_refusal, encode
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.messages import (
    DoneAnswer,
    HelloRequest,
    RetrieveRequest,
    StatusRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import AdmitAnswer
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb, topic_of
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.testing import MemoryStore
from dxlfiletransferservice.admission.callbacks import session_callbacks
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.admission.gate import PlainGate
from dxlfiletransferservice.requesthandlers import SegmentRequestCallback
from dxlfiletransferservice.verbhandlers import WRITING_VERBS, verb_callbacks
from tests.unit.service.admitting import (
    BOB,
    PEER,
    Conversation,
    ListedSenders,
    RecordingPurpose,
    Seconds,
)


class Outbox:
    """Takes the place of the DXL client: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Response] = []

    def send_response(self, response: Response) -> None:
        received = Message._from_bytes(response._to_bytes())
        assert isinstance(received, Response)
        self.sent.append(received)


def request(parcel: Parcel) -> Request:
    """A request as it arrives from a client."""
    made = Request("/some/topic")
    made.other_fields = dict(parcel.fields)
    made.payload = bytes(parcel.payload)
    made.reply_to_topic = "/mcafee/client/abc"
    made.service_id = "the-instance"
    made._source_client_id = PEER  # type: ignore[attr-defined]
    received = Message._from_bytes(made._to_bytes())
    assert isinstance(received, Request)
    assert received.source_client_id == PEER
    return received


class World:
    def __init__(self, topic: str = CONTROL_TOPIC) -> None:
        self.outbox = Outbox()
        self.purpose = RecordingPurpose()
        self.desk = AdmissionDesk(BOB, {SessionPurpose.CONTROL: self.purpose}, clock=Seconds())
        self.crowded = False
        self.callbacks = session_callbacks(
            self.outbox, self.desk, topic, crowded=lambda: self.crowded
        )
        self.topic = topic

    def asked(self, verb: Verb, parcel: Parcel) -> Response:
        self.callbacks[topic_of(verb, self.topic)].on_request(request(parcel))
        return self.outbox.sent.pop()

    def entered(self) -> Conversation:
        peer = Conversation(self.desk)
        asked = Admission(admission_id="a", purpose=SessionPurpose.CONTROL)
        initiator, parcel = peer.knock(asked)
        return peer.read(initiator, asked, parcel_of(self.asked(Verb.ADMIT, parcel)))


def parcel_of(response: Response) -> Parcel:
    assert isinstance(response.payload, bytes)
    return Parcel(response.other_fields, response.payload)


@pytest.mark.parametrize("topic", [CONTROL_TOPIC, "/some/store"])
def test_a_session_over_the_bus(topic: str) -> None:
    world = World(topic)
    peer = world.entered()
    assert peer.channel is not None
    number, parcel = peer.sealed(Verb.STATUS, StatusRequest(file_id="f"))

    answer = peer.channel.open(parcel_of(world.asked(Verb.SEALED, parcel)), [number])

    assert decode(DoneAnswer, answer) == DoneAnswer()
    assert world.purpose.visits[0].peer.client_id == PEER
    assert set(world.callbacks) == {f"{topic}/v2/admit", f"{topic}/v2/sealed"}


def test_refusals_in_the_clear_are_error_responses() -> None:
    world = World()
    peer = world.entered()
    _, parcel = peer.sealed(Verb.STATUS, StatusRequest(file_id="f"))
    world.asked(Verb.SEALED, parcel)

    response = world.asked(Verb.SEALED, parcel)

    assert isinstance(response, ErrorResponse)
    assert decode_refusal(parcel_of(response)).means(ErrorCode.INVALID)
    damaged = world.asked(Verb.ADMIT, Parcel({}, b"x"))
    assert decode_refusal(parcel_of(damaged)).means(ErrorCode.CORRUPT)


def test_large_answers_wait() -> None:
    world = World()
    peer = world.entered()
    world.crowded = True
    _, parcel = peer.sealed(Verb.RETRIEVE, RetrieveRequest(name="a", offset=0, length=1))

    refusal = decode_refusal(parcel_of(world.asked(Verb.SEALED, parcel)))

    assert refusal.means(ErrorCode.BUSY)
    # To be admitted takes little room.
    knocked = Conversation(world.desk).knock(
        Admission(admission_id="b", purpose=SessionPurpose.CONTROL)
    )[1]
    admitted = decode(AdmitAnswer, parcel_of(world.asked(Verb.ADMIT, knocked)))
    assert len(admitted.payload) > 0


# Without a session


@pytest.mark.parametrize(
    ("restricted", "required", "match"),
    [(True, False, "listed"), (False, True, "user and password"), (True, True, "listed")],
)
def test_what_is_refused_without_a_session(restricted: bool, required: bool, match: str) -> None:
    senders = ListedSenders(restricted=restricted)
    gate = PlainGate(senders, require_authentication=required)
    outbox = Outbox()
    desk = Desk(MemoryStore())
    callbacks = verb_callbacks(outbox, desk, "/store", refuse_plain=gate.refuse_plain)

    for verb in sorted(STORE_VERBS):
        callbacks[topic_of(verb, "/store")].on_request(request(encode(HelloRequest())))
        refusal = decode_refusal(parcel_of(outbox.sent.pop()))
        assert refusal.means(ErrorCode.NOT_ALLOWED) == (verb in WRITING_VERBS), verb
        assert (match in refusal.message) == (verb in WRITING_VERBS)


def test_nothing_unsealed_is_taken_where_sessions_have_to_be_sealed() -> None:
    gate = PlainGate(ListedSenders(), require_authentication=False, least=Cipher.AUTHENTICATED)
    refusal = gate.refuse_plain()
    assert refusal is not None
    assert refusal.means(ErrorCode.NOT_ALLOWED)
    assert "sealed from end to end only" in refusal.message


def test_everything_is_let_in_where_nobody_is_kept_out() -> None:
    senders = ListedSenders()
    gate = PlainGate(senders, require_authentication=False)

    assert gate.refuse_plain() is None
    senders.restricted = True
    assert isinstance(gate.refuse_plain(), RefusedError)


def test_version_1_is_refused_too(mocker: Any) -> None:
    store = mocker.Mock()
    store.store_segment.side_effect = ValueError("no segment")
    senders = ListedSenders(restricted=True)
    gate = PlainGate(senders, require_authentication=False)
    outbox = Outbox()
    callback = SegmentRequestCallback(
        outbox,  # type: ignore[arg-type]
        store,
        refuse_plain=gate.refuse_plain,
    )

    callback.on_request(request(Parcel({})))
    response = outbox.sent.pop()

    assert isinstance(response, ErrorResponse)
    assert (response.error_code, "listed senders" in response.error_message) == (0, True)
    store.store_segment.assert_not_called()
    senders.restricted = False
    callback.on_request(request(Parcel({})))
    store.store_segment.assert_called_once()

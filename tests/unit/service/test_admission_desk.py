"""Sessions begin, go on and end, whoever tries what."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer, RetrieveRequest, StatusRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import (
    AdmitAnswer,
    AdmitRequest,
    CallRequest,
    Outcome,
    SealedRequest,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.handshake import Initiator
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.admission import answered as answered_module
from dxlfiletransferservice.admission import sessiontable
from dxlfiletransferservice.admission.answered import AnsweredHandshakes
from dxlfiletransferservice.admission.desk import AdmissionDesk
from tests.unit.service.admitting import (
    ALICE,
    BOB,
    MALLORY,
    PEER,
    Conversation,
    RecordingPurpose,
    Seconds,
    denied,
)

STATUS = StatusRequest(file_id="f")


class World:
    def __init__(self, *, minimum: Cipher = Cipher.NONE, most: int = 4096) -> None:
        self.clock = Seconds()
        self.purpose = RecordingPurpose()
        self.desk = AdmissionDesk(
            BOB,
            {SessionPurpose.CONTROL: self.purpose},
            minimum=minimum,
            clock=self.clock,
            most_sessions=most,
        )

    def peer(self, key: PrivateKey = ALICE) -> Conversation:
        return Conversation(self.desk, key)

    def entered(self, cipher: Cipher = Cipher.AES_256) -> Conversation:
        return self.peer().enter(admission(cipher))


def admission(cipher: Cipher = Cipher.AES_256, admission_id: str = "a") -> Admission:
    return Admission(admission_id=admission_id, purpose=SessionPurpose.CONTROL, cipher=cipher)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("cipher", list(Cipher))
def test_a_session(world: World, cipher: Cipher) -> None:
    peer = world.entered(cipher)

    for _ in range(3):
        assert peer.ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()

    (visit,) = world.purpose.visits
    assert [verb for verb, _ in visit.asked] == [Verb.STATUS] * 3
    assert decode(StatusRequest, visit.asked[0][1]) == STATUS
    assert (visit.peer.client_id, visit.peer.public_key) == (PEER, ALICE.public)


@pytest.mark.parametrize(
    ("minimum", "asked", "given"),
    [(0, 0, 0), (0, 3, 3), (2, 0, 2), (2, 3, 3), (3, 1, 3)],
)
def test_the_cipher_is_the_higher_one(minimum: int, asked: int, given: int) -> None:
    world = World(minimum=Cipher(minimum))

    peer = world.entered(Cipher(asked))

    assert peer.channel is not None
    assert peer.channel.cipher == given
    assert peer.ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()


# Admission


def test_a_handshake_that_comes_again_has_the_same_answer(world: World) -> None:
    peer = world.peer()
    initiator, request = peer.knock(admission())

    first, second = (world.desk.admit(request, PEER) for _ in range(2))

    assert first == second
    assert world.purpose.asked == len(world.desk) == 1
    peer.read(initiator, admission(), second)
    assert peer.ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()


def test_a_handshake_that_comes_while_it_is_answered(world: World) -> None:
    entered, go = threading.Event(), threading.Event()
    admit = world.purpose.admit

    def slow(*arguments: object) -> object:
        entered.set()
        assert go.wait(30)
        return admit(*arguments)  # type: ignore[arg-type]

    world.purpose.admit = slow  # type: ignore[method-assign,assignment]
    _, request = world.peer().knock(admission())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.desk.admit, request, PEER)
        assert entered.wait(30)
        second = pool.submit(world.desk.admit, request, PEER)
        go.set()
        assert first.result(30) == second.result(30)
    assert world.purpose.asked == 1


def test_nobody_waits_long_for_a_handshake_that_is_being_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answered_module, "WAIT_SECONDS", 0.001)
    handshakes = AnsweredHandshakes()
    assert handshakes.begin(b"x") is None

    with denied(ErrorCode.BUSY):
        handshakes.begin(b"x")

    handshakes.end(b"x", None)
    assert handshakes.begin(b"x") is None


def test_a_refusal_is_for_the_peer_alone(world: World) -> None:
    world.purpose.refusal = RefusedError(ErrorCode.DENIED, "no such user: hugo")
    peer = world.peer()
    initiator, request = peer.knock(admission())

    answer = world.desk.admit(request, PEER)

    assert b"hugo" not in bytes(answer.payload)
    with denied(ErrorCode.DENIED, "hugo"):
        peer.read(initiator, admission(), answer)
    assert len(world.desk) == 0


def test_a_wrong_password_counts_once_however_often_it_comes(world: World) -> None:
    world.purpose.refusal = RefusedError(ErrorCode.DENIED, "no")
    _, request = world.peer().knock(admission())

    answers = {bytes(world.desk.admit(request, PEER).payload) for _ in range(5)}

    assert len(answers) == world.purpose.asked == 1


def test_what_passes_may_be_tried_again(world: World) -> None:
    world.purpose.refusal = RefusedError(ErrorCode.BUSY, "later", 2.5)
    peer = world.peer()
    initiator, request = peer.knock(admission())
    with pytest.raises(RefusedError) as raised:
        peer.read(initiator, admission(), world.desk.admit(request, PEER))
    assert (raised.value.code, raised.value.retry_after) == (ErrorCode.BUSY, 2.5)

    world.purpose.refusal = None
    initiator, _ = peer.knock(admission())
    assert world.peer().enter(admission()).ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()


def test_a_fault_tells_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.purpose.refusal = RuntimeError("secret /srv/path")

    with denied(ErrorCode.INTERNAL):
        world.entered()

    assert "secret /srv/path" in caplog.text
    assert len(world.desk) == 0


@pytest.mark.parametrize("payload", [b"", b"x", bytes(80), bytes(70_000)])
def test_what_is_no_handshake(world: World, payload: bytes) -> None:
    with denied(ErrorCode.INVALID):
        world.desk.admit(encode(AdmitRequest(payload=payload)), PEER)

    assert world.purpose.asked == 0


def test_a_handshake_with_somebody_else(world: World) -> None:
    message = Initiator(ALICE, MALLORY.public).write(admission().to_bytes())

    with denied(ErrorCode.INVALID):
        world.desk.admit(encode(AdmitRequest(payload=message)), PEER)


def test_a_handshake_that_was_changed_on_its_way(world: World) -> None:
    message = Initiator(ALICE, BOB.public).write(admission().to_bytes())
    for place in (0, 40, len(message) // 2, len(message) - 1):
        changed = bytearray(message)
        changed[place] ^= 1
        with denied(ErrorCode.INVALID):
            world.desk.admit(encode(AdmitRequest(payload=bytes(changed))), PEER)


def test_a_purpose_that_the_server_does_not_have(world: World) -> None:
    with denied(ErrorCode.NOT_ALLOWED, "download"):
        world.peer().enter(Admission(admission_id="a", purpose=SessionPurpose.DOWNLOAD))


@pytest.mark.parametrize("text", [b"", b"[]", b'{"purpose": "control"}', b"{" * 10_000])
def test_an_admission_that_is_none(world: World, text: bytes) -> None:
    initiator = Initiator(ALICE, BOB.public)
    request = encode(AdmitRequest(payload=initiator.write(text)))

    answer = decode(AdmitAnswer, world.desk.admit(request, PEER))

    with denied(ErrorCode.INVALID):
        initiator.read(answer.payload)


# Requests


def test_a_request_is_taken_once(world: World) -> None:
    peer = world.entered()
    _, request = peer.sealed(Verb.STATUS, STATUS)
    world.desk.sealed(request, PEER)

    with denied(ErrorCode.INVALID):
        world.desk.sealed(request, PEER)

    assert len(world.purpose.visits[0].asked) == 1


def test_a_request_by_somebody_else(world: World) -> None:
    mine, other = world.entered(), world.peer(MALLORY).enter(admission())
    assert mine.channel is not None
    assert other.channel is not None
    _, request = other.sealed(Verb.STATUS, STATUS)
    forged = replace(request, fields={**request.fields, "session": mine.channel.session})
    forged = encode(_as_sealed(forged))

    with denied(ErrorCode.CORRUPT):
        world.desk.sealed(forged, PEER)

    assert world.purpose.visits[0].asked == []
    # It does not use up anything of the session that it was meant for.
    assert mine.ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()


def _as_sealed(parcel: Parcel) -> SealedRequest:
    return SealedRequest(
        session=parcel.fields["session"],
        number=int(parcel.fields["number"]),
        inner=parcel.fields.get("inner"),
        tag=parcel.fields.get("tag"),
        payload=parcel.payload,
    )


def test_a_session_that_nobody_knows(world: World) -> None:
    peer = world.entered()
    _, request = peer.sealed(Verb.STATUS, STATUS)
    world.desk.close()

    with denied(ErrorCode.CLOSING):
        world.desk.sealed(request, PEER)
    with denied(ErrorCode.UNKNOWN_SESSION):
        World().desk.sealed(request, PEER)


def test_what_is_refused_inside_is_sealed(world: World) -> None:
    peer = world.entered()
    world.purpose.visits[0].outcome = RefusedError(ErrorCode.EXISTS, "'secret.txt' exists")
    number, request = peer.sealed(Verb.STATUS, STATUS)

    answer = world.desk.sealed(request, PEER)

    assert b"secret" not in bytes(answer.payload)
    assert peer.channel is not None
    with denied(ErrorCode.EXISTS, "secret.txt"):
        peer.channel.open(answer, [number])


@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.CORRUPT, ErrorCode.CLOSING])
def test_what_only_asks_to_try_again_is_in_the_clear(world: World, code: ErrorCode) -> None:
    peer = world.entered()
    world.purpose.visits[0].outcome = RefusedError(code, "'secret.txt' is busy", 1.5)
    _, request = peer.sealed(Verb.STATUS, STATUS)

    with pytest.raises(RefusedError) as raised:
        world.desk.sealed(request, PEER)

    assert (raised.value.code, raised.value.message) == (code, code.meaning)
    assert raised.value.retry_after == 1.5


def test_a_fault_inside_is_sealed_and_tells_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    peer = world.entered()
    world.purpose.visits[0].outcome = RuntimeError("secret")

    with denied(ErrorCode.INTERNAL, ErrorCode.INTERNAL.meaning):
        peer.ask(Verb.STATUS, STATUS, DoneAnswer)

    assert "secret" in caplog.text


def test_no_text_of_a_refusal_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world.purpose.refusal = RefusedError(ErrorCode.DENIED, "hugo/password")
    with denied(ErrorCode.DENIED):
        world.entered()

    assert "DENIED" in caplog.text
    assert "hugo" not in caplog.text


def test_large_answers_wait_where_it_is_crowded(world: World) -> None:
    peer = world.entered()
    retrieve = RetrieveRequest(name="a", offset=0, length=1)
    _, large = peer.sealed(Verb.RETRIEVE, retrieve)
    _, small = peer.sealed(Verb.STATUS, STATUS)

    with denied(ErrorCode.BUSY):
        world.desk.sealed(large, PEER, crowded=True)

    world.desk.sealed(small, PEER, crowded=True)
    assert [verb for verb, _ in world.purpose.visits[0].asked] == [Verb.STATUS]


def test_a_session_goes_on_from_another_client(world: World) -> None:
    peer = world.entered()
    peer.client_id = "{22222222-2222-2222-2222-222222222222}"

    assert peer.ask(Verb.STATUS, STATUS, DoneAnswer) == DoneAnswer()


# Ends


def test_a_peer_leaves(world: World) -> None:
    peer = world.entered()
    for _ in range(2):
        # Twice, because the first answer got lost.
        peer.leave(Outcome.ERROR, "disk full")

    assert world.purpose.visits[0].endings == [(Outcome.ERROR, "disk full")]
    with denied(ErrorCode.UNKNOWN_SESSION):
        peer.ask(Verb.STATUS, STATUS, DoneAnswer)
    world.clock.now += sessiontable.LINGER_SECONDS
    world.desk.maintain(world.clock.now)
    assert len(world.desk) == 0
    assert len(world.purpose.visits[0].endings) == 1


def test_leaving_that_fails_comes_again(world: World) -> None:
    peer = world.entered()
    visit = world.purpose.visits[0]
    left = visit.left

    def fails(outcome: Outcome | None, text: str) -> None:
        raise RefusedError(ErrorCode.BUSY, "later")

    visit.left = fails  # type: ignore[method-assign]
    with denied(ErrorCode.BUSY):
        peer.leave()
    visit.left = left  # type: ignore[method-assign]
    peer.leave()

    assert visit.endings == [(Outcome.COMPLETE, "")]


def test_a_leaving_that_says_nothing(world: World) -> None:
    peer = world.entered()

    with denied(ErrorCode.INVALID):
        peer.ask(Verb.LEAVE, STATUS, DoneAnswer)

    assert world.purpose.visits[0].endings == []
    peer.leave(Outcome.PAUSED)
    assert world.purpose.visits[0].endings == [(Outcome.PAUSED, "")]


def test_silent_sessions_end(world: World) -> None:
    used, unused = world.entered(), world.entered()
    used.ask(Verb.STATUS, STATUS, DoneAnswer)

    world.clock.now += sessiontable.UNUSED_SECONDS
    world.desk.maintain(world.clock.now)
    with denied(ErrorCode.UNKNOWN_SESSION):
        unused.ask(Verb.STATUS, STATUS, DoneAnswer)
    used.ask(Verb.STATUS, STATUS, DoneAnswer)

    world.clock.now += sessiontable.SILENT_SECONDS - 1
    world.desk.maintain(world.clock.now)
    used.ask(Verb.STATUS, STATUS, DoneAnswer)
    world.clock.now += sessiontable.SILENT_SECONDS
    world.desk.maintain(world.clock.now)
    with denied(ErrorCode.UNKNOWN_SESSION):
        used.ask(Verb.STATUS, STATUS, DoneAnswer)
    assert [visit.endings for visit in world.purpose.visits] == [[(None, "")], [(None, "")]]


def test_the_end_of_the_server_ends_sessions(world: World) -> None:
    world.entered()
    world.desk.close()
    world.desk.close()

    assert world.purpose.visits[0].endings == [(None, "")]
    with denied(ErrorCode.CLOSING):
        world.entered()


def test_a_visit_that_fails_to_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.entered()
    world.purpose.visits[0].left = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
    world.desk.close()

    assert "ZeroDivisionError" in caplog.text


# Bounds


def test_unused_sessions_make_room() -> None:
    world = World(most=3)
    first, second = world.entered(), world.entered()
    first.ask(Verb.STATUS, STATUS, DoneAnswer)
    world.clock.now += 1
    third = world.entered()
    fourth = world.entered()

    with denied(ErrorCode.UNKNOWN_SESSION):
        second.ask(Verb.STATUS, STATUS, DoneAnswer)
    for peer in (first, third, fourth):
        peer.ask(Verb.STATUS, STATUS, DoneAnswer)
    assert world.purpose.visits[1].endings == [(None, "")]

    # All are in use now, until one was idle for a while.
    with denied(ErrorCode.BUSY):
        world.entered()
    world.clock.now += sessiontable.YIELDING_SECONDS
    second.enter(admission()).ask(Verb.STATUS, STATUS, DoneAnswer)
    assert len(world.desk) == 3


def test_sessions_that_were_left_make_room_first() -> None:
    world = World(most=2)
    first, _ = world.entered(), world.entered()
    first.leave()
    world.entered()

    assert [visit.endings for visit in world.purpose.visits] == [[(Outcome.COMPLETE, "")], [], []]


def test_ten_thousand_admissions_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    # What it takes to be admitted is not what this is about.
    world = World(most=64)
    peer = world.peer()
    for number in range(200):
        peer.enter(admission(Cipher.NONE, f"a{number}"))
    assert len(world.desk) == 64

    handshakes = AnsweredHandshakes(most=100)
    for number in range(10_000):
        message = number.to_bytes(4, "big")
        assert handshakes.begin(message) is None
        handshakes.end(message, b"answer")
    assert len(handshakes._turns) == 100
    assert handshakes.begin((9999).to_bytes(4, "big")) == b"answer"

    table = sessiontable.SessionTable(100)
    for number in range(10_000):
        table.reserve(float(number))
        channel = type("Named", (), {"session": str(number)})()
        table.add(sessiontable.Session(channel, world.purpose.visits[0], float(number)))
    assert len(table) == 100
    assert table._coming == 0


def test_calls_reach_the_visit(world: World) -> None:
    peer = world.entered()
    call = CallRequest(call_id="0" * 32, command="send.getTransfer", payload=b"{}")

    peer.ask(Verb.CALL, call, DoneAnswer)

    (asked,) = world.purpose.visits[0].asked
    assert decode(CallRequest, asked[1]) == call


def test_many_threads_in_one_session(world: World) -> None:
    peer = world.entered()
    requests = [peer.sealed(Verb.STATUS, STATUS)[1] for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: world.desk.sealed(request, PEER), requests))

    assert len({bytes(answer.payload) for answer in answers}) == 200
    assert len(world.purpose.visits[0].asked) == 200

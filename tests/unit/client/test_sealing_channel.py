"""What travels in a session: nothing but what the peer has sealed, once, for this place."""

import json
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.constants import MAX_NAME_BYTES, MESSAGE_LIMIT
from dxlfiletransferclient.exchange.dxlbus import _check_size
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import OpenRequest, SegmentRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import SealedAnswer, SealedRequest
from dxlfiletransferclient.protocol.verbs import INNER_VERBS, Verb, topic_of
from dxlfiletransferclient.sealing import channel as channel_module
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferclient.sealing.channel import AnsweringChannel, Opened, RequestingChannel
from dxlfiletransferclient.sealing.handshake import SessionKeys
from dxlfiletransferclient.sealing.heads import read_answer_head, read_request_head
from dxlfiletransferclient.sealing.replays import ReplayWindow
from tests.unit.client.sealedservice import SESSION, ends

SEALING = [Cipher.AUTHENTICATED, Cipher.AES_128, Cipher.AES_256]
SECRET = [Cipher.AES_128, Cipher.AES_256]
KEYS = SessionKeys(bytes(32), bytes([1] * 32), bytes([2] * 32))

ciphers = st.sampled_from(Cipher)
verbs = st.sampled_from(sorted(INNER_VERBS))
parcels = st.builds(
    Parcel, st.dictionaries(st.text(max_size=20), st.text(max_size=50)), st.binary(max_size=500)
)


def pair(cipher: Cipher, session: str = SESSION) -> tuple[RequestingChannel, AnsweringChannel]:
    return RequestingChannel(session, cipher, KEYS), AnsweringChannel(session, cipher, KEYS)


def opened(answering: AnsweringChannel, parcel: Parcel) -> Opened:
    return answering.open(decode(SealedRequest, parcel))


def same(found: Parcel, expected: Parcel) -> bool:
    return found.fields == expected.fields and bytes(found.payload) == bytes(expected.payload)


def refusal_of(answering: AnsweringChannel, request: SealedRequest) -> ErrorCode | None:
    with pytest.raises(RefusedError) as caught:
        answering.open(request)
    return ErrorCode.of(caught.value.code)


@given(ciphers, verbs, parcels, parcels)
def test_requests_and_answers_come_back(
    cipher: Cipher, verb: Verb, request: Parcel, answer: Parcel
) -> None:
    asking, answering = pair(cipher)
    number, sealed = asking.seal(verb, request)
    found = opened(answering, sealed)
    assert (found.number, found.verb) == (number, verb)
    assert same(found.parcel, request)
    assert same(asking.open(answering.seal(number, answer), [number]), answer)


@pytest.mark.parametrize("cipher", Cipher)
def test_both_ends_of_a_handshake_understand_each_other(cipher: Cipher) -> None:
    asking, answering = ends(cipher)
    number, sealed = asking.seal(Verb.STATUS, Parcel({"file_id": "a"}))
    assert opened(answering, sealed).parcel.fields == {"file_id": "a"}
    assert asking.open(answering.seal(number, Parcel({"b": "c"})), [number]).fields == {"b": "c"}


@given(ciphers, st.integers(0, 2**31), st.text(max_size=300), st.none() | st.integers(0, 60))
def test_refusals_come_back(
    cipher: Cipher, code: int, text: str, retry_after: float | None
) -> None:
    asking, answering = pair(cipher)
    number, sealed = asking.seal(Verb.STATUS, Parcel({}))
    opened(answering, sealed)
    answer = answering.seal(number, RefusedError(code, text, retry_after))
    with pytest.raises(RefusedError) as caught:
        asking.open(answer, [number])
    error = caught.value
    assert (error.code, error.message, error.retry_after) == (code, text, retry_after)
    found = asking.unseal(answer, [number])
    assert isinstance(found, RefusedError)
    assert found.code == code


@pytest.mark.parametrize("cipher", SECRET)
def test_nothing_of_a_message_is_readable(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    request = SegmentRequest(file_id="secret-id", offset=4711, payload=b"secret content")
    number, sealed = asking.seal(Verb.SEGMENT, encode(request))
    opened(answering, sealed)
    answer = answering.seal(number, RefusedError(ErrorCode.QUOTA, "secret reason"))
    for parcel in (sealed, answer):
        assert b"secret" not in bytes(parcel.payload)
        assert "secret" not in repr(dict(parcel.fields))
    assert set(sealed.fields) == {"session", "number", "digest", "check"}
    assert set(answer.fields) == {"number", "digest", "check"}


@pytest.mark.parametrize("cipher", [Cipher.NONE, Cipher.AUTHENTICATED])
def test_a_payload_that_is_not_encrypted_is_not_copied(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    payload = memoryview(bytearray(1000))
    number, sealed = asking.seal(Verb.SEGMENT, Parcel({}, payload))
    assert sealed.payload is payload
    assert opened(answering, sealed).parcel.payload is payload
    assert answering.seal(number, Parcel({}, payload)).payload is payload


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_sealed_and_none_is_changed(cipher: Cipher, kind: type) -> None:
    asking, answering = pair(cipher)
    payload = kind(b"content")
    _, sealed = asking.seal(Verb.SEGMENT, Parcel({}, payload))
    copied = Parcel(sealed.fields, kind(bytes(sealed.payload)))
    assert bytes(opened(answering, copied).parcel.payload) == b"content"
    assert bytes(payload) == b"content"


@pytest.mark.parametrize("cipher", SECRET)
def test_what_was_opened_cannot_be_written_to(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    _, sealed = asking.seal(Verb.SEGMENT, Parcel({}, b"content"))
    assert memoryview(sealed.payload).readonly
    assert memoryview(opened(answering, sealed).parcel.payload).readonly


def flipped_texts(text: str) -> list[str]:
    """A text with each of its characters changed, one at a time."""
    return [
        text[:place] + ("0" if character != "0" else "1") + text[place + 1 :]
        for place, character in enumerate(text)
    ]


def flipped_bytes(data: bytes) -> list[bytes]:
    found = []
    for place in range(len(data)):
        for bit in (0, 7):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            found.append(bytes(flipped))
    return [*found, data[:-1], data + b"\0", b""]


@pytest.mark.parametrize("cipher", SEALING)
def test_any_change_of_a_request_is_noticed(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    parcel = encode(SegmentRequest(file_id="a", offset=5, payload=b"content"))
    for _ in range(3):
        asking.seal(Verb.SEGMENT, parcel)
    number, sealed = asking.seal(Verb.SEGMENT, parcel)
    request = decode(SealedRequest, sealed)
    changed = [replace(request, payload=data) for data in flipped_bytes(bytes(request.payload))]
    changed += [replace(request, number=other) for other in (1, number - 1, number + 1, 2**32)]
    if request.inner is not None and request.tag is not None:
        changed += [replace(request, inner=text) for text in flipped_texts(request.inner)]
        changed += [replace(request, tag=text) for text in flipped_texts(request.tag)]
        others = ["", "x", "\u00e4", request.tag[:-2], request.tag + "00"]
        changed += [replace(request, tag=text) for text in others]
        changed += [replace(request, inner=request.inner + " "), replace(request, inner="\ud800")]
        changed += [replace(request, inner=None), replace(request, tag=None)]
    for each in changed:
        assert refusal_of(answering, each) is ErrorCode.CORRUPT
    assert answering.open(request).number == number, "forgeries use no number up"


@pytest.mark.parametrize("cipher", SEALING)
def test_any_change_of_an_answer_is_noticed(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    number, sealed = asking.seal(Verb.STATUS, Parcel({}))
    opened(answering, sealed)
    answer = decode(SealedAnswer, answering.seal(number, Parcel({"a": "b"}, b"content")))
    changed = [replace(answer, payload=data) for data in flipped_bytes(bytes(answer.payload))]
    if answer.inner is not None and answer.tag is not None:
        changed += [replace(answer, inner=text) for text in flipped_texts(answer.inner)]
        changed += [replace(answer, tag=text) for text in flipped_texts(answer.tag)]
        changed += [replace(answer, inner=None), replace(answer, tag=None)]
    for each in changed:
        with pytest.raises(RefusedError) as caught:
            asking.open(encode(each), [number])
        assert caught.value.code == ErrorCode.CORRUPT
    assert asking.open(encode(answer), [number]).fields == {"a": "b"}


def test_head_and_payload_cannot_lend_each_other_bytes() -> None:
    asking, answering = pair(Cipher.AUTHENTICATED)
    _, sealed = asking.seal(Verb.SEGMENT, Parcel({}, b"content"))
    request = decode(SealedRequest, sealed)
    assert request.inner is not None
    last = request.inner[-1:].encode()
    moved = replace(request, inner=request.inner[:-1], payload=last + b"content")
    assert refusal_of(answering, moved) is ErrorCode.CORRUPT


@pytest.mark.parametrize("cipher", Cipher)
def test_a_request_is_taken_once(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    _, sealed = asking.seal(Verb.SEGMENT, Parcel({}, b"content"))
    request = decode(SealedRequest, sealed)
    answering.open(request)
    for _ in range(3):
        assert refusal_of(answering, request) is ErrorCode.INVALID


def test_requests_may_overtake_each_other() -> None:
    asking, answering = pair(Cipher.AES_256)
    sealed = [asking.seal(Verb.STATUS, Parcel({}))[1] for _ in range(100)]
    assert [opened(answering, each).number for each in reversed(sealed)] == [*range(100, 0, -1)]


@pytest.mark.parametrize("cipher", SEALING)
def test_an_answer_is_one_to_its_request_alone(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    sealed = [asking.seal(Verb.STATUS, Parcel({})) for _ in range(2)]
    answers = {}
    for number, parcel in sealed:
        opened(answering, parcel)
        answers[number] = answering.seal(number, Parcel({"to": str(number)}))
    with pytest.raises(RefusedError, match="another request"):
        asking.open(answers[2], [1])
    renumbered = encode(replace(decode(SealedAnswer, answers[2]), number=1))
    with pytest.raises(RefusedError, match="damaged or forged"):
        asking.open(renumbered, [1])
    assert asking.open(answers[2], [1, 2]).fields == {"to": "2"}


@pytest.mark.parametrize("cipher", SEALING)
def test_a_request_is_no_answer_and_an_answer_no_request(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    number, sealed = asking.seal(Verb.STATUS, Parcel({}))
    request = decode(SealedRequest, sealed)
    reflected = SealedAnswer(
        number=number, inner=request.inner, tag=request.tag, payload=request.payload
    )
    with pytest.raises(RefusedError, match="damaged or forged"):
        asking.open(encode(reflected), [number])
    answering.open(request)
    answer = decode(SealedAnswer, answering.seal(number, Parcel({})))
    turned = SealedRequest(
        session=SESSION,
        number=number + 1,
        inner=answer.inner,
        tag=answer.tag,
        payload=answer.payload,
    )
    assert refusal_of(answering, turned) is ErrorCode.CORRUPT


@pytest.mark.parametrize("cipher", SEALING)
def test_a_request_of_another_session_is_not_taken(cipher: Cipher) -> None:
    asking, _ = ends(cipher)
    _, answering = ends(cipher)
    _, sealed = asking.seal(Verb.STATUS, Parcel({}))
    assert refusal_of(answering, decode(SealedRequest, sealed)) is ErrorCode.CORRUPT


@pytest.mark.parametrize("cipher", SEALING)
def test_nobody_on_the_way_can_lower_the_cipher(cipher: Cipher) -> None:
    asking, _ = pair(Cipher.NONE)
    _, answering = pair(cipher)
    _, sealed = asking.seal(Verb.STATUS, Parcel({}))
    assert refusal_of(answering, decode(SealedRequest, sealed)) is ErrorCode.CORRUPT


def test_the_same_request_is_sealed_anew_each_time() -> None:
    asking, answering = pair(Cipher.AES_256)
    parcel = Parcel({"a": "b"}, b"content")
    sealed = [asking.seal(Verb.STATUS, parcel) for _ in range(50)]
    assert len({bytes(each.payload) for _, each in sealed}) == 50
    assert [number for number, _ in sealed] == list(range(1, 51))
    assert all(same(opened(answering, each).parcel, parcel) for _, each in sealed)


def test_a_request_is_answered_once() -> None:
    asking, answering = pair(Cipher.AES_256)
    number, sealed = asking.seal(Verb.STATUS, Parcel({}))
    with pytest.raises(RuntimeError):
        answering.seal(number, Parcel({}))
    opened(answering, sealed)
    answering.seal(number, Parcel({}))
    with pytest.raises(RuntimeError):
        answering.seal(number, Parcel({"other": "content"}))


def test_what_is_answered_in_the_clear_is_not_sealed_too() -> None:
    asking, answering = pair(Cipher.AES_256)
    number, sealed = asking.seal(Verb.STATUS, Parcel({}))
    opened(answering, sealed)
    answering.drop(number)
    with pytest.raises(RuntimeError):
        answering.seal(number, Parcel({}))


def test_requests_that_are_never_answered_do_not_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MOST_OPEN", 10)
    asking, answering = pair(Cipher.AES_128)
    for _ in range(100):
        opened(answering, asking.seal(Verb.STATUS, Parcel({}))[1])
    assert len(answering._open) == 10
    answering.seal(100, Parcel({}))


def test_a_slow_request_is_answered_however_many_came_meanwhile() -> None:
    asking, answering = pair(Cipher.AES_128)
    slow, sealed = asking.seal(Verb.FINISH, Parcel({}))
    opened(answering, sealed)
    for _ in range(5000):
        number, sealed = asking.seal(Verb.STATUS, Parcel({}))
        opened(answering, sealed)
        answering.seal(number, Parcel({}))
    assert asking.open(answering.seal(slow, Parcel({"a": "b"})), [slow]).fields == {"a": "b"}


def test_a_session_is_spent_in_time_and_not_used_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MOST_MESSAGES", 3)
    monkeypatch.setattr(channel_module, "_SPARE_MESSAGES", 2)
    asking, answering = pair(Cipher.AES_128)
    sealed = []
    for count in range(1, 6):
        sealed.append(asking.seal(Verb.STATUS, Parcel({}))[1])
        assert asking.spent == (count >= 3)
    with pytest.raises(RuntimeError, match="too many"):
        asking.seal(Verb.STATUS, Parcel({}))
    assert [opened(answering, each).number for each in sealed] == [1, 2, 3, 4, 5]
    monkeypatch.setattr(channel_module, "_SPARE_MESSAGES", 10)
    beyond = decode(SealedRequest, asking.seal(Verb.STATUS, Parcel({}))[1])
    monkeypatch.setattr(channel_module, "_SPARE_MESSAGES", 2)
    assert refusal_of(answering, beyond) is ErrorCode.INVALID


@pytest.mark.parametrize("cipher", Cipher)
def test_the_largest_messages_fit(cipher: Cipher) -> None:
    topic = topic_of(Verb.SEALED, "/t" * 100)
    asking, answering = pair(cipher)
    content = bytes(MAX_PAYLOAD)
    segment = encode(SegmentRequest(file_id="a" * 64, offset=2**62, payload=content))
    number, sealed = asking.seal(Verb.SEGMENT, segment)
    _check_size(topic, sealed)
    opened(answering, sealed)
    # As large as the answer with a segment can be.
    answer = Parcel({"size": "9" * 19, "offset": "9" * 19, "version": "v" * 200}, content)
    _check_size(topic, answering.seal(number, answer))


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("character", ["\x01", '"', "\\", "\u00e4", "\U0001f600", "\ud7ff"])
def test_the_longest_names_fit(cipher: Cipher, character: str) -> None:
    asking, answering = pair(cipher)
    name = character * (MAX_NAME_BYTES // len(character.encode()))
    _, sealed = asking.seal(Verb.OPEN, encode(OpenRequest(file_id="a", name=name)))
    _check_size(topic_of(Verb.SEALED), sealed)
    size = len(sealed.payload) + sum(len(text.encode()) for text in sealed.fields.values())
    assert size < 7 * MAX_NAME_BYTES < MESSAGE_LIMIT
    found = opened(answering, sealed)
    assert decode(OpenRequest, found.parcel).name == name


BAD_HEADS = [
    "",
    "[]",
    "7",
    "{}",
    '{"verb": "status"}',
    '{"verb": "status", "fields": []}',
    '{"verb": "status", "fields": {"a": 1}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize(
    "head",
    [
        *BAD_HEADS,
        '{"fields": {}}',
        '{"verb": "sealed", "fields": {}}',
        '{"verb": "admit", "fields": {}}',
        '{"verb": "hello", "fields": {}}',
        '{"verb": ["status"], "fields": {}}',
    ],
)
def test_a_peer_that_says_nonsense_is_refused(cipher: Cipher, head: str) -> None:
    asking, answering = pair(cipher)
    content = asking._requests.seal(1, head, b"")
    request = SealedRequest(
        session=SESSION, number=1, inner=content.inner, tag=content.tag, payload=content.payload
    )
    assert refusal_of(answering, request) is ErrorCode.INVALID
    assert not answering._open


@pytest.mark.parametrize("cipher", Cipher)
@pytest.mark.parametrize("head", BAD_HEADS)
def test_answers_that_are_nonsense_are_none(cipher: Cipher, head: str) -> None:
    asking, answering = pair(cipher)
    number, _ = asking.seal(Verb.STATUS, Parcel({}))
    content = answering._answers.seal(number, head, b"")
    answer = SealedAnswer(
        number=number, inner=content.inner, tag=content.tag, payload=content.payload
    )
    with pytest.raises(RefusedError) as caught:
        asking.open(encode(answer), [number])
    assert caught.value.code == ErrorCode.CORRUPT


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["verb", "fields"]), inner),
    max_leaves=10,
)


@given(st.text(max_size=50) | values.map(json.dumps))
def test_heads_are_read_or_refused_whatever_they_are(text: str) -> None:
    for read in (read_request_head, read_answer_head):
        with suppress(ValueError):
            _, fields = read(text)
            assert all(isinstance(value, str) for value in fields.values())


@pytest.mark.parametrize("cipher", SECRET)
def test_a_head_that_is_longer_than_the_message_is_refused(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    for plain in (b"", b"\0", b"\0\0\0\1", b"\xff\xff\xff\xff{}"):
        payload = asking._requests._aead.encrypt((1).to_bytes(12, "big"), plain, None)
        request = SealedRequest(session=SESSION, number=1, payload=payload)
        assert refusal_of(answering, request) is ErrorCode.CORRUPT


@pytest.mark.parametrize("cipher", Cipher)
def test_ten_threads_answer_what_comes(cipher: Cipher) -> None:
    asking, answering = pair(cipher)
    sealed = [asking.seal(Verb.STATUS, Parcel({"n": str(n)}, bytes([n]))) for n in range(200)]
    queue = sealed * 2  # each comes twice
    answers: dict[int, list[Parcel]] = {}
    failures: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not queue:
                    return
                number, parcel = queue.pop()
            try:
                found = opened(answering, parcel)
            except RefusedError as error:
                assert error.means(ErrorCode.INVALID)  # noqa: PT017
                failures.append(number)
                continue
            answer = answering.seal(number, found.parcel)
            with lock:
                answers.setdefault(number, []).append(answer)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(failures) == 200
    for n, (number, _) in enumerate(sealed):
        (answer,) = answers[number]
        assert same(asking.open(answer, [number]), Parcel({"n": str(n)}, bytes([n])))


class PlainWindow:
    """What a replay window has to do, in the plainest way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken: set[int] = set()

    def take(self, number: int) -> bool:
        if number in self.taken or number <= max(self.taken, default=0) - self.size:
            return False
        self.taken.add(number)
        return True


@given(st.integers(1, 20), st.lists(st.integers(1, 60), max_size=100))
def test_the_window_takes_each_number_once(size: int, numbers: list[int]) -> None:
    window, plain = ReplayWindow(size), PlainWindow(size)
    for number in numbers:
        expected = plain.take(number)
        assert window.may(number) == expected
        assert window.take(number) == expected


@given(st.lists(st.integers(1, 2**63), max_size=30))
def test_the_window_takes_any_number(numbers: list[int]) -> None:
    window, plain = ReplayWindow(), PlainWindow(4096)
    for number in numbers:
        assert window.take(number) == plain.take(number)
    assert window._seen.bit_length() <= 4096

"""The handshake of sessions: who can read what, and what becomes of damage and impostors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing import handshake
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferclient.sealing.handshake import Initiator, Responder, SessionKeys
from dxlfiletransferclient.sealing.keys import PrivateKey, public_text
from tests.unit.client.sealedservice import ALICE, BOB, MALLORY


def begun(payload: bytes = b"let me in") -> tuple[Initiator, Responder]:
    """A handshake whose first message has been read."""
    initiator, responder = Initiator(ALICE, BOB.public), Responder(BOB)
    assert responder.read(initiator.write(payload)) == payload
    return initiator, responder


@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_both_ends_get_what_was_said_and_the_same_keys(asked: bytes, said: bytes) -> None:
    initiator, responder = begun(asked)
    answer, keys = responder.write(said)
    assert initiator.read(answer) == (said, keys)
    assert responder.peer == ALICE.public


def test_each_handshake_has_other_keys_and_messages() -> None:
    one, other = begun(), begun()
    assert one[1].write(b"")[1] != other[1].write(b"")[1]
    assert Initiator(ALICE, BOB.public).write(b"") != Initiator(ALICE, BOB.public).write(b"")


def test_what_is_said_and_by_whom_is_not_readable() -> None:
    message = Initiator(ALICE, BOB.public).write(b"password: swordfish")
    assert b"swordfish" not in message
    assert ALICE.public_bytes not in message
    assert BOB.public_bytes not in message


def test_only_the_holder_of_the_key_can_read_the_first_message() -> None:
    message = Initiator(ALICE, BOB.public).write(b"let me in")
    with pytest.raises(RefusedError, match="another key") as caught:
        Responder(MALLORY).read(message)
    assert caught.value.code == ErrorCode.INVALID


def test_only_the_holder_of_the_key_can_answer() -> None:
    initiator, _ = begun()
    pretending = Responder(MALLORY)
    pretending.read(Initiator(ALICE, MALLORY.public).write(b"let me in"))
    answer, _ = pretending.write(b"come in")
    with pytest.raises(RefusedError, match=BOB.public) as caught:
        initiator.read(answer)
    assert caught.value.code == ErrorCode.CORRUPT
    assert not initiator.over


def test_the_answer_to_another_handshake_is_not_taken() -> None:
    initiator, responder = begun()
    _, other = begun()
    with pytest.raises(RefusedError, match="not from"):
        initiator.read(other.write(b"come in")[0])
    answer, keys = responder.write(b"come in")
    assert initiator.read(answer) == (b"come in", keys)


def test_any_flipped_bit_of_the_first_message_is_noticed() -> None:
    message = Initiator(ALICE, BOB.public).write(b"let me in")
    for place in range(len(message)):
        for bit in (0, 7):
            # The highest bit of a public key means nothing; the transcript notices it all the same.
            flipped = bytearray(message)
            flipped[place] ^= 1 << bit
            with pytest.raises(RefusedError):
                Responder(BOB).read(bytes(flipped))


def test_any_flipped_bit_of_the_answer_is_noticed() -> None:
    initiator, responder = begun()
    answer, keys = responder.write(b"come in")
    for place in range(len(answer)):
        for bit in (0, 7):
            flipped = bytearray(answer)
            flipped[place] ^= 1 << bit
            with pytest.raises(RefusedError) as caught:
                initiator.read(bytes(flipped))
            assert caught.value.code == ErrorCode.CORRUPT
    assert initiator.read(answer) == (b"come in", keys)


@given(st.binary(max_size=200))
def test_garbage_is_no_first_message(message: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        Responder(BOB).read(message)
    assert caught.value.code == ErrorCode.INVALID


@given(st.binary(max_size=200))
def test_garbage_is_no_answer(message: bytes) -> None:
    initiator = Initiator(ALICE, BOB.public)
    initiator.write(b"")
    with pytest.raises(RefusedError) as caught:
        initiator.read(message)
    assert caught.value.code == ErrorCode.CORRUPT


def test_a_message_that_is_cut_off_is_noticed() -> None:
    message = Initiator(ALICE, BOB.public).write(b"let me in")
    for length in range(len(message)):
        with pytest.raises(RefusedError):
            Responder(BOB).read(message[:length])


def test_keys_that_make_no_secret_are_refused() -> None:
    for place in (0, 1):
        message = bytearray(Initiator(ALICE, BOB.public).write(b""))
        message[place * 32 : (place + 1) * 32] = bytes(32)
        with pytest.raises(RefusedError):
            Responder(BOB).read(bytes(message))
    with pytest.raises(ValueError, match="no public key"):
        Initiator(ALICE, public_text(bytes(32)))


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(ErrorCode.DENIED, "user or password is wrong"),
        RefusedError(ErrorCode.BUSY, "too many sessions", 2.5),
        RefusedError(999, "\u00e4" * 100),
    ],
)
def test_a_refusal_is_told_to_the_peer_alone(error: RefusedError) -> None:
    initiator, responder = begun()
    answer = responder.write_refusal(error)
    assert error.message.encode() not in answer
    with pytest.raises(RefusedError) as caught:
        initiator.read(answer)
    assert caught.value.code == error.code
    assert caught.value.message == error.message
    assert caught.value.retry_after == error.retry_after
    assert initiator.over


def test_a_long_refusal_is_cut() -> None:
    initiator, responder = begun()
    answer = responder.write_refusal(RefusedError(ErrorCode.DENIED, "x" * 10_000))
    with pytest.raises(RefusedError) as caught:
        initiator.read(answer)
    assert caught.value.message == "x" * 300


@pytest.mark.parametrize(
    "payload", [b"\x01", b"\x01[]", b'\x01{"code": "x", "text": 1}', b"", b"?"]
)
def test_a_refusal_that_says_nothing_is_one_all_the_same(payload: bytes) -> None:
    initiator, responder = begun()
    answer, _ = responder._written(payload)
    with pytest.raises(RefusedError, match="does not say why") as caught:
        initiator.read(answer)
    assert caught.value.code == ErrorCode.INTERNAL


def test_a_refusal_may_follow_where_an_answer_went_wrong() -> None:
    initiator, responder = begun()
    first, _ = responder.write(b"come in")
    second = responder.write_refusal(RefusedError(ErrorCode.INTERNAL, "no"))
    assert first[:32] != second[:32], "one key must not seal two things"
    with pytest.raises(RefusedError, match=r"^no$"):
        initiator.read(second)


def test_messages_are_made_and_read_once_and_in_order() -> None:
    initiator, responder = begun()
    with pytest.raises(RuntimeError, match="written once"):
        initiator.write(b"")
    with pytest.raises(RuntimeError, match="read once"):
        responder.read(b"")
    with pytest.raises(RuntimeError, match="not read yet"):
        Responder(BOB).write(b"")


def test_a_message_is_not_longer_than_the_framework_allows() -> None:
    with pytest.raises(ValueError, match="too long"):
        Initiator(ALICE, BOB.public).write(bytes(65_500))
    with pytest.raises(RefusedError):
        Responder(BOB).read(bytes(65_536))


def test_each_cipher_and_direction_has_another_key_of_its_length() -> None:
    _, responder = begun()
    _, keys = responder.write(b"")
    found = [keys.request_key(cipher) for cipher in Cipher]
    found += [keys.answer_key(cipher) for cipher in Cipher]
    assert len({key[:16] for key in found}) == 8
    assert [len(key) for key in found] == [32, 32, 16, 32] * 2


def test_keys_depend_on_everything_that_was_said() -> None:
    def keys(asked: bytes, said: bytes) -> SessionKeys:
        ephemeral = [PrivateKey.from_bytes(bytes([number] * 32)) for number in (1, 2)]
        initiator = Initiator(ALICE, BOB.public, ephemeral=ephemeral[0])
        responder = Responder(BOB, ephemeral=ephemeral[1])
        responder.read(initiator.write(asked))
        return responder.write(said)[1]

    cases = [keys(b"a", b"b"), keys(b"x", b"b"), keys(b"a", b"x")]
    assert len({case.request_key(Cipher.AES_256) for case in cases}) == 3
    assert len({case.answer_key(Cipher.AES_256) for case in cases}) == 3
    assert keys(b"a", b"b") == cases[0]


def test_nothing_shows_the_keys() -> None:
    _, responder = begun()
    _, keys = responder.write(b"")
    assert keys.requests.hex() not in repr(keys)
    assert repr(keys.requests) not in repr(keys)
    assert "requests" not in repr(keys)


VECTOR = {
    "prologue": "4a6f686e2047616c74",
    "init_static": "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
    "init_ephemeral": "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
    "resp_static": "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    "resp_ephemeral": "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
    "hash": "669c8640d9e42a3cda2f232f78597ceefb01daa6e3df81181ccce6fc6b5026bf",
    "first": (
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444e417bc55c7a8166c993356c"
        "1be41ef67818a292426f301556c7f26b21d25ddb097153891a9a956cff47b83e63ad8d701c1342c209cff1ca"
        "5ecd43402762ac249e3bd3a4c0a145fe07cb5dae28ea13a3"
    ),
    "second": (
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843af2ccf9972e22afc67aeafcd"
        "25162f7f98c363b7762e3e4cb7d272e39f27a5"
    ),
}
"""A published test vector of Noise_IK_25519_AESGCM_SHA256."""


def test_it_is_the_pattern_of_the_noise_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {name: bytes.fromhex(text) for name, text in VECTOR.items()}
    monkeypatch.setattr(handshake, "PROLOGUE", raw["prologue"])
    responder_key = PrivateKey.from_bytes(raw["resp_static"])
    initiator = Initiator(
        PrivateKey.from_bytes(raw["init_static"]),
        responder_key.public,
        ephemeral=PrivateKey.from_bytes(raw["init_ephemeral"]),
    )
    responder = Responder(responder_key, ephemeral=PrivateKey.from_bytes(raw["resp_ephemeral"]))
    first = initiator.write(b"Ludwig von Mises")
    assert first == raw["first"]
    assert responder.read(first) == b"Ludwig von Mises"
    second, state = responder._written(b"Murray Rothbard")
    assert second == raw["second"]
    assert state.transcript == raw["hash"]

"""The protocol's document says how sessions work: its example is computed again in two ways.

Once with this package, and once from the words of the document alone.
"""

import hashlib
import hmac
import re
from dataclasses import fields

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dxlfiletransferclient.protocol.coding import decode
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.sessions import SealedRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Admitted, Cipher, TransferNote
from dxlfiletransferclient.sealing.channel import AnsweringChannel, RequestingChannel
from dxlfiletransferclient.sealing.handshake import PROLOGUE, Initiator, Responder, SessionKeys
from dxlfiletransferclient.sealing.keys import PrivateKey, public_text
from dxlfiletransferclient.sealing.noise import PROTOCOL
from dxlfiletransferclient.sealing.replays import WINDOW
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
CHAPTER = DOCUMENT[DOCUMENT.index("## Sessions") : DOCUMENT.index("## Versioning")]
EXAMPLE = CHAPTER[CHAPTER.index("### An example") :]

ASKED = b'{"admission_id":"1","purpose":"control","cipher":3}'
SAID = b'{"session":"0123456789abcdef0123456789abcdef","cipher":3}'
REQUEST_HEAD = b'{"verb":"status","fields":{"file_id":"a"}}'
ANSWER_HEAD = b'{"fields":{"state":"b"}}'
CONTENT = b"abc"


def raw_key(first: int) -> bytes:
    return bytes(range(first, first + 32))


OWN, PEER, OWN_ONCE, PEER_ONCE = (PrivateKey.from_bytes(raw_key(n)) for n in (0, 32, 64, 96))


def values() -> dict[str, str]:
    """The table of the example; a value may go on in the next line."""
    found: dict[str, str] = {}
    name = ""
    for line in EXAMPLE.splitlines():
        match = re.fullmatch(r"    ([a-z0-9 ]{16})([-_A-Za-z0-9]{2,64})", line)
        if match:
            name = match[1].strip() or name
            found[name] = found.get(name, "") + match[2]
    return found


def handshake() -> tuple[bytes, bytes, SessionKeys]:
    initiator = Initiator(OWN, PEER.public, ephemeral=OWN_ONCE)
    responder = Responder(PEER, ephemeral=PEER_ONCE)
    first = initiator.write(ASKED)
    assert responder.read(first) == ASKED
    second, keys = responder.write(SAID)
    assert initiator.read(second) == (SAID, keys)
    return first, second, keys


def test_the_example_says_what_is_carried() -> None:
    for text in (ASKED, SAID, REQUEST_HEAD, ANSWER_HEAD, CONTENT):
        assert f"    {text.decode()}\n" in EXAMPLE
    assert Admission.from_bytes(ASKED).cipher is Cipher.AES_256
    assert Admitted.from_bytes(SAID).session == "0123456789abcdef" * 2


def test_this_package_gives_the_example() -> None:
    first, second, keys = handshake()
    sealing = RequestingChannel("0" * 32, Cipher.AES_256, keys)
    answering = AnsweringChannel("0" * 32, Cipher.AES_256, keys)
    number, request = sealing.seal(Verb.STATUS, Parcel({"file_id": "a"}, CONTENT))
    answering.open(decode(SealedRequest, request))
    answer = answering.seal(number, Parcel({"state": "b"}, CONTENT))
    proving = RequestingChannel("0" * 32, Cipher.AUTHENTICATED, keys)
    _, proven = proving.seal(Verb.STATUS, Parcel({"file_id": "a"}, CONTENT))
    assert proven.fields["inner"].encode() == REQUEST_HEAD
    assert values() == {
        "initiator": OWN.public,
        "responder": PEER.public,
        "first message": first.hex(),
        "second message": second.hex(),
        "h": keys.transcript.hex(),
        "request key 3": keys.request_key(Cipher.AES_256).hex(),
        "answer key 3": keys.answer_key(Cipher.AES_256).hex(),
        "request key 1": keys.request_key(Cipher.AUTHENTICATED).hex(),
        "request 3": bytes(request.payload).hex(),
        "answer 3": bytes(answer.payload).hex(),
        "tag 1": proven.fields["tag"],
    }


class Reading:
    """What the document says, and nothing else of this project."""

    def __init__(self) -> None:
        self.h = self.ck = b"Noise_IK_25519_AESGCM_SHA256".ljust(32, b"\0")
        self.k = b""

    def hash(self, data: bytes) -> None:
        self.h = hashlib.sha256(self.h + data).digest()

    def two(self, secret: bytes) -> tuple[bytes, bytes]:
        extracted = hmac.new(self.ck, secret, "sha256").digest()
        one = hmac.new(extracted, b"\1", "sha256").digest()
        return one, hmac.new(extracted, one + b"\2", "sha256").digest()

    def mix(self, private: bytes, public: bytes) -> None:
        pair = X25519PrivateKey.from_private_bytes(private)
        self.ck, self.k = self.two(pair.exchange(X25519PublicKey.from_public_bytes(public)))

    def encrypt(self, plain: bytes) -> bytes:
        sealed = AESGCM(self.k).encrypt(bytes(12), plain, self.h)  # never twice with one key
        self.hash(sealed)
        return sealed


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def hkdf(salt: bytes, secret: bytes, info: bytes) -> bytes:
    extracted = hmac.new(salt, secret, "sha256").digest()
    return hmac.new(extracted, info + b"\1", "sha256").digest()


def test_the_words_of_the_document_give_the_example() -> None:
    own, peer, own_once, peer_once = (raw_key(n) for n in (0, 32, 64, 96))
    reading = Reading()
    reading.hash(b"dxlft session 1")
    reading.hash(public_of(peer))
    reading.hash(public_of(own_once))
    reading.mix(own_once, public_of(peer))
    first = public_of(own_once) + reading.encrypt(public_of(own))
    reading.mix(own, public_of(peer))
    first += reading.encrypt(ASKED)
    reading.hash(public_of(peer_once))
    reading.mix(peer_once, public_of(own_once))
    reading.mix(peer_once, public_of(own))
    second = public_of(peer_once) + reading.encrypt(b"\0" + SAID)
    k1, k2 = reading.two(b"")
    info = b"dxlft session 1 cipher "
    requests, answers = hkdf(reading.h, k1, info + b"3"), hkdf(reading.h, k2, info + b"3")
    proofs = hkdf(reading.h, k1, info + b"1")
    nonce = (1).to_bytes(12, "big")

    def framed(head: bytes) -> bytes:
        return len(head).to_bytes(4, "big") + head + CONTENT

    found = values()
    assert found["initiator"] == public_text(public_of(own))
    assert found["responder"] == public_text(public_of(peer))
    assert found["first message"] == first.hex()
    assert found["second message"] == second.hex()
    assert found["h"] == reading.h.hex()
    assert found["request key 3"] == requests.hex()
    assert found["answer key 3"] == answers.hex()
    assert found["request key 1"] == proofs.hex()
    assert found["request 3"] == AESGCM(requests).encrypt(nonce, framed(REQUEST_HEAD), None).hex()
    assert found["answer 3"] == AESGCM(answers).encrypt(nonce, framed(ANSWER_HEAD), None).hex()
    assert found["tag 1"] == AESGCM(proofs).encrypt(nonce, b"", framed(REQUEST_HEAD)).hex()


@pytest.mark.parametrize("kind", [Admission, TransferNote])
def test_every_member_of_an_admission_is_explained(kind: type[Admission | TransferNote]) -> None:
    for field in fields(kind):
        assert f"`{field.name}`" in CHAPTER


def test_the_numbers_of_the_document() -> None:
    assert f"`{PROTOCOL.decode()}`" in CHAPTER
    assert f"`{PROLOGUE.decode()}`" in CHAPTER
    assert f"not more than {WINDOW - 1:,} below" in CHAPTER
    for cipher in Cipher:
        assert re.search(rf"^\| {int(cipher)} \| ", CHAPTER, re.MULTILINE)

"""The two messages by which a session begins. No input or output.

They are those of Noise IK: the initiator knows the public key of the responder beforehand, and
tells its own, encrypted. What the first carries only the holder of the responder's private key can
read; what the second carries only the initiator can.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.limits import MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferclient.sealing.keys import KEY_BYTES, PrivateKey, public_bytes, public_text
from dxlfiletransferclient.sealing.noise import TAG_BYTES, SymmetricState

PROLOGUE: Final = b"dxlft session 1"
"""What both ends have to agree on before the first message: that this is what they speak. Both
directions, all topics and all purposes have the same; the purpose is in the first message."""

MAX_HANDSHAKE: Final = 65535
"""Bytes of a message of a handshake at most, as the Noise framework has it."""

_ADMITTED: Final = b"\x00"
_REFUSED: Final = b"\x01"
_SEALED_KEY_BYTES: Final = KEY_BYTES + TAG_BYTES
_SHORT_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What the two ends of a session have in common after the handshake.

    Attributes:
        requests: Secret from which the key of requests is derived.
        answers: Secret from which the key of answers is derived.
        transcript: Hash of both messages, with what they carried.
    """

    requests: bytes = field(repr=False)
    answers: bytes = field(repr=False)
    transcript: bytes

    def request_key(self, cipher: Cipher) -> bytes:
        """Return the key by which a cipher seals requests; each cipher has another one."""
        return self._derived(self.requests, cipher)

    def answer_key(self, cipher: Cipher) -> bytes:
        """Return the key by which a cipher seals answers."""
        return self._derived(self.answers, cipher)

    def _derived(self, secret: bytes, cipher: Cipher) -> bytes:
        length = _SHORT_KEY_BYTES if cipher is Cipher.AES_128 else KEY_BYTES
        info = PROLOGUE + b" cipher " + str(int(cipher)).encode()
        return HKDF(hashes.SHA256(), length, salt=self.transcript, info=info).derive(secret)


class Initiator:
    """The side that begins.

    Args:
        own: Its key.
        peer: The public key that the other side must have.
        ephemeral: A key for this handshake alone; a new one by default. Never use one twice.

    Attributes:
        over: Whether the other side has answered, be it by a refusal.

    Raises:
        ValueError: ``peer`` is no public key.

    Example:
        >>> alice, bob = PrivateKey.generate(), PrivateKey.generate()
        >>> initiator, responder = Initiator(alice, bob.public), Responder(bob)
        >>> responder.read(initiator.write(b"let me in"))
        b'let me in'
        >>> answer, keys = responder.write(b"come in")
        >>> initiator.read(answer) == (b"come in", keys)
        True
    """

    def __init__(self, own: PrivateKey, peer: str, *, ephemeral: PrivateKey | None = None) -> None:
        self.peer = peer
        self.over = False
        self._own = own
        self._peer_key = public_bytes(peer)
        self._ephemeral = ephemeral or PrivateKey.generate()
        self._state = SymmetricState(PROLOGUE)
        self._state.mix_hash(self._peer_key)
        self._written = False

    def write(self, payload: bytes) -> bytes:
        """Return the first message; it may be sent again, and not be made again.

        Args:
            payload: What it carries, some kilobytes at most.

        Raises:
            ValueError: The message would be too long.
        """
        if self._written:
            raise RuntimeError("the first message of a handshake is written once")
        self._written = True
        state, ephemeral = self._state, self._ephemeral
        state.mix_hash(ephemeral.public_bytes)
        state.mix_key(ephemeral.exchange(self._peer_key))
        static = state.encrypt(self._own.public_bytes)
        state.mix_key(self._own.exchange(self._peer_key))
        message = ephemeral.public_bytes + static + state.encrypt(payload)
        if len(message) > MAX_HANDSHAKE:
            raise ValueError(f"the first message has {len(message)} bytes, which is too long")
        return message

    def read(self, message: Payload) -> tuple[bytes, SessionKeys]:
        """Read the second message.

        Returns:
            What it carries, and the keys of the session.

        Raises:
            RefusedError: What the other side has refused the session with; or ``CORRUPT`` if the
                message is not from the holder of the key or not to this one, in which case the
                right one may still come.
        """
        raw = bytes(message)
        state = self._state.copy()
        try:
            key = _part(raw, 0, KEY_BYTES)
            state.mix_hash(key)
            state.mix_key(self._ephemeral.exchange(key))
            state.mix_key(self._own.exchange(key))
            payload = state.decrypt(raw[KEY_BYTES:])
        except ValueError as error:
            text = f"the answer to the handshake is not from who has the key {self.peer}"
            raise RefusedError(ErrorCode.CORRUPT, text) from error
        self.over = True
        if payload.startswith(_ADMITTED):
            return payload.removeprefix(_ADMITTED), _keys(state)
        raise _refusal(payload)


class Responder:
    """The side that answers; one for each first message.

    Args:
        own: Its key.
        ephemeral: A key for this handshake alone; a new one by default. Never use one twice.

    Attributes:
        peer: Public key of the initiator, which has proven to have it; empty before :meth:`read`.
    """

    def __init__(self, own: PrivateKey, *, ephemeral: PrivateKey | None = None) -> None:
        self.peer = ""
        self._own = own
        self._ephemeral = ephemeral or PrivateKey.generate()
        self._state = SymmetricState(PROLOGUE)
        self._state.mix_hash(own.public_bytes)
        self._peer_key = b""
        self._peer_ephemeral = b""

    def read(self, message: Payload) -> bytes:
        """Read the first message, and return what it carries.

        Raises:
            RefusedError: ``INVALID`` if it is none, or made for another key.
        """
        if self._peer_key:
            raise RuntimeError("the first message of a handshake is read once")
        if len(message) > MAX_HANDSHAKE:
            raise _no_handshake()
        raw = bytes(message)
        state = self._state.copy()
        try:
            ephemeral = _part(raw, 0, KEY_BYTES)
            state.mix_hash(ephemeral)
            state.mix_key(self._own.exchange(ephemeral))
            peer_key = state.decrypt(_part(raw, KEY_BYTES, _SEALED_KEY_BYTES))
            state.mix_key(self._own.exchange(peer_key))
            payload = state.decrypt(raw[KEY_BYTES + _SEALED_KEY_BYTES :])
        except ValueError as error:
            raise _no_handshake() from error
        self._state, self._peer_key, self._peer_ephemeral = state, peer_key, ephemeral
        self.peer = public_text(peer_key)
        return payload

    def write(self, payload: bytes) -> tuple[bytes, SessionKeys]:
        """Return the second message, which lets the initiator in, and the keys of the session.

        Args:
            payload: What it carries.

        Raises:
            RefusedError: ``INVALID``: the initiator has shown a key that makes no secret.
        """
        message, state = self._written(_ADMITTED + payload)
        return message, _keys(state)

    def write_refusal(self, error: RefusedError) -> bytes:
        """Return the second message, which says to the initiator alone why it is not let in.

        Raises:
            RefusedError: As :meth:`write`.
        """
        found: dict[str, Any] = {"code": error.code, "text": error.message[:MAX_REASON_LENGTH]}
        if error.retry_after is not None:
            found["retry_after_ms"] = max(0, round(error.retry_after * 1000))
        message, _ = self._written(_REFUSED + json.dumps(found).encode())
        return message

    def _written(self, payload: bytes) -> tuple[bytes, SymmetricState]:
        if not self._peer_key:
            raise RuntimeError("the first message of the handshake was not read yet")
        # A copy, so that a refusal can follow where something went wrong after all. The nonces are
        # safe: each message has an ephemeral key of its own.
        state, ephemeral = self._state.copy(), self._ephemeral
        self._ephemeral = PrivateKey.generate()
        try:
            state.mix_hash(ephemeral.public_bytes)
            state.mix_key(ephemeral.exchange(self._peer_ephemeral))
            state.mix_key(ephemeral.exchange(self._peer_key))
        except ValueError as error:
            raise _no_handshake() from error
        return ephemeral.public_bytes + state.encrypt(payload), state


def _keys(state: SymmetricState) -> SessionKeys:
    requests, answers = state.split()
    return SessionKeys(requests, answers, state.transcript)


def _part(message: bytes, start: int, length: int) -> bytes:
    part = message[start : start + length]
    if len(part) != length:
        raise ValueError("the message is too short")
    return part


def _no_handshake() -> RefusedError:
    text = "the handshake is damaged, or was begun with somebody who has another key"
    return RefusedError(ErrorCode.INVALID, text)


def _refusal(payload: bytes) -> RefusedError:
    """Read what :meth:`Responder.write_refusal` has written; it is known to be from the peer."""
    try:
        found = json.loads(payload.removeprefix(_REFUSED))
        code, text, milliseconds = found["code"], found["text"], found.get("retry_after_ms")
        retry_after = None if milliseconds is None else int(milliseconds) / 1000
        return RefusedError(int(code), str(text), retry_after)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        text = f"the peer refuses the session, and does not say why: {brief(payload)}"
        return RefusedError(ErrorCode.INTERNAL, text)

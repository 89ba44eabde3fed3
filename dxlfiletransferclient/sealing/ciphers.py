"""What a cipher makes of one message, and back. No input or output.

A message has a *head* (text: what the fields hold) and a payload. Both are covered by one pass over
them, and never copied into one piece before it.
"""

import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as PrimitiveCipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.constant_time import bytes_eq

from dxlfiletransferclient.protocol.parcels import Payload
from dxlfiletransferclient.sealing.admission import Cipher

TAG_BYTES: Final = 16
"""Bytes of what proves a message."""

NONCE_BYTES: Final = 12
"""Bytes of a nonce: the number of the message, big-endian."""

_LENGTH: Final = struct.Struct(">I")
_SLACK: Final = 16
"""Bytes that a buffer must have to spare, with some releases of ``cryptography``."""


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What travels of a message.

    Attributes:
        inner: The head, where the cipher leaves it readable.
        tag: What proves both, in hex, where the cipher only proves.
        payload: The payload; with the head in it where both are encrypted.
    """

    inner: str | None
    tag: str | None
    payload: Payload


class DirectionCipher:
    """Seals and opens the messages of one direction of a session. Safe for several threads.

    Args:
        cipher: How.
        key: With which key; for this direction of this session alone.
    """

    __slots__ = ("_aead", "_algorithm", "_cipher")

    def __init__(self, cipher: Cipher, key: bytes) -> None:
        self._cipher = cipher
        self._algorithm = AES(key)
        self._aead = AESGCM(key)

    def seal(self, number: int, head: str, payload: Payload) -> SealedContent:
        """Return a message as it travels.

        Args:
            number: Its number, which no other one of the direction has.
            head: What its fields hold.
            payload: Its payload, which is not copied unless it is encrypted.
        """
        if self._cipher is Cipher.NONE:
            return SealedContent(head, None, payload)
        raw = head.encode()
        if self._cipher is Cipher.AUTHENTICATED:
            return SealedContent(head, self._tag(number, raw, payload).hex(), payload)
        start = _LENGTH.size + len(raw)
        end = start + len(payload)
        buffer = bytearray(end + TAG_BYTES + _SLACK)
        view = memoryview(buffer)
        encryptor = PrimitiveCipher(self._algorithm, GCM(_nonce(number))).encryptor()
        encryptor.update_into(_LENGTH.pack(len(raw)) + raw, view)
        encryptor.update_into(payload, view[start:])
        encryptor.finalize()
        view[end : end + TAG_BYTES] = encryptor.tag
        return SealedContent(None, None, view[: end + TAG_BYTES].toreadonly())

    def open(self, number: int, content: SealedContent) -> tuple[str, Payload]:
        """Return head and payload of a message that came.

        Raises:
            ValueError: It was not sealed so, for this number, with this key.
        """
        if self._cipher is Cipher.NONE:
            return _given(content.inner), content.payload
        if self._cipher is Cipher.AUTHENTICATED:
            head = _given(content.inner)
            expected = self._tag(number, head.encode(), content.payload)
            if not bytes_eq(expected, bytes.fromhex(_given(content.tag))):
                raise ValueError("it does not fit its tag")
            return head, content.payload
        try:
            plain = self._aead.decrypt(_nonce(number), content.payload, None)
        except InvalidTag as error:
            raise ValueError("it does not fit the key") from error
        start = _LENGTH.size + int.from_bytes(plain[: _LENGTH.size], "big")
        if not _LENGTH.size <= start <= len(plain):
            raise ValueError("its head is longer than the whole")
        return plain[_LENGTH.size : start].decode(), memoryview(plain)[start:]

    def _tag(self, number: int, head: bytes, payload: Payload) -> bytes:
        # Galois/Counter Mode over nothing to encrypt, known as GMAC.
        encryptor = PrimitiveCipher(self._algorithm, GCM(_nonce(number))).encryptor()
        encryptor.authenticate_additional_data(_LENGTH.pack(len(head)) + head)
        encryptor.authenticate_additional_data(payload)
        encryptor.finalize()
        return encryptor.tag


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _given(text: str | None) -> str:
    if text is None:
        raise ValueError("a part of it is missing")
    return text

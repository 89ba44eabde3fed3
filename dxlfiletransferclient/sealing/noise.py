"""The pattern IK of the Noise protocol framework, revision 34. No input or output.

In short: both ends keep a hash of everything that was said and a key that each exchange of keys is
mixed into; what follows is encrypted with that key and bound to that hash.
"""

import hashlib
import hmac
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dxlfiletransferclient.sealing.keys import KEY_BYTES

PROTOCOL: Final = b"Noise_IK_25519_AESGCM_SHA256"
"""Name of the pattern and of what it is made of, as the framework spells it."""

TAG_BYTES: Final = 16
"""Bytes by which anything encrypted is longer."""

_NONCE_ZEROS: Final = bytes(4)


class SymmetricState:
    """What both ends compute from what was said so far.

    Args:
        prologue: What both have to know beforehand.
    """

    __slots__ = ("_chaining_key", "_key", "_nonce", "transcript")

    def __init__(self, prologue: bytes) -> None:
        self.transcript = PROTOCOL.ljust(KEY_BYTES, b"\0")
        self._chaining_key = self.transcript
        self._key: bytes | None = None
        self._nonce = 0
        self.mix_hash(prologue)

    def copy(self) -> Self:
        """Return another one that knows the same."""
        other = type(self).__new__(type(self))
        for name in ("transcript", "_chaining_key", "_key", "_nonce"):
            setattr(other, name, getattr(self, name))
        return other

    def mix_hash(self, data: bytes) -> None:
        """Take note of what was said."""
        self.transcript = hashlib.sha256(self.transcript + data).digest()

    def mix_key(self, secret: bytes) -> None:
        """Take in what two keys have in common."""
        self._chaining_key, self._key = self._derived(secret)
        self._nonce = 0

    def encrypt(self, plain: bytes) -> bytes:
        """Return something encrypted, and take note of it; a key was mixed in before."""
        sealed = self._cipher().encrypt(self._next_nonce(), plain, self.transcript)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed: bytes) -> bytes:
        """Return what was encrypted, and take note of it.

        Raises:
            ValueError: It was encrypted otherwise, or changed.
        """
        try:
            plain = self._cipher().decrypt(self._next_nonce(), sealed, self.transcript)
        except InvalidTag as error:
            raise ValueError("it does not fit the keys and what was said before") from error
        self.mix_hash(sealed)
        return plain

    def split(self) -> tuple[bytes, bytes]:
        """Return one key for each direction; the initiator's comes first."""
        return self._derived(b"")

    def _derived(self, secret: bytes) -> tuple[bytes, bytes]:
        extracted = hmac.digest(self._chaining_key, secret, "sha256")
        first = hmac.digest(extracted, b"\x01", "sha256")
        return first, hmac.digest(extracted, first + b"\x02", "sha256")

    def _cipher(self) -> AESGCM:
        if self._key is None:
            raise RuntimeError("nothing can be encrypted before keys were exchanged")
        return AESGCM(self._key)

    def _next_nonce(self) -> bytes:
        nonce = _NONCE_ZEROS + self._nonce.to_bytes(8, "big")
        self._nonce += 1
        return nonce

"""Key pairs by which the ends of a session know each other."""

import base64
import binascii
import re
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dxlfiletransferclient.errors import brief

KEY_BYTES: Final = 32
"""Bytes of a private key, of a public key, and of what two keys have in common."""

PREFIX: Final = "dxlft1-"
"""What the text of a public key begins with, so that it is known for what it is."""

_TEXT: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class PrivateKey:
    """The secret half of a key pair for X25519.

    Args:
        key: The key.

    Example:
        >>> key = PrivateKey.from_bytes(bytes(range(32)))
        >>> key.public
        'dxlft1-j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8'
    """

    __slots__ = ("_key", "_public")

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a new one, from the randomness of the operating system."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the one that :meth:`to_bytes` gave.

        Raises:
            ValueError: There are not 32 bytes.
        """
        if len(raw) != KEY_BYTES:
            raise ValueError(f"a private key has {KEY_BYTES} bytes, not {len(raw)}")
        return cls(X25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        """Return it as 32 bytes, which are the secret itself."""
        return self._key.private_bytes_raw()

    @property
    def public(self) -> str:
        """The public half as text: one line of letters, digits, ``-`` and ``_``."""
        return public_text(self._public)

    @property
    def public_bytes(self) -> bytes:
        """The public half as 32 bytes."""
        return self._public

    def exchange(self, peer: bytes) -> bytes:
        """Return what this pair and another have in common, and nobody else can compute.

        Args:
            peer: Public half of the other one, as bytes.

        Raises:
            ValueError: It is no public key, or one that makes no secret.
        """
        return self._key.exchange(X25519PublicKey.from_public_bytes(peer))

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public}>"


def public_text(raw: bytes) -> str:
    """Return a public key of 32 bytes as text."""
    return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def public_bytes(text: str) -> bytes:
    """Return a public key as bytes, from its text.

    Raises:
        ValueError: It is none.
    """
    stripped = text.strip().rstrip("=")
    if not _TEXT.fullmatch(stripped):
        raise ValueError(
            f"{brief(text)} is no public key: one is {PREFIX!r} with 43 letters, digits, '-' or "
            "'_' after it. The server tells its own in its information"
        )
    try:
        raw = base64.b64decode(stripped.removeprefix(PREFIX) + "=", altchars=b"-_", validate=True)
        PrivateKey.generate().exchange(raw)
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"{brief(text)} is no public key that anybody can have") from error
    return raw


def check_public_key(text: str) -> str:
    """Return the text of a public key as it is compared: without blanks around it.

    Args:
        text: What somebody has entered.

    Raises:
        ValueError: It is no public key; the message says what one looks like.

    Example:
        >>> check_public_key(" dxlft1-j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8 ")
        'dxlft1-j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8'
    """
    return public_text(public_bytes(text))

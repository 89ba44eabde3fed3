"""How a transfer logs on at its receiver, kept so that only this server can read it."""

import json
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dxlfiletransferservice.courier.seams import Login

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORM: Final = b"\x01"
_PURPOSE: Final = b"dxl file transfer: credentials of transfers"


class UnreadableCredentialsError(Exception):
    """Credentials are damaged, of another transfer, or sealed with another key."""


class CredentialVault:
    """Seals the credentials of transfers, with AES-256-GCM.

    Each is bound to its transfer: in the row of another one it cannot be opened.

    Args:
        secret: The private key of the server, from which the key is derived.

    Example:
        >>> vault = CredentialVault(bytes(32))
        >>> vault.open(17, vault.seal(17, Login(user="ann", password="x"))).user
        'ann'
    """

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(secret)
        self._cipher = AESGCM(key)

    def seal(self, transfer_id: int, login: Login) -> bytes | None:
        """Return how a transfer logs on, sealed; ``None`` if it does not."""
        if login == Login():
            return None
        text = json.dumps([login.user, login.password, login.token]).encode()
        nonce = os.urandom(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, text, _bound_to(transfer_id))

    def open(self, transfer_id: int, sealed: bytes | None) -> Login:
        """Return how a transfer logs on.

        Raises:
            UnreadableCredentialsError: It was not sealed for this transfer by this server.
        """
        if sealed is None:
            return Login()
        form, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if form != _FORM:
            raise UnreadableCredentialsError("they are of another form")
        try:
            text = self._cipher.decrypt(nonce, rest, _bound_to(transfer_id))
        except (InvalidTag, ValueError) as error:
            raise UnreadableCredentialsError("they were not sealed with this key") from error
        user, password, token = json.loads(text)
        return Login(user=user, password=password, token=token)


def _bound_to(transfer_id: int) -> bytes:
    return _FORM + str(transfer_id).encode()

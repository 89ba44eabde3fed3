"""The file that a server's own key pair lies in."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dxlfabric.durablefiles import (
    PRIVATE_MODE,
    close_to_others,
    flush_directory,
    make_private_directory,
    write_file,
)
from dxlfiletransferclient.errors import FileTransferError
from dxlfiletransferclient.sealing.keys import PrivateKey


class KeyFileError(FileTransferError):
    """The file of a private key cannot be used; the message names it."""


def load_or_make(path: Path) -> PrivateKey:
    """Return the key in a file; make both if there is no such file.

    A file that is there is never changed but for its mode: others lose their access to it. Where
    several processes make one at the same time, all get the key of the first.

    Args:
        path: The file, PEM as other programs read it too. Its directory is made if it is missing.

    Returns:
        The key.

    Raises:
        KeyFileError: What is there is no such key, or cannot be read or written.
    """
    try:
        if not path.exists():
            _make(path)
        close_to_others(path, PRIVATE_MODE)
        pem = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise KeyFileError(f"the private key {path} cannot be read or made: {reason}") from error
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error
    if not isinstance(key, X25519PrivateKey):
        raise _damaged(path)
    return PrivateKey(key)


def _make(path: Path) -> None:
    if not path.parent.exists():
        make_private_directory(path.parent)
    pem = X25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    # A link, unlike a rename, takes no name away from a file that somebody made meanwhile.
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_file(made, pem, mode=PRIVATE_MODE)
        path.hardlink_to(made)
    except FileExistsError:
        pass
    finally:
        made.unlink(missing_ok=True)
    flush_directory(path.parent)


def _damaged(path: Path) -> KeyFileError:
    return KeyFileError(
        f"{path} holds no X25519 private key in PEM, as it should: restore it from a backup. "
        "Without one, move it away to have a new key made; whoever knows the old one has to be "
        "told then"
    )

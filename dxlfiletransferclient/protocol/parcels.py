"""Fields and payload as they travel, sealed so that damage on the way is noticed."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import xxhash

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

DIGEST: Final = "digest"
"""Field with the xxh3-128 of the payload, in hex."""

CHECK: Final = "check"
"""Field with the xxh3-128 of all other fields, in hex; see :func:`check_of`."""

_OF_THE_FABRIC: Final = "dxl."
"""Fields whose names begin so are added by brokers on the way and belong to no message."""

_LENGTH: Final = struct.Struct(">I")
_SHORT: Final = 512
"""Characters from which on a text is not short; nearly all fields are, and lengths below are kept
packed, each byte as one character."""

_SHORT_LENGTHS: Final = tuple(_LENGTH.pack(length).decode("latin-1") for length in range(_SHORT))

Payload = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one message carries.

    Attributes:
        fields: Names and values, as the other fields of a DXL message.
        payload: The payload of the DXL message.
        digest: The digest of this very payload, where somebody has computed it already.
    """

    fields: Mapping[str, str]
    payload: Payload = b""
    digest: str | None = field(default=None, compare=False, repr=False)


def digest_of(payload: Payload) -> str:
    """Return the digest of a payload or segment: its xxh3-128, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(payload)


def check_of(fields: Mapping[str, str]) -> str:
    """Return the digest of fields.

    It is the xxh3-128 of all names and values in the order of the names' UTF-8, each preceded by
    its length in bytes as a 32-bit big-endian number. The field ``check`` itself, and fields that
    brokers add, are left out.
    """
    return _check(
        {
            name: value
            for name, value in fields.items()
            if name != CHECK and not name.startswith(_OF_THE_FABRIC)
        }
    )


def _check(fields: Mapping[str, str]) -> str:
    """Return what :func:`check_of` does for fields of which none is to be left out."""
    texts: list[str] = []
    # Texts have the order of their UTF-8.
    for name in sorted(fields):
        texts += (name, fields[name])
    return xxhash.xxh3_128_hexdigest(_short_ascii(texts) or _any_texts(texts))


def _short_ascii(texts: Sequence[str]) -> bytes:
    """Return texts with their lengths if all are short and ASCII, as nearly always; else nothing.

    They are put together as text and encoded at once, which costs a third of the calls.
    """
    parts: list[str] = []
    for text in texts:
        length = len(text)
        if length >= _SHORT:
            return b""
        parts += (_SHORT_LENGTHS[length], text)
    return "".join(parts).encode("latin-1") if "".join(texts).isascii() else b""


def _any_texts(texts: Sequence[str]) -> bytes:
    """Return texts with their lengths."""
    encoded = [text.encode() for text in texts]
    return b"".join([part for each in encoded for part in (_LENGTH.pack(len(each)), each)])


def sealed(
    fields: Mapping[str, str], payload: Payload = b"", *, digest: str | None = None
) -> Parcel:
    """Return a parcel whose digests are filled in.

    Args:
        fields: Names and values of a message; none that :func:`check_of` leaves out.
        payload: The payload.
        digest: The payload's digest, where it is known.
    """
    digest = digest or digest_of(payload)
    whole = {**fields, DIGEST: digest}
    whole[CHECK] = _check(whole)
    return Parcel(whole, payload, digest)


def verified(parcel: Parcel) -> Parcel:
    """Return a parcel without what brokers added, if it is as it was sealed.

    Raises:
        RefusedError: ``CORRUPT``, if it is not.
    """
    fields = {
        name: value for name, value in parcel.fields.items() if not name.startswith(_OF_THE_FABRIC)
    }
    try:
        whole = fields.pop(CHECK, None) == _check(fields)
    except UnicodeEncodeError:
        whole = False
    if not whole:
        raise RefusedError(ErrorCode.CORRUPT, "the fields of the message were damaged on its way")
    digest = parcel.digest or digest_of(parcel.payload)
    if fields.get(DIGEST) != digest:
        raise RefusedError(ErrorCode.CORRUPT, "the payload of the message was damaged on its way")
    return Parcel(fields, parcel.payload, digest)

"""What is said inside the handshake of a session: what the peer wants, and what it gets."""

import json
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any, Final, Self

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

MAX_ID: Final = 128
"""Characters of an id at most; a UUID has 36."""

MAX_TEXT: Final = 8192
"""Characters of any other text in an admission: paths have 4096 bytes, and tokens some tens."""

PADDING: Final = 256
"""What the bytes of an admission are rounded up to, so that its size on the way tells next to
nothing about names and passwords."""

_MAX_NUMBER: Final = 2**63 - 1
_TEXTS: Final = ("user", "password", "token", "ticket")


class Cipher(IntEnum):
    """How what travels in a session is protected; more is higher."""

    NONE = 0
    """Not at all: only the handshake itself is."""

    AUTHENTICATED = 1
    """Readable on the way, and nobody can change it unnoticed."""

    AES_128 = 2
    """Nobody on the way can read or change it."""

    AES_256 = 3
    """The same with longer keys."""


class SessionPurpose(StrEnum):
    """What a session is for."""

    TRANSFER = "transfer"
    """To store the files of a transfer."""

    DOWNLOAD = "download"
    """To fetch the files that a shared token opens."""

    CONTROL = "control"
    """To call commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferNote:
    """What a receiver is told of a transfer as a whole.

    Attributes:
        transfer_id: Its id at the sender.
        destination_path: Directory below which everything goes; may be empty.
        overwrite_mode: ``OVERWRITE_…``.
        flags: ``TRANSFER_FLAG_…``.
        time_resolution_us: Microseconds by which modification times may differ and count as equal.
        total_files: Files and empty directories.
        total_size: Their bytes.
    """

    transfer_id: str
    destination_path: str = ""
    overwrite_mode: int = 4
    flags: int = 7
    time_resolution_us: int = 0
    total_files: int = 0
    total_size: int = 0

    def __post_init__(self) -> None:
        _check_id("transfer_id", self.transfer_id)
        _check_text("destination_path", self.destination_path)
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int) and not 0 <= value <= _MAX_NUMBER:
                raise ValueError(f"{each.name!r} is {brief(value)}, but must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What somebody wants who asks for a session, and what he shows for it.

    Attributes:
        admission_id: Made by the peer; the same when it asks again for the same thing, so that
            what is counted is counted once.
        purpose: What the session is for.
        cipher: The least protection that will do.
        user: User name, if it shows a password.
        password: Password of the user, or of the token.
        token: A token.
        ticket: Proof of an earlier log-on; for ``CONTROL``.
        transfer: What is to be sent; for ``TRANSFER``.
    """

    admission_id: str
    purpose: SessionPurpose
    cipher: Cipher = Cipher.NONE
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)
    transfer: TransferNote | None = None

    def __post_init__(self) -> None:
        _check_id("admission_id", self.admission_id)
        for name in _TEXTS:
            _check_text(name, getattr(self, name) or "")

    def to_bytes(self) -> bytes:
        """Return it as JSON, with blanks at the end that hide how long it is."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        text = json.dumps(values, ensure_ascii=False).encode()
        return text.ljust(-(-len(text) // PADDING) * PADDING)

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Read it.

        Raises:
            RefusedError: ``INVALID`` if it is none; ``CIPHER`` if it asks for one nobody knows.
        """
        found = _object(text)
        note = found.pop("transfer", None)
        try:
            cipher = Cipher(found.pop("cipher", 0))
        except ValueError as error:
            raise RefusedError(ErrorCode.CIPHER, ErrorCode.CIPHER.meaning) from error
        try:
            return cls(
                admission_id=_of(str, found.pop("admission_id", None)),
                purpose=SessionPurpose(found.pop("purpose", "")),
                cipher=cipher,
                transfer=None if note is None else _note(note),
                **{name: _of(str, found[name]) for name in _TEXTS if name in found},
            )
        except (TypeError, ValueError) as error:
            raise RefusedError(ErrorCode.INVALID, f"no valid admission: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What somebody gets who is let in.

    Attributes:
        session: Name of the session.
        cipher: What it is protected by: what was asked for, or more.
    """

    session: str
    cipher: Cipher

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"session": self.session, "cipher": int(self.cipher)}).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Read it.

        Raises:
            RefusedError: ``INVALID`` if it is none.
        """
        found = _object(text)
        try:
            cipher: Any = found.get("cipher")
            return cls(session=_of(str, found.get("session")), cipher=Cipher(cipher))
        except (TypeError, ValueError) as error:
            raise RefusedError(ErrorCode.INVALID, f"no valid answer: {error}") from error


def _note(found: Any) -> TransferNote:
    if not isinstance(found, dict):
        raise TypeError(f"'transfer' is {brief(found)}")
    kinds = {each.name: int if each.type is int else str for each in fields(TransferNote)}
    values = {name: value for name, value in found.items() if name in kinds}
    for name, value in values.items():
        if type(value) is not kinds[name]:
            raise TypeError(f"{name!r} is {brief(value)}")
    return TransferNote(**values)


def _check_id(name: str, value: str) -> None:
    if not 1 <= len(value) <= MAX_ID:
        raise ValueError(f"{name!r} must have 1 to {MAX_ID} characters")
    _check_text(name, value)


def _check_text(name: str, value: str) -> None:
    if len(value) > MAX_TEXT:
        raise ValueError(f"{name!r} has more than {MAX_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} is no valid text") from error


def _of(kind: type[str], value: Any) -> str:
    if isinstance(value, kind):
        return value
    raise TypeError(f"there is {brief(value)} where text should be")


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError(ErrorCode.INVALID, "no valid admission: no JSON") from error
    if not isinstance(found, dict):
        raise RefusedError(ErrorCode.INVALID, "no valid admission: no object")
    return found

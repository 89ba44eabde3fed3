"""What a checkpoint looks like on the disk. No input or output.

The journal of a part file is two slots of one size that are written in turn, so it never grows,
and a slot that is torn by a crash leaves the other one.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Final

import xxhash

from dxlfiletransferclient.intervals import Range, Ranges
from dxlfiletransferclient.protocol.limits import MAX_RANGES

SLOT_SIZE: Final = 8192
"""Bytes of one slot: enough for 256 ranges and the state of a SHA-256, and whole disk blocks."""

SLOTS: Final = 2
"""Slots of a journal: one to write, and one that stays whole meanwhile."""

MAX_STATE: Final = 1024
"""Bytes that the saved state of a SHA-256 may have; the one in use has 103 at most."""

_MAGIC: Final = b"DXLFTCP1"
_HEAD: Final = struct.Struct(">8s32sQQHH")
_RANGE: Final = struct.Struct(">QQ")
_DIGEST_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What of a file is safe on the disk.

    Attributes:
        sequence: Counts the checkpoints of a part file; the highest is the newest.
        held: Ranges that are safe; the first 256 are recorded.
        hashed: Bytes from the beginning that have gone through the SHA-256; all of them are held.
        state: State of the SHA-256 after these; empty if it could not be saved.
    """

    sequence: int
    held: Ranges
    hashed: int
    state: bytes


def subject_of(name: str, version: str, size: int) -> bytes:
    """Return what ties a checkpoint to one version of one file of a service."""
    return hashlib.sha256(json.dumps([name, version, size]).encode()).digest()


def place_of(sequence: int) -> int:
    """Return the offset in the journal at which a checkpoint is written."""
    return sequence % SLOTS * SLOT_SIZE


def encoded(checkpoint: Checkpoint, subject: bytes) -> bytes:
    """Return a checkpoint as it is written.

    Args:
        checkpoint: The checkpoint.
        subject: From :func:`subject_of`.

    Raises:
        ValueError: If the state of the SHA-256 is longer than a slot has room for.
    """
    if len(checkpoint.state) > MAX_STATE:
        raise ValueError(f"the state of a SHA-256 has {len(checkpoint.state)} bytes")
    held = checkpoint.held[:MAX_RANGES]
    head = _HEAD.pack(
        _MAGIC,
        subject,
        checkpoint.sequence,
        checkpoint.hashed,
        len(checkpoint.state),
        len(held),
    )
    body = head + checkpoint.state + b"".join(_RANGE.pack(*each) for each in held)
    return body + xxhash.xxh3_128_digest(body)


def latest(journal: bytes, subject: bytes, size: int) -> Checkpoint | None:
    """Find the newest whole checkpoint in a journal.

    Args:
        journal: All its bytes.
        subject: From :func:`subject_of`; checkpoints of anything else are passed over.
        size: Bytes of the whole file; no range may go beyond.

    Returns:
        The checkpoint; ``None`` if there is none that can be trusted.
    """
    found: Checkpoint | None = None
    for start in range(0, SLOTS * SLOT_SIZE, SLOT_SIZE):
        each = _decoded(journal[start : start + SLOT_SIZE], subject, size)
        if each and (found is None or each.sequence > found.sequence):
            found = each
    return found


def _decoded(slot: bytes, subject: bytes, size: int) -> Checkpoint | None:
    if len(slot) < _HEAD.size:
        return None
    magic, about, sequence, hashed, state_size, count = _HEAD.unpack_from(slot)
    ranges_at = _HEAD.size + state_size
    end = ranges_at + count * _RANGE.size
    if (magic, about) != (_MAGIC, subject) or len(slot) < end + _DIGEST_SIZE:
        return None
    if xxhash.xxh3_128_digest(slot[:end]) != slot[end : end + _DIGEST_SIZE]:
        return None
    held: list[Range] = []
    position = -1
    for low, high in _RANGE.iter_unpack(slot[ranges_at:end]):
        if not position < low < high <= size:
            return None
        held.append((low, high))
        position = high
    prefix = held[0][1] if held and held[0][0] == 0 else 0
    if hashed > prefix:
        return None
    return Checkpoint(sequence, tuple(held), hashed, slot[_HEAD.size : ranges_at])

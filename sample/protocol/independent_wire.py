"""What the independent client knows of messages: seals, ranges, batches.

Written after docs/protocol.md.
"""

import hashlib
import json
import struct
from pathlib import Path

import xxhash

LARGEST_PAYLOAD = 1_040_384
MOST_ENTRIES = 1000


def digest_of(payload):
    return xxhash.xxh3_128_hexdigest(payload)


def check_of(fields):
    state = xxhash.xxh3_128()
    pairs = [
        (name.encode(), value.encode())
        for name, value in fields.items()
        if name != "check" and not name.startswith("dxl.")
    ]
    for name, value in sorted(pairs):
        state.update(struct.pack(">I", len(name)) + name)
        state.update(struct.pack(">I", len(value)) + value)
    return state.hexdigest()


def sealed(fields, payload):
    """Fields with the two that every message has."""
    whole = {name: value for name, value in fields.items() if value is not None}
    whole["digest"] = digest_of(payload)
    whole["check"] = check_of(whole)
    return whole


def is_whole(fields, payload):
    return fields.get("check") == check_of(fields) and fields.get("digest") == digest_of(payload)


def parse_ranges(text):
    pairs = (part.split("-") for part in text.split(",")) if text else ()
    return [(int(start), int(end)) for start, end in pairs]


def missing(held, size):
    """What lies between ranges."""
    gaps, position = [], 0
    for start, end in [*held, (size, size)]:
        if position < start:
            gaps.append((position, start))
        position = max(position, end)
    return gaps


def pieces(ranges, length):
    """Ranges, cut to a length."""
    for start, end in ranges:
        for position in range(start, end, length):
            yield position, min(position + length, end)


def batch_payload(entries):
    """The payload of a batch; entries are pairs of header members and content."""
    objects = [{**members, "length": len(content)} for members, content in entries]
    header = json.dumps(objects, ensure_ascii=False).encode()
    contents = [content for _, content in entries]
    return b"".join([struct.pack(">I", len(header)), header, *contents])


def entries_of(directory, name):
    """What is in a directory, for batches: files and empty directories."""
    for path in sorted(Path(directory).rglob("*")):
        members = {"name": f"{name}/{path.relative_to(directory).as_posix()}"}
        if path.is_file():
            content = path.read_bytes()
            members["sha256"] = hashlib.sha256(content).hexdigest()
            members["modified_ns"] = path.stat().st_mtime_ns
            yield members, content
        elif path.is_dir() and not any(path.iterdir()):
            yield {**members, "kind": "directory"}, b""


def batches_of(entries):
    """Entries, as many at a time as fit into one message."""
    batch, room = [], LARGEST_PAYLOAD
    for members, content in entries:
        size = len(json.dumps(members, ensure_ascii=False).encode()) + len(content) + 64
        if batch and (size > room or len(batch) == MOST_ENTRIES):
            yield batch
            batch, room = [], LARGEST_PAYLOAD
        batch.append((members, content))
        room -= size
    if batch:
        yield batch

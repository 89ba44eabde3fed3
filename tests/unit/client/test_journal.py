"""The journal's records: written, read back, torn, damaged, and what they add up to."""

import string
import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.protocol.messages import Overwrite
from dxlfiletransferclient.storage.journal import (
    MAX_RECORD,
    Checkpoint,
    Dropped,
    History,
    Intent,
    Metadata,
    Reader,
    Record,
    Segment,
    Stored,
    Withdrawn,
    Writer,
)

HEX = st.text(alphabet=string.hexdigits[:16], min_size=64, max_size=64)
NUMBER = st.integers(0, 2**63 - 1)
METADATA = st.builds(
    Metadata,
    version=st.sampled_from([1, 2]),
    name=st.text(max_size=30),
    size=st.none() | NUMBER,
    modified_ns=st.none() | st.integers(-(2**63), 2**63 - 1),
    executable=st.booleans(),
    overwrite=st.sampled_from(Overwrite),
)
SEGMENTS = st.builds(
    Segment, NUMBER, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16)
)
RECORDS = st.one_of(
    METADATA,
    SEGMENTS,
    st.builds(Checkpoint, NUMBER, NUMBER, st.binary(max_size=103)),
    st.builds(Dropped, NUMBER, NUMBER, st.integers(0, 2**32 - 1)),
    st.builds(Intent, NUMBER, NUMBER, HEX),
    st.just(Withdrawn()),
    st.builds(Stored, kept=st.booleans(), version=st.text(max_size=24), size=NUMBER, sha256=HEX),
)


def encoded(records: Iterable[Record]) -> bytes:
    """Return a journal whose records were written one by one."""
    writer, data = Writer(), b""
    for record in records:
        piece, writer = writer.encoded(record)
        data += piece
        assert writer.position == len(data)
    return data


def read(data: bytes, step: int = 2**20) -> list[Record]:
    reader = Reader()
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    return [record for piece in pieces for _, record in reader.read(piece)]


def history(*records: Record) -> History:
    found, reader = History(), Reader()
    for position, record in reader.read(encoded(records)):
        found.add(position, record)
    return found


def position_after(*records: Record) -> int:
    return len(encoded(records))


def segment(start: int, end: int) -> Segment:
    return Segment(start, end - start, bytes(16))


@given(st.lists(RECORDS, max_size=8), st.integers(1, 50))
def test_what_was_written_is_read(records: list[Record], step: int) -> None:
    assert read(encoded(records), step) == records


@given(st.lists(RECORDS, max_size=8))
def test_several_at_once_are_written_as_one_by_one(records: list[Record]) -> None:
    assert Writer().encoded(*records)[0] == encoded(records)


@given(st.lists(RECORDS, max_size=5), st.lists(RECORDS, max_size=5))
def test_a_journal_is_gone_on_with(first: list[Record], second: list[Record]) -> None:
    reader = Reader()
    before = encoded(first)
    assert len(list(reader.read(before))) == len(first)
    more, _ = reader.writer().encoded(*second)
    assert read(before + more) == first + second


@given(st.lists(RECORDS, min_size=1, max_size=6), st.data())
def test_a_torn_journal_tells_what_is_whole(records: list[Record], data: st.DataObject) -> None:
    whole = encoded(records)
    kept = data.draw(st.integers(0, len(whole) - 1))
    found = read(whole[:kept])
    assert found == records[: len(found)]
    assert len(encoded(records[: len(found)])) <= kept
    assert len(found) == len(records) or len(encoded(records[: len(found) + 1])) > kept


@given(st.lists(RECORDS, min_size=1, max_size=6), st.data(), st.integers(1, 255))
def test_a_flipped_byte_ends_the_journal(
    records: list[Record], data: st.DataObject, flip: int
) -> None:
    whole = bytearray(encoded(records))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= flip
    found = read(bytes(whole))
    assert found == records[: len(found)]
    assert len(encoded(records[: len(found)])) <= at


@given(st.lists(SEGMENTS, min_size=2, max_size=5), st.data())
def test_records_of_another_place_are_not_taken(
    records: list[Segment], data: st.DataObject
) -> None:
    """A block of the disk that shows up where it does not belong."""
    whole = encoded(records)
    length = len(whole) // len(records)
    place = data.draw(st.integers(0, len(records) - 1))
    other = data.draw(st.integers(0, len(records) - 1))
    assume(records[place] != records[other])
    moved = whole[: place * length] + whole[other * length : (other + 1) * length]
    assert read(moved) == records[:place]


@given(st.binary(max_size=300))
def test_garbage_is_no_journal(data: bytes) -> None:
    assert read(data) == []


def test_zeros_behind_the_end_are_nothing() -> None:
    whole = encoded([segment(0, 5)])
    assert read(whole + bytes(1000)) == [segment(0, 5)]


def test_no_memory_is_set_aside_for_a_damaged_length() -> None:
    reader = Reader()
    damaged = b"\x02" + (MAX_RECORD + 1).to_bytes(4, "big")
    assert list(reader.read(damaged)) == []
    assert list(reader.read(bytes(2**16))) == []
    assert reader.position == 0
    assert reader._rest == b""


@pytest.mark.parametrize(
    "record", [b"{}", b"[]", b"null", b'{"overwrite": "burn"}', b'{"x": 1}', b"\xff"]
)
def test_metadata_that_is_none(record: bytes) -> None:

    framed = struct.pack(">BI", 1, len(record)) + record
    assert read(framed + struct.pack(">I", zlib.crc32(framed))) == []


def test_nothing_is_known_of_an_empty_journal() -> None:
    found = history()
    assert found.metadata is None
    assert not found.durable.total
    assert found.pending == []


def test_a_checkpoint_covers_what_came_before_its_mark() -> None:
    before = (Metadata(name="a"), segment(0, 10), segment(20, 30))
    found = history(*before, segment(10, 15), Checkpoint(position_after(*before), 10, b"state"))
    assert found.durable.ranges == ((0, 10), (20, 30))
    assert found.pending == [segment(10, 15)]
    assert (found.hashed, found.state) == (10, b"state")
    assert found.metadata == Metadata(name="a")


def test_a_later_checkpoint_covers_the_rest() -> None:
    records: list[Record] = [Metadata(), segment(0, 10)]
    records.append(Checkpoint(position_after(*records), 0, b""))
    records.append(segment(10, 20))
    records.append(Checkpoint(position_after(*records), 20, b"s"))
    found = history(*records)
    assert found.durable.ranges == ((0, 20),)
    assert found.pending == []
    assert found.hashed == 20


def test_what_was_dropped_is_not_durable() -> None:
    records: list[Record] = [Metadata(), segment(0, 10), segment(10, 20)]
    records.append(Checkpoint(position_after(*records), 20, b"s"))
    records.append(Dropped(5, 10))
    found = history(*records)
    assert found.durable.ranges == ((0, 5), (10, 20))
    assert (found.hashed, found.state) == (0, b""), "the SHA-256 had taken it in"


def test_what_is_dropped_while_a_checkpoint_is_made_does_not_come_back() -> None:
    records: list[Record] = [Metadata(), segment(0, 10)]
    mark = position_after(*records)
    records += [Dropped(0, 10), Checkpoint(mark, 10, b"s")]
    found = history(*records)
    assert found.durable.ranges == ()
    assert found.pending == []
    assert found.hashed == 0


def test_what_was_sent_again_counts() -> None:
    records: list[Record] = [Metadata(), segment(0, 10), Dropped(0, 10), segment(0, 10)]
    assert history(*records).pending == [segment(0, 10)]
    records.append(Checkpoint(position_after(*records), 10, b"s"))
    assert history(*records).durable.ranges == ((0, 10),)


def test_dropped_segments_of_version_1_are_the_last_ones() -> None:
    empty = segment(5, 5)
    records: list[Record] = [
        Metadata(version=1),
        segment(0, 5),
        empty,
        segment(5, 9),
        empty,
        Dropped(5, 9, 2),
    ]
    found = history(*records)
    assert found.segments == 2
    assert found.pending == [segment(0, 5), empty]


def test_an_intent_stands_until_it_is_withdrawn() -> None:
    intent = Intent(5, 77, "ab" * 32)
    assert history(Metadata(), intent).intent == intent
    assert history(Metadata(), intent, Withdrawn()).intent is None
    again = Intent(6, 77, "cd" * 32)
    assert history(Metadata(), intent, Withdrawn(), again).intent == again


def test_what_became_of_it() -> None:
    stored = Stored(version="v", size=5, sha256="ab" * 32)
    assert history(Metadata(), stored).stored == stored


@st.composite
def journals(draw: st.DrawFn) -> list[Record]:
    """Draw the journal of a file: segments, drops and checkpoints with marks in the past."""
    records: list[Record] = [Metadata()]
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(0, 50))
        end = draw(st.integers(start + 1, 60))
        match draw(st.sampled_from(["segment", "segment", "dropped", "checkpoint"])):
            case "segment":
                records.append(segment(start, end))
            case "dropped":
                records.append(Dropped(start, end))
            case _:
                covered = draw(st.integers(1, len(records)))
                records.append(Checkpoint(position_after(*records[:covered]), 0, b""))
    return records


@given(journals())
def test_only_what_is_recorded_before_a_mark_is_durable(records: list[Record]) -> None:
    """However drops, segments and checkpoints mix: against a model that replays them plainly."""
    found = history(*records)
    marks = [record.mark for record in records if isinstance(record, Checkpoint)]
    mark = max(marks, default=0)
    safe, recorded = IntervalSet(), IntervalSet()
    for index, record in enumerate(records):
        if isinstance(record, Segment):
            recorded.add(record.start, record.end)
            if position_after(*records[:index]) < mark:
                safe.add(record.start, record.end)
        elif isinstance(record, Dropped):
            recorded.remove(record.start, record.end)
            safe.remove(record.start, record.end)
    for start, end in found.durable:
        assert safe.covers(start, end)
    for each in found.pending:
        assert recorded.covers(each.start, each.end)

"""Finds out what a former process left of a file under way."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.digests import short_digest
from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.storage.journal import (
    Dropped,
    History,
    Metadata,
    Reader,
    Record,
    Segment,
    Writer,
)

READ_SIZE: Final = 2**20
"""Bytes of a journal read at a time (memory while it is read)."""

_LEGACY: Final = 1


@dataclass(frozen=True, slots=True)
class Recovered:
    """What is left of a file.

    Attributes:
        metadata: What it is to become.
        history: What its journal says.
        writer: Goes on with the journal after its last good record.
        held: Ranges that are there: those that a checkpoint covers, and those seen to be right.
        lost: What was recorded and is not there, to be recorded in its turn.
        segments: Segments of version 1 that are there.
    """

    metadata: Metadata
    history: History
    writer: Writer
    held: IntervalSet
    lost: tuple[Dropped, ...] = ()
    segments: int = 0


class NoHistoryError(Exception):
    """What is left of a file does not even tell what it was to become, or has lost its bytes."""


def records_of(journal: int, reader: Reader) -> Iterator[tuple[int, Record]]:
    """Yield the records of a journal with their places.

    Args:
        journal: Descriptor of the journal.
        reader: A new reader.

    Raises:
        OSError: If it cannot be read.
    """
    offset = 0
    while piece := os.pread(journal, READ_SIZE, offset):
        offset += len(piece)
        yield from reader.read(piece)


def history_of(journal: int) -> tuple[History, Writer]:
    """Read a journal, and cut off what follows its last good record.

    Raises:
        OSError: If it cannot be read or cut.
    """
    history, reader = History(), Reader()
    for position, record in records_of(journal, reader):
        history.add(position, record)
    if os.fstat(journal).st_size != reader.position:
        os.ftruncate(journal, reader.position)
    return history, reader.writer()


def recovered(part: int | None, history: History, writer: Writer) -> Recovered:
    """Find out which bytes of a file are there; reads none that a checkpoint covers.

    Args:
        part: Descriptor of the file's bytes; ``None`` if they are no longer here.
        history: What the journal says.
        writer: Goes on with the journal.

    Raises:
        NoHistoryError: If the journal has no beginning.
        OSError: If the file cannot be read.
    """
    if history.metadata is None:
        raise NoHistoryError
    held = history.durable.copy()
    pending = history.pending
    lost: tuple[Dropped, ...] = ()
    if part is not None:
        if history.metadata.version == _LEGACY:
            lost = _lost_from_the_first(part, pending)
        else:
            lost = tuple(
                Dropped(each.start, each.end) for each in pending if not is_as_written(part, each)
            )
    for segment in pending:
        held.add(segment.start, segment.end)
    for dropped in lost:
        held.remove(dropped.start, dropped.end)
    segments = history.segments - sum(dropped.segments for dropped in lost)
    return Recovered(history.metadata, history, writer, held, lost, segments)


def is_as_written(part: int, segment: Segment) -> bool:
    """Whether the bytes of a segment are on the disk as they were when it was recorded."""
    data = os.pread(part, segment.length, segment.start)
    return short_digest(data) == segment.digest


def damaged_segments(part: int, journal: int) -> IntervalSet:
    """Read a whole file again and return the ranges that are not as they were recorded.

    Takes about a second for a few gigabytes, and memory for what is damaged only.

    Raises:
        OSError: If one of them cannot be read.
    """
    drops = [
        (position, record)
        for position, record in records_of(journal, Reader())
        if isinstance(record, Dropped)
    ]
    damaged = IntervalSet()
    for position, record in records_of(journal, Reader()):
        if isinstance(record, Segment) and record.length:
            stale = any(position < later and _meet(record, dropped) for later, dropped in drops)
            if not stale and not is_as_written(part, record):
                damaged.add(record.start, record.end)
    return damaged


def _lost_from_the_first(part: int, pending: list[Segment]) -> tuple[Dropped, ...]:
    """Return what is lost of a file that only grows at its end: all from the first gap on."""
    for index, segment in enumerate(pending):
        if not is_as_written(part, segment):
            end = max(each.end for each in pending[index:])
            return (Dropped(segment.start, end, len(pending) - index),)
    return ()


def _meet(segment: Segment, dropped: Dropped) -> bool:
    return segment.start < dropped.end and dropped.start < segment.end

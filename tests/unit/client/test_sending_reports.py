"""Acknowledged bytes as segments: the callbacks of version 1, whatever really travels."""

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.segments import count_segments, cut
from dxlfiletransferclient.sending.reports import SegmentReports

if TYPE_CHECKING:
    from dxlfiletransferclient import FileSendSegmentResult


def heard_of(
    size: int, acknowledged: list[int], *, segment_size: int = 10, last: int | None = None
) -> list[tuple[int, str | None]]:
    heard: list[FileSendSegmentResult] = []
    reports = SegmentReports(heard.append, "id", segment_size=segment_size, total=7, last=last)
    for count in acknowledged:
        reports.acknowledged(count)
    reports.stored(size)
    assert {(each.file_id, each.total_segments) for each in heard} == {("id", 7)}
    return [(each.segments_received, each.file_result) for each in heard]


@pytest.mark.parametrize(
    ("size", "acknowledged", "last", "expected"),
    [
        (25, [10, 20, 25], 3, [(1, None), (2, None), (3, "store")]),
        (25, [], 3, [(1, None), (2, None), (3, "store")]),
        (30, [10, 20, 30], 3, [(1, None), (2, None), (3, "store")]),
        (0, [], 1, [(1, "store")]),
        (25, [10, 20, 25], None, [(1, None), (2, None), (3, None), (4, "store")]),
        (0, [], None, [(1, "store")]),
        (5, [5], 3, [(1, None), (2, "store")]),
        (30, [10, 5, 20, 0, 30], 3, [(1, None), (2, None), (3, "store")]),
        (30, [4, 8, 12, 29, 30], None, [(1, None), (2, None), (3, None), (4, "store")]),
    ],
)
def test_segments(
    size: int, acknowledged: list[int], last: int | None, expected: list[tuple[int, str | None]]
) -> None:
    assert heard_of(size, acknowledged, last=last) == expected


@given(
    st.integers(0, 200),
    st.lists(st.integers(0, 200)),
    st.integers(1, 30),
    st.sampled_from(["known", "unknown", "limited"]),
    st.integers(1, 10),
)
def test_the_numbers_are_those_of_version_1(
    size: int, acknowledged: list[int], segment_size: int, how: str, limit: int
) -> None:
    total = limit if how == "limited" else None
    declared = size if how == "known" else None
    stream = io.BytesIO(bytes(size))
    numbers = [
        (segment.number, "store" if segment.last else None)
        for segment in cut(stream.read, segment_size, stream_size=declared, total_segments=total)
    ]
    sent = stream.tell()
    last = count_segments(size, segment_size) if how == "known" else total
    reached = [min(count, sent) for count in acknowledged]
    assert heard_of(sent, reached, segment_size=segment_size, last=last) == numbers

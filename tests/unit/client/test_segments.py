import io
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.constants import MAX_SEGMENT_SIZE, MESSAGE_LIMIT
from dxlfiletransferclient.errors import SourceChangedError
from dxlfiletransferclient.segments import (
    Segment,
    check_segment_size,
    check_total,
    count_segments,
    cut,
)
from tests.unit.client.fabric import sha256


class Dribble:
    """A stream that returns what it likes, however much it is asked for."""

    def __init__(self, pieces: Iterable[object]) -> None:
        self._pieces = iter(pieces)
        self.asked: list[int] = []

    def read(self, size: int) -> object:
        self.asked.append(size)
        return next(self._pieces, b"")


def payloads(segments: Iterable[Segment]) -> list[bytes]:
    return [segment.payload for segment in segments]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [b""]),
        (b"a", [b"a", b""]),
        (b"abcd", [b"abcd", b""]),
        (b"abcde", [b"abcd", b"e", b""]),
        (b"abcdefgh", [b"abcd", b"efgh", b""]),
    ],
)
def test_unknown_size_ends_with_an_empty_segment(content: bytes, expected: list[bytes]) -> None:
    assert payloads(cut(io.BytesIO(content).read, 4)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", [b""]),
        (b"a", [b"a"]),
        (b"abcd", [b"abcd"]),
        (b"abcde", [b"abcd", b"e"]),
        (b"abcdefgh", [b"abcd", b"efgh"]),
    ],
)
def test_known_size_needs_no_extra_segment(content: bytes, expected: list[bytes]) -> None:
    read = io.BytesIO(content).read
    assert payloads(cut(read, 4, stream_size=len(content))) == expected


def test_known_number_of_segments_ends_the_stream() -> None:
    read = io.BytesIO(b"abcdefgh").read
    assert payloads(cut(read, 4, total_segments=2)) == [b"abcd", b"efgh"]


def test_a_stream_that_ends_before_the_known_number_of_segments() -> None:
    assert payloads(cut(io.BytesIO(b"ab").read, 4, total_segments=5)) == [b"ab", b""]


@given(
    st.lists(st.binary(min_size=1, max_size=7), max_size=20),
    st.integers(1, 9),
    st.booleans(),
)
def test_segments_hold_the_stream_however_it_is_read(
    pieces: list[bytes], segment_size: int, known: bool
) -> None:
    content = b"".join(pieces)
    size = len(content) if known else None
    segments = list(cut(Dribble(pieces).read, segment_size, stream_size=size))

    assert b"".join(payloads(segments)) == content
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    assert all(len(segment.payload) == segment_size for segment in segments[:-2])
    assert all(len(segment.payload) <= segment_size for segment in segments)
    assert [segment.last for segment in segments] == [False] * (len(segments) - 1) + [True]
    assert segments[-1].sha256 == sha256(content)
    assert segments[-1].sent == len(content)
    if known:
        assert len(segments) == count_segments(len(content), segment_size)


@given(st.text(max_size=40), st.integers(1, 9), st.booleans())
def test_text_is_cut_by_its_bytes(text: str, segment_size: int, known: bool) -> None:
    content = text.encode()
    size = len(content) if known else None
    # newline="" keeps the text as it is.
    segments = list(cut(io.StringIO(text, newline="").read, segment_size, stream_size=size))

    assert b"".join(payloads(segments)) == content
    assert all(len(segment.payload) <= segment_size for segment in segments)
    assert segments[-1].sha256 == sha256(content)


def test_no_more_than_the_declared_size_is_read() -> None:
    stream = io.BytesIO(b"abcdefgh")
    assert payloads(cut(stream.read, 4, stream_size=6)) == [b"abcd", b"ef"]
    assert stream.read() == b"gh"


def test_a_stream_is_read_only_as_far_as_it_is_sent() -> None:
    stream = io.BytesIO(b"abcdefgh")
    segments = cut(stream.read, 4)
    assert next(segments).payload == b"abcd"
    assert stream.tell() == 4


def test_a_stream_that_ended_is_not_read_again() -> None:
    stream = Dribble([b"ab", b""])
    assert payloads(cut(stream.read, 4)) == [b"ab", b""]
    assert stream.asked == [4, 2]


def test_a_stream_that_ends_early_is_named_with_both_sizes() -> None:
    segments = cut(io.BytesIO(b"abcde").read, 4, stream_size=9, source="the tape")
    assert next(segments).payload == b"abcd"
    with pytest.raises(SourceChangedError, match=r"the tape ended after 5 bytes.* 9 bytes"):
        next(segments)


def test_a_size_that_counts_characters_does_not_cut_the_text() -> None:
    text = "grün"
    with pytest.raises(SourceChangedError, match=r"at least 5 bytes.* 4 bytes"):
        list(cut(io.StringIO(text).read, 10, stream_size=len(text)))


@pytest.mark.parametrize("piece", [bytearray(b"abc"), memoryview(b"abc"), "abc"])
def test_kinds_of_pieces(piece: object) -> None:
    assert payloads(cut(Dribble([piece]).read, 9)) == [b"abc", b""]


def test_pieces_longer_than_asked_for_are_kept_for_later() -> None:
    assert payloads(cut(Dribble([b"abcdefg"]).read, 3)) == [b"abc", b"def", b"g", b""]


def test_a_reused_buffer_does_not_change_a_segment() -> None:
    buffer = bytearray(b"abc")
    first = next(cut(Dribble([buffer]).read, 3))
    buffer[:] = b"xyz"
    assert first.payload == b"abc"


def test_a_stream_without_data_is_no_stream_at_its_end() -> None:
    with pytest.raises(BlockingIOError, match="non-blocking"):
        next(cut(Dribble([None]).read, 3))


def test_a_stream_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        next(cut(Dribble([[1]]).read, 3))


@pytest.mark.parametrize("size", [1, MAX_SEGMENT_SIZE])
def test_segment_sizes_in_range(size: int) -> None:
    assert check_segment_size(size) == size


@pytest.mark.parametrize("size", [0, -1, MAX_SEGMENT_SIZE + 1, 10**12])
def test_segment_sizes_out_of_range_name_the_limit_and_why(size: int) -> None:
    with pytest.raises(ValueError, match="drop the connection") as raised:
        check_segment_size(size)
    assert str(MAX_SEGMENT_SIZE) in str(raised.value)
    assert str(MESSAGE_LIMIT) in str(raised.value)


@pytest.mark.parametrize("size", [1.5, "10", None, True])
def test_segment_sizes_that_are_no_integer(size: int) -> None:
    with pytest.raises(TypeError):
        check_segment_size(size)


@pytest.mark.parametrize(
    ("total", "size"), [(None, None), (3, None), (None, 30), (3, 30), (4, 21), (0, 0)]
)
def test_declarations_that_fit(total: int | None, size: int | None) -> None:
    check_total(total, size, 10)


def test_declared_segments_that_cannot_hold_the_declared_size() -> None:
    with pytest.raises(ValueError, match="31 bytes do not fit"):
        check_total(3, 31, 10)


@pytest.mark.parametrize(("total", "size"), [(-1, None), (None, -1)])
def test_negative_declarations(total: int | None, size: int | None) -> None:
    with pytest.raises(ValueError, match="negative"):
        check_total(total, size, 10)


@pytest.mark.parametrize(("total", "size"), [(1.0, None), (None, "1"), (True, None)])
def test_declarations_that_are_no_integer(total: int | None, size: int | None) -> None:
    with pytest.raises(TypeError):
        check_total(total, size, 10)


@pytest.mark.parametrize(("size", "segments"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2)])
def test_count_segments(size: int, segments: int) -> None:
    assert count_segments(size, 10) == segments

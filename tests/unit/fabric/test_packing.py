import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric.errors import MalformedMessageError
from dxlfabric.packing import (
    Unpacker,
    pack_integer,
    pack_text,
    pack_texts,
    raw_header,
    take_array,
    take_raw_header,
    take_raws,
)

INTEGERS = st.integers(min_value=-(2**63), max_value=2**64 - 1)


@given(INTEGERS)
def test_integers_come_back(value: int) -> None:
    assert Unpacker(memoryview(pack_integer(value))).integer() == value


@given(st.text())
def test_texts_come_back(text: str) -> None:
    assert Unpacker(memoryview(pack_text(text))).text() == text


@given(st.lists(st.text(max_size=5), max_size=40))
def test_arrays_come_back(texts: list[str]) -> None:
    assert Unpacker(memoryview(pack_texts(texts))).texts() == tuple(texts)


@pytest.mark.parametrize("length", [0, 31, 32, 255, 256, 65_535, 65_536])
def test_a_raw_is_a_view_of_the_input(length: int) -> None:
    data = memoryview(raw_header(length) + b"x" * length)
    raw = Unpacker(data).raw()
    assert raw.obj is data.obj
    assert len(raw) == length


def test_a_long_array_has_a_long_header() -> None:
    texts = ["a"] * 70_000
    packed = pack_texts(texts)
    assert packed[0] == 0xDD
    assert Unpacker(memoryview(packed)).texts() == tuple(texts)


def test_nil_is_an_empty_raw() -> None:
    assert Unpacker(memoryview(b"\xc0")).text() == ""


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_too_large_an_integer_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        pack_integer(value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "ends early"),
        (b"\xda\x00", "ends early"),
        (b"\xa5abc", "past the end"),
        (b"\xdb\xff\xff\xff\xff", "past the end"),
        (b"\xc4\x01a", "0xc4"),
        (b"\x01", "a string was expected"),
        (b"\xa1\xff", "not UTF-8"),
    ],
)
def test_malformed_text(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessageError, match=complaint):
        Unpacker(memoryview(data)).text()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\xdd\xff\xff\xff\xff", "longer than the message"),
        (b"\xa1a", "an array was expected"),
        (b"\x92\xa1a", "longer than the message|ends early"),
    ],
)
def test_malformed_array(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessageError, match=complaint):
        Unpacker(memoryview(data)).texts()


def test_a_text_is_no_integer() -> None:
    with pytest.raises(MalformedMessageError, match="an integer was expected at 0"):
        Unpacker(memoryview(b"\xa1a")).integer()


@given(st.lists(st.text(max_size=80), max_size=40), st.binary(max_size=3))
def test_what_is_packed_here_is_taken_at_once(texts: list[str], more: bytes) -> None:
    packed = pack_texts(texts)
    taken: list[bytes] = []
    count, position = take_array(packed + more, 0)
    assert count == len(texts)
    assert take_raws(packed + more, position, count, taken) == len(packed)
    assert [one.decode() for one in taken] == texts


@given(st.integers(0, 2**32 - 1))
def test_headers_of_raws_come_back(length: int) -> None:
    header = raw_header(length)
    assert take_raw_header(header, 0) == (length, len(header))


@pytest.mark.parametrize("length", [31, 32, 70_000])
def test_a_raw_that_is_cut_short_seems_to_end_behind_the_input(length: int) -> None:
    packed = raw_header(length) + b"x" * (length - 1)
    if length > 65_535:
        with pytest.raises(ValueError, match="form of its own"):
            take_raws(packed, 0, 1, [])
    else:
        assert take_raws(packed, 0, 1, []) == len(packed) + 1


@pytest.mark.parametrize("data", [b"", b"\xda", b"\xda\x00", b"\xdb\x00\x00\x00", b"\xdc\x01"])
def test_a_header_that_ends_early(data: bytes) -> None:
    for read in (take_array, take_raw_header, lambda one, at: take_raws(one, at, 1, [])):
        with pytest.raises((IndexError, ValueError), match=r".*"):
            read(data, 0)


@pytest.mark.parametrize("data", [b"\xda\x00\x1f" + b"x" * 31, b"\xd9\x01x", b"\xc0", b"\x01"])
def test_forms_of_others_are_not_taken(data: bytes) -> None:
    with pytest.raises(ValueError, match="form"):
        take_raws(data, 0, 1, [])
    with pytest.raises(ValueError, match="form"):
        take_array(data, 0)


def test_a_long_form_of_a_short_array_is_not_taken() -> None:
    with pytest.raises(ValueError, match="form"):
        take_array(b"\xdc\x00\x0f" + b"\xa0" * 15, 0)

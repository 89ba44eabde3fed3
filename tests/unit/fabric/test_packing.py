import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric.errors import MalformedMessageError
from dxlfabric.packing import Unpacker, pack_integer, pack_text, pack_texts, raw_header

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

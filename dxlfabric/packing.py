"""The few MessagePack objects a DXL envelope is made of, in the old encoding.

DXL fixed its envelope when MessagePack knew one string type, *raw*, for text and bytes alike; there
is no ``bin`` type on this wire. The envelope holds integers, raws and arrays of raws and nothing
else, so this module reads and writes just these, and hands a raw out as a view of the input.
"""

import struct
from typing import Final

from dxlfabric.errors import MalformedMessageError

_NIL = 0xC0
_FIXED_RAW = 0xA0
_FIXED_RAW_LIMIT = 0x20
_FIXED_RAW_END = _FIXED_RAW + _FIXED_RAW_LIMIT
_FIXED_ARRAY = 0x90
_FIXED_ARRAY_LIMIT = 0x10
_RAW_8 = 0xD9
_RAW_16 = 0xDA
_RAW_32 = 0xDB
_ARRAY_16 = 0xDC
_ARRAY_32 = 0xDD
_NEGATIVE_FIXED = 0xE0
_LARGEST_FIXED = 0x7F
_SMALLEST_FIXED = -0x20

_INTEGERS = {
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_UNSIGNED = ((0xFF, 0xCC), (0xFFFF, 0xCD), (0xFFFF_FFFF, 0xCE), (0xFFFF_FFFF_FFFF_FFFF, 0xCF))
_SIGNED = ((-0x80, 0xD0), (-0x8000, 0xD1), (-0x8000_0000, 0xD2), (-0x8000_0000_0000_0000, 0xD3))
_LENGTHS = {
    _RAW_8: struct.Struct(">B"),
    _RAW_16: struct.Struct(">H"),
    _RAW_32: struct.Struct(">I"),
    _ARRAY_16: struct.Struct(">H"),
    _ARRAY_32: struct.Struct(">I"),
}


def raw_header(length: int) -> bytes:
    """Return the bytes that go before a raw of ``length`` bytes (0 to 2**32 - 1)."""
    if length < _FIXED_RAW_LIMIT:
        return bytes((_FIXED_RAW | length,))
    if length <= 0xFFFF:
        return bytes((_RAW_16, length >> 8, length & 0xFF))
    return struct.pack(">BI", _RAW_32, length)


def pack_integer(value: int) -> bytes:
    """Return ``value`` in its shortest form.

    Raises:
        ValueError: The value needs more than 64 bits.
    """
    if _SMALLEST_FIXED <= value <= _LARGEST_FIXED:
        return struct.pack(">b", value) if value < 0 else bytes((value,))
    for bound, code in _UNSIGNED if value > 0 else _SIGNED:
        if 0 < value <= bound or bound <= value < 0:
            return bytes((code,)) + _INTEGERS[code].pack(value)
    raise ValueError(f"{value} does not fit into 64 bits")


_HEADERS: Final = tuple(map(raw_header, range(512)))
"""What goes before raws of these lengths: nearly all texts."""


def pack_text(text: str) -> bytes:
    """Return ``text`` as a raw of its UTF-8 bytes."""
    encoded = text.encode()
    length = len(encoded)
    return (_HEADERS[length] if length < len(_HEADERS) else raw_header(length)) + encoded


def array_header(count: int) -> bytes:
    """Return the bytes that go before the ``count`` objects of an array (0 to 2**32 - 1)."""
    if count < _FIXED_ARRAY_LIMIT:
        return bytes((_FIXED_ARRAY | count,))
    if count <= 0xFFFF:
        return bytes((_ARRAY_16, count >> 8, count & 0xFF))
    return struct.pack(">BI", _ARRAY_32, count)


def pack_texts(texts: "list[str] | tuple[str, ...]") -> bytes:
    """Return an array of raws."""
    return array_header(len(texts)) + b"".join(map(pack_text, texts))


def take_raws(data: bytes, position: int, count: int, taken: list[bytes]) -> int:
    """Take raws that are packed as here, without the forms that others may choose.

    Args:
        data: Packed objects.
        position: Where the first raw begins.
        count: How many follow each other there.
        taken: Where their contents go; cut short where the input ends within one.

    Returns:
        Where the last one ends, or should: it may be behind the end of the input.

    Raises:
        IndexError: The input ends early.
        ValueError: There is another object, or a longer form of this one.
    """
    for _ in range(count):
        code = data[position]
        if _FIXED_RAW <= code < _FIXED_RAW_END:
            start = position + 1
            position = start + code - _FIXED_RAW
        elif code == _RAW_16:
            start = position + 3
            position = start + (data[position + 1] << 8) + data[position + 2]
            if position < start + _FIXED_RAW_LIMIT:
                raise ValueError("a short string in a long form")
        else:
            raise ValueError("a string in a form of its own, or none")
        taken.append(data[start:position])
    return position


def take_array(data: bytes, position: int) -> tuple[int, int]:
    """Read an array's header as :func:`take_raws` does; return its count and where it ends."""
    code = data[position]
    if _FIXED_ARRAY <= code < _FIXED_ARRAY + _FIXED_ARRAY_LIMIT:
        return code - _FIXED_ARRAY, position + 1
    if code == _ARRAY_16:
        count = (data[position + 1] << 8) + data[position + 2]
        if count >= _FIXED_ARRAY_LIMIT:
            return count, position + 3
    raise ValueError("an array in a form of its own, or none")


def take_raw_header(data: bytes, position: int) -> tuple[int, int]:
    """Read what goes before a raw; return the raw's length and where it begins.

    It takes every form that this module writes, of whatever length; raises as :func:`take_raws`.
    """
    code = data[position]
    if _FIXED_RAW <= code < _FIXED_RAW_END:
        return code - _FIXED_RAW, position + 1
    if code == _RAW_16:
        return (data[position + 1] << 8) + data[position + 2], position + 3
    if code == _RAW_32:
        high = (data[position + 1] << 24) + (data[position + 2] << 16)
        return high + (data[position + 3] << 8) + data[position + 4], position + 5
    raise ValueError("a string in a form of its own, or none")


class Unpacker:
    """Reads one object after the other from ``data`` without copying it.

    Every method raises :class:`MalformedMessageError` where the input ends early or holds an object
    of another type.
    """

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._end = len(data)
        self._position = 0

    def integer(self) -> int:
        """Read an integer of any width."""
        code = self._code()
        if code <= _LARGEST_FIXED:
            return code
        if code >= _NEGATIVE_FIXED:
            return code - 0x100
        form = _INTEGERS.get(code)
        if form is None:
            raise self._unexpected("an integer", code)
        value: int = self._unpack(form)
        return value

    def raw(self) -> memoryview:
        """Read a raw; return a view of the input. A nil is read as an empty raw."""
        code = self._code()
        if _FIXED_RAW <= code < _FIXED_RAW_END:
            length = code - _FIXED_RAW
        elif _RAW_8 <= code <= _RAW_32:
            length = self._unpack(_LENGTHS[code])
        elif code == _NIL:
            length = 0
        else:
            raise self._unexpected("a string", code)
        start = self._position
        if length > self._end - start:
            raise MalformedMessageError(
                f"a string of {length} bytes at {start} reaches past the end at {self._end}"
            )
        self._position = start + length
        return self._data[start : start + length]

    def text(self) -> str:
        """Read a raw that holds UTF-8."""
        try:
            return str(self.raw(), "utf-8")
        except UnicodeDecodeError as error:
            raise MalformedMessageError(f"text that is not UTF-8: {error.reason}") from error

    def texts(self) -> tuple[str, ...]:
        """Read an array of raws that hold UTF-8."""
        code = self._code()
        if _FIXED_ARRAY <= code < _FIXED_ARRAY + _FIXED_ARRAY_LIMIT:
            count = code - _FIXED_ARRAY
        elif code in (_ARRAY_16, _ARRAY_32):
            count = self._unpack(_LENGTHS[code])
        else:
            raise self._unexpected("an array", code)
        if count > self._end - self._position:
            raise MalformedMessageError(f"an array of {count} items is longer than the message")
        return tuple([self.text() for _ in range(count)])

    def _code(self) -> int:
        if self._position >= self._end:
            raise MalformedMessageError(f"the message ends early, after {self._end} bytes")
        code = self._data[self._position]
        self._position += 1
        return code

    def _unpack(self, form: struct.Struct) -> int:
        start = self._position
        if form.size > self._end - start:
            raise MalformedMessageError(f"the message ends early, after {self._end} bytes")
        self._position = start + form.size
        value: int = form.unpack_from(self._data, start)[0]
        return value

    def _unexpected(self, wanted: str, code: int) -> MalformedMessageError:
        return MalformedMessageError(
            f"{wanted} was expected at {self._position - 1}, but its type byte is 0x{code:02x}"
        )

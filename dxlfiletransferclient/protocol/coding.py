"""Messages to parcels and back, as the attributes of their classes say."""

import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from enum import StrEnum
from functools import cache, partial
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.intervals import Ranges
from dxlfiletransferclient.protocol.compactjson import compact
from dxlfiletransferclient.protocol.limits import MAX_PAYLOAD, MAX_RANGES, MAX_REASON_LENGTH
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    BatchRequest,
    Message,
    RefusalAnswer,
    SegmentRequest,
)
from dxlfiletransferclient.protocol.parcels import Parcel, Payload, sealed, verified
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError

M = TypeVar("M", bound=Message)

_PAYLOAD: Final = "payload"
_PAYLOAD_DIGEST: Final = "payload_digest"  # travels as that of the parcel
_HEADER_LENGTH: Final = 4
_NUMBER: Final = re.compile(r"[0-9]{1,20}|-[0-9]{1,19}")
"""A number in a field, of 20 characters at most: every 64-bit number has fewer."""

_YES_AND_NO: Final = {"0": False, "1": True}


def encode(message: Message, *, digest: str | None = None) -> Parcel:
    """Return a message as a sealed parcel.

    Args:
        message: The message.
        digest: The digest of its payload, where it is known.
    """
    if isinstance(message, BatchRequest):
        return sealed({}, _batch_payload(message))
    if isinstance(message, SegmentRequest):
        digest = digest or message.payload_digest
    values: dict[str, str] = {}
    payload: Payload = b""
    for name, attribute in _attributes(type(message)).items():
        value = getattr(message, name)
        if name == _PAYLOAD:
            payload = value
        elif attribute.parts is not None:
            payload = _json(_objects(value))
        elif value is not None and value != ():
            values[name] = attribute.to_text(value)
    return sealed(values, payload, digest=digest)


def decode(kind: type[M], parcel: Parcel) -> M:
    """Read a message from a parcel that came over the bus.

    Args:
        kind: The class of the message.
        parcel: What came. Fields that the class does not know are ignored.

    Raises:
        RefusedError: ``CORRUPT`` if the parcel was damaged on its way, ``INVALID`` if it is no such
            message.
    """
    parcel = verified(parcel)
    try:
        if kind is BatchRequest:
            return cast("M", _batch(parcel.payload))
        values: dict[str, Any] = {}
        if kind is SegmentRequest:
            values[_PAYLOAD_DIGEST] = parcel.digest
        for name, attribute in _attributes(kind).items():
            if name == _PAYLOAD:
                values[name] = parcel.payload
            elif attribute.parts is not None:
                found = json.loads(bytes(parcel.payload))
                parts = attribute.parts
                values[name] = tuple([_from_object(parts, each) for each in _list(found)])
            elif name in parcel.fields:
                text = parcel.fields[name]
                read = attribute.read_text
                values[name] = text if read is None else read(name, text)
        return kind(**values)
    except (ValueError, TypeError, RecursionError) as error:
        raise RefusedError(ErrorCode.INVALID, f"no valid message: {_reason(error)}") from error


def encode_refusal(error: RefusedError) -> Parcel:
    """Return what an error response carries, beside the code and text that every one has."""
    retry_after = error.retry_after
    milliseconds = None if retry_after is None else max(0, round(retry_after * 1000))
    # A text may hold what is no Unicode, such as a name from a disk; it must not get lost for that.
    text = error.message.encode(errors="backslashreplace").decode()[:MAX_REASON_LENGTH]
    return encode(RefusalAnswer(code=error.code, text=text, retry_after_ms=milliseconds))


def decode_refusal(parcel: Parcel) -> RefusedError:
    """Read an error from what an error response carries; damage on the way is an error as well."""
    try:
        found = decode(RefusalAnswer, parcel)
    except RefusedError as error:
        return error
    retry_after = None if found.retry_after_ms is None else found.retry_after_ms / 1000
    return RefusedError(found.code, found.text, retry_after)


class _Attribute:
    """How one attribute of a message travels."""

    def __init__(self, hint: Any, field: "Field[Any]") -> None:
        choices = get_args(hint) if get_origin(hint) is types.UnionType else (hint,)
        self.kind = next(choice for choice in choices if choice is not types.NoneType)
        self.optional = types.NoneType in choices
        self.default = field.default
        self.choices: Mapping[str, Any] | None = None
        if isinstance(self.kind, type) and issubclass(self.kind, StrEnum):
            self.choices = {each.value: each for each in self.kind}
        # What is of this very type inside a JSON array needs no look, and no conversion.
        self.plain = self.kind if self.kind in (str, int, bool) else None
        self.to_text: Callable[[Any], str] = str
        self.read_text = self._reader()
        if self.kind is bool:
            self.to_text = _yes_or_no
        elif self.kind == Ranges:
            self.to_text = _text_of_ranges
        parts = get_args(self.kind)
        message = get_origin(self.kind) is tuple and self.kind != Ranges
        self.parts: type[Message] | None = parts[0] if message else None

    def _reader(self) -> Callable[[str, str], Any] | None:
        """Return what reads a field of this name and text; ``None`` if its text is the value."""
        if self.kind is int:
            return _number
        if self.kind == Ranges:
            return _ranges
        if self.kind is bool:
            return partial(_one_of, _YES_AND_NO)
        return None if self.choices is None else partial(_one_of, self.choices)

    def from_json(self, name: str, value: Any) -> Any:
        if type(value) is self.plain or (value is None and self.optional):
            return value
        if self.choices is not None and isinstance(value, str):
            return _one_of(self.choices, name, value)
        raise ValueError(f"{name!r} is {brief(value)}")


def _attributes_of(kind: Any) -> Mapping[str, _Attribute]:
    hints = get_type_hints(kind)
    return {
        field.name: _Attribute(hints[field.name], field)
        for field in fields(kind)
        if field.name != _PAYLOAD_DIGEST
    }


def _attributes_but_payload(kind: Any) -> Mapping[str, _Attribute]:
    return {name: each for name, each in _attributes_of(kind).items() if name != _PAYLOAD}


_Attributes = Callable[[Any], Mapping[str, _Attribute]]
_attributes: Final[_Attributes] = cache(_attributes_of)
_attributes_in_json: Final[_Attributes] = cache(_attributes_but_payload)


def _objects(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages as they are inside a JSON array."""
    objects: list[dict[str, Any]] = []
    before: Message | None = None
    for message in messages:
        # Most results of a batch are one and the same object.
        objects.append(objects[-1] if message is before else _object(message))
        before = message
    return objects


def _object(message: Message) -> dict[str, Any]:
    """Return a message as it is inside a JSON array; what has its default is left out."""
    found: dict[str, Any] = {}
    for name, attribute in _attributes_in_json(type(message)).items():
        value, default = getattr(message, name), attribute.default
        # Mostly it is that very object, which takes no comparison.
        if value is not default and value != default:
            found[name] = value
    return found


def _from_object(kind: type[M], found: Any, payload: Payload | None = None) -> M:
    if not isinstance(found, dict):
        raise TypeError(f"an array holds {brief(found)}")
    known = _attributes_in_json(kind)
    values: dict[str, Any] = {}
    for name, value in found.items():
        attribute = known.get(name)
        if attribute is not None:
            plain = type(value) is attribute.plain
            values[name] = value if plain else attribute.from_json(name, value)
    if payload is not None:
        values[_PAYLOAD] = payload
    return kind(**values)


def _batch_payload(batch: BatchRequest) -> bytes:
    objects: list[dict[str, Any]] = []
    for entry in batch.entries:
        found = _object(entry)
        found["length"] = len(entry.payload)
        objects.append(found)
    header = _json(objects)
    contents = [entry.payload for entry in batch.entries]
    payload = b"".join([len(header).to_bytes(_HEADER_LENGTH, "big"), header, *contents])
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a batch of {len(payload)} bytes is over the limit of {MAX_PAYLOAD}")
    return payload


def _batch(payload: Payload) -> BatchRequest:
    view = memoryview(payload)
    position = _HEADER_LENGTH + int.from_bytes(view[:_HEADER_LENGTH], "big")
    if len(view) < position:
        raise ValueError("the batch is shorter than its own header says")
    entries: list[BatchEntry] = []
    for found in _list(json.loads(bytes(view[_HEADER_LENGTH:position]))):
        length = found.pop("length", 0) if isinstance(found, dict) else 0
        if type(length) is not int or not 0 <= length <= len(view) - position:
            raise ValueError("an entry of the batch is longer than what is left of it")
        content = view[position : position + length]
        entries.append(_from_object(BatchEntry, found, content))
        position += length
    if position != len(view):
        raise ValueError("the batch is longer than its entries")
    return BatchRequest(entries=tuple(entries))


def _json(value: object) -> bytes:
    return compact(value).encode()


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError(f"the payload holds {brief(value)} and no array")


def _yes_or_no(value: Any) -> str:
    return "1" if value else "0"


def _text_of_ranges(ranges: Ranges) -> str:
    return ",".join([f"{start}-{end}" for start, end in ranges[:MAX_RANGES]])


def _one_of(choices: Mapping[str, Any], name: str, text: str) -> Any:
    if text in choices:
        return choices[text]
    raise ValueError(f"{name!r} is {brief(text)}, but must be one of {', '.join(choices)}")


def _number(name: str, text: str) -> int:
    # int() alone would take blanks, underscores and the digits of other scripts.
    if _NUMBER.fullmatch(text):
        return int(text)
    raise ValueError(f"{name!r} is {brief(text)}, but must be a whole number")


def _ranges(name: str, text: str) -> Ranges:
    found: list[tuple[int, int]] = []
    parts = text.split(",") if text else []
    if len(parts) > MAX_RANGES:
        raise ValueError(f"{name!r} has more than {MAX_RANGES} ranges")
    last = -1
    for part in parts:
        low, _, high = part.partition("-")
        start, end = _number(name, low), _number(name, high)
        if not last < start < end:
            raise ValueError(f"{name!r} has ranges that are empty, overlap or are out of order")
        found.append((start, end))
        last = end
    return tuple(found)


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, TypeError) and "missing" in text:
        # What Python says of a missing keyword argument, without the name of the constructor.
        return "missing " + text.partition("missing ")[2].partition(": ")[2]
    return text

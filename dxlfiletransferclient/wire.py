"""The wire of version 1: fields of store requests and answers, written and read.

A request carries one segment as its payload and everything else as text in its other fields. Both
sides are here, the sender's and the service's, and both check what they read: it comes from afar.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dxlfiletransferclient.constants import (
    MAX_FILE_ID_LENGTH,
    MAX_NAME_BYTES,
    FileStoreProp,
    FileStoreResultProp,
)
from dxlfiletransferclient.errors import InvalidRequestError, MalformedAnswerError, brief
from dxlfiletransferclient.segments import Segment

_FILE_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_FILE_ID_LENGTH}}}")

_MAX_FOREIGN_ID_LENGTH: Final = 255
"""Characters of a file id that a sender takes from a service; it goes into each later request."""

_RESULTS: Final = (
    FileStoreResultProp.NONE,
    FileStoreResultProp.STORE,
    FileStoreResultProp.CANCEL,
)

_MAX_DIGITS: Final = 20
"""Characters of a number; 2**64 has 20 digits, and no count or size here comes near it."""


@dataclass(frozen=True, slots=True)
class SegmentAnswer:
    """What a service answers to one store request."""

    file_id: str
    segments_received: int
    result: str | None


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """A store request as the service reads it.

    Attributes:
        file_id: Id of the file; ``None`` with the first segment.
        number: Number of the segment; ``None`` if the request has none.
        result: ``store``, ``cancel`` or ``None`` (``FileStoreResultProp``).
        payload: Bytes of the segment.
        fields: All fields of the request, as they came.
    """

    file_id: str | None
    number: int | None
    result: str | None
    payload: bytes
    fields: Mapping[object, object]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a request with the last segment says about the whole file; ``sha256`` is lower case."""

    name: str
    size: int
    sha256: str


def check_name(name: object) -> str:
    """Return the name a file is to have on the server, if it can go into a request.

    Raises:
        TypeError: If it is no text.
        ValueError: If it is empty, too long or cannot be encoded.
    """
    if not isinstance(name, str):
        msg = f"file_name_on_server must be text, not {brief(name)}"
        raise TypeError(msg)
    if not name:
        msg = "file_name_on_server must not be empty"
        raise ValueError(msg)
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        msg = (
            f"file_name_on_server {brief(name)} cannot be encoded as UTF-8: "
            "give the file another name on the server"
        )
        raise ValueError(msg) from error
    if length > MAX_NAME_BYTES:
        msg = (
            f"file_name_on_server {brief(name)} has {length} bytes of UTF-8; "
            f"at most {MAX_NAME_BYTES} are allowed"
        )
        raise ValueError(msg)
    return name


def segment_fields(segment: Segment, file_id: str | None, name: str) -> dict[str, str]:
    """Return the fields of the request that carries a segment.

    Args:
        segment: The segment.
        file_id: Id from the first answer; ``None`` while there was none.
        name: Name of the file on the server, told with the last segment.
    """
    fields = {FileStoreProp.SEGMENT_NUMBER: str(segment.number)}
    if file_id is not None:
        fields[FileStoreProp.ID] = file_id
    if segment.sha256 is not None:
        fields[FileStoreProp.RESULT] = FileStoreResultProp.STORE
        fields[FileStoreProp.NAME] = name
        fields[FileStoreProp.SIZE] = str(segment.sent)
        fields[FileStoreProp.HASH_SHA256] = segment.sha256
    return fields


def cancel_fields(file_id: str) -> dict[str, str]:
    """Return the fields of the request that gives a file up."""
    return {FileStoreProp.ID: file_id, FileStoreProp.RESULT: FileStoreResultProp.CANCEL}


def parse_answer(payload: object) -> SegmentAnswer:
    """Read the payload of an answer.

    Raises:
        MalformedAnswerError: If it is not the answer to a store request.
    """
    try:
        text = payload.decode() if isinstance(payload, bytes) else str(payload)
        # Some DXL clients end their text with a NUL, as C does.
        content = json.loads(text.rstrip("\0"))
    except (ValueError, RecursionError) as error:
        msg = f"the service's answer is no JSON: {brief(payload)}"
        raise MalformedAnswerError(msg) from error
    if not isinstance(content, dict):
        msg = f"the service's answer is no JSON object: {brief(payload)}"
        raise MalformedAnswerError(msg)
    file_id = content.get(FileStoreProp.ID)
    if not isinstance(file_id, str) or not 0 < len(file_id) <= _MAX_FOREIGN_ID_LENGTH:
        raise _malformed(FileStoreProp.ID, file_id)
    received = content.get(FileStoreProp.SEGMENTS_RECEIVED)
    if not isinstance(received, int) or isinstance(received, bool):
        raise _malformed(FileStoreProp.SEGMENTS_RECEIVED, received)
    result = content.get(FileStoreProp.RESULT)
    if result not in _RESULTS:
        raise _malformed(FileStoreProp.RESULT, result)
    return SegmentAnswer(file_id, received, result)


def _malformed(field: str, value: object) -> MalformedAnswerError:
    return MalformedAnswerError(f"the service's answer has {brief(value)} for {field!r}")


def parse_request(fields: object, payload: object) -> SegmentRequest:
    """Read the part of a store request that every one has.

    Raises:
        InvalidRequestError: If a field is not what it should be.
    """
    if not isinstance(fields, Mapping):
        msg = f"the request's other fields are no mapping but {brief(fields)}"
        raise InvalidRequestError(msg)
    return SegmentRequest(
        file_id=_file_id(fields),
        number=_number(fields, FileStoreProp.SEGMENT_NUMBER),
        result=_result(fields),
        payload=_content(payload),
        fields=fields,
    )


def parse_completion(fields: Mapping[Any, object]) -> Completion:
    """Read what the request with the last segment says about the whole file.

    Raises:
        InvalidRequestError: If something is missing or is not what it should be.
    """
    size = _number(fields, FileStoreProp.SIZE)
    if size is None:
        raise _missing(FileStoreProp.SIZE)
    return Completion(
        name=_text(fields, FileStoreProp.NAME),
        size=size,
        sha256=_text(fields, FileStoreProp.HASH_SHA256).lower(),
    )


def _file_id(fields: Mapping[Any, object]) -> str | None:
    value = fields.get(FileStoreProp.ID)
    if value is None or value == "":
        return None
    if isinstance(value, str) and _FILE_ID.fullmatch(value):
        return value
    msg = (
        f"{FileStoreProp.ID!r} is {brief(value)}, but must be 1 to {MAX_FILE_ID_LENGTH} "
        "letters, digits, '-' or '_'"
    )
    raise InvalidRequestError(msg)


def _number(fields: Mapping[Any, object], field: str) -> int | None:
    value = fields.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        try:
            return int(value)
        except ValueError as error:
            raise _no_integer(field, value) from error
    raise _no_integer(field, value)


def _no_integer(field: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(f"{field!r} is {brief(value)}, but must be an integer")


def _result(fields: Mapping[Any, object]) -> str | None:
    value = fields.get(FileStoreProp.RESULT)
    if value is None or value == "":
        return FileStoreResultProp.NONE
    if value == FileStoreResultProp.STORE:
        return FileStoreResultProp.STORE
    if value == FileStoreResultProp.CANCEL:
        return FileStoreResultProp.CANCEL
    msg = (
        f"{FileStoreProp.RESULT!r} is {brief(value)}, but must be {FileStoreResultProp.STORE!r} "
        f"or {FileStoreResultProp.CANCEL!r} where it is given"
    )
    raise InvalidRequestError(msg)


def _content(payload: object) -> bytes:
    if payload is None:
        return b""
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    msg = f"the request's payload is no bytes but {brief(payload)}"
    if not isinstance(payload, str):
        raise InvalidRequestError(msg)
    try:
        return payload.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(msg) from error


def _text(fields: Mapping[Any, object], field: str) -> str:
    value = fields.get(field)
    if value is None or value == "":
        raise _missing(field)
    if not isinstance(value, str):
        msg = f"{field!r} is {brief(value)}, but must be text"
        raise InvalidRequestError(msg)
    return value


def _missing(field: str) -> InvalidRequestError:
    return InvalidRequestError(f"a request to store a file must have a {field!r}")

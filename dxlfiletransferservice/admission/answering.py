"""Answers the requests of a session by asking what it is good for."""

from collections.abc import Callable, Mapping
from typing import Any

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import Message
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb

Calls = Mapping[Verb, tuple[type[Message], Callable[[Any], Message]]]
"""What each verb brings, and what answers it."""


def answered(calls: Calls, verb: Verb, request: Parcel) -> Parcel:
    """Carry out a request.

    Args:
        calls: What may be asked.
        verb: What is asked.
        request: What the request carries.

    Returns:
        What the answer carries.

    Raises:
        RefusedError: ``NOT_ALLOWED`` if it may not be asked; otherwise as the call does.
    """
    if verb not in calls:
        known = ", ".join(sorted(calls))
        text = f"this session is good for {known}, and not for {verb}"
        raise RefusedError(ErrorCode.NOT_ALLOWED, text)
    kind, call = calls[verb]
    return encode(call(decode(kind, request)))

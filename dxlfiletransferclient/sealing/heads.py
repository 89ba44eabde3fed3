"""What is said of a request or answer inside a session, beside its payload. No input or output."""

import json
from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.protocol.compactjson import compact
from dxlfiletransferclient.protocol.verbs import INNER_VERBS, Verb

_VERB: Final = "verb"
_FIELDS: Final = "fields"
_REFUSED: Final = "refused"


def request_head(verb: Verb, fields: Mapping[str, str]) -> str:
    """Return the head of a request.

    Example:
        >>> request_head(Verb.STATUS, {"file_id": "a"})
        '{"verb":"status","fields":{"file_id":"a"}}'
    """
    return _text({_VERB: str(verb), _FIELDS: dict(fields)})


def answer_head(fields: Mapping[str, str], *, refused: bool) -> str:
    """Return the head of an answer, or of the refusal that is the answer."""
    found: dict[str, Any] = {_REFUSED: True} if refused else {}
    return _text({**found, _FIELDS: dict(fields)})


def read_request_head(text: str) -> tuple[Verb, dict[str, str]]:
    """Return verb and fields of a request.

    Raises:
        ValueError: It is no head, or its verb cannot be asked inside a session.
    """
    found = _object(text)
    verb = next((each for each in INNER_VERBS if each == found.get(_VERB)), None)
    if verb is None:
        raise ValueError(f"it asks for {brief(found.get(_VERB))}")
    return verb, _fields(found)


def read_answer_head(text: str) -> tuple[bool, dict[str, str]]:
    """Return whether it is the head of a refusal, and its fields.

    Raises:
        ValueError: It is no head.
    """
    found = _object(text)
    return found.get(_REFUSED) is True, _fields(found)


def _text(found: dict[str, Any]) -> str:
    # Names as they are, not as escapes: a name may have thousands of characters.
    return compact(found)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("its head is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("its head is no object")
    return found


def _fields(found: dict[str, Any]) -> dict[str, str]:
    fields = found.get(_FIELDS)
    if not isinstance(fields, dict) or not set(map(type, fields.values())) <= {str}:
        raise ValueError("its head has no fields")
    return fields

"""What of a structure an event may tell: no secrets, and not too much."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

MAX_DATA: Final = 32 * 1024
"""Bytes of an event's structure as JSON: a structure without its user data is far smaller."""

_SECRETS: Final = ("password", "secret", "ticket", "credential", "privatekey", "passphrase")
"""What the name of a field contains, in any case of letters, that is nobody's business."""

_SECRET_NAMES: Final = frozenset({"accesskeyid", "sessiontoken"})
"""The same as whole names."""

_HARMLESS: Final = frozenset({"passwordrequired"})
"""Fields whose names only sound so."""

_TOKENS: Final = frozenset({"token", "ownertoken"})
"""Fields with a token: its id, before the full stop, is no secret."""


def without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a structure for an event.

    Fields whose names sound like passwords and keys are left out, tokens are cut to their ids, and
    of a structure that is too long the longest fields are left out until the rest fits.

    Example:
        >>> without_secrets({"token": "7f.s3cret", "password": "x", "manifestId": "2"})
        {'token': '7f', 'manifestId': '2'}
    """
    kept: dict[str, Any] = _cleaned(data)
    if len(json.dumps(kept)) <= MAX_DATA:
        return kept
    lengths = {name: len(json.dumps(value)) for name, value in kept.items()}
    while sum(lengths.values()) > MAX_DATA:
        longest = max(lengths, key=lambda name: lengths[name])
        del lengths[longest], kept[longest]
    return kept


def _cleaned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): _without_secret_part(str(name), _cleaned(inner))
            for name, inner in value.items()
            if not _secret(str(name))
        }
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _secret(name: str) -> bool:
    lowered = name.lower()
    if lowered in _HARMLESS:
        return False
    return lowered in _SECRET_NAMES or any(each in lowered for each in _SECRETS)


def _without_secret_part(name: str, value: Any) -> Any:
    if name.lower() in _TOKENS and isinstance(value, str):
        return value.partition(".")[0]
    return value

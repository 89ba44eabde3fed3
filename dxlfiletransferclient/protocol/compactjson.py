"""JSON without blanks, and with names as they are. No input or output."""

import json
from typing import Final

# Made once: "json.dumps" makes an encoder for each call that asks for anything else than it does
# by itself, which takes longer than a small value.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact(value: object) -> str:
    """Return a value as JSON, in as few characters as it takes.

    Example:
        >>> compact({"name": "Übersicht", "parts": [1, 2]})
        '{"name":"Übersicht","parts":[1,2]}'
    """
    return _ENCODER.encode(value)

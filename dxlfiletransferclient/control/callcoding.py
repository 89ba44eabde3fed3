"""Arguments and results of calls, as they travel. No input or output."""

import json
from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.control.errors import CommandError, ControlError, command_error
from dxlfiletransferclient.protocol.sessions import CallAnswer

MAX_ARGUMENTS_SIZE: Final = 1_000_000
"""Bytes of the arguments of one call: they travel in one message, of about one megabyte at most."""


def arguments_of(command: str, arguments: Mapping[str, Any] | None) -> bytes:
    """Return the arguments of a call as JSON.

    Args:
        command: The command, for error messages.
        arguments: The arguments by name. Those that are ``None`` count as left out.

    Raises:
        CommandError: They hold what JSON cannot, or are too large for one call.

    Example:
        >>> arguments_of("send.getTransfers", {"limit": 7, "after": None})
        b'{"limit":7}'
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    try:
        found = to_json(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandError(f"the arguments of {command} cannot be sent as JSON: {error}") from error
    if len(found) > MAX_ARGUMENTS_SIZE:
        raise CommandError(
            f"the arguments of {command} take {len(found)} bytes; one call takes "
            f"{MAX_ARGUMENTS_SIZE} at most"
        )
    return found


def to_json(value: Any) -> bytes:
    """Return a value as JSON, as short as can be.

    Raises:
        TypeError, ValueError, RecursionError: JSON cannot hold it.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        # File names that are no Unicode have halves of surrogates in Python; JSON can escape them.
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def result_of(command: str, answer: CallAnswer) -> Any:
    """Return the result of a call.

    Args:
        command: The command, for error messages.
        answer: What the server answered.

    Raises:
        CommandError: It is an error.
        ControlError: It makes no sense.
    """
    try:
        found = json.loads(bytes(answer.payload))
    except (ValueError, RecursionError) as error:
        raise ControlError(f"the server's answer to {command} is no JSON") from error
    if not answer.failed:
        return found
    if not isinstance(found, dict):
        raise ControlError(f"the server's error for {command} is no object")
    raise command_error(str(found.get("kind", "")), str(found.get("message", "")))

"""What a transfer can be told, and what holds where it is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dxlfiletransferclient.control.constants import (
    DEFAULT_PRIORITY,
    DEFAULT_TRANSFER_FLAGS,
    MAX_PRIORITY,
    MIN_CIPHER_ENCRYPTED_128,
    MIN_CIPHER_ENCRYPTED_256,
    MIN_CIPHER_NONE,
    OVERWRITE_ALWAYS,
    OVERWRITE_IN_PLACE_NEVER,
    OVERWRITE_WITH_BACKUP,
    TRANSFER_FLAG_READ,
    TRANSFER_FLAG_WRITE,
    TRANSFER_FLAG_WRITE_MTIME,
    TRANSFER_FLAG_WRITE_ONLY_NEWER,
)
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.sending.lanes import MAX_LANE_NAME, check_lane, default_lane
from dxlfiletransferservice.control.sending.rates import stored_rate, take_rate

MAX_CHECKPOINT_SECONDS: Final = 86_400
"""Seconds between two checkpoints at most: a day."""

MAX_TIME_RESOLUTION: Final = 86_400_000_000
"""Microseconds by which modification times may differ at most: a day, which covers file systems
that keep local time."""

MAX_TIMEOUT_SECONDS: Final = 10 * 365 * 86_400
"""Seconds without a connection at most: ten years."""

ALL_FLAGS: Final = (
    TRANSFER_FLAG_READ
    | TRANSFER_FLAG_WRITE
    | TRANSFER_FLAG_WRITE_MTIME
    | TRANSFER_FLAG_WRITE_ONLY_NEWER
)
"""Every flag that there is: with all four, every number up to it is some of them."""

Options = dict[str, Any]
"""Some of the options of a transfer, by the names of their arguments."""

_OVERWRITE_MODES: Final = range(OVERWRITE_IN_PLACE_NEVER, OVERWRITE_WITH_BACKUP + 1)
_CIPHERS: Final = range(MIN_CIPHER_NONE, MIN_CIPHER_ENCRYPTED_256 + 1)


def take_options(arguments: Arguments) -> Options:
    """Take the options that a destination can have defaults for.

    Args:
        arguments: The arguments.

    Returns:
        Those that are given.

    Raises:
        CommandError: One of them is wrong.
    """
    found: Options = {
        "priority": arguments.optional_integer("priority", least=0, most=MAX_PRIORITY),
        "transferFlags": arguments.optional_integer("transferFlags", least=0, most=ALL_FLAGS),
        "checkpointFrequencySeconds": arguments.optional_number(
            "checkpointFrequencySeconds", least=0, most=MAX_CHECKPOINT_SECONDS
        ),
        "sendRateMax": take_rate(arguments, "sendRateMax"),
        "priorityLane": arguments.optional_text("priorityLane", most=MAX_LANE_NAME),
        "overwriteMode": arguments.choice("overwriteMode", _OVERWRITE_MODES),
        "minCipher": arguments.choice("minCipher", _CIPHERS),
        "fileTimeResolutionMicroseconds": arguments.optional_integer(
            "fileTimeResolutionMicroseconds", least=0, most=MAX_TIME_RESOLUTION
        ),
    }
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class OptionRules:
    """What holds for transfers that are not told otherwise, by themselves or their destination.

    Attributes:
        cipher: The least protection; one of ``MIN_CIPHER_…``.
    """

    cipher: int = MIN_CIPHER_ENCRYPTED_128

    def columns(
        self, given: Options, defaults: Options, lanes: Mapping[str, float]
    ) -> dict[str, Any]:
        """Return the columns of a new transfer.

        Args:
            given: What it is told.
            defaults: What its destination has for defaults.
            lanes: The lanes of its destination.

        Raises:
            CommandError: Its destination has no lane of the name that is given.
        """
        if "priorityLane" in given:
            check_lane(lanes, given["priorityLane"])
        found = {**self._defaults(lanes), **defaults, **given}
        return {
            "priority": found["priority"],
            "lane": found["priorityLane"],
            "flags": found["transferFlags"],
            "checkpoint_seconds": found["checkpointFrequencySeconds"] or None,
            "send_rate_max": stored_rate(found["sendRateMax"]),
            "overwrite_mode": found["overwriteMode"],
            "min_cipher": found["minCipher"],
            "time_resolution_us": found["fileTimeResolutionMicroseconds"],
        }

    def _defaults(self, lanes: Mapping[str, float]) -> Options:
        return {
            "priority": DEFAULT_PRIORITY,
            "priorityLane": default_lane(lanes),
            "transferFlags": DEFAULT_TRANSFER_FLAGS,
            "checkpointFrequencySeconds": None,
            "sendRateMax": None,
            "overwriteMode": OVERWRITE_ALWAYS,
            "minCipher": self.cipher,
            "fileTimeResolutionMicroseconds": 0,
        }

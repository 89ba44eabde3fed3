"""Rates: kilobits per second in commands and structures, bytes per second where data flows."""

from typing import Final

from dxlfiletransferclient.control.constants import UNLIMITED_RATE
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.arguments import Arguments

BYTES_PER_KILOBIT: Final = 125
"""Bytes in a thousand bits."""

LEAST_RATE: Final = 1
"""Kilobits per second that a limit has at least: less would never end, and is meant as a pause;
``suspendTransferAsync`` is there for that."""

MOST_RATE: Final = 1_000_000_000_000
"""Kilobits per second that a limit may have; no network is so fast."""


def take_rate(arguments: Arguments, name: str) -> float | None:
    """Take an argument that is a rate, and may be left out.

    Args:
        arguments: The arguments.
        name: The argument.

    Returns:
        Kilobits per second, or -1 for no limit; ``None`` if it is left out.

    Raises:
        CommandError: It is neither.
    """
    found = arguments.optional_number(name, least=UNLIMITED_RATE, most=MOST_RATE)
    if found is None or found == UNLIMITED_RATE or found >= LEAST_RATE:
        return found
    raise CommandError(
        f"the argument {name!r} is {found:g} kilobits per second; allowed is {LEAST_RATE} to "
        f"{MOST_RATE:g}, or {UNLIMITED_RATE} for no limit"
    )


def take_needed_rate(arguments: Arguments, name: str) -> float:
    """Take an argument that is a rate; returns and raises as :func:`take_rate` does otherwise."""
    arguments.required(name)
    found = take_rate(arguments, name)
    return UNLIMITED_RATE if found is None else found


def stored_rate(rate: float | None) -> float | None:
    """Return a rate as it is kept: ``None`` for no limit."""
    return None if rate == UNLIMITED_RATE else rate


def bytes_per_second(rate: float | None) -> float | None:
    """Return how many bytes per second a rate in kilobits per second is; ``None`` for no limit."""
    return None if rate is None else rate * BYTES_PER_KILOBIT


def kilobits_per_second(rate: float) -> float:
    """Return how many kilobits per second a rate in bytes per second is."""
    return rate / BYTES_PER_KILOBIT

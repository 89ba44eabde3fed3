"""Priority lanes of a destination: which there may be, and how they may change."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from dxlfiletransferclient.control.constants import DEFAULT_PRIORITY_LANE
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief

MAX_LANES: Final = 16
"""Lanes of a destination at most; each costs a courier a look at every turn."""

MAX_LANE_NAME: Final = 64
"""Characters in the name of a lane at most."""

SHARES_TOLERANCE: Final = 1e-6
"""By how much the shares of the lanes may miss 1 in sum, as decimal fractions do."""

Lanes = dict[str, float]
"""Lanes and their shares, in the order in which they were given."""


def read_lanes(value: Any) -> Lanes:
    """Check what is to become the lanes of a destination.

    Args:
        value: A mapping from names to shares, or a list of pairs of both, which unlike a mapping
            shows a name that is given twice.

    Returns:
        The lanes.

    Raises:
        CommandError: It breaks a rule; the text says which.

    Example:
        >>> read_lanes({"Fast": 0.9, "Slow": 0.1, "Rest": 0})
        {'Fast': 0.9, 'Slow': 0.1, 'Rest': 0.0}
    """
    lanes: Lanes = {}
    seen: set[str] = set()
    for name, share in _pairs(value):
        folded = _name(name).strip().casefold()
        if folded in seen:
            raise CommandError(f"the priority lane {brief(name)} is there twice: names are unique")
        seen.add(folded)
        lanes[name] = _share(name, share)
    _check_shares(lanes)
    return lanes


def check_change(old: Mapping[str, float], new: Mapping[str, float], busy: Collection[str]) -> None:
    """Check that lanes may change while there are transfers in some of them.

    Args:
        old: The lanes as they are.
        new: The lanes as they shall be.
        busy: Names of those that have an active transfer.

    Raises:
        CommandError: They may not; the text says why.
    """
    if busy and len(old) != len(new):
        raise CommandError(
            f"the number of priority lanes cannot change from {len(old)} to {len(new)} while "
            "transfers are active",
            ErrorKind.STATE,
        )
    renamed = sorted(set(busy) - set(new))
    if renamed:
        raise CommandError(
            f"the priority lane {brief(renamed[0])} has an active transfer and keeps its name",
            ErrorKind.STATE,
        )


def moves(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, str]:
    """Return where what is in lanes goes that are not there any more, by their names.

    If their number stays, it goes to the lane that has taken the place of its own; otherwise to
    the default one.
    """
    names = list(new)
    gone = [(place, name) for place, name in enumerate(old) if name not in new]
    if len(old) == len(new):
        return {name: names[place] for place, name in gone}
    return {name: default_lane(new) for _, name in gone}


def default_lane(lanes: Mapping[str, float]) -> str:
    """Return the lane of a transfer that names none."""
    return DEFAULT_PRIORITY_LANE if DEFAULT_PRIORITY_LANE in lanes else next(iter(lanes))


def check_lane(lanes: Mapping[str, float], name: str) -> None:
    """Check that there is a lane.

    Raises:
        CommandError: There is not; the text names those that there are.
    """
    if name not in lanes:
        known = ", ".join(map(brief, lanes))
        raise CommandError(f"the destination has no priority lane {brief(name)}; it has {known}")


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        raise CommandError(
            f"the priority lanes are {brief(value)}; allowed is a mapping from names to shares"
        )
    if not 1 <= len(pairs) <= MAX_LANES:
        raise CommandError(f"there are {len(pairs)} priority lanes; allowed is 1 to {MAX_LANES}")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise CommandError(f"a priority lane is {brief(pair)}; allowed is a name and its share")
        yield pair[0], pair[1]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise CommandError(f"a priority lane is named {brief(name)}: its name must not be blank")
    if len(name) > MAX_LANE_NAME or not name.isprintable():
        raise CommandError(
            f"a priority lane is named {brief(name)}; allowed are {MAX_LANE_NAME} printable "
            "characters at most"
        )
    return name


def _share(name: str, share: Any) -> float:
    fits = isinstance(share, int | float) and not isinstance(share, bool)
    if not fits or not math.isfinite(share) or not 0 <= share <= 1:
        shown = repr(share) if isinstance(share, float) else brief(share)
        raise CommandError(
            f"the share of the priority lane {brief(name)} is {shown}; allowed is 0.0 to 1.0"
        )
    return float(share)


def _check_shares(lanes: Lanes) -> None:
    idle = [name for name, share in lanes.items() if share == 0]
    if len(idle) > 1:
        raise CommandError(
            f"the priority lanes {brief(idle[0])} and {brief(idle[1])} both have the share 0.0; "
            "only one lane can be the idle lane"
        )
    total = math.fsum(lanes.values())
    if abs(total - 1.0) > SHARES_TOLERANCE:
        raise CommandError(f"the shares of the priority lanes are {total:g} in sum, and not 1.0")

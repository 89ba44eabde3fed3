"""How large messages are, so that rates and shares hold. No input or output.

The largest messages are the fastest, but whoever may send only so much in a second, and has to take
turns with others, needs small ones.
"""

from typing import Final

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE

MESSAGE_SECONDS: Final = 0.02
"""Seconds of the rate that one message takes: fifty turns in a second. Twice as much would make
shares half as exact, and half as much would cost every process on the way twice the work."""

SHARE_SECONDS: Final = 0.1
"""Seconds of the share of a lane that one of its messages takes at most: in five seconds each lane,
however small its share is, has fifty turns, so that a turn more or less does not matter."""

LEAST_MESSAGE: Final = 16 * 1024
"""Bytes of a message at low rates. Each costs about a kilobyte beside its content."""

LEAST_SHARED_MESSAGE: Final = 4 * 1024
"""The same in a lane with a small share, where turns are rare otherwise."""

LARGEST_LIMITED: Final = SEGMENT_SIZE // 2
"""Bytes of a message where any rate is set: two of them fit into what a limit may be exceeded by,
so that a timer that is late costs no rate."""


def message_size(rate: float | None, share: float = 1.0) -> int:
    """Return how many bytes of content a message should have at most.

    Args:
        rate: Bytes per second that may be sent; ``None`` for no limit.
        share: Part of the rate that is for the lane of the message; 0 where it has all or nothing.

    Example:
        >>> message_size(None), message_size(1_000_000), message_size(1_000_000, 0.05)
        (1040384, 20000, 5000)
    """
    if rate is None:
        return SEGMENT_SIZE
    size = min(max(LEAST_MESSAGE, int(rate * MESSAGE_SECONDS)), LARGEST_LIMITED)
    if 0 < share < 1:
        size = min(size, max(LEAST_SHARED_MESSAGE, int(rate * share * SHARE_SECONDS)))
    return size


def burst(rate: float) -> int:
    """Return by how many bytes a rate may be exceeded: two messages, which is one large segment.

    Args:
        rate: Bytes per second.
    """
    return 2 * message_size(rate)

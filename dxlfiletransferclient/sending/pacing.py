"""How often and how soon a service is given something again."""

from typing import Final

MAX_ROUNDS: Final = 8
"""Times that a file may turn out incomplete or damaged at its end, or unknown in between.

Each time what is missing is sent again. A healthy service needs none of them; more than a few in a
row mean that it loses what it is given.
"""


FLUSH_EVERY: Final = 8 * 1024 * 1024
"""Bytes that the service must have taken of a stream before it is asked again to flush them to its
disk, unless the stream waits for it: each flush takes its disk some milliseconds at least."""

ENTRY_PAUSE: Final = 0.2
"""Seconds before entries are sent again that the service could not take at the moment."""

MAX_ENTRY_REPEATS: Final = 8
"""Times that such entries are sent again, after pauses that double: for about 50 seconds in all."""

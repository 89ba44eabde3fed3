"""How the process deals with memory that it has used and does not need at the moment."""

import ctypes
import logging
import sys
from typing import Final

logger = logging.getLogger(__name__)

LARGEST_KEPT: Final = 32 * 1024 * 1024
"""Bytes of a piece of memory that is kept for the next one when it is free, at most. Messages have
one megabyte; this is the most that the C library allows."""

MOST_KEPT: Final = 64 * 1024 * 1024
"""Bytes of free memory at the end of a heap that are kept. It is what a window of messages takes in
its copies, so that a transfer goes round in the same memory; a process can be larger by that."""

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """Let the C library keep large pieces of free memory, for programs that do nothing else.

    By default it gives a piece of some hundred kilobytes back to the system as soon as it is free,
    and gets it anew for the next message: the system clears each page, and the processor takes an
    exception for each. Programs that move messages of a megabyte spend a fifth of their time so.

    Returns:
        Whether that is done; only the GNU C library can.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        mallopt = library.mallopt
    except (OSError, AttributeError) as error:
        logger.debug("the C library cannot be told to keep memory: %s", error)
        return False
    mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    kept = [mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT), mallopt(_M_TRIM_THRESHOLD, MOST_KEPT)]
    return all(kept)

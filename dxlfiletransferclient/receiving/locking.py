"""Keeps two processes from writing to one part file. The lock ends with the process."""

import sys

if sys.platform == "win32":
    import msvcrt
    import os
    from typing import Final

    _PLACE: Final = 2**62
    """Where the locked byte lies: beyond any content, which Windows would lock as well."""

    def try_lock(descriptor: int) -> bool:
        """Lock an open file unless somebody else has; whoever closes it gives the lock back."""
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file unless somebody else has; whoever closes it gives the lock back."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

"""Who is held up by whom: the bookkeeping behind a broker's bounded memory.

A client that takes its messages too slowly is *slow*; whoever sends to it meanwhile is *held* until
it has caught up. One sender may be held by several slow clients, and one slow client hold several
senders, itself among them when it does not take the answers to its own requests.
"""


class Pressure:
    """A relation between slow clients and those they hold up, by name."""

    __slots__ = ("_held", "_slow")

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {}
        self._slow: dict[str, set[str]] = {}

    def is_held(self, sender: str) -> bool:
        """Tell whether anybody holds up ``sender``."""
        return sender in self._held

    def hold(self, sender: str, slow: str) -> bool:
        """Let ``slow`` hold up ``sender``; return whether nobody did so before."""
        is_first = sender not in self._held
        self._held.setdefault(sender, set()).add(slow)
        self._slow.setdefault(slow, set()).add(sender)
        return is_first

    def release(self, slow: str) -> list[str]:
        """End all that ``slow`` holds up; return those whom nobody holds any more."""
        free = []
        for sender in self._slow.pop(slow, ()):
            holders = self._held[sender]
            holders.discard(slow)
            if not holders:
                del self._held[sender]
                free.append(sender)
        return sorted(free)

    def forget(self, client: str) -> list[str]:
        """Take a client out altogether; return those whom nobody holds any more."""
        for slow in self._held.pop(client, ()):
            self._slow[slow].discard(client)
            if not self._slow[slow]:
                del self._slow[slow]
        return self.release(client)

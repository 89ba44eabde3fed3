"""Which senders are let in."""

from typing import Protocol


class AuthorizedSenders(Protocol):
    """Knows which servers may send here. What it says may change at any time."""

    @property
    def restricted(self) -> bool:
        """Whether only listed senders may send."""
        ...

    def allows(self, public_key: str) -> bool:
        """Whether the sender with this key is listed. Asked for each request: it must be quick."""
        ...

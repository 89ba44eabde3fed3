"""What the parts of the control plane need of each other."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dxlfiletransferservice.control.commands import Call


class Events(Protocol):
    """Keeps what has happened; the event log."""

    def record(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        owner: str | None = None,
        owner_token: str | None = None,
    ) -> None:
        """Note an event; returns at once.

        Args:
            name: Name of the event.
            data: The structure that it is about.
            owner: Whose that is.
            owner_token: The token by which it was made.
        """
        ...


class Queue(Protocol):
    """Carries requests out, one after another."""

    def submit(
        self, call: Call, run: Callable[[], Any], *, store_arguments: bool = True
    ) -> dict[str, int]:
        """Queue a request, and return the structure of it; the same call is queued once."""
        ...

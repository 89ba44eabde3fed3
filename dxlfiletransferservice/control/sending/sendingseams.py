"""What destinations and transfers need of the rest of the control plane."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from dxlfiletransferservice.control.commands import Call
from dxlfiletransferservice.courier.seams import ManifestFile, SourceGuard


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


class Redeemer(Protocol):
    """Counts what shared tokens are used for."""

    def redeem(self, token: str, admission: str) -> None:
        """Count a transfer by a shared token; the same admission is counted once.

        Raises:
            AuthenticationError: The token has expired, or its limit is reached.
        """
        ...


class Guards(Protocol):
    """Says what may be read for whom."""

    def guard_for(self, owner: str, token: str | None) -> SourceGuard:
        """Return the guard for what a user, or a token of the user, sends.

        Raises:
            CommandError: There is no such user any more.
        """
        ...


class Files(Protocol):
    """Knows what manifests hold."""

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        """Yield the files of a manifest from a position on; it reads them page by page."""
        ...

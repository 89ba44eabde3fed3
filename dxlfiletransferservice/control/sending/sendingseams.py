"""What destinations and transfers need of the rest of the control plane."""

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Connection

from dxlfiletransferservice.courier.seams import ManifestFile, SourceGuard


class Redeemer(Protocol):
    """Counts what shared tokens are used for."""

    def redeem_within(self, connection: Connection, token: str, admission: str) -> None:
        """Count a transfer by a shared token, together with what makes the transfer.

        Args:
            connection: A connection that writes.
            token: Id of the token.
            admission: Names the call that makes the transfer.

        Raises:
            AuthenticationError: The token has expired, its limit is reached, or the admission was
                counted before.
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

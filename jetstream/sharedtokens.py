"""Methods about shared tokens: links by which others fetch what a manifest holds."""

# ruff: noqa: N802, N803 - the names of the API

from typing import cast

from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Token


class SharedTokenMethods(Interface):
    """Methods about shared tokens."""

    def createSharedToken(
        self,
        manifestId: ObjectId,
        password: str | None = None,
        downloadLimit: int | None = None,
        timeLimitSeconds: float | None = None,
        description: str | None = None,
    ) -> Token:
        """Make a token that opens a manifest to whoever has it.

        Args:
            manifestId: The manifest, or its id; it must be complete.
            password: What has to be shown beside it.
            downloadLimit: How often its files may be fetched, 1 or more; ``None`` for any number.
            timeLimitSeconds: Seconds from now until it ends, 1 or more; ``None`` for never.
            description: What it is for.

        Returns:
            The token. The field ``token`` is the only place where the whole of it is ever told: the
            server keeps a hash.

        Raises:
            CommandError: There is no such manifest, it is not complete, or a value is out of range.

        Example:
            >>> api.send.createSharedToken(manifest, downloadLimit=3)["token"]  # doctest: +SKIP
            'Vb3k….Xr9…'
        """
        found = self._call(
            "send.createSharedToken",
            manifestId=id_in(manifestId, "manifestId"),
            password=password,
            downloadLimit=downloadLimit,
            timeLimitSeconds=timeLimitSeconds,
            description=description,
        )
        return cast("Token", found)

    def deleteSharedToken(self, token: ObjectId) -> None:
        """Delete a shared token. What is being fetched by it goes on.

        Args:
            token: The token, its id, or its structure.

        Raises:
            CommandError: There is no such token.

        Example:
            >>> api.send.deleteSharedToken(token)  # doctest: +SKIP
        """
        self._call("send.deleteSharedToken", token=id_in(token, "token"))

    def getSharedToken(self, token: ObjectId) -> Token:
        """Return a shared token.

        Args:
            token: The token, its id, or its structure.

        Returns:
            The token as it is now; the field ``token`` has its id only.

        Raises:
            CommandError: There is no such token.

        Example:
            >>> api.send.getSharedToken(token)["downloadCount"]  # doctest: +SKIP
            2
        """
        return cast("Token", self._call("send.getSharedToken", token=id_in(token, "token")))

    def getSharedTokens(self, limit: int | None = None) -> list[Token]:
        """Return the caller's shared tokens in the order in which they were made.

        Args:
            limit: Tokens at most, 0 or more; 0 or ``None`` for all.

        Returns:
            The tokens; a superuser sees those of all users.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["description"] for each in api.send.getSharedTokens()]  # doctest: +SKIP
            ['for the auditors']
        """
        return self._sync.objects("send.getSharedTokens", "token", limit=limit)

    def updateSharedToken(
        self,
        token: ObjectId,
        timeLimitSeconds: float | None = None,
        description: str | None = None,
    ) -> None:
        """Change a shared token; what is ``None`` stays as it is.

        Args:
            token: The token, its id, or its structure.
            timeLimitSeconds: Seconds from now until it ends, 1 or more.
            description: What it is for.

        Raises:
            CommandError: There is no such token, or a value is out of range.

        Example:
            >>> api.send.updateSharedToken(token, timeLimitSeconds=3600)  # doctest: +SKIP
        """
        self._call(
            "send.updateSharedToken",
            token=id_in(token, "token"),
            timeLimitSeconds=timeLimitSeconds,
            description=description,
        )

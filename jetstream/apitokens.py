"""Methods about API tokens: by which programs log on in the name of a user, with fewer rights."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Iterable
from typing import cast

from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Token


class ApiTokenMethods(Interface):
    """Methods about API tokens."""

    def createAPIToken(
        self,
        path: str | None = None,
        permissions: Iterable[str] | None = None,
        password: str | None = None,
        timeLimitSeconds: float | None = None,
        description: str | None = None,
    ) -> Token:
        """Make a token by which others log on as the caller, as far as it permits.

        Args:
            path: Directory that it is confined to, below the caller's own sandbox.
            permissions: What it permits, of ``constants.PERMISSIONS``: ``upload`` (sending to this
                server), ``download`` (sending from it), ``delete``, ``createLinks`` (shared
                tokens); by default all of them.
            password: What has to be shown beside it.
            timeLimitSeconds: Seconds from now until it ends, 1 or more; ``None`` for never.
            description: What it is for.

        Returns:
            The token. The field ``token`` is the only place where the whole of it is ever told: the
            server keeps a hash.

        Raises:
            CommandError: A value is wrong, or the caller has logged on with a token.

        Example:
            >>> api.server.createAPIToken("inbox", ["upload"])["token"]  # doctest: +SKIP
            'p4Yk….s7T…'
        """
        found = self._call(
            "server.createAPIToken",
            path=path,
            permissions=None if permissions is None else sorted(permissions),
            password=password,
            timeLimitSeconds=timeLimitSeconds,
            description=description,
        )
        return cast("Token", found)

    def getAPIToken(self, token: ObjectId) -> Token:
        """Return an API token.

        Args:
            token: The token, its id, or its structure.

        Returns:
            The token as it is now; the field ``token`` has its id only.

        Raises:
            CommandError: There is no such token.

        Example:
            >>> api.server.getAPIToken(token)["permissions"]  # doctest: +SKIP
            ['upload']
        """
        return cast("Token", self._call("server.getAPIToken", token=id_in(token, "token")))

    def getAPITokens(self, limit: int | None = None) -> list[Token]:
        """Return the caller's API tokens in the order in which they were made.

        Args:
            limit: Tokens at most, 0 or more; 0 or ``None`` for all.

        Returns:
            The tokens; a superuser sees those of all users.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["description"] for each in api.server.getAPITokens()]  # doctest: +SKIP
            ['nightly upload']
        """
        return self._sync.objects("server.getAPITokens", "token", limit=limit)

    def deleteAPIToken(self, token: ObjectId) -> None:
        """Delete an API token. Sessions that were begun with it end; its transfers go on.

        Args:
            token: The token, its id, or its structure.

        Raises:
            CommandError: There is no such token.

        Example:
            >>> api.server.deleteAPIToken(token)  # doctest: +SKIP
        """
        self._call("server.deleteAPIToken", token=id_in(token, "token"))

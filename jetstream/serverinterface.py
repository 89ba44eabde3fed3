"""What ``api.server`` is: logging on, requests, and the server itself."""

# ruff: noqa: N802 - the names of the API

from typing import cast

from jetstream.administration import AdministrationMethods
from jetstream.apitokens import ApiTokenMethods
from jetstream.logon import LogOnMethods
from jetstream.requestmethods import RequestMethods
from jetstream.structures import ServerInfo
from jetstream.users import UserMethods


class ServerInterface(
    LogOnMethods, RequestMethods, ApiTokenMethods, AdministrationMethods, UserMethods
):
    """Logs on, and tells about the server. Reach it as ``server`` of an API.

    Args:
        api_interface: The API that it belongs to.
        sync_interface: Calls the commands.
        logging_interface: Takes note of them; never of their arguments, which may be secret.

    Example:
        >>> with Jetstream().api() as api:  # doctest: +SKIP
        ...     api.server.auth("jsmith", "secret")
        ...     print(api.server.getServerInfo()["version"])
    """

    def getServerInfo(self) -> ServerInfo:
        """Return what the server tells about itself; nobody has to be logged on.

        Returns:
            Among others ``version``, ``serverName``, ``serverUid`` and ``publicKey``; the guide has
            a table. Superusers see its ``configuration`` too.

        Raises:
            JetstreamError: The server could not be called.

        Example:
            >>> api.server.getServerInfo()["apiVersion"]  # doctest: +SKIP
            40
        """
        return cast("ServerInfo", self._call("server.getServerInfo"))

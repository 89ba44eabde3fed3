"""What ``api.recv`` is: what the server receives from others; for superusers."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Mapping
from typing import Any, cast

from jetstream.interface import Interface
from jetstream.structures import Request


class RecvInterface(Interface):
    """Controls what a server receives. Reach it as ``recv`` of an API.

    All methods ask for something, and return a request at once; ``getRequestResult`` of
    ``api.server`` returns what came of it. All are for superusers.

    Args:
        api_interface: The API that it belongs to.
        sync_interface: Calls the commands.
        logging_interface: Takes note of them; never of their arguments, which may be secret.

    Example:
        >>> api.server.superuser()  # doctest: +SKIP
        >>> request = api.recv.getTransfersAsync()  # doctest: +SKIP
        >>> api.server.getRequestResult(request)[0]["status"]  # doctest: +SKIP
        'receiving'
    """

    def addAuthorizedClientAsync(self, clientPublicKey: str | Mapping[str, Any]) -> Request:
        """Add a server to those that may send if only listed ones may.

        Args:
            clientPublicKey: Its public key, as its server information tells it; or a dict with that
                key as ``clientPublicKey``.

        Returns:
            A request; its result is ``None``.

        Raises:
            CommandError: The session is not superuser, or the key is none.

        Example:
            >>> request = api.recv.addAuthorizedClientAsync("dxlft1-…")  # doctest: +SKIP
        """
        return self._request("recv.addAuthorizedClientAsync", clientPublicKey=_key(clientPublicKey))

    def allowOnlyAuthorizedClientsAsync(
        self,
        onlyAuthorizedClientsAllowed: bool,  # noqa: FBT001 - the signature of the API
    ) -> Request:
        """Say whether only listed servers may send; that outlives a restart, as the list does.

        Args:
            onlyAuthorizedClientsAllowed: Whether all others are refused.

        Returns:
            A request; its result is ``None``.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> request = api.recv.allowOnlyAuthorizedClientsAsync(True)  # doctest: +SKIP
        """
        return self._request(
            "recv.allowOnlyAuthorizedClientsAsync",
            onlyAuthorizedClientsAllowed=onlyAuthorizedClientsAllowed,
        )

    def getSourcesAsync(self) -> Request:
        """Ask which servers send, or have sent.

        Returns:
            A request; its result is a list of ``structures.Source``.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> request = api.recv.getSourcesAsync()  # doctest: +SKIP
            >>> api.server.getRequestResult(request)[0]["activeTransferCount"]  # doctest: +SKIP
            1
        """
        return self._request("recv.getSourcesAsync")

    def getTransfersAsync(self) -> Request:
        """Ask which transfers come from other servers, or came lately.

        Returns:
            A request; its result is a list of ``structures.ReceiveTransfer``.

        Raises:
            CommandError: The session is not superuser.

        Example:
            >>> request = api.recv.getTransfersAsync()  # doctest: +SKIP
            >>> api.server.getRequestResult(request)[0]["totalSize"]  # doctest: +SKIP
            1091
        """
        return self._request("recv.getTransfersAsync")

    def removeAuthorizedClientAsync(self, clientPublicKey: str | Mapping[str, Any]) -> Request:
        """Remove a server from those that may send if only listed ones may.

        Args:
            clientPublicKey: Its public key, or a dict with that key as ``clientPublicKey``.

        Returns:
            A request; its result is ``None``.

        Raises:
            CommandError: The session is not superuser, or the key is not listed.

        Example:
            >>> request = api.recv.removeAuthorizedClientAsync("dxlft1-…")  # doctest: +SKIP
        """
        return self._request(
            "recv.removeAuthorizedClientAsync", clientPublicKey=_key(clientPublicKey)
        )

    def _request(self, command: str, **arguments: Any) -> Request:
        return cast("Request", self._call(command, **arguments))


def _key(given: str | Mapping[str, Any]) -> Any:
    return given.get("clientPublicKey", dict(given)) if isinstance(given, Mapping) else given

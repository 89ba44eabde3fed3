"""Methods about connections: dialled brokers, which the destinations behind them share."""

# ruff: noqa: N802, N803 - the names of the API

from typing import cast

from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Connection


class ConnectionMethods(Interface):
    """Methods about connections."""

    def getConnection(self, connectionId: ObjectId) -> Connection:
        """Return a connection: what is set and measured for all destinations behind one broker.

        Args:
            connectionId: The connection, its id, or a destination's structure.

        Returns:
            The connection as it is now.

        Raises:
            CommandError: There is no such connection, or none of the caller's destinations uses it.

        Example:
            >>> api.send.getConnection(destination)["roundTripTimeMs"]  # doctest: +SKIP
            0.4
        """
        wanted = id_in(connectionId, "connectionId")
        return cast("Connection", self._call("send.getConnection", connectionId=wanted))

    def getConnections(self, limit: int = 0) -> list[Connection]:
        """Return the connections behind the caller's destinations, in the order of their ids.

        Args:
            limit: Connections at most, 0 or more; 0 for all.

        Returns:
            The connections; a superuser sees all.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["connectionId"] for each in api.send.getConnections()]  # doctest: +SKIP
            ['1', '2']
        """
        return self._sync.objects("send.getConnections", "connectionId", limit=limit)

    def updateConnectionParamsAsync(
        self,
        connectionId: ObjectId,
        sendRateMin: float | None = None,
        sendRateMax: float | None = None,
        sendRate: float | None = None,
        rateControlEnabled: bool | None = None,  # noqa: FBT001 - the signature of the API
        rateControlMethod: int | None = None,
    ) -> None:
        """Have the parameters of a connection changed; what is ``None`` stays as it is.

        The parameters are checked at once, and take effect within a second. There is nothing to
        wait for, so no request is returned.

        Args:
            connectionId: The connection, or its id.
            sendRateMin: Kilobits per second that the rate controller does not go below, 0 or more.
            sendRateMax: Kilobits per second that it does not go above; -1 for no limit.
            sendRate: Kilobits per second to send with; -1 for as many as get through.
            rateControlEnabled: Whether the rate adapts to what gets through.
            rateControlMethod: Kept and told; there is one method.

        Raises:
            CommandError: There is no such connection, or a value is out of range.

        Example:
            >>> api.send.updateConnectionParamsAsync("1", sendRateMax=80000)  # doctest: +SKIP
        """
        self._call(
            "send.updateConnectionParamsAsync",
            connectionId=id_in(connectionId, "connectionId"),
            sendRateMin=sendRateMin,
            sendRateMax=sendRateMax,
            sendRate=sendRate,
            rateControlEnabled=rateControlEnabled,
            rateControlMethod=rateControlMethod,
        )

"""Methods about destinations: receivers, and how to send to them."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Mapping
from typing import cast

from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Destination, Request


class DestinationMethods(Interface):
    """Methods about destinations."""

    def createDestination(
        self,
        destinationAddress: str,
        sendRateMax: float | None = None,
        destinationPort: int | None = None,
        authenticateDestination: bool | None = None,  # noqa: FBT001 - the signature of the API
        destinationPublicKey: str | None = None,
        relayAddress: str | None = None,
        relayPort: int | None = None,
        senderPort: int | None = None,
        exclusive: bool | None = None,  # noqa: FBT001 - the signature of the API
        permanent: bool | None = None,  # noqa: FBT001 - the signature of the API
    ) -> Destination:
        """Add a destination, or return the one that exists with the same parameters.

        That there is a destination does not mean that a server listens there: it is dialled when
        there is something to send.

        Args:
            destinationAddress: Host name or IP address of the receiver. With a relay, the name or
                uid of the receiving server on the relay's fabric.
            sendRateMax: Most that is sent to it, in kilobits per second; -1 or ``None`` for no
                limit. Of no effect if the destination exists.
            destinationPort: Its TCP port, 1 to 65535; 8886 by default.
            authenticateDestination: Send only to a receiver that proves to have
                ``destinationPublicKey``; by default if that is given.
            destinationPublicKey: That key, as the receiver's server information tells it.
            relayAddress: Host name or IP address of a broker that stands between, if one does.
            relayPort: Its TCP port, 1 to 65535; 8886 by default.
            senderPort: Of no effect: connections are made from any port. It is kept, and told.
            exclusive: Make a new destination even if there is one with the same parameters.
            permanent: Keep it when it has no transfers any more.

        Returns:
            The destination.

        Raises:
            CommandError: The address cannot be resolved, the key is none or missing, or a number is
                out of range.

        Example:
            >>> api.send.createDestination(destinationAddress="receiver01")  # doctest: +SKIP
            {'destinationId': '42', 'destinationAddress': 'receiver01', ...}
        """
        found = self._call(
            "send.createDestination",
            destinationAddress=destinationAddress,
            sendRateMax=sendRateMax,
            destinationPort=destinationPort,
            authenticateDestination=authenticateDestination,
            destinationPublicKey=destinationPublicKey,
            relayAddress=relayAddress,
            relayPort=relayPort,
            senderPort=senderPort,
            exclusive=exclusive,
            permanent=permanent,
        )
        return cast("Destination", found)

    def deleteDestination(self, destinationId: ObjectId) -> None:
        """Delete a destination, with all of its transfers.

        Args:
            destinationId: The destination, or its id.

        Raises:
            CommandError: There is no such destination, or a transfer to it is active: suspend and
                delete it first.

        Example:
            >>> api.send.deleteDestination("42")  # doctest: +SKIP
        """
        self._call("send.deleteDestination", destinationId=id_in(destinationId, "destinationId"))

    def getDestination(self, destinationId: ObjectId) -> Destination:
        """Return a destination.

        Args:
            destinationId: The destination, or its id.

        Returns:
            The destination as it is now.

        Raises:
            CommandError: There is no such destination.

        Example:
            >>> api.send.getDestination("42")["destinationAddress"]  # doctest: +SKIP
            'receiver01'
        """
        wanted = id_in(destinationId, "destinationId")
        return cast("Destination", self._call("send.getDestination", destinationId=wanted))

    def getDestinations(self, limit: int = 0) -> list[Destination]:
        """Return the caller's destinations in the order in which they were made.

        Args:
            limit: Destinations at most, 0 or more; 0 for all.

        Returns:
            The destinations; a superuser sees those of all users.

        Raises:
            CommandError: The limit is no such number.

        Example:
            >>> [each["destinationId"] for each in api.send.getDestinations()]  # doctest: +SKIP
            ['42', '43']
        """
        return self._sync.objects("send.getDestinations", "destinationId", limit=limit)

    def schedulePingAsync(self, destinationId: ObjectId, pingCount: int) -> Request:
        """Send pings to a destination, between the data that goes there.

        Who has answered last is told by the destination as ``lastReceiverDestinationId``, and how
        long it took by its connection as ``roundTripTimeMs``.

        Args:
            destinationId: The destination, or its id.
            pingCount: How many, 1 to 1000.

        Returns:
            A request; its result is ``None``.

        Raises:
            CommandError: There is no such destination, or the number is out of range.

        Example:
            >>> request = api.send.schedulePingAsync(destination, 3)  # doctest: +SKIP
        """
        found = self._call(
            "send.schedulePingAsync",
            destinationId=id_in(destinationId, "destinationId"),
            pingCount=pingCount,
        )
        return cast("Request", found)

    def setPriorityLanesAsync(
        self, destinationId: ObjectId, priorityLanes: Mapping[str, float]
    ) -> Request:
        """Set the lanes of a destination, all at once.

        Transfers of different lanes are sent at the same time, and share the rate in these
        proportions; what a lane without traffic does not need, the others get. By default they are
        High 0.70, Normal 0.25, Low 0.05 and Idle 0.0.

        Args:
            destinationId: The destination, or its id.
            priorityLanes: Proportions by the names of the lanes: one lane or more, names that are
                not blank, proportions from 0.0 that add up to 1.0. One lane at most has 0.0: it is
                sent only when all others are empty.

        Returns:
            A request; its result has ``priorityLanes``.

        Raises:
            CommandError: There is no such destination, or the lanes break a rule: while transfers
                are active, their number cannot change, and a lane with an active transfer keeps its
                name.

        Example:
            >>> lanes = {"Fast": 0.8, "Slow": 0.2, "Idle": 0.0}
            >>> request = api.send.setPriorityLanesAsync(destination, lanes)  # doctest: +SKIP
        """
        found = self._call(
            "send.setPriorityLanesAsync",
            destinationId=id_in(destinationId, "destinationId"),
            priorityLanes=priorityLanes,
        )
        return cast("Request", found)

    def setSendRateMaxAsync(self, destinationId: ObjectId, sendRateMax: float) -> Request:
        """Limit what is sent to a destination; it takes effect while data flows.

        Args:
            destinationId: The destination, or its id.
            sendRateMax: Kilobits per second, 1 or more; -1 for no limit.

        Returns:
            A request; its result has ``sendRateMax``.

        Raises:
            CommandError: There is no such destination, or the rate is out of range.

        Example:
            >>> request = api.send.setSendRateMaxAsync(destination, 750000)  # doctest: +SKIP
            >>> api.send.getRequestResult(request)  # doctest: +SKIP
            {'sendRateMax': 750000.0}
        """
        found = self._call(
            "send.setSendRateMaxAsync",
            destinationId=id_in(destinationId, "destinationId"),
            sendRateMax=sendRateMax,
        )
        return cast("Request", found)

    def updateTransferDefaults(
        self,
        destinationId: ObjectId,
        priority: int | None = None,
        transferFlags: int | None = None,
        checkpointFrequencySeconds: float | None = None,
        sendRateMax: float | None = None,
        priorityLane: str | None = None,
        overwriteMode: int | None = None,
        minCipher: int | None = None,
        fileTimeResolutionMicroseconds: int | None = None,
    ) -> None:
        """Set what new transfers to a destination have unless they are made with something else.

        What is ``None`` stays as it is. All parameters mean what they mean for ``createTransfer``.

        Args:
            destinationId: The destination, or its id.
            priority: 0 to 4294967295; lower numbers go first.
            transferFlags: ``TRANSFER_FLAG_…``, added up.
            checkpointFrequencySeconds: Seconds between checkpoints; 0 for none.
            sendRateMax: Kilobits per second; -1 for no limit.
            priorityLane: Name of a lane of the destination.
            overwriteMode: ``OVERWRITE_…``.
            minCipher: ``MIN_CIPHER_…``.
            fileTimeResolutionMicroseconds: Microseconds by which times may differ and count as
                equal, 0 or more.

        Raises:
            CommandError: There is no such destination, or a value is out of range.

        Example:
            >>> api.send.updateTransferDefaults(destination, priority=10)  # doctest: +SKIP
        """
        self._call(
            "send.updateTransferDefaults",
            destinationId=id_in(destinationId, "destinationId"),
            priority=priority,
            transferFlags=transferFlags,
            checkpointFrequencySeconds=checkpointFrequencySeconds,
            sendRateMax=sendRateMax,
            priorityLane=priorityLane,
            overwriteMode=overwriteMode,
            minCipher=minCipher,
            fileTimeResolutionMicroseconds=fileTimeResolutionMicroseconds,
        )

"""Methods that control transfers under way."""

# ruff: noqa: N802, N803 - the names of the API

from typing import cast

from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Request


class TransferControlMethods(Interface):
    """Methods that control transfers under way."""

    def resumeTransferAsync(self, transferId: ObjectId) -> Request:
        """Go on with a transfer that is suspended.

        It gets back into its lane; when it is sent depends on what else is there.

        Args:
            transferId: The transfer, or its id.

        Returns:
            A request; its result has ``transferId``. The transfer is ``resuming`` then.

        Raises:
            CommandError: There is no such transfer, or it is not suspended.

        Example:
            >>> request = api.send.resumeTransferAsync(transfer)  # doctest: +SKIP
            >>> api.send.getRequestResult(request)["transferId"]  # doctest: +SKIP
            '13'
            >>> api.send.getTransfer(transfer)["status"]  # doctest: +SKIP
            'resuming'
        """
        wanted = id_in(transferId, "transferId")
        return cast("Request", self._call("send.resumeTransferAsync", transferId=wanted))

    def setTransferPriorityAsync(
        self, transferId: ObjectId, priority: int | None = None, priorityLane: str | None = None
    ) -> Request:
        """Change priority and lane of a transfer; it takes effect while data flows.

        Args:
            transferId: The transfer, or its id.
            priority: 0 to 4294967295; lower numbers go first. ``None`` leaves it.
            priorityLane: Name of a lane of its destination. ``None`` leaves it.

        Returns:
            A request; its result has ``transferId``.

        Raises:
            CommandError: There is no such transfer, the priority is out of range, or its
                destination has no such lane.

        Example:
            >>> request = api.send.setTransferPriorityAsync(transfer, 1, "High")  # doctest: +SKIP
        """
        found = self._call(
            "send.setTransferPriorityAsync",
            transferId=id_in(transferId, "transferId"),
            priority=priority,
            priorityLane=priorityLane,
        )
        return cast("Request", found)

    def setTransferSendRateMaxAsync(self, transferId: ObjectId, sendRateMax: float) -> Request:
        """Limit the rate of a transfer; it takes effect while data flows.

        Args:
            transferId: The transfer, or its id.
            sendRateMax: Kilobits per second, 1 or more; -1 for no limit.

        Returns:
            A request; its result has ``sendRateMax``.

        Raises:
            CommandError: There is no such transfer, or the rate is out of range.

        Example:
            >>> request = api.send.setTransferSendRateMaxAsync(transfer, 8000)  # doctest: +SKIP
            >>> api.send.getRequestResult(request)  # doctest: +SKIP
            {'sendRateMax': 8000.0}
        """
        found = self._call(
            "send.setTransferSendRateMaxAsync",
            transferId=id_in(transferId, "transferId"),
            sendRateMax=sendRateMax,
        )
        return cast("Request", found)

    def suspendTransferAsync(self, transferId: ObjectId) -> Request:
        """Suspend a transfer: nothing more is sent until it is resumed.

        What the receiver has of it stays there.

        Args:
            transferId: The transfer, or its id.

        Returns:
            A request; its result has ``transferId``. The transfer is ``suspended`` then.

        Raises:
            CommandError: There is no such transfer, or it is not active.

        Example:
            >>> request = api.send.suspendTransferAsync(transfer)  # doctest: +SKIP
            >>> api.send.getRequestResult(request)["transferId"]  # doctest: +SKIP
            '13'
            >>> api.send.getTransfer(transfer)["status"]  # doctest: +SKIP
            'suspended'
        """
        wanted = id_in(transferId, "transferId")
        return cast("Request", self._call("send.suspendTransferAsync", transferId=wanted))

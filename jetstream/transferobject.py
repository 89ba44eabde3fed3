"""A transfer to look at, without thinking about structures."""

# ruff: noqa: N802, N803 - the names of the API

from typing import TYPE_CHECKING, Final

from jetstream.ids import ObjectId, id_in
from jetstream.structures import Transfer

if TYPE_CHECKING:
    from jetstream.apiinterface import APIInterface

_WHOLE: Final = 100.0


class TransferObject:
    """A transfer to look at. ``Helper.sendFiles`` makes one; any transfer will do.

    Args:
        api: The API; it must be connected.
        destinationId: The destination, or its id.
        transferId: The transfer, or its id.

    Attributes:
        destinationId: Id of the destination.
        transferId: Id of the transfer.

    Example:
        >>> sent = TransferObject(api, "42", "17")  # doctest: +SKIP
        >>> sent.getProgress(), sent.getStatus()  # doctest: +SKIP
        (37.5, 'sending')
    """

    def __init__(self, api: "APIInterface", destinationId: ObjectId, transferId: ObjectId) -> None:
        self._api = api
        self.destinationId = id_in(destinationId, "destinationId")
        self.transferId = id_in(transferId, "transferId")

    def getProgress(self) -> float:
        """Return how much of the transfer the receiver has, in percent.

        It says nothing about whether the transfer goes on: see :meth:`getStatus`.

        Returns:
            0.0 to 100.0; 100.0 only when it is complete.

        Raises:
            CommandError: There is no such transfer any more.

        Example:
            >>> sent.getProgress()  # doctest: +SKIP
            37.5
        """
        found = self.getRawStats()
        if found["status"] == "complete":
            return _WHOLE
        if not found["totalBlocks"]:
            return 0.0
        # Until all is stored, something is missing, even if all bytes have arrived.
        share = found["blocksAcked"] / found["totalBlocks"]
        return min(_WHOLE * share, 99.9)

    def getStatus(self) -> str:
        """Return where the transfer is.

        Returns:
            ``complete``, ``error``, or anything else as long as it may become one of these.

        Raises:
            CommandError: There is no such transfer any more.

        Example:
            >>> sent.getStatus()  # doctest: +SKIP
            'sending'
        """
        return self.getRawStats()["status"]

    def getRawStats(self) -> Transfer:
        """Return the transfer's structure as it is now.

        Returns:
            The structure.

        Raises:
            CommandError: There is no such transfer any more.

        Example:
            >>> sent.getRawStats()["bytesSent"]  # doctest: +SKIP
            402653184
        """
        return self._api.send.getTransfer(self.transferId)

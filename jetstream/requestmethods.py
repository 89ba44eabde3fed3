"""Methods about requests: commands that the server carries out when their turn comes."""

# ruff: noqa: N802, N803 - the names of the API

from typing import Any, cast

from jetstream.ids import ObjectId
from jetstream.interface import Interface
from jetstream.structures import RequestStatus


class RequestMethods(Interface):
    """Methods about requests."""

    def getRequestStatus(self, requestId: ObjectId) -> RequestStatus:
        """Return what has become of a request, at once.

        A request that is complete was carried out; what it has set off may still go on, as with a
        transfer that is resuming.

        Args:
            requestId: The request, as any method whose name ends with ``Async`` returns it, or its
                number.

        Returns:
            ``status`` is ``pending``, ``complete`` or ``error``; ``processing`` says whether it is
            still to be carried out; ``errorMessage`` says why it has failed, and is empty if it has
            not.

        Raises:
            CommandError: There is no such request, or it is not the caller's, or it ended more than
                an hour ago.

        Example:
            >>> request = api.send.suspendTransferAsync(transfer)  # doctest: +SKIP
            >>> api.send.getRequestStatus(request)  # doctest: +SKIP
            {'status': 'complete', 'processing': False, 'errorMessage': ''}
        """
        return cast("RequestStatus", self._sync.status(requestId))

    def getRequestResult(self, requestId: ObjectId) -> Any:
        """Wait until a request was carried out, and return its result.

        Args:
            requestId: The request, or its number.

        Returns:
            What the method that made it says; ``None`` for ``authAsync``.

        Raises:
            CommandError: The request has failed, with the error that the command would have raised;
                or there is no such request.
            WaitTimeoutError: It takes longer than ``waitTimeoutSeconds``.

        Example:
            >>> request = api.send.setSendRateMaxAsync(destination, 750000)  # doctest: +SKIP
            >>> api.send.getRequestResult(request)  # doctest: +SKIP
            {'sendRateMax': 750000.0}
        """
        return self._sync.result(requestId)

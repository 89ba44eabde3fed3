"""The commands by which programs ask about their requests."""

from collections.abc import Mapping
from typing import Any

from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.upkeep.requests import Outcome, Requests, result_of


class RequestCommands:
    """``server.getRequestStatus`` and ``server.getRequestResult``; nobody has to be logged on.

    Args:
        requests: The requests.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "server.getRequestStatus": self._status,
            "server.getRequestResult": self._result,
        }

    def _status(self, call: Call) -> dict[str, Any]:
        """Return ``status``, ``processing`` and ``errorMessage``."""
        return self._look(call)[0].structure

    def _result(self, call: Call) -> Any:
        """Return the result, or raise the error of the request; ``STATE`` if it has not ended."""
        return result_of(*self._look(call))

    def _look(self, call: Call) -> tuple[Outcome, object]:
        number = call.arguments.object_id("requestId", "requestId")
        given = call.arguments.required("requestId")
        call.arguments.finish()
        shown = given.get("requestId") if isinstance(given, dict) else given
        return self._requests.look(call.login, number, shown), shown

"""The commands about connections."""

from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.sending.connections import ConnectionOrder, Connections
from dxlfiletransferservice.control.sending.objectnames import Named, take_object
from dxlfiletransferservice.control.sending.queuedcommands import QueuedCommands
from dxlfiletransferservice.control.sending.rates import take_rate

MAX_METHOD: Final = 255
"""Highest number of a rate control method that is kept."""

_ID: Final = "connectionId"


class ConnectionCommands:
    """``send.getConnection``, ``send.getConnections`` and ``send.updateConnectionParamsAsync``.

    Args:
        connections: The connections.
        queued: Makes the handlers of what is queued.
    """

    def __init__(self, connections: Connections, queued: QueuedCommands) -> None:
        self._connections = connections
        self._queued = queued

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "send.getConnection": self._get,
            "send.getConnections": self._list,
            "send.updateConnectionParamsAsync": self._queued.handler(
                _take_update, self._check_update, self._update
            ),
        }

    def _get(self, call: Call) -> dict[str, Any]:
        named = take_object(call.arguments, _ID)
        call.arguments.finish()
        row = self._connections.find(call.principal, named)
        return self._connections.structure(call.principal, row)

    def _list(self, call: Call) -> list[dict[str, Any]]:
        order = take_page(call.arguments, _ID)
        call.arguments.finish()
        return self._connections.page(call.principal, order)

    def _check_update(self, principal: Principal, order: "_Update") -> None:
        named, changes = order
        row = self._connections.find(principal, named)
        self._connections.check_update(principal, row, changes)

    def _update(self, order: "_Update") -> None:
        named, changes = order
        self._connections.update(named.number, changes)


_Update = tuple[Named, ConnectionOrder]


def _take_update(arguments: Arguments) -> _Update:
    changes = ConnectionOrder(
        rate_min=take_rate(arguments, "sendRateMin"),
        rate_max=take_rate(arguments, "sendRateMax"),
        rate=take_rate(arguments, "sendRate"),
        rate_control=(
            arguments.flag("rateControlEnabled", default=False)
            if "rateControlEnabled" in arguments
            else None
        ),
        rate_control_method=arguments.optional_integer(
            "rateControlMethod", least=0, most=MAX_METHOD
        ),
    )
    return take_object(arguments, _ID), changes

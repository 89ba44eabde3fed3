"""The commands about destinations."""

from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.sending.destinationplace import take_place
from dxlfiletransferservice.control.sending.destinations import DestinationOrder, Destinations
from dxlfiletransferservice.control.sending.lanes import Lanes, read_lanes
from dxlfiletransferservice.control.sending.objectnames import Named, take_object
from dxlfiletransferservice.control.sending.queuedcommands import QueuedCommands
from dxlfiletransferservice.control.sending.rates import take_needed_rate, take_rate
from dxlfiletransferservice.control.sending.transferoptions import take_options

MAX_PINGS: Final = 1000
"""Pings of one command at most; they go out at a regulated pace, beside everything else."""

_ID: Final = "destinationId"


class DestinationCommands:
    """The commands ``send.…`` about destinations.

    Args:
        destinations: The destinations.
        queued: Makes the handlers of what is queued.
    """

    def __init__(self, destinations: Destinations, queued: QueuedCommands) -> None:
        self._destinations = destinations
        self._queued = queued

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        queued = self._queued.handler
        return {
            "send.createDestination": self._create,
            "send.getDestination": self._get,
            "send.getDestinations": self._list,
            "send.deleteDestination": self._delete,
            "send.updateTransferDefaults": self._set_defaults,
            "send.setSendRateMaxAsync": queued(_take_rate, self._check_rate, self._set_rate),
            "send.setPriorityLanesAsync": queued(_take_lanes, self._check_lanes, self._set_lanes),
            "send.schedulePingAsync": queued(_take_pings, self._check_pings, self._ping),
        }

    def _create(self, call: Call) -> dict[str, Any]:
        arguments = call.arguments
        order = DestinationOrder(
            place=take_place(arguments),
            rate=take_rate(arguments, "sendRateMax"),
            exclusive=arguments.flag("exclusive", default=False),
            permanent=arguments.flag("permanent", default=False),
        )
        arguments.finish()
        return self._destinations.create(call.principal, order, call.call_id)

    def _get(self, call: Call) -> dict[str, Any]:
        named = take_object(call.arguments, _ID)
        call.arguments.finish()
        return self._destinations.structure(self._destinations.find(call.principal, named))

    def _list(self, call: Call) -> list[dict[str, Any]]:
        order = take_page(call.arguments, _ID)
        call.arguments.finish()
        return self._destinations.page(call.principal, order)

    def _delete(self, call: Call) -> None:
        named = take_object(call.arguments, _ID)
        call.arguments.finish()
        row = self._destinations.find(call.principal, named)
        self._destinations.delete(call.principal, row)

    def _set_defaults(self, call: Call) -> None:
        named = take_object(call.arguments, _ID)
        options = take_options(call.arguments)
        call.arguments.finish()
        row = self._destinations.find(call.principal, named)
        self._destinations.set_defaults(row, options)

    def _check_rate(self, principal: Principal, order: tuple[Named, float]) -> None:
        self._destinations.find(principal, order[0])

    def _set_rate(self, order: tuple[Named, float]) -> dict[str, float]:
        return self._destinations.set_rate(order[0].number, order[1])

    def _check_lanes(self, principal: Principal, order: tuple[Named, Lanes]) -> None:
        row = self._destinations.find(principal, order[0])
        self._destinations.check_lanes(row, order[1])

    def _set_lanes(self, order: tuple[Named, Lanes]) -> dict[str, Lanes]:
        return self._destinations.set_lanes(order[0].number, order[1])

    def _check_pings(self, principal: Principal, order: tuple[Named, int]) -> None:
        self._destinations.find(principal, order[0])

    def _ping(self, order: tuple[Named, int]) -> None:
        self._destinations.ping(order[0].number, order[1])


def _take_rate(arguments: Arguments) -> tuple[Named, float]:
    return take_object(arguments, _ID), take_needed_rate(arguments, "sendRateMax")


def _take_lanes(arguments: Arguments) -> tuple[Named, Lanes]:
    return take_object(arguments, _ID), read_lanes(arguments.required("priorityLanes"))


def _take_pings(arguments: Arguments) -> tuple[Named, int]:
    named = take_object(arguments, _ID)
    return named, arguments.integer("pingCount", least=1, most=MAX_PINGS)

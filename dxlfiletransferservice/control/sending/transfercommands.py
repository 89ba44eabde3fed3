"""The commands about transfers."""

from collections.abc import Mapping
from typing import Any, Final

from dxlfiletransferclient.control.constants import MAX_PRIORITY
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.errors import UnsafeNameError, brief
from dxlfiletransferclient.storage.names import parse_directory_name
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.sending.destinations import Destinations
from dxlfiletransferservice.control.sending.lanes import MAX_LANE_NAME
from dxlfiletransferservice.control.sending.objectnames import (
    Named,
    take_object,
    take_optional_object,
)
from dxlfiletransferservice.control.sending.queuedcommands import QueuedCommands
from dxlfiletransferservice.control.sending.rates import take_needed_rate
from dxlfiletransferservice.control.sending.transferoptions import MAX_TIMEOUT_SECONDS, take_options
from dxlfiletransferservice.control.sending.transfers import TransferOrder, Transfers
from dxlfiletransferservice.control.sending.userdata import check_user_data
from dxlfiletransferservice.courier.seams import Login

MAX_USER: Final = 256
"""Characters of the name of a user at the receiver at most."""

MAX_SECRET: Final = 1024
"""Characters of a password or token for the receiver at most."""

CANCELLED: Final = "cancelled"
"""Why a transfer has failed, if ``failTransfer`` does not say."""

_ID: Final = "transferId"

_Priority = tuple[Named, int | None, str | None]


class TransferCommands:
    """The commands ``send.…`` about transfers.

    Args:
        transfers: The transfers.
        destinations: The destinations.
        queued: Makes the handlers of what is queued.
    """

    def __init__(
        self, transfers: Transfers, destinations: Destinations, queued: QueuedCommands
    ) -> None:
        self._transfers = transfers
        self._destinations = destinations
        self._queued = queued

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        queued = self._queued.handler
        return {
            "send.createTransfer": self._create,
            "send.getTransfer": self._get,
            "send.getTransfers": self._list,
            "send.failTransfer": self._fail,
            "send.deleteTransfer": self._delete,
            "send.suspendTransferAsync": queued(_take_one, self._check_suspend, self._suspend),
            "send.resumeTransferAsync": queued(_take_one, self._check_resume, self._resume),
            "send.setTransferPriorityAsync": queued(
                _take_priority, self._check_priority, self._set_priority
            ),
            "send.setTransferSendRateMaxAsync": queued(
                _take_rate, self._check_rate, self._set_rate
            ),
        }

    def _create(self, call: Call) -> dict[str, Any]:
        arguments = call.arguments
        order = TransferOrder(
            destination=take_object(arguments, "destinationId"),
            manifest=take_object(arguments, "manifestId"),
            destination_path=_take_path(arguments),
            options=take_options(arguments),
            timeout_seconds=(
                arguments.optional_number("timeoutSeconds", least=0, most=MAX_TIMEOUT_SECONDS) or 0
            ),
            login=_take_login(arguments),
            user_data=check_user_data(arguments.texts("userData") or {}),
        )
        arguments.finish()
        return self._transfers.create(call.principal, order, call.call_id)

    def _get(self, call: Call) -> dict[str, Any]:
        named = take_object(call.arguments, _ID)
        call.arguments.finish()
        return self._transfers.structure(self._transfers.find(call.principal, named))

    def _list(self, call: Call) -> list[dict[str, Any]]:
        order = take_page(call.arguments, _ID)
        destination = take_optional_object(call.arguments, "destinationId")
        call.arguments.finish()
        if destination is None:
            return self._transfers.page(call.principal, order)
        number = self._destinations.find(call.principal, destination).id
        return self._transfers.page(call.principal, order, number)

    def _fail(self, call: Call) -> None:
        named = take_object(call.arguments, _ID)
        message = call.arguments.optional_text("errorMessage") or CANCELLED
        call.arguments.finish()
        row = self._transfers.find(call.principal, named)
        self._transfers.fail(call.principal, row, message)

    def _delete(self, call: Call) -> None:
        named = take_object(call.arguments, _ID)
        call.arguments.finish()
        row = self._transfers.find(call.principal, named)
        self._transfers.delete(call.principal, row)

    def _check_suspend(self, principal: Principal, named: Named) -> None:
        self._transfers.check_suspend(self._transfers.find(principal, named))

    def _suspend(self, named: Named) -> dict[str, Any]:
        return self._transfers.suspend(named.number)

    def _check_resume(self, principal: Principal, named: Named) -> None:
        self._transfers.check_resume(self._transfers.find(principal, named))

    def _resume(self, named: Named) -> dict[str, Any]:
        return self._transfers.resume(named.number)

    def _check_priority(self, principal: Principal, order: _Priority) -> None:
        named, _, lane = order
        row = self._transfers.find(principal, named)
        if lane is not None:
            self._transfers.check_lane(row, lane)

    def _set_priority(self, order: _Priority) -> dict[str, str]:
        named, priority, lane = order
        return self._transfers.set_priority(named.number, priority, lane)

    def _check_rate(self, principal: Principal, order: tuple[Named, float]) -> None:
        self._transfers.find(principal, order[0])

    def _set_rate(self, order: tuple[Named, float]) -> dict[str, float]:
        return self._transfers.set_rate(order[0].number, order[1])


def _take_one(arguments: Arguments) -> Named:
    return take_object(arguments, _ID)


def _take_priority(arguments: Arguments) -> _Priority:
    return (
        take_object(arguments, _ID),
        arguments.optional_integer("priority", least=0, most=MAX_PRIORITY),
        arguments.optional_text("priorityLane", most=MAX_LANE_NAME),
    )


def _take_rate(arguments: Arguments) -> tuple[Named, float]:
    return take_object(arguments, _ID), take_needed_rate(arguments, "sendRateMax")


def _take_path(arguments: Arguments) -> str:
    path = arguments.optional_text("destinationPath") or ""
    try:
        # Rules of this system alone do not matter: the receiver has its own, and says so.
        parse_directory_name(path.lstrip("/"), windows=False)
    except UnsafeNameError as error:
        raise CommandError(
            f"the argument 'destinationPath' is {brief(path)}: it {error.reason}"
        ) from error
    return path


def _take_login(arguments: Arguments) -> Login:
    user = arguments.optional_text("userName", most=MAX_USER) or None
    token = arguments.optional_text("token", most=MAX_SECRET) or None
    password = arguments.optional_text("password", most=MAX_SECRET)
    if user is not None and token is not None:
        raise CommandError("the arguments 'userName' and 'token' exclude each other")
    if password and user is None and token is None:
        raise CommandError("the argument 'password' needs a 'userName' or a 'token' with it")
    return Login(user=user, password=password, token=token)

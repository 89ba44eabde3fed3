"""Transfers: how they are made, seen and changed by those they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.pages import PageOrder, fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.rights import demand
from dxlfiletransferservice.control.sending.credentials import CredentialVault
from dxlfiletransferservice.control.sending.lanes import check_lane
from dxlfiletransferservice.control.sending.objectnames import Named
from dxlfiletransferservice.control.sending.rates import stored_rate
from dxlfiletransferservice.control.sending.sendingseams import Redeemer
from dxlfiletransferservice.control.sending.transferoptions import OptionRules, Options
from dxlfiletransferservice.control.sending.transferstates import ENDED, TransferStates
from dxlfiletransferservice.control.sending.transferstructure import progress_of, transfer_structure
from dxlfiletransferservice.control.sending.transfertimes import RequestTime, TransferTimes
from dxlfiletransferservice.control.tables import destinations, manifests, transfers
from dxlfiletransferservice.courier.seams import ACTIVE, Couriers, Login, Status

_COMPLETE: Final = "complete"
_FAILED: Final = "error"

_UNENDED: Final = ACTIVE | {Status.SUSPENDED}


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A transfer that is asked for.

    Attributes:
        destination: Where to send.
        manifest: What to send.
        destination_path: Directory at the receiver.
        options: Options that are given.
        timeout_seconds: Seconds without a connection after which it fails; 0 for never.
        login: How it is authenticated at the receiver.
        user_data: Texts of the caller.
    """

    destination: Named
    manifest: Named
    destination_path: str = ""
    options: Options = field(default_factory=dict)
    timeout_seconds: float = 0.0
    login: Login = field(default_factory=Login)
    user_data: Mapping[str, str] = field(default_factory=dict)


class Transfers:
    """The transfers of a server.

    Args:
        database: Where they are.
        states: Changes what they are in.
        times: Their clocks.
        couriers: Who sends them.
        vault: Seals what they log on with.
        redeemer: Counts those that shared tokens make.
        rules: What holds for those that are not told otherwise.
    """

    def __init__(
        self,
        database: Database,
        states: TransferStates,
        times: TransferTimes,
        couriers: Couriers,
        vault: CredentialVault,
        redeemer: Redeemer,
        *,
        rules: OptionRules = OptionRules(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self._database = database
        self._states = states
        self._times = times
        self._couriers = couriers
        self._vault = vault
        self._redeemer = redeemer
        self._rules = rules

    def create(self, principal: Principal, order: TransferOrder, call_id: str) -> dict[str, Any]:
        """Make a transfer, or return the one that the same call has made before.

        Returns:
            Its structure.

        Raises:
            CommandError: The destination or the manifest is not there, not the caller's, or not
                complete; there is no such lane; the token does not permit it or is used up.
        """
        demand(principal, "download", "send files from here")
        request = self._times.request()
        with self._database.write() as connection:
            known = _of_call(connection, principal, call_id)
            row = known or self._inserted(connection, principal, order, call_id, request)
        if known is not None:
            return self.structure(known)
        self._times.keep(row.id, request)
        self._states.tell("transferCreated", row)
        self._couriers.refresh(row.destination_id)
        return self.structure(row)

    def find(self, principal: Principal, named: Named) -> Any:
        """Return the row of a transfer.

        Args:
            principal: Who asks.
            named: How the caller names it.

        Raises:
            CommandError: It is not there, or not the caller's.
        """
        query = select(transfers).where(transfers.c.id == named.number, principal.own(transfers))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise not_found("transfer", named.shown)
        return row

    def page(
        self, principal: Principal, order: PageOrder, destination_id: int | None = None
    ) -> list[dict[str, Any]]:
        """Return structures of transfers, as many as fit into an answer.

        Args:
            principal: Who asks.
            order: Which part.
            destination_id: Those of one destination only.
        """
        condition = principal.own(transfers)
        if destination_id is not None:
            condition = condition & (transfers.c.destination_id == destination_id)
        query = order.apply(select(transfers), transfers, condition)
        with self._database.read() as connection:
            return fitting(self.structure(row) for row in connection.execute(query))

    def structure(self, row: Any) -> dict[str, Any]:
        """Return the structure of a transfer, with the counters of the courier that sends it."""
        live = None if row.status in ENDED else self._couriers.progress(row.id)
        return transfer_structure(row, live or progress_of(row), self._times.now(row))

    def check_suspend(self, row: Any) -> None:
        """Check that a transfer can be suspended.

        Raises:
            CommandError: It is not active.
        """
        if row.status not in ACTIVE:
            raise _wrong_state(row, "only active ones can be suspended")

    def suspend(self, transfer_id: int) -> dict[str, Any]:
        """Suspend a transfer; nothing happens if it is suspended already.

        Returns:
            Its structure.

        Raises:
            CommandError: It has ended, or is gone.
        """
        return self._moved(transfer_id, ACTIVE, Status.SUSPENDED, {Status.SUSPENDED})

    def check_resume(self, row: Any) -> None:
        """Check that a transfer can be resumed.

        Raises:
            CommandError: It is not suspended.
        """
        if row.status != Status.SUSPENDED:
            raise _wrong_state(row, "only suspended ones can be resumed")

    def resume(self, transfer_id: int) -> dict[str, Any]:
        """Resume a transfer; nothing happens if it is active already.

        Returns:
            Its structure.

        Raises:
            CommandError: It has ended, or is gone.
        """
        return self._moved(transfer_id, {Status.SUSPENDED}, Status.RESUMING, ACTIVE)

    def fail(self, principal: Principal, row: Any, message: str) -> None:
        """Have a transfer fail that has not ended.

        Raises:
            CommandError: It has ended.
        """
        changed = self._states.end(row.id, _UNENDED, Status.ERROR, message)
        if changed is None:
            raise _wrong_state(
                self.find(principal, Named(row.id, str(row.id))),
                "only those that have not can fail",
            )
        self._couriers.refresh(row.destination_id)

    def delete(self, principal: Principal, row: Any) -> None:
        """Delete a transfer that is not active.

        Raises:
            CommandError: It is active, or the token does not permit it.
        """
        demand(principal, "delete", "delete transfers")
        if not self._states.delete(row.id):
            found = self.find(principal, Named(row.id, str(row.id)))
            raise _wrong_state(found, "suspend it first, or have it fail")
        self._couriers.refresh(row.destination_id)

    def check_lane(self, row: Any, lane: str) -> None:
        """Check that the destination of a transfer has a lane.

        Raises:
            CommandError: It has not.
        """
        with self._database.read() as connection:
            check_lane(_lanes(connection, row.destination_id), lane)

    def set_priority(
        self, transfer_id: int, priority: int | None, lane: str | None
    ) -> dict[str, str]:
        """Change the priority of a transfer, its lane, or both, whatever it is in.

        Returns:
            What has its number as ``transferId``.

        Raises:
            CommandError: It is gone, or its destination has no such lane.
        """
        given = {"priority": priority, "lane": lane}
        with self._database.write() as connection:
            row = _existing(connection, transfer_id)
            if lane is not None:
                check_lane(_lanes(connection, row.destination_id), lane)
            _set(connection, transfer_id, {k: v for k, v in given.items() if v is not None})
        self._couriers.refresh(row.destination_id)
        return {"transferId": str(transfer_id)}

    def set_rate(self, transfer_id: int, rate: float) -> dict[str, float]:
        """Change the highest rate of a transfer, whatever it is in.

        Args:
            transfer_id: Its number.
            rate: Kilobits per second, or -1 for no limit.

        Returns:
            What has the rate as ``sendRateMax``.

        Raises:
            CommandError: It is gone.
        """
        with self._database.write() as connection:
            row = _existing(connection, transfer_id)
            _set(connection, transfer_id, {"send_rate_max": stored_rate(rate)})
        self._couriers.refresh(row.destination_id)
        return {"sendRateMax": rate}

    def _moved(
        self,
        transfer_id: int,
        allowed: frozenset[Status] | set[Status],
        status: Status,
        already: frozenset[Status] | set[Status],
    ) -> dict[str, Any]:
        changed = self._states.change(transfer_id, allowed, status)
        if changed is None:
            with self._database.read() as connection:
                changed = _existing(connection, transfer_id)
            if changed.status not in already:
                raise _wrong_state(changed, "it stays as it is")
        self._couriers.refresh(changed.destination_id)
        return self.structure(changed)

    def _inserted(
        self,
        connection: Connection,
        principal: Principal,
        order: TransferOrder,
        call_id: str,
        request: RequestTime,
    ) -> Any:
        """Make a transfer, and count it if a shared token makes it: both or neither."""
        columns = self._columns(connection, principal, order)
        if principal.manifest_id is not None and principal.token is not None:
            self._redeemer.redeem_within(connection, principal.token, call_id)
        row = connection.execute(
            insert(transfers)
            .values(
                **principal.columns(),
                **columns,
                call_id=call_id,
                request_time=request.wall,
                created=request.wall,
                queue_time=request.now(),
            )
            .returning(transfers)
        ).one()
        sealed = self._vault.seal(row.id, order.login)
        connection.execute(
            update(transfers).where(transfers.c.id == row.id).values(credentials=sealed)
        )
        return row

    def _columns(
        self, connection: Connection, principal: Principal, order: TransferOrder
    ) -> dict[str, Any]:
        destination = connection.execute(
            select(destinations.c.id, destinations.c.lanes, destinations.c.defaults).where(
                destinations.c.id == order.destination.number, principal.own(destinations)
            )
        ).one_or_none()
        if destination is None:
            raise not_found("destination", order.destination.shown)
        manifest = _usable_manifest(connection, principal, order)
        return {
            "destination_id": destination.id,
            "manifest_id": manifest.id,
            "destination_path": order.destination_path,
            "status": Status.PENDING,
            **self._rules.columns(order.options, destination.defaults, destination.lanes),
            "timeout_seconds": order.timeout_seconds,
            "user_name": order.login.user,
            "user_data": dict(order.user_data),
            "total_files": manifest.total_files,
            "total_bytes": manifest.total_size,
        }


def _of_call(connection: Connection, principal: Principal, call_id: str) -> Any:
    """Return the transfer that the same call has made before; ``None`` if there is none."""
    query = select(transfers).where(transfers.c.call_id == call_id, principal.own(transfers))
    return connection.execute(query).one_or_none()


def _usable_manifest(connection: Connection, principal: Principal, order: TransferOrder) -> Any:
    shared = principal.manifest_id is not None
    mine = manifests.c.id == principal.manifest_id if shared else principal.own(manifests)
    row = connection.execute(
        select(manifests).where(
            manifests.c.id == order.manifest.number, manifests.c.deleted.is_(False), mine
        )
    ).one_or_none()
    if row is None:
        raise not_found("manifest", order.manifest.shown)
    if row.status == _FAILED:
        # Why it has failed names files of this machine, which are no business of guests.
        reason = "" if shared else f": {row.error_message}"
        raise CommandError(
            f"the manifest '{row.id}' has failed and cannot be sent{reason}", ErrorKind.STATE
        )
    if row.status != _COMPLETE:
        raise CommandError(
            f"the manifest '{row.id}' is {row.status}: wait until it is complete",
            ErrorKind.STATE,
        )
    return row


def _existing(connection: Connection, transfer_id: int) -> Any:
    query = select(transfers).where(transfers.c.id == transfer_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found("transfer", str(transfer_id))
    return row


def _lanes(connection: Connection, destination_id: int) -> Mapping[str, float]:
    query = select(destinations.c.lanes).where(destinations.c.id == destination_id)
    lanes: Mapping[str, float] = connection.scalar(query) or {}
    return lanes


def _set(connection: Connection, transfer_id: int, values: Mapping[str, Any]) -> None:
    if values:
        changed = update(transfers).where(transfers.c.id == transfer_id).values(**values)
        connection.execute(changed)


def _wrong_state(row: Any, rule: str) -> CommandError:
    shown = {Status.ERROR: "has failed", Status.COMPLETE: "is complete"}
    state = shown.get(row.status, f"is {row.status}")
    return CommandError(f"the transfer {brief(str(row.id))} {state}: {rule}", ErrorKind.STATE)

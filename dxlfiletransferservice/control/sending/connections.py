"""Connections: one for each broker that is dialled, shared by the destinations behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, select, update

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.pages import PageOrder, fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.sending.destinations import queued_transfers
from dxlfiletransferservice.control.sending.destinationstructure import session_fields
from dxlfiletransferservice.control.sending.objectnames import Named
from dxlfiletransferservice.control.sending.rates import kilobits_per_second, stored_rate
from dxlfiletransferservice.control.tables import connections, destinations
from dxlfiletransferservice.courier.seams import ConnectionState, Couriers, DestinationState

MOST_SUMMED: Final = 500
"""Destinations of a connection that its structure sums up, the newest first."""

_ORDER: Final = (
    ConnectionState.CONNECTED,
    ConnectionState.NEGOTIATING,
    ConnectionState.DISCONNECTED,
)


@dataclass(frozen=True, slots=True)
class ConnectionOrder:
    """What is to change of a connection; ``None`` for what stays.

    Attributes:
        rate_min: Kilobits per second, or -1 for no limit.
        rate_max: The same.
        rate: The same.
        rate_control: Whether the rate adapts to the way.
        rate_control_method: Kept and shown; there is one method.
    """

    rate_min: float | None = None
    rate_max: float | None = None
    rate: float | None = None
    rate_control: bool | None = None
    rate_control_method: int | None = None


class Connections:
    """The connections of a server.

    Args:
        database: Where they are.
        couriers: Who sends over them.
    """

    def __init__(self, database: Database, couriers: Couriers) -> None:
        self._database = database
        self._couriers = couriers

    def find(self, principal: Principal, named: Named) -> Any:
        """Return the row of a connection.

        Args:
            principal: Who asks.
            named: How the caller names it.

        Raises:
            CommandError: It is not there, or no destination of the caller is behind it.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(connections).where(connections.c.id == named.number, _visible(principal))
            ).one_or_none()
        if row is None:
            raise not_found("connection", named.shown)
        return row

    def page(self, principal: Principal, order: PageOrder) -> list[dict[str, Any]]:
        """Return structures of connections, as many as fit into an answer."""
        query = order.apply(select(connections), connections, _visible(principal))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            return fitting(self._structures(connection, principal, rows))

    def structure(self, principal: Principal, row: Any) -> dict[str, Any]:
        """Return the structure of a connection, as far as it concerns the caller."""
        with self._database.read() as connection:
            return next(self._structures(connection, principal, [row]))

    def check_update(self, principal: Principal, row: Any, order: ConnectionOrder) -> None:
        """Check that somebody may change a connection.

        Raises:
            CommandError: Its rates would contradict each other; or destinations of others are
                behind it too, whose rate it would change.
        """
        changed_columns(row, order)
        mine = principal.own(destinations)
        others = select(destinations.c.id).where(destinations.c.connection_id == row.id, ~mine)
        with self._database.read() as connection:
            if connection.scalar(others.limit(1)) is not None:
                raise CommandError(
                    f"only a superuser may change the connection '{row.id}'", ErrorKind.NOT_ALLOWED
                )

    def update(self, connection_id: int, order: ConnectionOrder) -> None:
        """Change a connection.

        Raises:
            CommandError: It is gone, or its rates contradict each other.
        """
        with self._database.write() as connection:
            row = connection.execute(
                select(connections).where(connections.c.id == connection_id)
            ).one_or_none()
            if row is None:
                raise not_found("connection", str(connection_id))
            values = changed_columns(row, order)
            if values:
                changed = update(connections).where(connections.c.id == connection_id)
                connection.execute(changed.values(**values))
            behind = select(destinations.c.id).where(destinations.c.connection_id == connection_id)
            numbers = connection.scalars(behind).all()
        for number in numbers:
            self._couriers.refresh(number)

    def _structures(
        self, connection: Connection, principal: Principal, rows: Sequence[Any]
    ) -> Iterator[dict[str, Any]]:
        for row in rows:
            behind = connection.execute(
                select(destinations)
                .where(destinations.c.connection_id == row.id, principal.own(destinations))
                .order_by(destinations.c.id.desc())
                .limit(MOST_SUMMED)
            ).all()
            queued = sum(queued_transfers(connection, [each.id for each in behind]).values())
            states = [self._couriers.state(each.id) for each in behind]
            yield _structure(row, behind, states, queued)


def changed_columns(row: Any, order: ConnectionOrder) -> dict[str, Any]:
    """Return the columns of a connection that change.

    A lower highest rate takes the others down with it; that a lowest rate is above the highest one
    is an error where it is asked for.

    Raises:
        CommandError: The rates contradict each other.
    """
    highest = row.send_rate_max if order.rate_max is None else stored_rate(order.rate_max)
    given = {"send_rate_min": order.rate_min, "send_rate": order.rate}
    values: dict[str, Any] = {} if order.rate_max is None else {"send_rate_max": highest}
    for name, rate in given.items():
        wanted = getattr(row, name) if rate is None else stored_rate(rate)
        above = highest is not None and wanted is not None and wanted > highest
        if above and rate is not None:
            shown = {"send_rate_min": "sendRateMin", "send_rate": "sendRate"}[name]
            raise CommandError(
                f"the argument {shown!r} is {wanted:g}, above the highest rate of {highest:g}"
            )
        if above or rate is not None:
            values[name] = highest if above else wanted
    if order.rate_control is not None:
        values["rate_control_enabled"] = order.rate_control
    if order.rate_control_method is not None:
        values["rate_control_method"] = order.rate_control_method
    return values


def rate_limit(highest: float | None, rate: float | None, controlled: bool) -> float | None:  # noqa: FBT001 - as in its row
    """Return the kilobits per second that all destinations of a connection share; ``None`` for any.

    Args:
        highest: The highest rate.
        rate: The rate that was asked for; it is a limit only without rate control.
        controlled: Whether there is rate control.
    """
    limits = (highest,) if controlled else (highest, rate)
    return min((each for each in limits if each is not None), default=None)


def _visible(principal: Principal) -> ColumnElement[bool]:
    behind = destinations.c.connection_id == connections.c.id
    return exists().where(behind, principal.own(destinations))


def _structure(
    row: Any, behind: Sequence[Any], states: Sequence[DestinationState], queued: int
) -> dict[str, Any]:
    state = min(states, key=lambda each: _ORDER.index(each.state), default=DestinationState())
    last = max(behind, key=lambda each: each.last_receive or 0, default=None)
    ip = "relayIP" if row.relay else "destinationIP"
    port = "relayPort" if row.relay else "destinationPort"
    addresses = {"destinationIP": None, "destinationPort": None, "relayIP": None, "relayPort": None}
    return {
        "connectionId": str(row.id),
        **addresses,
        ip: row.ip,
        port: row.port,
        "destinationPublicKey": state.public_key or (last and last.public_key),
        **session_fields(state),
        "lastDestinationServerId": last and last.last_server_id,
        "lastDestinationServerUid": last and last.last_server_uid,
        "lastSendTime": _latest(behind, "last_send"),
        "lastRecvTime": _latest(behind, "last_receive"),
        "numTransfersQueued": queued,
        "rateControllerActive": row.rate_control_enabled,
        "rateControlMethod": row.rate_control_method,
        "sendRate": kilobits_per_second(sum(each.rate for each in states)),
        "sendRateMin": row.send_rate_min,
        "sendRateMax": row.send_rate_max,
    }


def _latest(behind: Sequence[Mapping[str, Any] | Any], name: str) -> int | None:
    known = [getattr(each, name) for each in behind if getattr(each, name) is not None]
    return max(known, default=None)

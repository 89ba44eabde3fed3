"""Destinations: how they are made, seen and changed by those they belong to."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, exists, func, insert, select, update

from dxlfiletransferclient.control.constants import DEFAULT_PRIORITY_LANES
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.commands import not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.pages import PageOrder, fitting
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.rights import demand
from dxlfiletransferservice.control.seams import Events
from dxlfiletransferservice.control.sending.destinationplace import Place
from dxlfiletransferservice.control.sending.destinationstructure import destination_structure
from dxlfiletransferservice.control.sending.lanes import Lanes, check_change, check_lane, moves
from dxlfiletransferservice.control.sending.objectnames import Named
from dxlfiletransferservice.control.sending.rates import stored_rate
from dxlfiletransferservice.control.sending.transferoptions import Options
from dxlfiletransferservice.control.sending.transferstates import TransferStates
from dxlfiletransferservice.control.tables import connections, destinations, transfers
from dxlfiletransferservice.courier.seams import ACTIVE, Couriers, Status

QUEUED: Final = frozenset({Status.PENDING, Status.RESUMING})
"""What a transfer is in while it waits for its turn."""


_AT_ONCE: Final = 50
"""Rows that are fetched at a time; where they are long, a page holds fewer."""


@dataclass(frozen=True, slots=True)
class DestinationOrder:
    """A destination that is asked for.

    Attributes:
        place: Where it is.
        rate: Kilobits per second at most, or -1 for no limit; ``None`` if it is not given.
        exclusive: Whether to make a new one even if there is one at that place.
        permanent: Whether it stays when its transfers are gone.
    """

    place: Place
    rate: float | None = None
    exclusive: bool = False
    permanent: bool = False


class Destinations:
    """The destinations of a server.

    Args:
        database: Where they are.
        states: Is told of transfers that are deleted with their destination.
        events: The event log.
        couriers: Who sends there.
        resolve: Returns the IP address that an address stands for, or raises ``CommandError``.
        clock: Returns the time in microseconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        states: TransferStates,
        events: Events,
        couriers: Couriers,
        resolve: Callable[[str], str],
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._database = database
        self._states = states
        self._events = events
        self._couriers = couriers
        self._resolve = resolve
        self._clock = clock

    def create(self, principal: Principal, order: DestinationOrder, call_id: str) -> dict[str, Any]:
        """Make a destination, or return the one that is there.

        Returns:
            Its structure.

        Raises:
            CommandError: Its address does not resolve, or the token does not permit it.
        """
        demand(principal, "download", "send files from here")
        address, _, _ = order.place.dialled
        ip = self._resolve(address)
        with self._database.write() as connection:
            row = _known(connection, principal, order, call_id)
            made = row is None
            if row is None:
                row = self._insert(connection, principal, order, ip, call_id)
            else:
                _renew(connection, row, ip, self._clock())
            row = _by_id(connection, row.id)
        structure = self.structure(row)
        if made:
            self._tell("destinationCreated", row, structure)
        return structure

    def find(self, principal: Principal, named: Named) -> Any:
        """Return the row of a destination.

        Args:
            principal: Who asks.
            named: How the caller names it.

        Raises:
            CommandError: It is not there, or not the caller's.
        """
        query = _all().where(destinations.c.id == named.number, principal.own(destinations))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise not_found("destination", named.shown)
        return row

    def page(self, principal: Principal, order: PageOrder) -> list[dict[str, Any]]:
        """Return structures of destinations, as many as fit into an answer."""
        query = order.apply(_all(), destinations, principal.own(destinations))
        with self._database.read() as connection:
            return fitting(
                self._structures(connection, connection.execute(query).partitions(_AT_ONCE))
            )

    def structure(self, row: Any) -> dict[str, Any]:
        """Return the structure of a destination."""
        with self._database.read() as connection:
            return next(self._structures(connection, [[row]]))

    def delete(self, principal: Principal, row: Any) -> None:
        """Delete a destination with its transfers.

        Raises:
            CommandError: A transfer is active, or the token does not permit it.
        """
        demand(principal, "delete", "delete destinations")
        structure = self.structure(row)
        with self._database.write() as connection:
            if busy_lanes(connection, row.id):
                raise CommandError(
                    f"the destination '{row.id}' has active transfers: suspend them first",
                    ErrorKind.STATE,
                )
            mine = transfers.c.destination_id == row.id
            gone = connection.execute(delete(transfers).where(mine).returning(transfers)).all()
            connection.execute(delete(destinations).where(destinations.c.id == row.id))
            connection.execute(_without_destinations(row.connection_id))
        for transfer in gone:
            self._states.forget(transfer)
        self._tell("destinationDeleted", row, structure)
        self._couriers.refresh(row.id)

    def set_rate(self, destination_id: int, rate: float) -> dict[str, float]:
        """Change the highest rate of a destination.

        Args:
            destination_id: Its number.
            rate: Kilobits per second, or -1 for no limit.

        Returns:
            What has the rate as ``sendRateMax``.

        Raises:
            CommandError: It is gone.
        """
        self._set(destination_id, {"send_rate_max": stored_rate(rate)})
        return {"sendRateMax": rate}

    def check_lanes(self, row: Any, lanes: Lanes) -> None:
        """Check that the lanes of a destination may change.

        Raises:
            CommandError: They may not, because of the transfers in them.
        """
        with self._database.read() as connection:
            check_change(row.lanes, lanes, busy_lanes(connection, row.id))

    def set_lanes(self, destination_id: int, lanes: Lanes) -> dict[str, Lanes]:
        """Change the lanes of a destination; suspended transfers go along.

        Returns:
            What has the lanes as ``priorityLanes``.

        Raises:
            CommandError: It is gone, or they may not change because of the transfers in them.
        """
        with self._database.write() as connection:
            row = _by_id(connection, destination_id)
            check_change(row.lanes, lanes, busy_lanes(connection, destination_id))
            moved = moves(row.lanes, lanes)
            _move_transfers(connection, destination_id, moved)
            defaults = dict(row.defaults)
            if defaults.get("priorityLane") in moved:
                defaults["priorityLane"] = moved[defaults["priorityLane"]]
            connection.execute(
                update(destinations)
                .where(destinations.c.id == destination_id)
                .values(lanes=lanes, defaults=defaults)
            )
        self._couriers.refresh(destination_id)
        return {"priorityLanes": lanes}

    def set_defaults(self, row: Any, options: Options) -> None:
        """Change what holds for new transfers of a destination.

        Args:
            row: Its row.
            options: What is given; the rest stays.

        Raises:
            CommandError: It is gone, or has no such lane.
        """
        with self._database.write() as connection:
            current = _by_id(connection, row.id)
            if "priorityLane" in options:
                check_lane(current.lanes, options["priorityLane"])
            connection.execute(
                update(destinations)
                .where(destinations.c.id == row.id)
                .values(defaults={**current.defaults, **options})
            )

    def ping(self, destination_id: int, count: int) -> None:
        """Have pings sent to a destination."""
        self._couriers.ping(destination_id, count)

    def _set(self, destination_id: int, values: Mapping[str, Any]) -> None:
        with self._database.write() as connection:
            _by_id(connection, destination_id)
            connection.execute(
                update(destinations).where(destinations.c.id == destination_id).values(**values)
            )
        self._couriers.refresh(destination_id)

    def _insert(
        self,
        connection: Connection,
        principal: Principal,
        order: DestinationOrder,
        ip: str,
        call_id: str,
    ) -> Any:
        relayed = order.place.relay_address is not None
        return connection.execute(
            insert(destinations)
            .values(
                **principal.columns(),
                **order.place.columns(),
                connection_id=self._connection_id(connection, order.place, ip),
                ip=None if relayed else ip,
                send_rate_max=stored_rate(order.rate),
                exclusive=order.exclusive,
                permanent=order.permanent,
                lanes=dict(DEFAULT_PRIORITY_LANES),
                call_id=call_id,
                created=self._clock(),
            )
            .returning(destinations)
        ).one()

    def _connection_id(self, connection: Connection, place: Place, ip: str) -> int:
        address, port, relay = place.dialled
        found = connection.scalar(
            select(connections.c.id).where(
                connections.c.address == address,
                connections.c.port == port,
                connections.c.relay == relay,
            )
        )
        if found is not None:
            return int(found)
        number: int = connection.execute(
            insert(connections)
            .values(address=address, port=port, relay=relay, ip=ip, created=self._clock())
            .returning(connections.c.id)
        ).scalar_one()
        return number

    def _structures(
        self, connection: Connection, groups: Iterable[Sequence[Any]]
    ) -> Iterator[dict[str, Any]]:
        for rows in groups:
            waiting = queued_transfers(connection, [row.id for row in rows])
            for row in rows:
                state = self._couriers.state(row.id)
                yield destination_structure(row, state, waiting.get(row.id, 0))

    def _tell(self, event: str, row: Any, structure: Mapping[str, Any]) -> None:
        self._events.record(event, structure, owner=row.owner, owner_token=row.owner_token)


def queued_transfers(connection: Connection, destination_ids: Collection[int]) -> dict[int, int]:
    """Return how many transfers wait for each of some destinations, if any do."""
    query = (
        select(transfers.c.destination_id, func.count())
        .where(transfers.c.destination_id.in_(destination_ids), transfers.c.status.in_(QUEUED))
        .group_by(transfers.c.destination_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def busy_lanes(connection: Connection, destination_id: int) -> set[str]:
    """Return the lanes of a destination in which there are active transfers."""
    query = select(transfers.c.lane).distinct()
    query = query.where(
        transfers.c.destination_id == destination_id, transfers.c.status.in_(ACTIVE)
    )
    return set(connection.scalars(query))


def _all() -> Select[Any]:
    """Return the query for destinations, each with the address of the broker that is dialled."""
    dialled = connections.c.ip.label("dialled_ip")
    return select(destinations, dialled).join(connections)


def _known(
    connection: Connection, principal: Principal, order: DestinationOrder, call_id: str
) -> Any:
    """Return the destination that the same call has made, or that is at that place already."""
    mine = principal.own(destinations)
    query = select(destinations).where(destinations.c.call_id == call_id, mine)
    row = connection.execute(query).one_or_none()
    if row is not None or order.exclusive:
        return row
    token = destinations.c.owner_token
    query = select(destinations).where(
        destinations.c.owner == principal.user,
        token.is_(None) if principal.token is None else token == principal.token,
        destinations.c.exclusive.is_(False),
        destinations.c.permanent == order.permanent,
        order.place.same(),
    )
    return connection.execute(query.order_by(destinations.c.id).limit(1)).one_or_none()


def _by_id(connection: Connection, destination_id: int) -> Any:
    query = _all().where(destinations.c.id == destination_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise not_found("destination", str(destination_id))
    return row


def _renew(connection: Connection, row: Any, ip: str, now: int) -> None:
    """Note that a destination is asked for again, so that it is kept as long as a new one."""
    values: dict[str, Any] = {"created": now}
    if row.relay_address is None:
        values["ip"] = ip
    connection.execute(update(destinations).where(destinations.c.id == row.id).values(**values))
    broker = update(connections).where(connections.c.id == row.connection_id)
    connection.execute(broker.values(ip=ip))


def _without_destinations(connection_id: int) -> Any:
    """Return the statement that deletes a connection if no destination is behind it any more."""
    behind = exists().where(destinations.c.connection_id == connections.c.id)
    return delete(connections).where(connections.c.id == connection_id, ~behind)


def _move_transfers(connection: Connection, destination_id: int, moved: Mapping[str, str]) -> None:
    for old, new in moved.items():
        connection.execute(
            update(transfers)
            .where(transfers.c.destination_id == destination_id, transfers.c.lane == old)
            .values(lane=new)
        )

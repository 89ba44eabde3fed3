"""What couriers are told of the database, and write into it."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Select,
    bindparam,
    exists,
    literal,
    select,
    union_all,
    update,
)

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.sending.connections import rate_limit
from dxlfiletransferservice.control.sending.credentials import (
    CredentialVault,
    UnreadableCredentialsError,
)
from dxlfiletransferservice.control.sending.rates import bytes_per_second
from dxlfiletransferservice.control.sending.sendingseams import Files, Guards
from dxlfiletransferservice.control.sending.transferstates import ENDED, TransferStates
from dxlfiletransferservice.control.sending.transferstructure import PROGRESS_COLUMNS, progress_of
from dxlfiletransferservice.control.tables import connections, destinations, manifests, transfers
from dxlfiletransferservice.courier.seams import (
    ACTIVE,
    Contact,
    DestinationPlan,
    ManifestFile,
    Progress,
    Status,
    TransferPlan,
)

IDS_AT_ONCE: Final = 500
"""Transfers that are looked up in one question; databases limit how many values one may have."""

_CONTACT_COLUMNS: Final = {
    "server_id": "last_server_id",
    "server_uid": "last_server_uid",
    "receiver_id": "last_receiver_id",
    "sent_us": "last_send",
    "received_us": "last_receive",
}

_logger = logging.getLogger(__name__)


class ControlWork:
    """A ``courier.seams.Work`` over the database.

    Args:
        database: The database.
        states: Changes what transfers are in.
        vault: Opens what transfers log on with.
        files: Knows what manifests hold.
        guards: Says what may be read for whom.
    """

    def __init__(
        self,
        database: Database,
        states: TransferStates,
        vault: CredentialVault,
        files: Files,
        guards: Guards,
    ) -> None:
        self._database = database
        self._states = states
        self._vault = vault
        self._files = files
        self._guards = guards
        self._log = BoundedLog(_logger)

    def destinations(self) -> list[int]:
        """Return the destinations that have active transfers."""
        busy = exists().where(
            transfers.c.destination_id == destinations.c.id, transfers.c.status.in_(ACTIVE)
        )
        with self._database.read() as connection:
            query = select(destinations.c.id).where(busy).order_by(destinations.c.id)
            return list(connection.scalars(query))

    def destination(self, destination_id: int) -> DestinationPlan | None:
        """Return what is known of a destination; ``None`` if it was deleted."""
        query = (
            select(
                destinations,
                connections.c.send_rate_max.label("connection_rate_max"),
                connections.c.send_rate.label("connection_rate"),
                connections.c.rate_control_enabled,
            )
            .join(connections)
            .where(destinations.c.id == destination_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _destination_plan(row)

    def next_transfers(self, destination_id: int, lane: str, count: int) -> list[TransferPlan]:
        """Return the transfers of a lane that come first: see ``courier.seams.Work``."""
        with self._database.read() as connection:
            found = connection.execute(
                _FIRST_OF_LANE, {"destination": destination_id, "lane": lane, "count": count}
            ).all()
            candidates = sorted({(row.priority, row.id) for row in found})
            eldest = min((number for _, number in candidates), default=None)
            numbers = [number for _, number in candidates[:count]]
            if eldest is not None and eldest not in numbers:
                numbers.append(eldest)
            rows = {
                row.id: row
                for row in connection.execute(_planned().where(transfers.c.id.in_(numbers)))
            }
        plans = (self._plan(rows[number]) for number in numbers)
        return [plan for plan in plans if plan is not None]

    def transfers(self, transfer_ids: list[int]) -> dict[int, TransferPlan]:
        """Return transfers by their numbers, without those that are not active any more."""
        found: dict[int, TransferPlan] = {}
        for start in range(0, len(transfer_ids), IDS_AT_ONCE):
            numbers = transfer_ids[start : start + IDS_AT_ONCE]
            query = _planned().where(transfers.c.id.in_(numbers), transfers.c.status.in_(ACTIVE))
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                plan = self._plan(row)
                if plan is not None:
                    found[row.id] = plan
        return found

    def started(self, transfer_id: int, receiver: str | None = None) -> bool:
        """Note that a transfer is being sent, anew if a receiver is given.

        Returns:
            Whether it is still active.
        """
        waiting = ACTIVE - {Status.SENDING}
        values = {} if receiver is None else {"receiver": receiver, **_NOTHING_THROUGH}
        if self._states.change(transfer_id, waiting, Status.SENDING, values) is not None:
            return True
        active = transfers.c.id == transfer_id, transfers.c.status.in_(ACTIVE)
        if not values:
            with self._database.read() as connection:
                return connection.scalar(select(transfers.c.id).where(*active)) is not None
        with self._database.write() as connection:
            changed = update(transfers).where(*active).values(**values).returning(transfers.c.id)
            return connection.scalar(changed) is not None

    def progressed(self, progress: Mapping[int, Progress]) -> None:
        """Note how far transfers are, of those that have not ended; nobody is set back."""
        if not progress:
            return
        values = [{"number": number, **_bound(each)} for number, each in progress.items()]
        with self._database.write() as connection:
            connection.execute(_PROGRESSED, values)

    def ended(self, transfer_id: int, status: Status, message: str, progress: Progress) -> None:
        """Note that a transfer is complete or has failed, unless it is not active any more.

        If it was suspended at that moment, it stays so, and how far it is is noted all the same.

        Raises:
            ValueError: The status is not one of those two.
        """
        if status not in ENDED:
            raise ValueError(f"a transfer does not end as {status}")
        values = asdict(progress)
        if self._states.end(transfer_id, ACTIVE, status, message, values) is None:
            self.progressed({transfer_id: progress})

    def contacted(self, destination_id: int, contact: Contact) -> None:
        """Note what is known of the server behind a destination."""
        values = {
            column: value
            for name, column in _CONTACT_COLUMNS.items()
            if (value := getattr(contact, name)) is not None
        }
        if not values:
            return
        with self._database.write() as connection:
            connection.execute(
                update(destinations).where(destinations.c.id == destination_id).values(**values)
            )

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        """Yield the files of a manifest from a position on; it reads them page by page."""
        return self._files.files(manifest_id, position)

    def _plan(self, row: Any) -> TransferPlan | None:
        """Return what there is to send; a transfer for which there is nothing fails instead."""
        try:
            return self._readable_plan(row)
        except CommandError as error:
            self._states.end(row.id, ACTIVE, Status.ERROR, error.message)
            return None

    def _readable_plan(self, row: Any) -> TransferPlan:
        if row.source_owner is None:
            raise CommandError("its manifest is not there any more")
        guard = self._guards.guard_for(row.source_owner, row.source_token)
        try:
            login = self._vault.open(row.id, row.credentials)
        except UnreadableCredentialsError as error:
            text = "The credentials of transfer %d cannot be read: %s"
            self._log.write(logging.ERROR, text, row.id, error)
            raise CommandError(
                "its user name, password or token cannot be read any more: create it anew"
            ) from error
        return TransferPlan(
            id=row.id,
            manifest_id=row.manifest_id,
            status=Status(row.status),
            destination_path=row.destination_path,
            lane=row.lane,
            priority=row.priority,
            rate=bytes_per_second(row.send_rate_max),
            flags=row.flags,
            checkpoint_seconds=row.checkpoint_seconds,
            overwrite_mode=row.overwrite_mode,
            min_cipher=row.min_cipher,
            time_resolution_us=row.time_resolution_us,
            timeout_seconds=row.timeout_seconds,
            login=login,
            total_files=row.total_files,
            total_bytes=row.total_bytes,
            progress=progress_of(row),
            guard=guard,
            receiver=row.receiver,
        )


def _planned() -> Select[Any]:
    """Return the query for transfers with the owners of what they send.

    What may be read is a matter of who has made the manifest, whoever sends it.
    """
    return select(
        transfers,
        manifests.c.owner.label("source_owner"),
        manifests.c.owner_token.label("source_token"),
    ).outerjoin(manifests, manifests.c.id == transfers.c.manifest_id)


def _destination_plan(row: Any) -> DestinationPlan:
    relayed = row.relay_address is not None
    return DestinationPlan(
        id=row.id,
        connection_id=row.connection_id,
        address=row.relay_address if relayed else row.address,
        port=row.relay_port if relayed else row.port,
        instance=row.address if relayed else None,
        public_key=row.public_key if row.authenticate else None,
        rate=bytes_per_second(row.send_rate_max),
        connection_rate=bytes_per_second(
            rate_limit(row.connection_rate_max, row.connection_rate, row.rate_control_enabled)
        ),
        lanes=dict(row.lanes),
    )


def _bound(progress: Progress) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in asdict(progress).items()}


_NOTHING_THROUGH: Final[Mapping[str, Any]] = {
    "position": 0,
    "files_sent": 0,
    "files_failed": 0,
    "first_failure": "",
    "bytes_acked": 0,
    "bytes_through": 0,
}
"""What :meth:`Progress.anew` does, as columns."""

_PROGRESSED: Final = (
    update(transfers)
    .where(
        transfers.c.id == bindparam("number"),
        # Lists of values do not go together with many rows at once.
        *(transfers.c.status != status.value for status in sorted(ENDED)),
        transfers.c.position <= bindparam("new_position"),
    )
    .values({name: bindparam(f"new_{name}") for name in PROGRESS_COLUMNS})
)


def _first_of_lane() -> CompoundSelect[Any]:
    """Return the query for the numbers of transfers that may come first in a lane.

    It asks for each status by itself, by priority and by age: so each part reads a few entries of
    an index, however many transfers wait.
    """
    columns = transfers.c
    parts: list[Select[Any]] = []
    for status in sorted(ACTIVE):
        query = select(columns.id, columns.priority).where(
            columns.destination_id == bindparam("destination"),
            columns.status == literal(status.value),
            columns.lane == bindparam("lane"),
        )
        first = query.order_by(columns.priority, columns.id).limit(bindparam("count"))
        eldest = query.order_by(columns.id).limit(1)
        parts += [select(each.subquery()) for each in (first, eldest)]
    return union_all(*parts)


_FIRST_OF_LANE: Final = _first_of_lane()

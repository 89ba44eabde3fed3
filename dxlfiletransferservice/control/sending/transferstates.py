"""Changes of what a transfer is in: each is one conditional update, whoever comes first wins."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, select, update

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.seams import Events
from dxlfiletransferservice.control.sending.transferstructure import progress_of, transfer_structure
from dxlfiletransferservice.control.sending.transfertimes import TransferTimes
from dxlfiletransferservice.control.tables import transfers
from dxlfiletransferservice.courier.seams import ACTIVE, Status

ENDED: Final = frozenset({Status.COMPLETE, Status.ERROR})
"""What a transfer does not leave any more."""

MAX_MESSAGE: Final = 4096
"""Characters of an error message that are kept."""


class TransferStates:
    """Changes what transfers are in, and tells the event log.

    Args:
        database: Where transfers are.
        events: The event log.
        times: Their clocks.
    """

    def __init__(self, database: Database, events: Events, times: TransferTimes) -> None:
        self._database = database
        self._events = events
        self._times = times

    def change(
        self,
        transfer_id: int,
        allowed: Collection[Status],
        status: Status,
        values: Mapping[str, Any] | None = None,
    ) -> Any:
        """Change what a transfer is in, if it still is in one of some states.

        Args:
            transfer_id: Its number.
            allowed: What it has to be in.
            status: What it is in afterwards.
            values: Other columns to change with it.

        Returns:
            The changed row; ``None`` if there is no such transfer, or it is in something else.
        """
        with self._database.write() as connection:
            row = row_of(connection, transfer_id)
            if row is None:
                return None
            changes = {"status": status, **self._times_of(row, status), **(values or {})}
            if status in ENDED:
                changes["credentials"] = None
            changed = connection.execute(
                update(transfers)
                .where(transfers.c.id == transfer_id, transfers.c.status.in_(allowed))
                .values(**changes)
                .returning(transfers)
            ).one_or_none()
        if changed is not None:
            self.tell("transferUpdated", changed)
            if status in ENDED:
                self._times.forget(transfer_id)
        return changed

    def end(
        self,
        transfer_id: int,
        allowed: Collection[Status],
        status: Status,
        message: str,
        values: Mapping[str, Any] | None = None,
    ) -> Any:
        """End a transfer, if it is in one of some states; returns as :meth:`change` does."""
        shown = message[:MAX_MESSAGE]
        return self.change(transfer_id, allowed, status, {"error_message": shown, **(values or {})})

    def delete(self, transfer_id: int) -> bool:
        """Delete a transfer unless it is active; returns whether it is gone."""
        with self._database.write() as connection:
            gone = connection.execute(
                delete(transfers)
                .where(transfers.c.id == transfer_id, transfers.c.status.not_in(ACTIVE))
                .returning(transfers)
            ).one_or_none()
        if gone is None:
            return False
        self.forget(gone)
        return True

    def forget(self, row: Any) -> None:
        """Hear that a transfer was deleted."""
        self.tell("transferDeleted", row)
        self._times.forget(row.id)

    def tell(self, event: str, row: Any) -> None:
        """Note in the event log what has become of a transfer."""
        structure = transfer_structure(row, progress_of(row), self._times.now(row))
        self._events.record(event, structure, owner=row.owner, owner_token=row.owner_token)

    def _times_of(self, row: Any, status: Status) -> dict[str, int]:
        now = self._times.now(row)
        if status is Status.SENDING and row.start_time is None:
            return {"start_time": now}
        return {"end_time": now} if status in ENDED else {}


def row_of(connection: Connection, transfer_id: int) -> Any:
    """Return the row of a transfer; ``None`` if there is none."""
    return connection.execute(select(transfers).where(transfers.c.id == transfer_id)).one_or_none()

"""The transfers that others send here: how far each is, and what becomes of it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Row, select, update
from sqlalchemy.exc import SQLAlchemyError

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.protocol.refusals import RefusedError
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.storage.expiry import DEFAULT_LIFETIME
from dxlfiletransferservice.admission.rates import RateWindow
from dxlfiletransferservice.admission.receptionrows import (
    Newcomer,
    announced,
    begun_again,
    ended,
    given_up,
)
from dxlfiletransferservice.admission.receptionstructures import (
    COMPLETE,
    ERROR,
    MICROSECONDS,
    RECEIVING,
    senders_query,
    source_of,
    structure_of,
)
from dxlfiletransferservice.admission.unavailable import unavailable
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.pages import fitting
from dxlfiletransferservice.control.tables import receptions

WRITE_SECONDS: Final = 5.0
"""Seconds between two writes of how far transfers are; a crash loses that much of the figures."""

LOOK_SECONDS: Final = 60.0
"""Seconds between two looks for transfers that nobody goes on with."""

__all__ = ["Newcomer", "Reception", "Receptions"]

_logger = logging.getLogger(__name__)

Hook = Callable[[Mapping[str, Any]], None]
"""Is told of a reception, as the structure that :meth:`Receptions.transfers` returns."""

_Key = tuple[str, str]

_ENDED: Final = {Outcome.COMPLETE: COMPLETE, Outcome.ERROR: ERROR}


@dataclass(slots=True, eq=False)
class _Live:
    """A transfer of which there are sessions. Changed under the guard of all only."""

    number: int
    newcomer: Newcomer
    status: str
    sessions: int = 0
    new_bytes: int = 0
    last_receive: int | None = None
    last_send: int | None = None
    last_error: int | None = None
    changed: bool = False
    window: RateWindow = field(default_factory=RateWindow)


class Receptions:
    """Keeps the table of receptions; safe for several threads.

    How far transfers are is kept in memory and written every few seconds by :meth:`maintain`; when
    they begin and end is written at once.

    Args:
        database: Where they are kept.
        on_started: Is told of each transfer that begins.
        on_ended: Is told of each that is complete or has failed.
        clock: Returns the time in seconds since 1970.
        given_up_after: Seconds without a request and without a session after which a transfer
            counts as failed; about as long as unfinished files are kept. It may come again even
            then.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_started: Hook | None = None,
        on_ended: Hook | None = None,
        clock: Callable[[], float] = time.time,
        given_up_after: float = DEFAULT_LIFETIME,
    ) -> None:
        self._database = database
        self._on_started = on_started
        self._on_ended = on_ended
        self._clock = clock
        self._given_up_after = given_up_after
        self._guard = threading.Lock()
        self._live: dict[_Key, _Live] = {}
        self._written = clock()
        self._looked = clock()

    def begin(self, newcomer: Newcomer) -> "Reception":
        """Begin a session of a transfer, whether it is new or goes on.

        Raises:
            RefusedError: ``BUSY`` if the database cannot be used at the moment.
        """
        key = (newcomer.sender_key, newcomer.transfer_id)
        try:
            with self._database.write() as connection:
                row, fresh = announced(connection, newcomer, self._now_us())
        except SQLAlchemyError as error:
            raise unavailable(error) from error
        with self._guard:
            live = self._live.get(key)
            if live is None:
                live = _Live(row.id, newcomer, row.status)
                self._live[key] = live
            live.newcomer = newcomer
            live.sessions += 1
        if fresh:
            self._tell(self._on_started, structure_of(row, {}))
        return Reception(self, live)

    def transfers(
        self, *, before: int | None = None, after: int | None = None, limit: int = MAX_PAGE
    ) -> list[dict[str, Any]]:
        """Return receive-transfer structures, in the order in which the transfers first came.

        Args:
            before: Only those with a lower ``receptionId``.
            after: Only those with a higher one; without it, the last ones are returned.
            limit: How many at most; fewer if they would not fit into one answer.
        """
        query = select(receptions).limit(max(1, min(limit, MAX_PAGE)))
        if before is not None:
            query = query.where(receptions.c.id < before)
        last = after is None
        if last:
            query = query.order_by(receptions.c.id.desc())
        else:
            query = query.where(receptions.c.id > after).order_by(receptions.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        with self._guard:
            found = fitting(structure_of(row, self._fresh(row)) for row in rows)
        return found[::-1] if last else found

    def sources(self, *, limit: int = MAX_PAGE) -> list[dict[str, Any]]:
        """Return source structures, one for each sender, in the order of their keys.

        Args:
            limit: How many at most; those that were heard of last, if there are more.
        """
        now = self._clock()
        with self._database.read() as connection:
            rows = connection.execute(senders_query(limit)).all()
        with self._guard:
            live: dict[str, list[_Live]] = {}
            for each in self._live.values():
                live.setdefault(each.newcomer.sender_key, []).append(each)
        return fitting(
            _source(row, live.get(row.sender_key, []), now)
            for row in sorted(rows, key=lambda row: str(row.sender_key))
        )

    def maintain(self, now: float) -> None:
        """Write what is due, and give up what nobody goes on with.

        Args:
            now: The time in seconds since 1970.
        """
        try:
            # The clock may be set back, which must not put this off until it has caught up.
            if abs(now - self._written) >= WRITE_SECONDS:
                self._written = now
                self._write()
            if abs(now - self._looked) >= LOOK_SECONDS:
                self._looked = now
                self._give_up(now)
        except SQLAlchemyError as error:
            _logger.warning("Cannot write how far receptions are; tried again later: %s", error)

    def close(self) -> None:
        """Write everything; may be repeated."""
        try:
            self._write()
        except SQLAlchemyError as error:
            _logger.warning("Cannot write how far receptions are: %s", error)

    # What receptions call.

    def noted(self, live: _Live, count: int) -> None:
        """Note that a request of a transfer was carried out, which brought some bytes."""
        now = self._clock()
        again = False
        with self._guard:
            live.new_bytes += count
            live.last_receive = live.last_send = round(now * MICROSECONDS)
            live.changed = True
            live.window.add(count, now)
            if live.status != RECEIVING:
                # It had ended, and begins anew: it is only now that this is sure.
                live.status, again = RECEIVING, True
                live.new_bytes = count
        if again:
            self._begun_again(live)

    def failed(self, live: _Live) -> None:
        """Note that a request of a transfer was refused."""
        with self._guard:
            live.last_error = self._now_us()
            live.changed = True

    def left(self, live: _Live, outcome: Outcome | None, text: str) -> None:
        """End a session of a transfer.

        Raises:
            RefusedError: ``BUSY`` if that cannot be noted at the moment; it is to come again.
        """
        status = None if outcome is None else _ENDED.get(outcome)
        if status is not None:
            self._finish(live, status, text if status == ERROR else "")
        with self._guard:
            if outcome is None and live.status == RECEIVING:
                live.last_error = self._now_us()
                live.changed = True
        try:
            self._write_some([live])
        except SQLAlchemyError as error:
            _logger.warning("Cannot write how far a reception is: %s", error)
        with self._guard:
            live.sessions -= 1
            if not live.sessions:
                self._live.pop((live.newcomer.sender_key, live.newcomer.transfer_id), None)

    def _fresh(self, row: Row[Any]) -> Mapping[str, Any]:
        live = self._live.get((row.sender_key, row.transfer_id))
        if live is None:
            return {}
        received = row.bytes_received if live.status == row.status else 0
        return {
            "status": live.status,
            "bytes_received": received + live.new_bytes,
            **_times(live),
        }

    def _begun_again(self, live: _Live) -> None:
        try:
            with self._database.write() as connection:
                row = begun_again(connection, live.number, live.newcomer, self._now_us())
        except SQLAlchemyError as error:
            _logger.warning("Cannot note that a reception has begun again: %s", error)
            return
        if row is not None:
            self._tell(self._on_started, structure_of(row, {}))

    def _finish(self, live: _Live, status: str, text: str) -> None:
        with self._guard:
            if live.status != RECEIVING:
                return
        try:
            self._write_some([live])
            with self._database.write() as connection:
                row = ended(connection, live.number, status, text)
        except SQLAlchemyError as error:
            raise unavailable(error) from error
        with self._guard:
            live.status = status
        if row is not None:
            self._tell(self._on_ended, structure_of(row, {}))

    def _write(self) -> None:
        with self._guard:
            changed = [live for live in self._live.values() if live.changed]
        self._write_some(changed)

    def _write_some(self, changed: list[_Live]) -> None:
        with self._guard:
            values = [(live, live.new_bytes, _times(live)) for live in changed if live.changed]
            for live, _, _ in values:
                live.changed, live.new_bytes = False, 0
        if not values:
            return
        try:
            with self._database.write() as connection:
                for live, count, times in values:
                    connection.execute(
                        update(receptions)
                        .where(receptions.c.id == live.number)
                        # Added, since a session that has just ended may be writing as well.
                        .values(bytes_received=receptions.c.bytes_received + count, **times)
                    )
        except SQLAlchemyError:
            with self._guard:
                for live, count, _ in values:
                    live.changed, live.new_bytes = True, live.new_bytes + count
            raise

    def _give_up(self, now: float) -> None:
        with self._guard:
            live = {each.number for each in self._live.values()}
        limit = round((now - self._given_up_after) * MICROSECONDS)
        text = f"nothing has come for {self._given_up_after / 3600:g} hours"
        with self._database.write() as connection:
            rows = given_up(connection, limit, text, live)
        for row in rows:
            self._tell(self._on_ended, structure_of(row, {}))

    def _now_us(self) -> int:
        return round(self._clock() * MICROSECONDS)

    @staticmethod
    def _tell(hook: Hook | None, structure: Mapping[str, Any]) -> None:
        if hook is None:
            return
        try:
            hook(structure)
        except Exception:
            # What others make of it must not harm the transfer.
            _logger.exception("Cannot tell of reception %s", structure["receptionId"])


class Reception:
    """One session of a transfer; made by :meth:`Receptions.begin`. Safe for several threads.

    Args:
        receptions: All of them.
        live: The transfer.
    """

    def __init__(self, receptions: Receptions, live: _Live) -> None:
        self._receptions = receptions
        self._live = live
        self._over = False

    def received(self, count: int) -> None:
        """Note that a request was carried out, which brought some bytes of files."""
        # One that was slower than the end of the session does not begin the transfer anew.
        if not self._over:
            self._receptions.noted(self._live, count)

    def failed(self) -> None:
        """Note that a request was refused."""
        self._receptions.failed(self._live)

    def left(self, outcome: Outcome | None, text: str) -> None:
        """End the session; ``None`` if it was silent.

        Raises:
            RefusedError: ``BUSY`` if that cannot be noted at the moment; it is to come again.
        """
        self._over = True
        try:
            self._receptions.left(self._live, outcome, text)
        except RefusedError:
            self._over = False
            raise


def _times(live: _Live) -> dict[str, int]:
    """Return the columns with times that are known better than the row has them."""
    found = {
        "last_receive": live.last_receive,
        "last_send": live.last_send,
        "last_error": live.last_error,
    }
    return {name: value for name, value in found.items() if value is not None}


def _source(row: Row[Any], live: list[_Live], now: float) -> dict[str, Any]:
    return source_of(
        row,
        client_id=live[-1].newcomer.client_id if live else None,
        active=sum(each.status == RECEIVING for each in live),
        rate=sum(each.window.rate(now) for each in live),
    )

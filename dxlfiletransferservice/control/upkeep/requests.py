"""Requests: commands that are noted, carried out later, and asked about.

A request is in the database before its caller hears of it. One that was noted with its arguments is
carried out even if the server is killed first: the command is called again at the next start, by
the same caller with the same call id and the rights that he has then, and what it submits finds its
request there.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind, command_error
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler, Login, not_found
from dxlfiletransferservice.control.database import Database, now_us
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import requests
from dxlfiletransferservice.control.upkeep.requestcallers import (
    restored,
    stored,
    turn_of,
    visible_to,
)
from dxlfiletransferservice.control.upkeep.requestqueue import RequestQueue

THREADS: Final = 4
"""Threads that carry out requests: one may check a password or look up a name meanwhile."""

MAX_WAITING: Final = 4096
"""Requests that may wait. Each is some hundred bytes, and a row in the database."""

MAX_WAITING_EACH: Final = 1024
"""Requests of one user or token, or of a session before log-on, that may wait: a quarter."""

RESULT_LIFETIME: Final = 3600.0
"""Seconds for which a request is known after its end."""

MAX_RESULT: Final = 480 * 1024
"""Bytes of a result as JSON, so that it fits into the answer of ``getRequestResult``."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that the end waits for requests that are being carried out."""

_IDLE_SECONDS: Final = 5.0
"""Seconds after which an idle thread looks by itself; it is woken long before."""

_PENDING: Final = "pending"
_COMPLETE: Final = "complete"
_ERROR: Final = "error"

_logger = logging.getLogger(__name__)

Refresh = Callable[[Principal], Principal | None]
"""Returns somebody with the rights that he has now; ``None`` if he is gone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request stands.

    Attributes:
        status: ``pending``, ``complete`` or ``error``.
        result: What it has resulted in, as JSON can hold it.
        kind: Kind of the error.
        message: What went wrong; empty if nothing did.
    """

    status: str
    result: Any = None
    kind: str | None = None
    message: str = ""

    @property
    def structure(self) -> dict[str, Any]:
        """The answer of ``getRequestStatus``."""
        return {
            "status": self.status,
            "processing": self.status == _PENDING,
            "errorMessage": self.message,
        }


@dataclass(frozen=True, slots=True)
class _Job:
    id: int
    command: str
    run: Callable[[], Any]


class Requests:
    """Carries out requests in the background: in order for each caller, some callers at a time.

    Args:
        database: Where they are noted.
        clock: Returns the time in microseconds since 1970.
        threads: Threads that carry them out; at least 1.
        most: Requests that may wait.
        most_each: The same for each caller.

    Example:
        >>> def set_priority(call):  # doctest: +SKIP
        ...     number = call.arguments.object_id("transferId", "transferId")
        ...     priority = call.arguments.integer("priority", least=0, most=9)
        ...     call.arguments.finish()
        ...     return requests.submit(call, lambda: transfers.set_priority(number, priority))
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], int] = now_us,
        threads: int = THREADS,
        most: int = MAX_WAITING,
        most_each: int = MAX_WAITING_EACH,
    ) -> None:
        self._database = database
        self._clock = clock
        self._queue: RequestQueue[_Job] = RequestQueue(most, most_each)
        self._known: set[int] = set()
        self._unsaved: dict[int, Outcome] = {}
        self._submitting = threading.Lock()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._ending = False
        self._log = BoundedLog(_logger)
        self._threads = [
            threading.Thread(target=self._work, name=f"transfer-server-request-{each}", daemon=True)
            for each in range(threads)
        ]

    def start(self, handlers: Mapping[str, Handler], refresh: Refresh) -> None:
        """Go on with what was pending when the server ended, and begin to carry out requests.

        Call it when all commands are known, and before any of them can be called.

        Args:
            handlers: The handlers of the commands by name.
            refresh: Says which rights the callers have left.
        """
        with self._database.read() as connection:
            query = select(requests).where(requests.c.status == _PENDING).order_by(requests.c.id)
            pending = connection.execute(query).all()
        for row in pending:
            with self._lock:
                known = row.id in self._known  # from a call that was faster than this
            if not known:
                self._go_on_with(row, handlers, refresh)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads; what waits stays pending, and is gone on with at the next start."""
        with self._lock:
            self._ending = True
            self._wake.notify_all()
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self.maintain()

    def submit(
        self, call: Call, run: Callable[[], Any], *, store_arguments: bool = True
    ) -> dict[str, int]:
        """Note that something is to be done for a call, and return.

        Args:
            call: The call; a handler passes it on. If it came before, the same request is returned.
            run: Does it, on another thread. Returns the result as JSON can hold it, or raises
                ``CommandError``. After a crash it may be run again, so it has to be idempotent.
            store_arguments: Whether the arguments are kept until the request has ended, so that it
                outlives the server; ``False`` where a password is among them.

        Returns:
            The structure of the request: ``{"requestId": 1}``.

        Raises:
            CommandError: ``BUSY`` if too many requests wait.
        """
        key = turn_of(call.login)
        with self._submitting:
            with self._database.read() as connection:
                found = _of_call(connection, call)
            if found is not None and not self._abandoned(found):
                return {"requestId": found.id}
            self._reserve(key, always=found is not None)
            try:
                number = self._note(call, store=store_arguments) if found is None else found.id
            except BaseException:
                with self._lock:
                    self._queue.release(key)
                raise
            with self._lock:
                self._known.add(number)
                self._queue.add(key, _Job(number, call.arguments.command, run))
                self._wake.notify()
        return {"requestId": number}

    def look(self, login: Login, request_id: int | None, shown: object) -> Outcome:
        """Return how a request stands.

        Args:
            login: Who asks.
            request_id: Number of the request; ``None`` if it can be none.
            shown: What the caller named it by.

        Raises:
            CommandError: There is none, it has expired, or it is somebody else's.
        """
        oldest = self._clock() - int(RESULT_LIFETIME * 1e6)
        with self._database.read() as connection:
            row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
        if row is None or not visible_to(login, row):
            raise not_found("request", shown)
        if row.finished is not None and row.finished < oldest:
            raise not_found("request", shown)
        if row.status == _PENDING:
            with self._lock:
                return self._unsaved.get(row.id, Outcome(_PENDING))
        return Outcome(row.status, row.result, row.error_kind, row.error_message)

    def maintain(self) -> None:
        """Try again to note the ends of requests which the database did not take."""
        with self._lock:
            unsaved = list(self._unsaved.items())
        for number, outcome in unsaved:
            if not self._save(number, outcome):
                return
            with self._lock:
                self._unsaved.pop(number, None)

    def _go_on_with(self, row: Row[Any], handlers: Mapping[str, Handler], refresh: Refresh) -> None:
        handler = handlers.get(row.command)
        if row.arguments is None or handler is None:
            text = f"the server was started anew before it carried out {row.command}: call it again"
            self._end(row.id, Outcome(_ERROR, kind=ErrorKind.BUSY, message=text))
            return
        caller = restored(row.principal)
        principal = None if caller is None else refresh(caller)
        if caller is not None and principal is None:
            text = f"who has called {row.command} may not do so any more: the user or token is gone"
            self._end(row.id, Outcome(_ERROR, kind=ErrorKind.NOT_AUTHENTICATED, message=text))
            return
        login = Login(row.session or "", "", principal)
        call = Call(login, Arguments(row.command, row.arguments), row.call_id)
        outcome = self._attempt(row.id, row.command, lambda: handler(call))
        with self._lock:
            submitted = row.id in self._known
        if not submitted:
            self._end(row.id, outcome)

    def _abandoned(self, row: Row[Any]) -> bool:
        """Whether a request is pending, and nobody is going to carry it out."""
        with self._lock:
            known = row.id in self._known or row.id in self._unsaved
        if row.status != _PENDING or known:
            return False
        # It may have ended since the row was read: it is known until its end is in the database.
        with self._database.read() as connection:
            query = select(requests.c.status).where(requests.c.id == row.id)
            return connection.scalar(query) == _PENDING

    def _reserve(self, key: str, *, always: bool) -> None:
        with self._lock:
            if self._ending or not self._queue.reserve(key, always=always):
                raise CommandError(
                    "too many requests wait to be carried out: try again later", ErrorKind.BUSY
                )

    def _note(self, call: Call, *, store: bool) -> int:
        principal = call.login.principal
        command, values = call.arguments.command, dict(call.arguments.values)
        with self._database.write() as connection:
            number = connection.scalar(
                insert(requests)
                .values(
                    owner="" if principal is None else principal.user,
                    owner_token=None if principal is None else principal.token,
                    principal=stored(principal),
                    session=call.login.session if principal is None else None,
                    command=command,
                    arguments=values if store else None,
                    status=_PENDING,
                    call_id=call.call_id,
                    created=self._clock(),
                )
                .returning(requests.c.id)
            )
        return cast("int", number)

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            key, job = taken
            outcome = self._attempt(job.id, job.command, job.run)
            self._end(job.id, outcome)
            with self._lock:
                self._known.discard(job.id)
                self._queue.done(key)
                self._wake.notify()

    def _next(self) -> tuple[str, _Job] | None:
        with self._lock:
            while not self._ending:
                taken = self._queue.take()
                if taken is not None:
                    return taken
                self._wake.wait(_IDLE_SECONDS)
        return None

    def _attempt(self, number: int, command: str, run: Callable[[], Any]) -> Outcome:
        try:
            result = run()
            size = len(json.dumps(result))
        except CommandError as error:
            return Outcome(_ERROR, kind=error.kind, message=error.message)
        except Exception as error:  # noqa: BLE001 - it is logged, and told to who asks
            self._log.write(
                logging.ERROR, "Request %d (%s) failed unforeseen", number, command, error=error
            )
            text = f"the server failed to carry out {command}; its log says why"
            return Outcome(_ERROR, kind=ErrorKind.INTERNAL, message=text)
        if size > MAX_RESULT:
            text = f"the result of {command} is too long: ask for less, with 'limit'"
            return Outcome(_ERROR, kind=ErrorKind.INVALID, message=text)
        return Outcome(_COMPLETE, result)

    def _end(self, number: int, outcome: Outcome) -> None:
        if not self._save(number, outcome):
            with self._lock:
                self._unsaved[number] = outcome

    def _save(self, number: int, outcome: Outcome) -> bool:
        try:
            with self._database.write() as connection:
                connection.execute(
                    update(requests)
                    .where(requests.c.id == number)
                    .values(
                        status=outcome.status,
                        result=outcome.result,
                        error_kind=outcome.kind,
                        error_message=outcome.message,
                        arguments=None,
                        finished=self._clock(),
                    )
                )
        except SQLAlchemyError as error:
            text = "Cannot note the end of request %d; tried again later: %s"
            self._log.write(logging.ERROR, text, number, getattr(error, "orig", None) or error)
            return False
        return True


def result_of(outcome: Outcome, shown: object) -> Any:
    """Return what a request has resulted in.

    Args:
        outcome: How it stands.
        shown: What the caller named it by.

    Raises:
        CommandError: It has failed, or has not ended yet (``STATE``).
    """
    if outcome.status == _PENDING:
        raise CommandError(f"request {brief(shown)} has not ended yet", ErrorKind.STATE)
    if outcome.status == _ERROR:
        raise command_error(outcome.kind or ErrorKind.INTERNAL, outcome.message)
    return outcome.result


def _of_call(connection: Connection, call: Call) -> Row[Any] | None:
    """Return the request that the same call has made before.

    Raises:
        CommandError: Another caller or command has used the call id.
    """
    query = select(requests).where(requests.c.call_id == call.call_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    login = call.login
    session = login.session if login.principal is None else None
    same_caller = row.principal == stored(login.principal) and row.session == session
    if row.command != call.arguments.command or not (same_caller or visible_to(login, row)):
        raise CommandError("the id of the call was used for another call before: take a new one")
    return row

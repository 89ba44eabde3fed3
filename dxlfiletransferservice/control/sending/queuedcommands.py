"""Commands that are queued: what they ask for is checked at once, and done in its turn."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import select

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.seams import Queue
from dxlfiletransferservice.control.tables import requests

_Order = TypeVar("_Order")

_PENDING: Final = "pending"


class QueuedCommands:
    """Makes handlers of commands that are queued.

    Args:
        database: Where requests are noted.
        queue: Carries them out.
    """

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._queue = queue

    def handler(
        self,
        take: Callable[[Arguments], _Order],
        check: Callable[[Principal, _Order], object],
        run: Callable[[_Order], Any],
    ) -> Handler:
        """Return the handler of a command.

        Args:
            take: Takes the arguments.
            check: Raises ``CommandError`` if the caller may not ask for that, or if it is not
                possible. It is not called for a call that has come before: what it asks for may be
                done already.
            run: Does it, later. Where it is done already, it does nothing: after a crash it may run
                once more.
        """

        def handle(call: Call) -> dict[str, int]:
            order = take(call.arguments)
            call.arguments.finish()
            if not self._came_before(call):
                self._check(call.principal, order, check)
            return self._queue.submit(call, lambda: run(order))

        return handle

    def _check(
        self, principal: Principal, order: _Order, check: Callable[[Principal, _Order], object]
    ) -> None:
        try:
            check(principal, order)
        except CommandError as error:
            # What the caller has asked for just before may make it possible by then.
            if error.kind is not ErrorKind.STATE or not self._is_waiting(principal):
                raise

    def _came_before(self, call: Call) -> bool:
        with self._database.read() as connection:
            query = select(requests.c.id).where(requests.c.call_id == call.call_id)
            return connection.scalar(query) is not None

    def _is_waiting(self, principal: Principal) -> bool:
        with self._database.read() as connection:
            query = select(requests.c.id).where(
                requests.c.status == _PENDING, requests.c.owner == principal.user
            )
            return connection.scalar(query.limit(1)) is not None

"""Calls that wait for what they ask for: results, lists, requests, changes of state."""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from dxlfiletransferclient.control.errors import (
    CallTimeoutError,
    CommandError,
    ConnectionLostError,
    ErrorKind,
    WaitTimeoutError,
)
from dxlfiletransferclient.control.paging import paged
from dxlfiletransferclient.errors import brief
from jetstream.ids import ObjectId, id_in
from jetstream.pauses import Pauses

RETRY_PAUSE: Final = 0.1
"""Seconds between attempts to reach a server that does not answer."""

OUTAGE_SECONDS: Final = 300.0
"""Seconds that a wait bears a server that does not answer: one that is started anew, or moved to
another machine, is back by then."""

logger = logging.getLogger("jetstream")

Structure = TypeVar("Structure")


class Connection(Protocol):
    """A connection to a server."""

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Call a command; see ``dxlfiletransferclient.control.caller.ControlClient``."""
        ...

    def log_on(self, arguments: Mapping[str, Any]) -> None:
        """Log on."""
        ...

    def adopt(self, ticket: str) -> None:
        """Use the ticket of a log-on."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class SyncInterface:
    """Calls commands and waits for their results; the interfaces of the API stand on it.

    Args:
        connection: Returns the connection to call on; raises if there is none.
        wait_timeout: Seconds that waiting for a manifest, transfer or request may take;
            ``None`` for as long as it takes.
        clock: Tells the time in seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        connection: Callable[[], Connection],
        *,
        wait_timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.connection = connection
        self._wait_timeout = math.inf if wait_timeout is None else wait_timeout
        self._clock = clock
        self._log_ons: set[int] = set()
        self._lock = threading.Lock()
        self._sleep = sleep

    def call(self, command: str, **arguments: Any) -> Any:
        """Call a command and return its result.

        Args:
            command: Its full name.
            arguments: Its arguments; those that are ``None`` count as left out.

        Raises:
            CommandError: The server refuses it.
            JetstreamError: It could not be called.
        """
        return self.connection().call(command, arguments)

    def log_on(self, arguments: Mapping[str, Any]) -> None:
        """Log on; what the server gives out for that is kept by the connection.

        Args:
            arguments: Those of ``server.auth``.

        Raises:
            AuthenticationError: They are not right.
        """
        self.connection().log_on(arguments)

    def objects(
        self,
        command: str,
        field: str,
        *,
        after: ObjectId | None = None,
        limit: int | None = None,
        **arguments: Any,
    ) -> list[Any]:
        """Return a list of structures, fetched page by page.

        Args:
            command: The command that lists them.
            field: Field of the structure that has its id.
            after: The object after which to begin.
            limit: Structures at most; ``None`` or 0 for all.
            arguments: Further arguments of the command.

        Raises:
            CommandError: The limit is no such number, or the server refuses the command.
        """

        def fetch(cursor: str | int | None, most: int) -> list[Any]:
            found: list[Any] = self.call(command, after=cursor, limit=most, **arguments)
            return found

        most = checked_limit(command, limit)
        begin = id_in(after, field)
        return list(paged(fetch, lambda each: each[field], after=begin, limit=most))

    def log_on_later(self, arguments: Mapping[str, Any]) -> Any:
        """Ask the server to log on when the request's turn comes.

        Args:
            arguments: Those of ``server.authAsync``.

        Returns:
            The request.

        Raises:
            CommandError: They are not what is needed.
        """
        request = self.call("server.authAsync", **arguments)
        with self._lock:
            self._log_ons.add(request["requestId"])
        return request

    def status(self, request: ObjectId) -> Any:
        """Return what has become of a request.

        Raises:
            CommandError: There is no such request.
        """
        number = id_in(request, "requestId")
        found = self.call("server.getRequestStatus", requestId=number)
        if not found["processing"]:
            self._ended(number)
        return found

    def result(self, request: ObjectId) -> Any:
        """Wait for a request and return its result.

        Raises:
            CommandError: There is no such request, or it has failed.
            WaitTimeoutError: It takes too long.
        """
        number = id_in(request, "requestId")
        self.wait(f"request {brief(number)}", lambda: self.status(number))
        return self.call("server.getRequestResult", requestId=number)

    def wait(
        self,
        what: str,
        ask: Callable[[], Structure],
        *,
        done: Callable[[Structure], float | None] = lambda _found: None,
    ) -> Structure:
        """Wait until the server does not process something any more.

        Args:
            what: What is waited for, for error messages.
            ask: Returns its structure, which has a field ``processing``.
            done: Returns which part of it is done, 0 to 1; ``None`` if the structure does not tell.

        Raises:
            CommandError: There is no such thing.
            WaitTimeoutError: It takes too long.
        """
        deadline = self._clock() + self._wait_timeout
        pauses = Pauses()
        while True:
            found = self._asked(ask, deadline)
            if not (isinstance(found, Mapping) and found.get("processing")):
                return found
            now = self._clock()
            rest = deadline - now
            if rest <= 0:
                status = brief(found.get("status"))
                raise WaitTimeoutError(
                    f"{what} is still {status} after {self._wait_timeout:g} s; it goes on"
                )
            self._sleep(min(pauses.after(now, done(found)), rest))

    def _ended(self, request: Any) -> None:
        """Take over the log-on that a request has made, so that it outlives a restart."""
        with self._lock:
            if request not in self._log_ons:
                return
            self._log_ons.discard(request)
        try:
            self.connection().adopt(self.call("server.ticket")["ticket"])
        except CommandError as error:
            logger.debug("request %s has not logged on: %s", request, error)

    def _asked(self, ask: Callable[[], Structure], deadline: float) -> Structure:
        """Ask, again if the server is away for a while."""
        give_up = min(self._clock() + OUTAGE_SECONDS, deadline)
        while True:
            try:
                return ask()
            except (CallTimeoutError, ConnectionLostError):
                if self._clock() >= give_up:
                    raise
            except CommandError as error:
                if error.kind is not ErrorKind.BUSY or self._clock() >= give_up:
                    raise
            self._sleep(RETRY_PAUSE)


def checked_limit(command: str, limit: int | None) -> int | None:
    """Return how many things a list may hold; ``None`` for any number.

    Raises:
        CommandError: It is no such number.
    """
    if limit is None:
        return None
    if type(limit) is not int or limit < 0:
        raise CommandError(
            f"the argument 'limit' of {command} is {brief(limit)}; allowed is a whole number from "
            "0, which means all, up"
        )
    return limit or None

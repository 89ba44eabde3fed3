"""How a command calls a transfer server."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from dxlfiletransferclient.control.caller import ControlClient
from dxlfiletransferclient.control.errors import AuthenticationError, ServerChoiceError
from dxlfiletransferclient.control.paging import paged
from dxlfiletransferclient.exchange.bus import Bus
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.sealing.keyfile import load_or_make
from dxlfiletransferservice.command.connecting import connected_bus
from dxlfiletransferservice.command.console import shown
from dxlfiletransferservice.command.interrupts import interrupted_by_signals
from dxlfiletransferservice.command.secretinput import known_password
from dxlfiletransferservice.command.serverstate import ServerState, state_of
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.localticket import read_local_ticket
from dxlfiletransferservice.control.upkeep.serverinformation import server_uid
from dxlfiletransferservice.home import Home

PASSWORD_VARIABLE: Final = "DXLFT_API_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable for the password of ``--user``."""

FIRST_PAUSE: Final = 0.02
"""Seconds after which the server is asked again whether something is done: most things are."""

LONGEST_PAUSE: Final = 0.5
"""Seconds between such questions at most."""

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="NAME",
        help="Name or uid of the transfer server, if the fabric has several. "
        "[default: the one of the home, or the only one]",
    ),
]

UserOption = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help=f"Log on as this user; the password is in {PASSWORD_VARIABLE}, or asked for. "
        "[default: whoever runs the server of the home]",
    ),
]

SuperuserOption = Annotated[
    bool,
    typer.Option("--superuser", help="Use the rights of a superuser, if --user has them."),
]

Structure = TypeVar("Structure", bound=Mapping[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """Which transfer server is called, and as whom.

    Attributes:
        config: Configuration of the DXL client; that in the home by default.
        home: The home; the user's by default.
        server: Name or uid of the server.
        user: Who logs on; by default the one who runs the server of the home.
        superuser: Whether to use the rights of a superuser.
    """

    config: Path | None = None
    home: Path | None = None
    server: str | None = None
    user: str | None = None
    superuser: bool = False


class Control:
    """Calls commands of a transfer server.

    Args:
        begin: Returns a client that is connected and has logged on.
        renew: Returns another one in its place, when its log-on has ended; ``None`` if there is no
            way without asking a person.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        begin: Callable[[], ControlClient],
        renew: Callable[[], ControlClient | None] = lambda: None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = begin()
        self._renew = renew
        self._sleep = sleep

    @property
    def hello(self) -> HelloAnswer:
        """What the server says about itself."""
        return self._client.hello

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Call a command and return its result.

        Args:
            command: Its full name.
            arguments: Its arguments.
            timeout: Seconds in which it has to be answered.

        Raises:
            CommandError: The server refuses it.
            ControlError: It cannot be called.
        """
        try:
            return self._client.call(command, arguments, timeout=timeout)
        except AuthenticationError:
            client = self._renew()
            if client is None:
                raise
            before, self._client = self._client, client
            before.close()
            return client.call(command, arguments, timeout=timeout)

    def carry_out(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Call a command that queues a request, and return the result of the request.

        Raises:
            CommandError: The server refuses it, or it fails.
            ControlError: It cannot be called.
        """
        return self.result(self.call(command, arguments))

    def result(self, request: Mapping[str, Any]) -> Any:
        """Wait for a request, and return its result; arguments and errors as :meth:`carry_out`."""
        number = {"requestId": request["requestId"]}
        self.settled(lambda: self.call("server.getRequestStatus", number))
        return self.call("server.getRequestResult", number)

    def settled(self, ask: Callable[[], Structure]) -> Structure:
        """Ask for a structure until the server does not process it any more, and return it.

        Args:
            ask: Asks for it.
        """
        pause = FIRST_PAUSE
        while (found := ask())["processing"]:
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return found

    def objects(
        self, command: str, field: str, *, after: str | None = None, timeout: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the structures that a command lists, fetched page by page.

        Args:
            command: The command.
            field: Field of the structures that has their id.
            after: Id of the object after which to begin.
            timeout: Seconds in which each page has to come.
        """

        def fetch(cursor: str | None, most: int) -> list[dict[str, Any]]:
            arguments = {"after": cursor, "limit": most}
            found: list[dict[str, Any]] = self.call(command, arguments, timeout=timeout)
            return found

        return paged(fetch, lambda each: str(each[field]), after=after)

    def close(self) -> None:
        """Take leave of the server."""
        self._client.close()


@contextmanager
def controlled(options: ControlOptions) -> Iterator[Control]:
    """Give a transfer server that can be called; signals end what goes on.

    Raises:
        ConfigurationError: There is no client configuration, or it cannot be used.
        dxlfabric.errors.ConnectError: The fabric cannot be reached.
        ControlError: There is no such server, or nobody can be logged on there.
        SecretInputError: There is no password.
        KeyboardInterrupt: A signal has come.
    """
    with interrupted_by_signals(), connected_bus(options.config, options.home) as bus:
        if options.user is not None:
            control = Control(lambda: _logged_on(bus, options))
        else:
            local = _LocalAccess(bus, options)
            control = Control(local.begin, local.renew)
        try:
            if options.superuser:
                control.call("server.superuser")
            yield control
        finally:
            control.close()


def _logged_on(bus: Bus, options: ControlOptions) -> ControlClient:
    client = ControlClient(bus, server=options.server)
    client.connect()
    password = known_password(f"password of {options.user}", PASSWORD_VARIABLE)
    client.log_on({"userName": options.user, "password": password})
    return client


class _LocalAccess:
    """Goes on as whoever runs the server of a home, who alone can read its ticket.

    The ticket is shown to that server only, which proves itself by its key.

    Args:
        bus: What it asks on.
        options: Which server.
    """

    def __init__(self, bus: Bus, options: ControlOptions) -> None:
        self._bus = bus
        self._server = options.server
        self._home = Home.at(options.home)
        self._ticket: str | None = None

    def begin(self) -> ControlClient:
        """Return a client that is connected.

        Raises:
            AuthenticationError: There is no ticket.
            ControlError: The server cannot be called.
        """
        state = state_of(self._home)
        self._ticket = self._read(state)
        public_key = load_or_make(state.key).public
        try:
            return self._connected(self._server, public_key)
        except ServerChoiceError:
            if self._server is not None:
                raise
        database = Database(state.database)
        try:
            uid = server_uid(database)
        finally:
            database.close()
        return self._connected(uid, public_key)

    def renew(self) -> ControlClient | None:
        """Return a client with the ticket of a server that was started anew."""
        before = self._ticket
        return None if self._read(state_of(self._home)) == before else self.begin()

    def _connected(self, server: str | None, public_key: str) -> ControlClient:
        client = ControlClient(self._bus, server=server, public_key=public_key, ticket=self._ticket)
        client.connect()
        return client

    def _read(self, state: ServerState) -> str:
        try:
            ticket = read_local_ticket(state.ticket)
        except OSError as error:
            raise AuthenticationError(
                f"{shown(state.ticket)} cannot be read ({error.strerror or error}): only whoever "
                "runs the server is let in without a password; log on with --user"
            ) from error
        if ticket is None:
            raise AuthenticationError(
                f"no transfer server has run in the home {shown(self._home.path)} yet: start "
                '"dxlft server" there, name another home with --home, or log on with --user'
            )
        return ticket

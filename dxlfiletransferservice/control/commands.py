"""Commands of the control API: how they are found, and what they are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferclient.errors import brief
from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.principals import Principal


@dataclass(slots=True)
class Login:
    """Who a session belongs to; commands that log on change it.

    Attributes:
        session: Names the session, for requests that are made before anybody has logged on.
        peer: Whom the session is with, as the fabric tells: for throttling and the log.
        principal: Who has logged on; ``None`` as long as nobody has.
        ticket: By which the program can go on in a new session.
    """

    session: str
    peer: str
    principal: Principal | None = None
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A command as it was called.

    Attributes:
        login: The session that it came in.
        arguments: The arguments.
        call_id: Names the call; the same when it comes again because an answer got lost.
    """

    login: Login
    arguments: Arguments
    call_id: str

    @property
    def principal(self) -> Principal:
        """Who calls.

        Raises:
            AuthenticationError: Nobody has logged on.
        """
        if self.login.principal is None:
            raise AuthenticationError(
                "log on first: call server.auth with a user and a password, or with a token"
            )
        return self.login.principal


Handler = Callable[[Call], Any]
"""Carries out a command; returns what JSON can hold, or raises ``CommandError``.

It takes all arguments, and calls ``arguments.finish()``, before it changes anything."""


class CommandGroup(Protocol):
    """Some commands that belong together."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the full names of their commands, such as ``send.getTransfer``."""
        ...


_OPEN: Final = frozenset({"server.auth", "server.authAsync", "server.getServerInfo"})
"""Commands that need nobody logged on."""


@dataclass(slots=True)
class Commands:
    """All commands of a server.

    Args:
        groups: Where they come from.

    Attributes:
        handlers: The handlers by name.
    """

    handlers: dict[str, Handler] = field(default_factory=dict)

    def add(self, group: CommandGroup) -> None:
        """Take the commands of a group."""
        self.handlers.update(group.handlers())

    def carry_out(self, command: str, values: Any, login: Login, call_id: str) -> Any:
        """Carry out a command.

        Args:
            command: Its name.
            values: Its arguments, as they came.
            login: The session that it came in.
            call_id: Names the call.

        Returns:
            What JSON can hold.

        Raises:
            CommandError: It cannot be carried out.
        """
        handler = self.handlers.get(command)
        if handler is None:
            raise CommandError(
                f"the server knows no command {brief(command)}", ErrorKind.UNKNOWN_COMMAND
            )
        if not isinstance(values, dict):
            raise CommandError(f"the arguments of {command} are no object with names and values")
        call = Call(login, Arguments(command, values), call_id)
        if command not in _OPEN and not command.startswith("server.getRequest"):
            call.principal  # noqa: B018 - raises if nobody has logged on
        return handler(call)


def not_found(kind: str, shown: object) -> CommandError:
    """Return the error for an object that is not there, or not the caller's: nobody can tell which.

    Args:
        kind: What it would be, in one word: ``transfer``.
        shown: The id as the caller gave it.
    """
    return CommandError(f"there is no {kind} {brief(shown)}", ErrorKind.NOT_FOUND)

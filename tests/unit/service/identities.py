"""What the tests of users, tokens and sandboxes have in common."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from dxlfiletransferservice.control.arguments import Arguments
from dxlfiletransferservice.control.commands import Call, Commands, Login
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.access import ControlAccess
from dxlfiletransferservice.control.identity.identitycommands import IdentityCommands
from dxlfiletransferservice.control.identity.logins import Logins
from dxlfiletransferservice.control.identity.passwords import Cost, Passwords
from dxlfiletransferservice.control.identity.sandboxcommands import SandboxCommands
from dxlfiletransferservice.control.identity.sandboxes import Sandboxes
from dxlfiletransferservice.control.identity.tokencommands import TokenCommands
from dxlfiletransferservice.control.identity.tokens import Tokens
from dxlfiletransferservice.control.identity.users import Users
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import manifests

CHEAP = Cost(rounds=1, memory_kib=8, lanes=1)
"""As little as argon2 takes."""

START_US = 1_700_000_000_000_000


@dataclass
class Clock:
    """A clock that stands still until it is told otherwise."""

    now_us: int = START_US

    def microseconds(self) -> int:
        return self.now_us

    def seconds(self) -> float:
        return self.now_us / 1e6

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)


@dataclass
class RecordedEvents:
    """An event log that keeps what it is told."""

    recorded: list[tuple[str, Mapping[str, Any], str | None, str | None]] = field(
        default_factory=list
    )

    def record(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        owner: str | None = None,
        owner_token: str | None = None,
    ) -> None:
        self.recorded.append((name, data, owner, owner_token))


@dataclass
class KeptRequests:
    """Requests that wait until the test has them carried out."""

    waiting: list[tuple[Call, Callable[[], Any], bool]] = field(default_factory=list)

    def submit(
        self, call: Call, run: Callable[[], Any], *, store_arguments: bool = True
    ) -> dict[str, int]:
        self.waiting.append((call, run, store_arguments))
        return {"requestId": len(self.waiting)}


class Control:
    """All there is about users, tokens and sandboxes, over one database."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database = database
        self.clock = Clock()
        self.passwords = Passwords(CHEAP)
        self.users = Users(database, self.passwords, clock=self.clock.microseconds)
        self.logins = Logins(database, clock=self.clock.microseconds)
        self.tokens = Tokens(database, clock=self.clock.microseconds)
        self.access = ControlAccess(
            self.users, self.passwords, self.tokens, self.logins, clock=self.clock.seconds
        )
        self.sandboxes = Sandboxes(
            database,
            forbidden=[home],
            allowed=[home / "storage"],
            clock=self.clock.seconds,
        )
        self.events = RecordedEvents()
        self.requests = KeptRequests()
        self.commands = Commands()
        self.commands.add(IdentityCommands(self.access, self.users, self.requests, self.events))
        self.commands.add(SandboxCommands(self.sandboxes))
        self.commands.add(
            TokenCommands(
                database,
                self.tokens,
                self.passwords,
                self.sandboxes,
                self.events,
                clock=self.clock.microseconds,
            )
        )
        self._numbers = count(1)

    def session(self, principal: Principal | None = None) -> Login:
        """Return a session, in which somebody has logged on."""
        number = next(self._numbers)
        login = Login(f"session-{number}", f"peer-{number}")
        if principal is not None:
            self.access.log_on(login, principal)
        return login

    def call(self, login: Login, command: str, call_id: str | None = None, **values: Any) -> Any:
        """Call a command as a program does, in a session."""
        self.access.refresh(login)
        call_id = call_id or f"call-{next(self._numbers)}"
        return self.commands.carry_out(command, values, login, call_id)

    def manifest(self, owner: str, *, status: str = "complete", token: str | None = None) -> str:
        """Make a manifest without files, and return its id."""
        with self.database.write() as connection:
            made = connection.execute(
                insert(manifests).values(
                    owner=owner, owner_token=token, status=status, symlink_options=3
                )
            )
            key = made.inserted_primary_key
            assert key is not None
            return str(key[0])

    def shared_token(self, owner: str, **values: Any) -> str:
        """Make a shared token for a manifest of somebody, and return it as a whole."""
        login = self.session(Principal(owner))
        made = self.call(login, "send.createSharedToken", manifestId=self.manifest(owner), **values)
        return str(made["token"])

    def api_token(self, owner: str, **values: Any) -> str:
        """Make an API token of somebody, and return it as a whole."""
        made = self.call(self.session(Principal(owner)), "server.createAPIToken", **values)
        return str(made["token"])


@contextmanager
def controlled(directory: Path, *, stored: bool = False) -> Iterator[Control]:
    """Give all there is, with the users ann, bob and, who may be superuser, root.

    Args:
        directory: For the home, and the database where it is stored.
        stored: Whether the database is a file; one in memory belongs to one thread.
    """
    database = Database(f"sqlite:///{directory}/server.db" if stored else "sqlite://")
    try:
        made = Control(database, directory / "home")
        made.users.add("ann", "secret")
        made.users.add("bob", "secret")
        made.users.add("root", "hidden", superuser=True)
        yield made
    finally:
        database.close()


def call_of(login: Login, command: str, **values: Any) -> Call:
    """Return a call that was not looked at yet."""
    return Call(login, Arguments(command, values), "call")

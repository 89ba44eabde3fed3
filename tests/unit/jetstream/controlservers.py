"""Transfer servers in memory: the real desk and sessions, with commands that a test makes up."""

from collections.abc import Callable, Mapping
from typing import Any

from dxlfiletransferclient.control.constants import API_VERSION
from dxlfiletransferclient.control.errors import AuthenticationError
from dxlfiletransferclient.control.names import CONTROL_TOPIC
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import SessionPurpose
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from dxlfiletransferclient.testing.memoryoptions import MemoryStoreOptions
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.control.commands import Call, Commands, Handler, Login
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.visits import ControlPurpose

VERBS = frozenset({Verb.HELLO, Verb.ADMIT, Verb.SEALED})
PASSWORD = "secret"


class Tickets:
    """What has to outlive a restart of a server: who has logged on. A ``TicketAccess``."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}

    def log_on(self, user: str) -> str:
        ticket = f"ticket of {user} {len(self.users)}"
        self.users[ticket] = user
        return ticket

    def by_password(self, user: str, password: str, *, peer: str) -> Principal:
        if password != PASSWORD:
            raise AuthenticationError("the user or the password is wrong")
        return Principal(user)

    def by_ticket(self, ticket: str) -> Principal:
        if ticket not in self.users:
            raise AuthenticationError("the log-on has expired")
        return Principal(self.users[ticket])

    def refresh(self, login: Login) -> None:
        if login.ticket is not None and login.ticket not in self.users:
            login.principal = login.ticket = None


class LogOnCommands:
    """The commands that the client itself needs."""

    def __init__(self, tickets: Tickets, information: dict[str, Any]) -> None:
        self._tickets = tickets
        self._information = information

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "server.getServerInfo": lambda _call: self._information,
            "server.auth": self._auth,
            "server.logout": self._logout,
        }

    def _auth(self, call: Call) -> dict[str, str]:
        user, password = call.arguments.text("userName"), call.arguments.text("password")
        call.login.principal = self._tickets.by_password(user, password, peer=call.login.peer)
        call.login.ticket = self._tickets.log_on(user)
        return {"ticket": call.login.ticket}

    def _logout(self, call: Call) -> None:
        self._tickets.users.pop(call.login.ticket or "", None)
        call.login.principal = call.login.ticket = None


class ControlServer(MemoryService):
    """A transfer server on a memory bus.

    Attributes:
        calls: The commands that were carried out, with who called and the arguments.
        handlers: Further commands by name.
        information: What ``server.getServerInfo`` tells.
        tickets: Who has logged on.
        key: Its key.
    """

    def __init__(
        self,
        bus: MemoryBus,
        name: str = "one",
        uid: str | None = None,
        *,
        purpose: ControlPurpose | None = None,
    ) -> None:
        self.name = name
        self._purpose = purpose
        self.uid = uid or f"uid-{name}"
        self.key = PrivateKey.generate()
        self.tickets = Tickets()
        self.information: dict[str, Any] = {"apiVersion": API_VERSION, "serverName": name}
        self.handlers: dict[str, Handler] = {}
        self.calls: list[tuple[str, str | None, dict[str, Any]]] = []
        self._bus = bus
        store = MemoryStore(MemoryStoreOptions(store_id=f"control of {self.uid}"))
        super().__init__(store, CONTROL_TOPIC, VERBS, bus._new_id)
        self.topics = {topic: verb for topic, verb in self.topics.items() if verb in VERBS}
        bus._broker.add(self)

    def on(self, command: str, answer: Callable[[dict[str, Any]], Any]) -> None:
        """Have a command answered."""
        self.handlers[command] = lambda call: answer(dict(call.arguments._values))
        self.commands.handlers[command] = self._noted(command, self.handlers[command])

    def names(self) -> list[str]:
        """The commands that were carried out."""
        return [command for command, _, _ in self.calls]

    def answer(self, verb: Verb, request: Parcel) -> Parcel | None:
        if verb not in (Verb.ADMIT, Verb.SEALED):
            answer = super().answer(verb, request)
            return answer if answer is None else encode(self.hello())
        if self._hanging:
            return None
        carry_out = self.desk.admit if verb is Verb.ADMIT else self.desk.sealed
        return carry_out(request, "client")

    def hello(self) -> HelloAnswer:
        return HelloAnswer(
            revision=0,
            store_id=self.store.store_id,
            segment_size=1000,
            window=100_000,
            verbs=" ".join(sorted(VERBS)),
            public_key=self.key.public,
            server_uid=self.uid,
            server_name=self.name,
        )

    def _start(self, store: Store) -> None:
        super()._start(store)
        self.commands = Commands()
        self.commands.add(LogOnCommands(self.tickets, self.information))
        self.commands.handlers.update(self.handlers)
        for name, handler in list(self.commands.handlers.items()):
            self.commands.handlers[name] = self._noted(name, handler)
        purpose = self._purpose or ControlPurpose(self.commands, self.tickets)
        self.desk = AdmissionDesk(self.key, {SessionPurpose.CONTROL: purpose}, clock=self._bus.time)

    def _noted(self, command: str, handler: Handler) -> Handler:
        def noted(call: Call) -> Any:
            principal = call.login.principal
            user = None if principal is None else principal.user
            self.calls.append((command, user, dict(call.arguments._values)))
            return handler(call)

        return noted

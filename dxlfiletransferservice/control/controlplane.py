"""The control plane: its parts put together, started and ended in order."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dxlfiletransferservice.admission.receptions import Receptions
from dxlfiletransferservice.control.commands import Commands
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.access import ControlAccess
from dxlfiletransferservice.control.identity.identitycommands import IdentityCommands
from dxlfiletransferservice.control.identity.localticket import LocalTicket
from dxlfiletransferservice.control.identity.logins import Logins
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.identity.sandboxcommands import SandboxCommands
from dxlfiletransferservice.control.identity.sandboxes import Sandboxes
from dxlfiletransferservice.control.identity.tokencommands import TokenCommands
from dxlfiletransferservice.control.identity.tokens import Tokens
from dxlfiletransferservice.control.identity.users import Users
from dxlfiletransferservice.control.manifests.manifestcommands import ManifestCommands
from dxlfiletransferservice.control.manifests.manifestfiles import ManifestFiles
from dxlfiletransferservice.control.manifests.manifestfilling import ManifestFilling
from dxlfiletransferservice.control.manifests.manifests import Manifests
from dxlfiletransferservice.control.sending.addresses import Resolver
from dxlfiletransferservice.control.sending.connectioncommands import ConnectionCommands
from dxlfiletransferservice.control.sending.connections import Connections
from dxlfiletransferservice.control.sending.credentials import CredentialVault
from dxlfiletransferservice.control.sending.destinationcommands import DestinationCommands
from dxlfiletransferservice.control.sending.destinations import Destinations
from dxlfiletransferservice.control.sending.queuedcommands import QueuedCommands
from dxlfiletransferservice.control.sending.transfercommands import TransferCommands
from dxlfiletransferservice.control.sending.transferoptions import OptionRules
from dxlfiletransferservice.control.sending.transfers import Transfers
from dxlfiletransferservice.control.sending.transferstates import TransferStates
from dxlfiletransferservice.control.sending.transfertimes import TransferTimes
from dxlfiletransferservice.control.sending.userdata import UserDataCommands
from dxlfiletransferservice.control.sending.work import ControlWork
from dxlfiletransferservice.control.upkeep.authorizedsenders import AuthorizedSenders
from dxlfiletransferservice.control.upkeep.eventcommands import EventCommands
from dxlfiletransferservice.control.upkeep.events import EventLog, Listener
from dxlfiletransferservice.control.upkeep.lifetimecommands import LifetimeCommands
from dxlfiletransferservice.control.upkeep.lifetimes import Lifetimes
from dxlfiletransferservice.control.upkeep.receivercommands import ReceiverCommands
from dxlfiletransferservice.control.upkeep.requestcommands import RequestCommands
from dxlfiletransferservice.control.upkeep.requests import Requests
from dxlfiletransferservice.control.upkeep.servercommands import ServerCommands
from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts
from dxlfiletransferservice.courier.seams import CourierService, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlace:
    """What the control plane is told about where it is.

    Attributes:
        ticket: File for the ticket of whoever runs the server.
        runs_as: Name of that user.
        secret: The server's private key, from which others are derived.
        private: Directories of the server itself, of which nothing is sent.
        storage: Where files are stored, which may be in one of them.
    """

    ticket: Path
    runs_as: str
    secret: bytes
    private: Sequence[Path]
    storage: Path


class ControlPlane:
    """Everything that commands are about. Start it, call :meth:`maintain`, close it.

    Args:
        database: The database; it is closed by whoever has opened it.
        place: Where the server is.
        facts: What programs are told of it.
        listeners: Who is told of events besides the event log.
        couriers: Makes those who send, from what they need.

    Attributes:
        commands: All commands.
        access: Checks credentials.
        sandboxes: Says who is confined to what.
        senders: Says which senders are let in.
        receptions: The transfers that others send here.
        files: What manifests hold.
    """

    def __init__(
        self,
        database: Database,
        place: ServerPlace,
        facts: ServerFacts,
        *,
        listeners: Sequence[Listener],
        couriers: Callable[[Work], CourierService],
    ) -> None:
        self._database = database
        self._place = place
        self._facts = facts
        self.commands = Commands()
        self._events = EventLog(database, listeners=listeners)
        self._requests = Requests(database)
        self.receptions = Receptions(
            database,
            on_started=partial(self._record_reception, "receptionStarted"),
            on_ended=partial(self._record_reception, "receptionEnded"),
        )
        self.senders = AuthorizedSenders(database)
        self.files = ManifestFiles(database)
        self._add_identity()
        self._filling = ManifestFilling(database, self.sandboxes, self._events)
        self._manifests = Manifests(database, self._events, self._filling.wake)
        self._add_sending(couriers)
        self._lifetimes = Lifetimes(database, self._events, self._couriers.refresh)
        self._add_server()

    def start(self) -> None:
        """Go on with everything that was under way when the server ended."""
        self._events.start()
        self._local.write(self._place.ticket)
        self._requests.start(self.commands.handlers, self.access.refreshed)
        self._filling.start()
        self._couriers.start()
        self._events.record("serverStarted", self._shown)

    def maintain(self, now: float) -> None:
        """Do what is due; call it about every second.

        Args:
            now: The time in seconds since 1970.
        """
        self.receptions.maintain(now)
        self._requests.maintain()
        self._manifests.maintain()
        self._lifetimes.maintain(now)

    def close(self) -> None:
        """End; what is under way is gone on with at the next start."""
        with ExitStack() as stack:
            stack.callback(self._events.close)
            stack.callback(self._events.record, "serverStopped", self._shown)
            stack.callback(self.receptions.close)
            stack.callback(self._lifetimes.close)
            stack.callback(self._requests.close)
            stack.callback(self._filling.close)
            stack.callback(self._couriers.close)

    @property
    def _shown(self) -> dict[str, object]:
        facts = self._facts
        return {
            "serverId": facts.server_id,
            "serverUid": facts.server_uid,
            "serverName": facts.server_name,
            "version": facts.version,
            "port": facts.port,
        }

    def _record_reception(self, name: str, found: Mapping[str, Any]) -> None:
        self._events.record(name, found, owner=found.get("userName"))

    def _add_identity(self) -> None:
        database, place = self._database, self._place
        passwords = Passwords()
        users = Users(database, passwords)
        tokens = Tokens(database)
        logins = Logins(database)
        self._local = LocalTicket(logins, place.runs_as)
        self.access = ControlAccess(users, passwords, tokens, logins)
        self.sandboxes = Sandboxes(database, forbidden=place.private, allowed=[place.storage])
        add = self.commands.add
        add(IdentityCommands(self.access, users, self._requests, self._events))
        add(TokenCommands(database, tokens, passwords, self.sandboxes, self._events))
        add(SandboxCommands(self.sandboxes))

    def _add_sending(self, couriers: Callable[[Work], CourierService]) -> None:
        database, events = self._database, self._events
        times = TransferTimes()
        states = TransferStates(database, events, times)
        vault = CredentialVault(self._place.secret)
        work = ControlWork(database, states, vault, self.files, self.sandboxes)
        self._couriers = couriers(work)
        rules = OptionRules(cipher=int(self._facts.default_cipher))
        transfers = Transfers(
            database, states, times, self._couriers, vault, self.access, rules=rules
        )
        destinations = Destinations(database, states, events, self._couriers, Resolver())
        queued = QueuedCommands(database, self._requests)
        add = self.commands.add
        add(ManifestCommands(self._manifests, self.files, self.sandboxes))
        add(DestinationCommands(destinations, queued))
        add(ConnectionCommands(Connections(database, self._couriers), queued))
        add(TransferCommands(transfers, destinations, queued))
        add(UserDataCommands(database))

    def _add_server(self) -> None:
        add = self.commands.add
        add(RequestCommands(self._requests))
        add(EventCommands(self._events))
        add(LifetimeCommands(self._database, self._lifetimes))
        add(ServerCommands(self._facts, self._database, self.senders, self.sandboxes))
        add(ReceiverCommands(self._requests, self.senders, self.receptions))

"""A transfer server's sending half, without anything that sends: commands over a database."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, event, insert, select, update

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.commands import Call, Commands, Login, not_found
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.sending.addresses import Resolver
from dxlfiletransferservice.control.sending.connectioncommands import ConnectionCommands
from dxlfiletransferservice.control.sending.connections import Connections
from dxlfiletransferservice.control.sending.credentials import CredentialVault
from dxlfiletransferservice.control.sending.destinationcommands import DestinationCommands
from dxlfiletransferservice.control.sending.destinations import Destinations
from dxlfiletransferservice.control.sending.queuedcommands import QueuedCommands
from dxlfiletransferservice.control.sending.transfercommands import TransferCommands
from dxlfiletransferservice.control.sending.transfers import Transfers
from dxlfiletransferservice.control.sending.transferstates import TransferStates
from dxlfiletransferservice.control.sending.transfertimes import TransferTimes
from dxlfiletransferservice.control.sending.userdata import UserDataCommands
from dxlfiletransferservice.control.sending.work import ControlWork
from dxlfiletransferservice.control.tables import manifests, requests, tokens, transfers
from dxlfiletransferservice.courier.seams import (
    DestinationState,
    ManifestFile,
    Progress,
    Status,
)

ANN = Principal("ann")
BOB = Principal("bob")
ROOT = Principal("root", superuser=True)

KEY = "dxlft1-j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a05Q9r0-MyVo"


class Clocks:
    """A wall clock and one that is never set; both go on by a microsecond with every look."""

    def __init__(self) -> None:
        self.wall_us = 1_700_000_000_000_000
        self.monotonic_us = 5_000_000

    def pass_by(self, microseconds: int) -> None:
        self.wall_us += microseconds
        self.monotonic_us += microseconds

    def wall(self) -> int:
        self.pass_by(1)
        return self.wall_us

    def monotonic(self) -> int:
        self.pass_by(1)
        return self.monotonic_us


class RecordingCouriers:
    """Couriers that note what they are told."""

    def __init__(self) -> None:
        self.refreshed: list[int] = []
        self.pings: list[tuple[int, int]] = []
        self.live: dict[int, Progress] = {}
        self.states: dict[int, DestinationState] = {}

    def refresh(self, destination_id: int) -> None:
        self.refreshed.append(destination_id)

    def progress(self, transfer_id: int) -> Progress | None:
        return self.live.get(transfer_id)

    def state(self, destination_id: int) -> DestinationState:
        return self.states.get(destination_id, DestinationState())

    def ping(self, destination_id: int, count: int) -> None:
        self.pings.append((destination_id, count))


class RecordingEvents:
    """An event log in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any], str | None]] = []

    def record(
        self,
        name: str,
        data: Mapping[str, Any],
        *,
        owner: str | None = None,
        owner_token: str | None = None,
    ) -> None:
        self.entries.append((name, dict(data), owner))

    def names(self) -> list[str]:
        return [name for name, _, _ in self.entries]

    def statuses(self) -> list[str]:
        return [data["status"] for name, data, _ in self.entries if name == "transferUpdated"]


class HeldQueue:
    """A queue whose requests are carried out when the test says so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[int, Callable[[], Any]] = {}

    def submit(
        self, call: Call, run: Callable[[], Any], *, store_arguments: bool = True
    ) -> dict[str, int]:
        with self._database.write() as connection:
            query = select(requests.c.id).where(requests.c.call_id == call.call_id)
            number = connection.scalar(query)
            if number is None:
                number = connection.execute(
                    insert(requests)
                    .values(
                        owner=call.principal.user,
                        command="",
                        status="pending",
                        call_id=call.call_id,
                    )
                    .returning(requests.c.id)
                ).scalar_one()
                self._waiting[number] = run
        return {"requestId": number}

    def carry_out(self, request: Mapping[str, int]) -> Any:
        number = request["requestId"]
        with self._database.write() as connection:
            connection.execute(
                update(requests).where(requests.c.id == number).values(status="complete")
            )
        return self._waiting.pop(number)()


class CountingRedeemer:
    """Counts what shared tokens are used for."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self.counted: set[tuple[str, str]] = set()

    def redeem_within(self, connection: Connection, token: str, admission: str) -> None:
        use = (token, admission)
        if use in self.counted or len(self.counted) >= self.limit:
            raise CommandError("the token is used up")
        self.counted.add(use)
        event.listen(connection, "rollback", lambda _: self.counted.discard(use))


class OpenGuard:
    """Lets everything be read."""

    def __init__(self, owner: str, token: str | None) -> None:
        self.owner = owner
        self.token = token

    def check(self, path: str) -> None:
        """Find nothing wrong."""


class NamedGuards:
    """Guards that tell for whom they are; there are none for some users."""

    def __init__(self) -> None:
        self.gone: set[str] = set()

    def guard_for(self, owner: str, token: str | None) -> OpenGuard:
        if owner in self.gone:
            raise not_found("user", owner)
        return OpenGuard(owner, token)


class NoFiles:
    """Manifests with one file each."""

    def files(self, manifest_id: int, position: int) -> Iterator[ManifestFile]:
        file = ManifestFile(0, "/a", "a", 1, directory=False, executable=False, modified_us=None)
        return iter([file][position:])


class World:
    """Everything about sending but what sends."""

    def __init__(self, url: str = "sqlite://") -> None:
        self.database = Database(url)
        self.clocks = Clocks()
        self.couriers = RecordingCouriers()
        self.events = RecordingEvents()
        self.queue = HeldQueue(self.database)
        self.redeemer = CountingRedeemer()
        self.guards = NamedGuards()
        self.vault = CredentialVault(b"k" * 32)
        self.resolved: list[str] = []
        self.addresses: dict[str, str] = {}
        self.restart()
        self._calls = itertools.count(1)

    def restart(self) -> None:
        """Begin anew with what is in the database, as a restarted server does."""
        times = TransferTimes(wall=self.clocks.wall, monotonic=self.clocks.monotonic)
        states = TransferStates(self.database, self.events, times)
        self.work = ControlWork(self.database, states, self.vault, NoFiles(), self.guards)
        queued = QueuedCommands(self.database, self.queue)
        destinations = Destinations(
            self.database, states, self.events, self.couriers, self._resolve, clock=self.clocks.wall
        )
        self.transfers = Transfers(
            self.database, states, times, self.couriers, self.vault, self.redeemer
        )
        self.commands = Commands()
        for group in (
            DestinationCommands(destinations, queued),
            ConnectionCommands(Connections(self.database, self.couriers), queued),
            TransferCommands(self.transfers, destinations, queued),
            UserDataCommands(self.database),
        ):
            self.commands.add(group)

    def close(self) -> None:
        self.database.close()

    def call(
        self,
        command: str,
        who: Principal | None = ANN,
        *,
        call_id: str | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a command, and return what it answers."""
        login = Login(session="s", peer="p", principal=who)
        number = call_id or f"{next(self._calls):032x}"
        return self.commands.carry_out(f"send.{command}", arguments, login, number)

    def done(self, command: str, who: Principal = ANN, **arguments: Any) -> Any:
        """Call a command that is queued, have it carried out, and return its result."""
        return self.queue.carry_out(self.call(command, who, **arguments))

    def manifest(
        self,
        who: Principal = ANN,
        *,
        status: str = "complete",
        files: int = 3,
        size: int = 1000,
        error: str | None = None,
    ) -> str:
        """Make a manifest, and return its id."""
        with self.database.write() as connection:
            return str(
                connection.execute(
                    insert(manifests)
                    .values(
                        **who.columns(),
                        status=status,
                        total_files=files,
                        total_size=size,
                        symlink_options=3,
                        error_message=error,
                    )
                    .returning(manifests.c.id)
                ).scalar_one()
            )

    def token(self, number: int, who: Principal = ANN) -> str:
        """Make a token, and return its id."""
        name = f"{number}-0123456789ab"
        with self.database.write() as connection:
            connection.execute(
                insert(tokens).values(
                    id=name, number=number, kind="shared", secret_hash="h", **who.columns()
                )
            )
        return name

    def destination(self, who: Principal = ANN, **arguments: Any) -> dict[str, Any]:
        """Make a destination, and return its structure."""
        arguments.setdefault("destinationAddress", "receiver01")
        found = self.call("createDestination", who, **arguments)
        assert isinstance(found, dict)
        return found

    def transfer(self, who: Principal = ANN, **arguments: Any) -> dict[str, Any]:
        """Make a transfer with a destination and a manifest, and return its structure."""
        if "destinationId" not in arguments:
            arguments["destinationId"] = self.destination(who)
        if "manifestId" not in arguments:
            arguments["manifestId"] = self.manifest(who)
        found = self.call("createTransfer", who, **arguments)
        assert isinstance(found, dict)
        return found

    def in_state(self, status: Status, who: Principal = ANN, **arguments: Any) -> str:
        """Make a transfer that is in some state, and return its id."""
        number = str(self.transfer(who, **arguments)["transferId"])
        steps = {
            Status.PENDING: [],
            Status.SENDING: ["start"],
            Status.SUSPENDED: ["start", "suspend"],
            Status.RESUMING: ["start", "suspend", "resume"],
            Status.COMPLETE: ["start", "complete"],
            Status.ERROR: ["start", "error"],
        }[status]
        for step in steps:
            self._step(step, number, who)
        assert self.status(number, who) == status
        return number

    def status(self, number: str, who: Principal = ANN) -> str:
        """Return what a transfer is in."""
        return str(self.call("getTransfer", who, transferId=number)["status"])

    def row(self, number: str | int) -> Any:
        """Return the row of a transfer."""
        with self.database.read() as connection:
            query = select(transfers).where(transfers.c.id == int(number))
            return connection.execute(query).one_or_none()

    def _step(self, step: str, number: str, who: Principal) -> None:
        if step == "start":
            assert self.work.started(int(number))
        elif step in ("suspend", "resume"):
            self.done(f"{step}TransferAsync", who, transferId=number)
        else:
            self.work.ended(int(number), Status(step), "broken", Progress())

    def _resolve(self, address: str) -> str:
        self.resolved.append(address)
        return self.addresses.get(address) or Resolver(lookup=_lookup)(address)


def _lookup(address: str) -> list[Any]:
    if not address.startswith(("receiver", "relay", "other")):
        raise OSError(-2, "Name or service not known")
    return [(2, 1, 6, "", (f"192.0.2.{len(address)}", 0))]

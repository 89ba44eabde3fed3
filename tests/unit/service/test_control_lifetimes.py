"""Life times: what goes when, what stays, and that nobody has to wait for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import (
    connections,
    destinations,
    events,
    logins,
    manifest_directories,
    manifest_files,
    manifest_mappings,
    manifests,
    receptions,
    redemptions,
    requests,
    tokens,
    transfers,
)
from dxlfiletransferservice.control.upkeep.events import EventLog
from dxlfiletransferservice.control.upkeep.lifetimecommands import LifetimeCommands
from dxlfiletransferservice.control.upkeep.lifetimes import (
    DELETED_INTERVAL,
    RETRY_INTERVAL,
    ROUND_SECONDS,
    SWEEP_INTERVAL,
    Lifetimes,
)
from dxlfiletransferservice.control.upkeep.lifetimesettings import LifetimeSettings
from dxlfiletransferservice.control.upkeep.sweeping import (
    DESTINATION_GRACE,
    FILES_AT_ONCE,
    RECEPTION_LIFETIME,
    TOKEN_GRACE,
    Sweep,
)
from tests.unit.service.calling import ANN, ROOT, SECOND, Clock, call, opened

HOUR = 3600
DAY = 24 * HOUR


class Server:
    """A database, and what removes things from it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.heard: list[tuple[str, Any, str | None]] = []
        self.gone: list[int] = []
        self.log = EventLog(database, clock=clock)
        self.log.listen(lambda event: self.heard.append((event.name, event.data, event.owner)))
        # Its time stands still, so that a round does everything at once.
        self.lifetimes = Lifetimes(database, self.log, self.gone.append, clock=lambda: 0.0)
        self.commands = LifetimeCommands(
            database, self.lifetimes, clock=lambda: clock.seconds
        ).handlers()

    def add(self, table: Table, **values: Any) -> Any:
        values = {**DEFAULTS[table.name], **values}
        if "created" in table.c:
            values.setdefault("created", self.clock.now)
        with self.database.write() as connection:
            inserted = connection.execute(insert(table).values(values)).inserted_primary_key
        assert inserted is not None
        return inserted[0]

    def change(self, table: Table, number: Any, **values: Any) -> None:
        with self.database.write() as connection:
            connection.execute(update(table).where(table.c.id == number).values(values))

    def manifest(self, files: int = 3, **values: Any) -> int:
        number: int = self.add(manifests, **values)
        self.fill(number, files)
        return number

    def fill(self, number: int, files: int) -> None:
        of_manifest = [{"manifest_id": number, "number": each} for each in range(files)]
        names = [{**row, "parent": b"", "name": b"%d" % row["number"]} for row in of_manifest]
        mapping = {"place": b"d", "dest": "d", "rooted": False, "src": "/s", "shown": "/s"}
        with self.database.write() as connection:
            rows = [{**row, "mapping": 0, "size": 0} for row in names]
            connection.execute(insert(manifest_files), rows)
            if connection.scalar(select(manifests.c.id).where(manifests.c.id == number)):
                connection.execute(insert(manifest_directories), names)
                connection.execute(insert(manifest_mappings), {**of_manifest[0], **mapping})

    def destination(self, **values: Any) -> int:
        connection = self.add(connections, address=f"h{len(self.ids(connections))}")
        number: int = self.add(destinations, connection_id=connection, **values)
        return number

    def ids(self, table: Table) -> list[Any]:
        column = table.primary_key.columns[0]
        with self.database.read() as connection:
            return list(connection.scalars(select(column).order_by(column)))

    def files(self, table: Table = manifest_files) -> dict[int, int]:
        column = table.c.manifest_id
        with self.database.read() as connection:
            query = select(column, func.count()).group_by(column)
            return {row[0]: row[1] for row in connection.execute(query)}

    def sweep(self) -> dict[str, int]:
        return self.lifetimes.collect(self.clock.seconds)


DEFAULTS: dict[str, dict[str, Any]] = {
    "manifests": {"owner": "ann", "status": "complete", "symlink_options": 3},
    "connections": {"port": 8886},
    "destinations": {"owner": "ann", "address": "h", "port": 8886, "lanes": {}},
    "transfers": {
        "owner": "ann",
        "status": "complete",
        "priority": 1,
        "lane": "Normal",
        "flags": 7,
        "overwrite_mode": 4,
        "min_cipher": 0,
        "total_files": 0,
        "total_bytes": 0,
    },
    "tokens": {"secret_hash": "x", "kind": "shared", "owner": "ann"},
    "redemptions": {},
    "logins": {"user": "ann"},
    "requests": {"owner": "ann", "command": "c", "status": "complete"},
    "receptions": {"sender_key": "k", "status": "complete"},
    "events": {"name": "e", "data": {}},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with opened(tmp_path) as database:
        yield Server(database, Clock())


def test_a_transfer_goes_48_hours_after_its_end(server: Server) -> None:
    destination, manifest = server.destination(), server.manifest()
    keys = {"destination_id": destination, "manifest_id": manifest}
    now = server.clock.now
    old = server.add(transfers, end_time=now, owner_token="t", **keys)
    failed = server.add(transfers, end_time=now, status="error", **keys)
    young = server.add(transfers, end_time=now + DAY * SECOND, **keys)
    active = [
        server.add(transfers, status=each, **keys)
        for each in ("pending", "sending", "resuming", "suspended")
    ]
    server.clock.pass_by(2 * DAY - 1)
    assert server.sweep()["transfers"] == 0
    server.clock.pass_by(2)
    assert server.sweep()["transfers"] == 2
    assert server.ids(transfers) == [young, *active]
    assert server.ids(manifests) == [manifest]
    assert server.ids(destinations) == [destination]
    name, data, owner = server.heard[0]
    assert (name, owner) == ("transferDeleted", "ann")
    assert data["transferId"] == str(old)
    assert data["ownerToken"] == "t"
    assert server.heard[1][1]["transferId"] == str(failed)
    assert server.heard[1][1]["status"] == "error"


def test_a_manifest_goes_48_hours_after_it_was_made_unless_it_is_used(server: Server) -> None:
    destination = server.destination(permanent=True)
    unused, failed = server.manifest(), server.manifest(status="error")
    sent, shared, pending = server.manifest(), server.manifest(), server.manifest(status="pending")
    server.add(transfers, destination_id=destination, manifest_id=sent, status="suspended")
    server.add(tokens, id="t", manifest_id=shared)
    server.clock.pass_by(2 * DAY - 1)
    assert server.sweep()["manifests"] == 0
    server.clock.pass_by(2)
    young = server.manifest()
    assert server.sweep()["manifests"] == 2
    assert server.ids(manifests) == [sent, shared, pending, young]
    assert set(server.files()) == {sent, shared, pending, young}
    for table in (manifest_mappings, manifest_directories):
        assert set(server.files(table)) == {sent, shared, pending, young}
    assert [data["manifestId"] for name, data, _ in server.heard] == [str(unused), str(failed)]
    assert {name for name, _, _ in server.heard} == {"manifestDeleted"}


def test_it_goes_with_the_last_transfer_and_the_token_that_used_it(server: Server) -> None:
    destination = server.destination()
    manifest = server.manifest()
    end = server.clock.now
    keys = {"destination_id": destination, "manifest_id": manifest}
    server.add(transfers, status="complete", end_time=end, **keys)
    server.add(tokens, id="t", manifest_id=manifest, expires=end + 3 * DAY * SECOND)
    server.clock.pass_by(2 * DAY + 1)
    removed = server.sweep()
    assert removed == {"transfers": 1, "manifests": 0, "destinations": 1, "tokens": 0}
    server.clock.pass_by(DAY + TOKEN_GRACE)
    removed = server.sweep()
    assert removed == {"transfers": 0, "manifests": 1, "destinations": 0, "tokens": 1}
    assert server.files() == {}
    names = [name for name, _, _ in server.heard]
    assert names == ["transferDeleted", "destinationDeleted", "tokenDeleted", "manifestDeleted"]


@pytest.mark.parametrize("status", ["pending", "sending", "resuming", "suspended"])
def test_a_deleted_manifest_stays_while_a_transfer_may_still_send_from_it(
    server: Server, status: str
) -> None:
    manifest = server.manifest(deleted=True)
    keys = {"destination_id": server.destination(), "manifest_id": manifest}
    transfer = server.add(transfers, status=status, **keys)
    now = server.clock.seconds
    server.lifetimes.maintain(now)
    assert server.files() == {manifest: 3}
    server.change(transfers, transfer, status="error", end_time=server.clock.now)
    server.lifetimes.maintain(now + DELETED_INTERVAL - 1)
    assert server.files() == {manifest: 3}
    server.lifetimes.maintain(now + DELETED_INTERVAL)
    assert server.files() == {}
    assert server.ids(manifests) == []
    assert server.ids(transfers) == [transfer]


def test_a_manifest_that_is_deleted_while_it_is_made_waits_for_who_makes_it(
    server: Server,
) -> None:
    manifest = server.manifest(status="pending", deleted=True)
    server.sweep()
    assert server.ids(manifests) == [manifest]
    server.clock.pass_by(HOUR + 1)
    server.sweep()
    assert server.ids(manifests) == []
    server.fill(manifest, 2)
    server.sweep()
    assert server.files() == {}


def test_files_of_other_manifests_are_no_leftovers(server: Server) -> None:
    kept = [server.manifest() for _ in range(3)]
    server.fill(kept[-1] + 5, 4)
    server.fill(0, 1)
    server.sweep()
    assert server.files() == dict.fromkeys(kept, 3)


def test_a_destination_goes_when_nobody_has_used_it_for_a_while(server: Server) -> None:
    unused, permanent = server.destination(), server.destination(permanent=True)
    used, busy = server.destination(), server.destination()
    server.add(transfers, destination_id=busy, manifest_id=1, status="pending")
    server.clock.pass_by(DESTINATION_GRACE - 1)
    assert server.sweep()["destinations"] == 0
    server.clock.pass_by(2)
    server.change(destinations, used, last_receive=server.clock.now)
    young = server.destination()
    assert server.sweep()["destinations"] == 1
    assert server.ids(destinations) == [permanent, used, busy, young]
    assert server.gone == [unused]
    with server.database.read() as connection:
        needed = set(connection.scalars(select(destinations.c.connection_id)))
    assert set(server.ids(connections)) == needed
    name, data, owner = server.heard[0]
    assert (name, owner) == ("destinationDeleted", "ann")
    assert data["destinationId"] == str(unused)
    assert data["destinationPort"] == 8886


def test_a_token_goes_when_it_has_expired_and_its_log_ons_and_downloads_with_it(
    server: Server,
) -> None:
    now = server.clock.now
    server.add(tokens, id="old", expires=now + 10)
    server.add(tokens, id="api", kind="api", expires=now + 10)
    server.add(tokens, id="young", expires=now + HOUR * SECOND)
    server.add(tokens, id="ever")
    with server.database.write() as connection:
        rows = [{"token": "old", "admission": str(each)} for each in range(1200)]
        connection.execute(insert(redemptions), [*rows, {"token": "ever", "admission": "1"}])
    later = now + DAY * SECOND
    for ticket, token in (("a", "old"), ("b", "young"), ("c", None)):
        server.add(logins, ticket_hash=ticket, token=token, expires=later)
    server.clock.pass_by(TOKEN_GRACE)
    assert server.sweep()["tokens"] == 0
    server.clock.pass_by(1)
    assert server.sweep()["tokens"] == 2
    assert server.ids(tokens) == ["ever", "young"]
    assert server.ids(redemptions) == ["ever"]
    assert server.ids(logins) == ["b", "c"]
    assert {data["token"] for _, data, _ in server.heard} == {"old", "api"}


@pytest.mark.parametrize(
    ("table", "column", "lifetime", "keys"),
    [
        (logins, "expires", 0, {"ticket_hash": "a"}),
        (requests, "finished", HOUR, {}),
        (receptions, "last_receive", RECEPTION_LIFETIME, {"transfer_id": "1"}),
        (events, "time", 2 * DAY, {}),
    ],
)
def test_other_records_go_in_their_time(
    server: Server, table: Table, column: str, lifetime: float, keys: dict[str, Any]
) -> None:
    server.add(table, **{column: server.clock.now}, **keys)
    server.clock.pass_by(lifetime - 1)
    server.sweep()
    assert len(server.ids(table)) == 1
    server.clock.pass_by(2)
    server.sweep()
    assert server.ids(table) == []


def test_a_pending_request_never_goes(server: Server) -> None:
    server.add(requests, status="pending")
    server.clock.pass_by(10 * DAY)
    server.sweep()
    assert len(server.ids(requests)) == 1


def test_a_large_manifest_goes_in_small_steps(server: Server) -> None:
    manifest = server.manifest(files=25, deleted=True)
    sweep = Sweep(
        server.database,
        server.clock.now,
        LifetimeSettings(),
        events=server.log,
        gone=server.gone.append,
        files_at_once=10,
    )
    left = [server.files().get(manifest, 0) for _ in sweep.deleted_manifests()]
    assert left[:3] == [15, 5, 0]
    assert server.ids(manifests) == []
    assert sweep.removed["manifest_files"] == 25


def test_many_rows_go_in_small_steps(server: Server) -> None:
    for number in range(25):
        server.add(requests, finished=server.clock.now, call_id=str(number))
    server.clock.pass_by(2 * HOUR)
    sweep = Sweep(
        server.database,
        server.clock.now,
        LifetimeSettings(),
        events=server.log,
        gone=server.gone.append,
        rows_at_once=10,
    )
    left = [len(server.ids(requests)) for _ in sweep.steps()]
    assert sorted(set(left), reverse=True) == [15, 5, 0]


def test_a_transfer_that_is_made_in_the_middle_keeps_what_it_needs(
    server: Server, mocker: Any
) -> None:
    destination, manifest = server.destination(), server.manifest(deleted=True)
    chosen = Sweep._chosen

    def choose(self: Sweep, table: Table, due: Any) -> list[tuple[Any, ...]]:
        found = chosen(self, table, due)
        if table is destinations and found:
            keys = {"destination_id": destination, "manifest_id": manifest}
            server.add(transfers, status="pending", **keys)
        return found

    mocker.patch.object(Sweep, "_chosen", choose)
    server.clock.pass_by(HOUR)
    server.sweep()
    assert server.ids(destinations) == [destination]
    assert server.gone == []


class Ticking:
    """A clock that goes on by some seconds each time that it is read."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_round_takes_little_time_and_the_next_one_goes_on(server: Server) -> None:
    manifest = server.manifest(files=3 * FILES_AT_ONCE + 1, deleted=True)
    clock = Ticking(ROUND_SECONDS * 2)
    lifetimes = Lifetimes(server.database, server.log, server.gone.append, clock=clock)
    now = server.clock.seconds
    left = []
    for round_number in range(5):
        lifetimes.maintain(now + round_number)
        left.append(server.files().get(manifest, 0))
    assert left[:4] == [2 * FILES_AT_ONCE + 1, FILES_AT_ONCE + 1, 1, 0]


def test_sweeps_are_made_every_hour(server: Server) -> None:
    now = server.clock.seconds
    server.lifetimes.maintain(now)
    server.add(requests, finished=server.clock.now - 2 * HOUR * SECOND)
    server.lifetimes.maintain(now + SWEEP_INTERVAL - 1)
    assert len(server.ids(requests)) == 1
    server.lifetimes.maintain(now + SWEEP_INTERVAL)
    assert server.ids(requests) == []


def test_a_clock_that_is_set_back_does_not_put_sweeps_off(server: Server) -> None:
    now = server.clock.seconds
    server.lifetimes.maintain(now)
    server.add(requests, finished=1)
    server.lifetimes.maintain(now - DAY)
    assert server.ids(requests) == []


def test_a_sweep_that_fails_is_made_again_soon(server: Server, mocker: Any) -> None:
    server.add(requests, finished=1)
    now = server.clock.seconds
    failing = mocker.patch.object(Sweep, "_tokens")
    failing.side_effect = OperationalError("delete", {}, OSError("disk full"))
    with pytest.raises(OperationalError):
        server.lifetimes.maintain(now)
    mocker.stopall()
    server.lifetimes.maintain(now + RETRY_INTERVAL - 1)
    assert len(server.ids(requests)) == 1
    server.lifetimes.maintain(now + RETRY_INTERVAL)
    assert server.ids(requests) == []


def test_a_server_that_ends_does_not_go_on_with_a_sweep(server: Server) -> None:
    server.add(requests, finished=1)
    server.lifetimes.close()
    server.lifetimes.maintain(server.clock.seconds)
    assert len(server.ids(requests)) == 1


def test_a_sweep_that_is_going_on_is_told_to_who_wants_another(server: Server, mocker: Any) -> None:
    mocker.patch("dxlfiletransferservice.control.upkeep.lifetimes._LOCK_TIMEOUT", 0.01)
    with server.lifetimes._lock:
        server.lifetimes.maintain(server.clock.seconds)
        with pytest.raises(CommandError) as caught:
            server.sweep()
    assert caught.value.kind is ErrorKind.BUSY


# The commands.


def run(server: Server, command: str, principal: Principal | None = ROOT, **values: Any) -> Any:
    return server.commands[command](call(command, values, principal=principal))


def test_superusers_have_a_sweep_made(server: Server) -> None:
    server.add(transfers, destination_id=server.destination(), manifest_id=1, end_time=0)
    assert run(server, "server.garbageCollect") == {
        "transfers": 1,
        "manifests": 0,
        "destinations": 0,
        "tokens": 0,
    }


def test_superusers_change_life_times_and_a_restart_keeps_them(server: Server) -> None:
    change = "server.updateGarbageCollectSettings"
    days = 2.0 * DAY
    assert run(server, change) == {
        "transferLifetimeSeconds": days,
        "manifestLifetimeSeconds": days,
    }
    assert run(server, change, transferLifetimeSeconds=10)["transferLifetimeSeconds"] == 10
    expected = {"transferLifetimeSeconds": 10, "manifestLifetimeSeconds": 0}
    assert run(server, change, manifestLifetimeSeconds=0) == expected
    again = Server(server.database, server.clock)
    assert run(again, change) == expected
    keys = {"destination_id": server.destination(), "manifest_id": 77}
    server.add(transfers, end_time=server.clock.now, **keys)
    server.manifest()
    server.clock.pass_by(11)
    removed = again.sweep()
    assert (removed["transfers"], removed["manifests"]) == (1, 1)


@pytest.mark.parametrize("value", [-1, "x", True, 1e12, float("nan")])
@pytest.mark.parametrize("name", ["transferLifetimeSeconds", "manifestLifetimeSeconds"])
def test_wrong_life_times_are_refused(server: Server, name: str, value: Any) -> None:
    with pytest.raises(CommandError, match=name) as caught:
        run(server, "server.updateGarbageCollectSettings", **{name: value})
    assert caught.value.kind is ErrorKind.INVALID


@pytest.mark.parametrize(
    "command", ["server.garbageCollect", "server.updateGarbageCollectSettings"]
)
def test_others_than_superusers_are_refused(server: Server, command: str) -> None:
    with pytest.raises(CommandError, match=r"call server\.superuser first") as caught:
        run(server, command, ANN)
    assert caught.value.kind is ErrorKind.NOT_ALLOWED
    with pytest.raises(CommandError, match=r"only a superuser may do this$"):
        run(server, command, Principal("bob"))
    with pytest.raises(CommandError) as caught:
        run(server, command, None)
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED
    with pytest.raises(CommandError, match="takes no argument"):
        run(server, command, zzz=1)

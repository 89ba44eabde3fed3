"""What couriers are told of the database, and write into it."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, update

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.control.sending.credentials import CredentialVault
from dxlfiletransferservice.control.tables import manifests, transfers
from dxlfiletransferservice.control.upkeep.events import EventLog
from dxlfiletransferservice.control.upkeep.requests import Requests
from dxlfiletransferservice.courier.seams import (
    Contact,
    DestinationPlan,
    Login,
    ManifestFile,
    Progress,
    Status,
    Work,
)
from tests.unit.service.calling import unchanged
from tests.unit.service.sendingworld import ANN, BOB, ROOT, OpenGuard, World
from tests.waiting import wait_until


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def test_it_is_what_couriers_need(world: World) -> None:
    work: Work = world.work
    assert work.destinations() == []
    assert work.destination(1) is None
    assert work.next_transfers(1, "Normal", 4) == []
    assert work.transfers([]) == work.transfers([1]) == {}
    assert work.started(1) is False
    work.progressed({})
    work.progressed({1: Progress()})
    work.ended(1, Status.COMPLETE, "", Progress())
    work.contacted(1, Contact(server_id="x"))
    assert world.events.entries == []


def test_destinations_with_active_transfers_are_told(world: World) -> None:
    for port, status in enumerate(Status, start=1):
        world.in_state(status, destinationId=world.destination(destinationPort=port))
    active = [number for number, status in enumerate(Status, start=1) if Status(status).active]
    assert world.work.destinations() == active


def test_a_destination_is_told_in_bytes_per_second(world: World) -> None:
    world.destination(destinationAddress="Receiver01", destinationPort=9, sendRateMax=8)
    world.done("updateConnectionParamsAsync", connectionId=1, sendRateMax=16)
    assert world.work.destination(1) == DestinationPlan(
        id=1,
        connection_id=1,
        address="Receiver01",
        port=9,
        instance=None,
        public_key=None,
        rate=1000.0,
        connection_rate=2000.0,
        lanes={"High": 0.7, "Normal": 0.25, "Low": 0.05, "Idle": 0.0},
    )


def test_files_come_from_the_manifest(world: World) -> None:
    assert list(world.work.files(1, 0)) == [ManifestFile(0, "/a", "a", 1, False, False, None)]
    assert list(world.work.files(1, 1)) == []


def plan_ids(world: World, lane: str = "Normal", count: int = 3) -> list[int]:
    return [plan.id for plan in world.work.next_transfers(1, lane, count)]


def test_those_that_come_first_are_told_and_the_oldest(world: World) -> None:
    for priority in (9, 5, 5, 1, 7, 1):
        world.transfer(priority=priority)
    world.transfer(priority=0, priorityLane="High")
    world.transfer(priority=0, destinationId=world.destination(destinationPort=1))
    assert plan_ids(world) == [4, 6, 2, 1]
    assert plan_ids(world, count=1) == [4, 1]
    assert plan_ids(world, count=9) == [4, 6, 2, 3, 5, 1]
    assert plan_ids(world, "High") == [7]
    assert plan_ids(world, "Low") == []
    world.work.started(2)
    world.done("suspendTransferAsync", transferId=4)
    world.done("suspendTransferAsync", transferId=1)
    world.done("resumeTransferAsync", transferId=1)
    assert plan_ids(world) == [6, 2, 3, 1]
    world.done("suspendTransferAsync", transferId=1)
    assert plan_ids(world) == [6, 2, 3]


_statuses = st.sampled_from(list(Status))
_some = st.lists(st.tuples(_statuses, st.integers(0, 5), st.sampled_from("AB")), max_size=25)


def test_the_same_as_sorting_all_of_them(world: World) -> None:
    lanes = {"A": 0.5, "B": 0.5}
    world.done("setPriorityLanesAsync", destinationId=world.destination(), priorityLanes=lanes)
    first = row_like(world, world.transfer()["transferId"])

    @settings(max_examples=40, deadline=None)
    @given(_some, st.integers(0, 6))
    def check(some: list[Any], count: int) -> None:
        rows = [
            {**first, "id": number, "status": status, "priority": priority, "lane": lane}
            for number, (status, priority, lane) in enumerate(some, start=1)
        ]
        with world.database.write() as connection:
            connection.execute(delete(transfers))
            if rows:
                connection.execute(insert(transfers), rows)
        for wanted in lanes:
            assert plan_ids(world, wanted, count) == expected_ids(rows, wanted, count)

    check()


def expected_ids(rows: list[dict[str, Any]], lane: str, count: int) -> list[int]:
    active = sorted(
        (row["priority"], row["id"]) for row in rows if row["lane"] == lane and row["status"].active
    )
    first = [number for _, number in active[:count]]
    eldest = min((number for _, number in active), default=None)
    return first if eldest is None or eldest in first else [*first, eldest]


def row_like(world: World, number: str) -> dict[str, Any]:
    """Return the columns of a transfer that another one may have as well."""
    row = dict(world.row(number)._mapping)
    return {name: value for name, value in row.items() if name not in ("id", "call_id")}


def test_more_transfers_than_one_question_takes(world: World) -> None:
    arguments = {"destinationId": world.destination(), "manifestId": world.manifest()}
    many(world, 600, **arguments)
    assert list(world.work.transfers(list(range(1, 700)))) == list(range(1, 601))


def many(world: World, count: int, **arguments: Any) -> None:
    """Make many transfers at once, all like the first."""
    row = row_like(world, world.transfer(**arguments)["transferId"])
    with world.database.write() as connection:
        connection.execute(insert(transfers), [row] * (count - 1))


def test_starting_tells_once(world: World) -> None:
    number = int(world.transfer()["transferId"])
    assert world.work.started(number)
    assert world.work.started(number)
    assert world.events.statuses() == ["sending"]
    world.done("suspendTransferAsync", transferId=number)
    assert not world.work.started(number)
    assert world.status(str(number)) == "suspended"


PROGRESS = Progress(2, 3, 1, "why", 5, 6, 7, 8, 9, 10)


@pytest.mark.parametrize("status", [Status.PENDING, Status.SENDING, Status.RESUMING])
def test_another_receiver_begins_anew(world: World, status: Status) -> None:
    number = int(world.in_state(status))
    for receiver in ("one", "another"):
        assert world.work.started(number, receiver)
        plan = world.work.transfers([number])[number]
        assert (plan.status, plan.receiver) == (Status.SENDING, receiver)
        assert plan.progress == (Progress() if receiver == "one" else PROGRESS.anew())
        world.work.progressed({number: PROGRESS})
        assert world.work.started(number)
        assert world.work.transfers([number])[number].progress == PROGRESS


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.COMPLETE, Status.ERROR])
def test_what_is_not_active_is_not_begun_anew(world: World, status: Status) -> None:
    number = int(world.in_state(status))
    before = world.row(number)
    assert not world.work.started(number, "another")
    assert world.row(number) == before


def test_progress_of_many_is_noted_and_outlives_a_restart(world: World) -> None:
    numbers = [int(world.in_state(status)) for status in Status]
    world.work.progressed(dict.fromkeys(numbers, PROGRESS))
    world.restart()
    for number, status in zip(numbers, Status, strict=True):
        position = world.row(number).position
        assert position == (0 if status in (Status.COMPLETE, Status.ERROR) else 2)
    plan = next(iter(world.work.transfers(numbers).values()))
    assert plan.progress == PROGRESS


def test_nothing_is_set_back(world: World) -> None:
    number = int(world.in_state(Status.SENDING))
    world.work.progressed({number: PROGRESS})
    world.work.progressed({number: Progress(1)})
    assert world.work.transfers([number])[number].progress == PROGRESS
    world.work.progressed({number: replace(PROGRESS, bytes_sent=99)})
    assert world.row(number).bytes_sent == 99


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.ERROR])
def test_an_end_is_noted_with_all_that_belongs_to_it(world: World, status: Status) -> None:
    number = int(world.in_state(Status.SENDING, userName="u", password="p"))
    world.work.ended(number, status, "why" * 2000, PROGRESS)
    row = world.row(number)
    assert (row.status, row.position, row.files_failed) == (status, 2, 1)
    assert row.error_message == ("why" * 2000)[:4096]
    assert row.credentials is None
    assert row.end_time >= row.start_time >= row.queue_time >= row.request_time
    assert world.events.statuses() == ["sending", status]
    name, data, owner = world.events.entries[-1]
    assert (name, owner, data["transferId"]) == ("transferUpdated", "ann", str(number))


def test_what_was_suspended_at_its_end_stays_so(world: World) -> None:
    number = int(world.in_state(Status.SUSPENDED, userName="u", password="p"))
    world.work.ended(number, Status.COMPLETE, "", PROGRESS)
    row = world.row(number)
    assert (row.status, row.position, row.end_time) == ("suspended", 2, None)
    assert row.credentials is not None


def test_a_transfer_does_not_end_as_active(world: World) -> None:
    number = int(world.in_state(Status.SENDING))
    with pytest.raises(ValueError, match="does not end as sending"):
        world.work.ended(number, Status.SENDING, "", Progress())


def test_what_may_be_read_is_a_matter_of_who_made_the_manifest(world: World) -> None:
    made = world.transfer(ROOT, destinationId=world.destination(), manifestId=world.manifest(BOB))
    guard = world.work.transfers([int(made["transferId"])])[1].guard
    assert isinstance(guard, OpenGuard)
    assert (guard.owner, guard.token) == ("bob", None)
    token = replace(ANN, token="7-0123456789ab")
    made = world.transfer(token)
    guard = world.work.transfers([2])[2].guard
    assert isinstance(guard, OpenGuard)
    assert (guard.owner, guard.token) == ("ann", "7-0123456789ab")


@pytest.mark.parametrize("harm", ["user", "key", "credentials", "manifest"])
def test_what_cannot_be_sent_any_more_fails(world: World, harm: str) -> None:
    number = int(world.in_state(Status.SENDING, userName="u", password="p"))
    other = world.transfer(BOB)["transferId"]
    if harm == "user":
        world.guards.gone.add("ann")
    elif harm == "key":
        world.vault = CredentialVault(b"another")
        world.restart()
    else:
        with world.database.write() as connection:
            if harm == "manifest":
                connection.execute(delete(manifests).where(manifests.c.owner == "ann"))
            else:
                connection.execute(
                    update(transfers).where(transfers.c.id == number).values(credentials=b"\x01x")
                )
    assert world.work.next_transfers(1, "Normal", 4) == []
    assert list(world.work.transfers([number, int(other)])) == [int(other)]
    row = world.row(number)
    assert row.status == "error"
    expected = {
        "user": "there is no user 'ann'",
        "manifest": "its manifest is not there any more",
    }
    text = "its user name, password or token cannot be read any more: create it anew"
    assert row.error_message == expected.get(harm, text)
    assert row.credentials is None


def test_credentials_of_another_transfer_are_not_taken(world: World) -> None:
    first = world.transfer(userName="admin", password="p")["transferId"]
    second = int(world.transfer(userName="guest", password="q")["transferId"])
    stolen = world.row(first).credentials
    with world.database.write() as connection:
        connection.execute(
            update(transfers).where(transfers.c.id == second).values(credentials=stolen)
        )
    assert world.work.transfers([second]) == {}
    assert world.work.transfers([1])[1].login == Login(user="admin", password="p")


def queries_of(world: World, action: Any) -> list[tuple[str, Any]]:
    """Return the questions with their parameters that an action asks the database."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    engine = world.database._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        action()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return [each for each in asked if each[0].startswith(("SELECT", "UPDATE"))]


def plans_of(world: World, action: Any) -> list[str]:
    """Return how the database goes about answering what an action asks."""
    asked = queries_of(world, action)
    assert asked
    steps: list[str] = []
    with world.database.read() as connection:
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps += [str(row[3]) for row in rows]
    return steps


def test_questions_stay_cheap_beside_many_transfers(world: World) -> None:
    arguments = {"destinationId": world.destination(), "manifestId": world.manifest()}
    many(world, 1000, **arguments)
    actions = {
        "getTransfer": lambda: world.call("getTransfer", transferId=500),
        "getTransfers": lambda: world.call("getTransfers", limit=10),
        "getDestination": lambda: world.call("getDestination", destinationId=1),
        "next_transfers": lambda: world.work.next_transfers(1, "Normal", 4),
        "destinations": world.work.destinations,
        "suspend": lambda: world.done("suspendTransferAsync", transferId=500),
        "started": lambda: world.work.started(501),
    }
    for name, action in actions.items():
        steps = plans_of(world, action)
        searched = [step for step in steps if step.startswith("SEARCH")]
        scanned = [step for step in steps if step.startswith("SCAN transfers")]
        sorted_by = [step for step in steps if "TEMP B-TREE" in step]
        assert searched, (name, steps)
        assert not scanned, (name, steps)
        assert not sorted_by, (name, steps)


def test_few_rows_are_read_for_what_comes_next(world: World) -> None:
    arguments = {"destinationId": world.destination(), "manifestId": world.manifest()}
    many(world, 1000, **arguments)
    steps = plans_of(world, lambda: world.work.next_transfers(1, "Normal", 4))
    by_turn = [step for step in steps if "transfers_by_turn" in step]
    by_age = [step for step in steps if "transfers_by_age" in step]
    assert len(by_turn) == len(by_age) == 3


class Race:
    """A person and a courier who work at the same transfers."""

    def __init__(self, world: World, numbers: list[int]) -> None:
        self.world = world
        self.numbers = numbers
        self.failures: list[BaseException] = []

    def run(self) -> None:
        works = (self.person, self.courier)
        threads = [threading.Thread(target=self.guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    def guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is looked at in the end
            self.failures.append(error)

    def person(self) -> None:
        commands = ("suspendTransferAsync", "resumeTransferAsync")
        for number, command in itertools.product(self.numbers * 2, commands):
            with contextlib.suppress(CommandError):
                self.world.call(command, transferId=number)

    def courier(self) -> None:
        for position in itertools.count(1):
            if not [number for number in self.numbers if self.send(number, position)]:
                return

    def send(self, number: int, position: int) -> bool:
        """Send a part of a transfer; returns whether there is more."""
        work = self.world.work
        if work.started(number):
            work.progressed({number: Progress(position, files_sent=position)})
            if position > 3:
                work.ended(number, Status.COMPLETE, "", Progress(99, files_sent=99))
        status = self.world.row(number).status
        if status == "suspended":
            with contextlib.suppress(CommandError):
                self.world.transfers.resume(number)
        return bool(status != "complete")


def test_commands_and_couriers_race_without_losing_anything(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'server.db'}")
    requests = Requests(world.database, threads=2)
    events = EventLog(world.database)
    world.queue = requests  # type: ignore[assignment]
    world.events = events  # type: ignore[assignment]
    world.restart()
    requests.start(world.commands.handlers, unchanged)
    events.start()
    arguments: dict[str, Any] = {
        "destinationId": world.destination(),
        "manifestId": world.manifest(),
    }
    numbers = [int(world.transfer(**arguments)["transferId"]) for _ in range(6)]
    race = Race(world, numbers)
    race.run()
    try:
        assert not race.failures
        assert {world.row(number).status for number in numbers} == {"complete"}
        assert {world.row(number).position for number in numbers} == {99}
        assert events.flush(10)
        told = [
            entry["transferId"]
            for entry in events.entries(ANN)
            if entry["_event"] == "transferUpdated" and entry["status"] == "complete"
        ]
        assert sorted(told) == sorted(map(str, numbers))
    finally:
        requests.close()
        events.close()
        world.close()


def test_queued_requests_outlive_a_restart(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path / 'server.db'}")
    number = world.in_state(Status.SENDING)
    idle = Requests(world.database)
    world.queue = idle  # type: ignore[assignment]
    world.restart()
    world.call("suspendTransferAsync", transferId=number)
    world.call("setTransferPriorityAsync", transferId=number, priority=7)
    assert world.status(number) == "sending"
    requests = Requests(world.database, threads=1)
    world.queue = requests  # type: ignore[assignment]
    world.restart()
    requests.start(world.commands.handlers, unchanged)
    try:
        wait_until(lambda: world.row(number).priority == 7)
        assert world.status(number) == "suspended"
    finally:
        requests.close()
        world.close()

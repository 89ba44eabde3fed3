"""What may be done with a transfer in each state it can be in, and what becomes of it."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.courier.seams import ACTIVE, Progress, Status
from tests.unit.service.sendingworld import ANN, ROOT, World

ENDED = {Status.COMPLETE, Status.ERROR}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


GONE: Final = "gone"

TABLE: Final[dict[str, dict[Status, str | None]]] = {
    "suspendTransferAsync": {
        Status.PENDING: "suspended",
        Status.SENDING: "suspended",
        Status.RESUMING: "suspended",
        Status.SUSPENDED: None,
        Status.COMPLETE: None,
        Status.ERROR: None,
    },
    "resumeTransferAsync": {
        Status.PENDING: None,
        Status.SENDING: None,
        Status.RESUMING: None,
        Status.SUSPENDED: "resuming",
        Status.COMPLETE: None,
        Status.ERROR: None,
    },
    "failTransfer": {
        Status.PENDING: "error",
        Status.SENDING: "error",
        Status.RESUMING: "error",
        Status.SUSPENDED: "error",
        Status.COMPLETE: None,
        Status.ERROR: None,
    },
    "deleteTransfer": {
        Status.PENDING: None,
        Status.SENDING: None,
        Status.RESUMING: None,
        Status.SUSPENDED: GONE,
        Status.COMPLETE: GONE,
        Status.ERROR: GONE,
    },
    "setTransferPriorityAsync": {status: status.value for status in Status},
    "setTransferSendRateMaxAsync": {status: status.value for status in Status},
}
"""Status afterwards, or ``None`` where it is refused."""

ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "setTransferPriorityAsync": {"priority": 1},
    "setTransferSendRateMaxAsync": {"sendRateMax": 9},
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("command", sorted(TABLE))
@pytest.mark.parametrize("who", [ANN, ROOT], ids=["owner", "superuser"])
def test_state_by_command(world: World, command: str, status: Status, who: Any) -> None:
    number = world.in_state(status, userName="u", password="p")
    world.couriers.refreshed.clear()
    world.events.entries.clear()
    before = world.row(number)
    expected = TABLE[command][status]
    arguments = ARGUMENTS.get(command, {})
    if expected is None:
        with pytest.raises(CommandError) as error:
            world.call(command, who, transferId=number, **arguments)
        assert error.value.kind is ErrorKind.STATE
        assert f"'{number}'" in str(error.value)
        assert world.row(number) == before
        assert not world.couriers.refreshed
        assert not world.events.entries
        return
    result = world.call(command, who, transferId=number, **arguments)
    if command.endswith("Async"):
        world.queue.carry_out(result)
    else:
        assert result is None
    assert world.couriers.refreshed == [1]
    row = world.row(number)
    if expected is GONE:
        assert row is None
        assert world.events.names() == ["transferDeleted"]
        return
    assert row.status == expected
    assert world.events.statuses() == ([] if expected == status else [expected])
    if row.status in ENDED:
        assert row.credentials is None
        assert row.end_time is not None
    else:
        assert row.credentials is not None
        assert row.end_time is None


@pytest.mark.parametrize("status", list(Status))
def test_a_structure_says_whether_it_is_processed(world: World, status: Status) -> None:
    number = world.in_state(status)
    found = world.call("getTransfer", transferId=number)
    assert found["processing"] is (status in ACTIVE)
    assert found["errorMessage"] == ("broken" if status in ENDED else "")


def test_results_are_structures(world: World) -> None:
    number = world.in_state(Status.SENDING)
    suspended = world.done("suspendTransferAsync", transferId=number)
    assert (suspended["transferId"], suspended["status"]) == (number, "suspended")
    resumed = world.done("resumeTransferAsync", transferId=suspended)
    assert (resumed["transferId"], resumed["status"]) == (number, "resuming")


@pytest.mark.parametrize(
    ("arguments", "message"), [({}, "cancelled"), ({"errorMessage": "no more"}, "no more")]
)
def test_a_failed_transfer_says_why(world: World, arguments: dict[str, Any], message: str) -> None:
    number = world.in_state(Status.SENDING)
    world.call("failTransfer", transferId=number, **arguments)
    found = world.call("getTransfer", transferId=number)
    assert (found["status"], found["errorMessage"]) == ("error", message)
    world.work.ended(int(number), Status.COMPLETE, "", Progress(9))
    assert world.call("getTransfer", transferId=number)["errorMessage"] == message


def test_a_request_that_comes_again_is_not_refused_for_what_it_has_done(world: World) -> None:
    number = world.in_state(Status.SENDING)
    first = world.call("suspendTransferAsync", call_id="f" * 32, transferId=number)
    world.queue.carry_out(first)
    again = world.call("suspendTransferAsync", call_id="f" * 32, transferId=number)
    assert again == first


def test_a_request_that_runs_again_changes_nothing(world: World) -> None:
    number = int(world.in_state(Status.SENDING))
    assert world.transfers.suspend(number)["status"] == "suspended"
    assert world.transfers.suspend(number)["status"] == "suspended"
    assert world.transfers.resume(number)["status"] == "resuming"
    world.work.started(number)
    assert world.transfers.resume(number)["status"] == "sending"


def test_requests_that_follow_each_other_need_not_wait(world: World) -> None:
    number = world.in_state(Status.SENDING)
    requests = [
        world.call(f"{each}TransferAsync", transferId=number)
        for each in ("suspend", "resume", "suspend")
    ]
    for request in requests:
        world.queue.carry_out(request)
    assert world.status(number) == "suspended"


@pytest.mark.parametrize("command", ["suspendTransferAsync", "resumeTransferAsync"])
def test_what_has_ended_meanwhile_is_refused_in_its_turn(world: World, command: str) -> None:
    status = Status.SENDING if command.startswith("suspend") else Status.SUSPENDED
    number = world.in_state(status)
    request = world.call(command, transferId=number)
    world.call("failTransfer", transferId=number)
    with pytest.raises(CommandError) as error:
        world.queue.carry_out(request)
    assert error.value.kind is ErrorKind.STATE
    assert "has failed" in str(error.value)


@pytest.mark.parametrize("command", sorted(c for c in TABLE if c.endswith("Async")))
def test_what_is_gone_meanwhile_is_refused_in_its_turn(world: World, command: str) -> None:
    status = Status.SENDING if command.startswith("suspend") else Status.SUSPENDED
    number = world.in_state(status)
    request = world.call(command, transferId=number, **ARGUMENTS.get(command, {}))
    world.call("failTransfer", transferId=number)
    world.call("deleteTransfer", transferId=number)
    with pytest.raises(CommandError, match=f"there is no transfer '{number}'") as error:
        world.queue.carry_out(request)
    assert error.value.kind is ErrorKind.NOT_FOUND


def test_a_restart_changes_nothing(world: World) -> None:
    numbers = [world.in_state(status) for status in Status]
    before = [world.row(number) for number in numbers]
    world.restart()
    assert [world.row(number) for number in numbers] == before
    assert set(world.work.transfers([int(number) for number in numbers])) == {
        int(number) for number, status in zip(numbers, Status, strict=True) if status in ACTIVE
    }


COMMANDS = st.sampled_from(["suspend", "resume", "fail", "delete"])


def attempt(action: Callable[[], Any]) -> tuple[Any, ErrorKind | None]:
    """Return what came of something, or the kind of the error that it was refused with."""
    try:
        return action(), None
    except CommandError as error:
        return None, error.kind


class LifeCycle(RuleBasedStateMachine):
    """A courier and a person race for one transfer; requests are carried out late."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.number = int(self.world.transfer(userName="u", password="p")["transferId"])
        self.requests: list[dict[str, int]] = []
        self.position = 0
        self.last = Status.PENDING
        self.final: Any = None

    def teardown(self) -> None:
        self.world.close()

    @rule(command=COMMANDS)
    def command(self, command: str) -> None:
        name = {"fail": "failTransfer", "delete": "deleteTransfer"}.get(
            command, f"{command}TransferAsync"
        )
        row = self.world.row(self.number)
        allowed = row is not None and TABLE[name][Status(row.status)] is not None
        found, refused = attempt(lambda: self.world.call(name, transferId=self.number))
        if refused is not None:
            assert not allowed
            assert refused is (ErrorKind.NOT_FOUND if row is None else ErrorKind.STATE)
            return
        assert allowed or self.requests
        if found is not None:
            self.requests.append(found)

    @precondition(lambda self: self.requests)
    @rule()
    def carry_out(self) -> None:
        request = self.requests.pop(0)
        _, refused = attempt(lambda: self.world.queue.carry_out(request))
        assert refused in (None, ErrorKind.STATE, ErrorKind.NOT_FOUND)

    @rule()
    def start(self) -> None:
        row = self.world.row(self.number)
        active = row is not None and row.status in ACTIVE
        assert self.world.work.started(self.number) is active
        if active:
            assert self.world.row(self.number).status == "sending"

    @rule(position=st.integers(0, 9))
    def progress(self, position: int) -> None:
        row = self.world.row(self.number)
        self.world.work.progressed({self.number: Progress(position, files_sent=position)})
        if row is not None and row.status not in ENDED and position >= row.position:
            self.position = position

    @rule(status=st.sampled_from(sorted(ENDED)))
    def end(self, status: Status) -> None:
        row = self.world.row(self.number)
        self.world.work.ended(
            self.number, status, "broken", Progress(self.position, files_sent=self.position)
        )
        if row is not None and row.status in ACTIVE:
            assert self.world.row(self.number).status == status

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def what_has_ended_stays_as_it_is(self) -> None:
        row = self.world.row(self.number)
        if self.final is not None and row is not None:
            assert row == self.final
        if row is not None and row.status in ENDED:
            self.final = row
            assert row.credentials is None
            assert row.end_time >= row.request_time

    @invariant()
    def nothing_is_lost(self) -> None:
        row = self.world.row(self.number)
        if row is None:
            assert self.last in ENDED | {Status.SUSPENDED}
            return
        self.last = Status(row.status)
        assert row.position == row.files_sent == self.position
        assert (row.credentials is None) is (self.last in ENDED)
        assert bool(self.world.work.transfers([self.number])) is self.last.active
        assert self.world.work.destinations() == ([1] if self.last.active else [])

    @invariant()
    def events_tell_each_change_once(self) -> None:
        told = self.world.events.statuses()
        assert all(before != after for before, after in pairwise(told))
        row = self.world.row(self.number)
        if told and row is not None:
            assert told[-1] == row.status


LifeCycle.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_life_cycle = LifeCycle.TestCase

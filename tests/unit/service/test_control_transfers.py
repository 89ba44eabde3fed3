"""Commands about transfers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytest_mock import MockerFixture
from sqlalchemy import update

from dxlfiletransferclient.control.constants import MAX_PAGE
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.tables import manifests
from dxlfiletransferservice.courier.seams import Login, Progress, Status
from tests.unit.service.sendingworld import ANN, BOB, ROOT, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def refusal(
    world: World, command: str, who: Principal | None = ANN, **arguments: Any
) -> CommandError:
    with pytest.raises(CommandError) as error:
        world.call(command, who, **arguments)
    return error.value


def test_a_new_transfer_has_every_field(world: World) -> None:
    made = world.transfer(manifestId=world.manifest(files=7, size=858_703_405))
    assert made == {
        "transferId": "1",
        "destinationId": "1",
        "manifestId": "1",
        "destinationPath": "",
        "status": "pending",
        "processing": True,
        "errorMessage": "",
        "blockSize": 256,
        "totalFiles": 7,
        "totalBytes": 858_703_405,
        "totalBlocks": 3_354_311,
        "filesSent": 0,
        "filesFailed": 0,
        "blocksSent": 0,
        "blocksAcked": 0,
        "blocksRetransmitted": 0,
        "bytesSent": 0,
        "bytesRecv": 0,
        "packetsSent": 0,
        "packetsRecv": 0,
        "priority": 100,
        "priorityLane": "Normal",
        "transferFlags": 7,
        "checkpointFrequencySeconds": None,
        "sendRateMax": None,
        "overwriteMode": 4,
        "minCipher": 2,
        "fileTimeResolutionMicroseconds": 0,
        "timeoutSeconds": 0,
        "userName": None,
        "requestTime": made["requestTime"],
        "queueTime": made["queueTime"],
        "startTime": None,
        "endTime": None,
        "snapshotTime": made["snapshotTime"],
        "userData": {},
        "owner": "ann",
        "ownerToken": None,
        "ownerTokenSession": None,
    }
    assert made["requestTime"] <= made["queueTime"] <= made["snapshotTime"]
    assert world.events.names()[-1] == "transferCreated"
    assert world.couriers.refreshed == [1]


EVERYTHING: dict[str, Any] = {
    "destinationPath": "/incoming/today",
    "userName": "jsmith",
    "password": "secret",
    "priority": 4_294_967_295,
    "transferFlags": 15,
    "checkpointFrequencySeconds": 30,
    "sendRateMax": 1500.5,
    "priorityLane": "Idle",
    "overwriteMode": 5,
    "minCipher": 0,
    "fileTimeResolutionMicroseconds": 2_000_000,
    "timeoutSeconds": 1.5,
    "userData": {"colour": "red"},
}


def test_every_parameter_is_kept(world: World) -> None:
    made = world.transfer(**EVERYTHING)
    shown = {name: value for name, value in EVERYTHING.items() if name != "password"}
    assert {name: made[name] for name in shown} == shown
    plan = world.work.transfers([1])[1]
    assert plan.login == Login(user="jsmith", password="secret")
    assert plan.rate == 1500.5 * 125
    assert plan.destination_path == "/incoming/today"
    assert (plan.lane, plan.priority, plan.flags) == ("Idle", 4_294_967_295, 15)
    assert (plan.checkpoint_seconds, plan.overwrite_mode, plan.min_cipher) == (30.0, 5, 0)
    assert (plan.time_resolution_us, plan.timeout_seconds) == (2_000_000, 1.5)


def test_secrets_are_shown_nowhere(world: World) -> None:
    made = world.transfer(userName="jsmith", password="hunter2")
    token = world.transfer(token="7-0123456789ab.hunter2")
    shown = json.dumps([made, token, world.events.entries, world.call("getTransfers")])
    assert "hunter2" not in shown
    assert b"hunter2" not in world.row(1).credentials
    assert "hunter2" not in repr(world.row(1))
    assert "hunter2" not in repr(world.work.transfers([1, 2]))
    assert world.work.transfers([2])[2].login.token == "7-0123456789ab.hunter2"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"priority": -1}, "0 to 4294967295"),
        ({"priority": 4_294_967_296}, "0 to 4294967295"),
        ({"priority": 1.0}, "a whole number"),
        ({"priority": True}, "a whole number"),
        ({"transferFlags": 16}, "0 to 15"),
        ({"checkpointFrequencySeconds": -1}, "0 to 86400"),
        ({"checkpointFrequencySeconds": float("nan")}, "a number"),
        ({"sendRateMax": 0}, "1 to 1e+12, or -1"),
        ({"sendRateMax": -5}, "a number from -1"),
        ({"priorityLane": "Express"}, "no priority lane 'Express'; it has 'High', 'Normal'"),
        ({"priorityLane": ""}, "no priority lane ''"),
        ({"overwriteMode": 6}, "one of 0, 1, 2, 3, 4, 5"),
        ({"minCipher": 4}, "one of 0, 1, 2, 3"),
        ({"minCipher": "high"}, "one of 0, 1, 2, 3"),
        ({"fileTimeResolutionMicroseconds": -1}, "a whole number from 0"),
        ({"timeoutSeconds": -0.5}, "a number from 0"),
        ({"userName": "a", "token": "b"}, "exclude each other"),
        ({"password": "p"}, "needs a 'userName' or a 'token'"),
        ({"userName": "x" * 257}, "text of 0 to 256"),
        ({"userData": {"a": 1}}, "an object with texts"),
        ({"userData": {"": "x"}}, "text of 1 to 128"),
        ({"userData": {"a": "x" * 4097}}, "text of 0 to 4096"),
        ({"userData": {"a": "\ud800"}}, "an object with texts"),
        ({"userData": {str(n): "" for n in range(65)}}, "65 texts of user data"),
        ({"destinationPath": "../x"}, "leads out of the storage directory"),
        ({"destinationPath": "a/../../x"}, "leads out of the storage directory"),
        ({"destinationPath": "a\0b"}, "text of 0 to 4096"),
        ({"destinationPath": "x" * 4097}, "text of 0 to 4096"),
        ({"destinationPath": "x" * 256}, "more than 255 bytes"),
        ({"unknown": 1}, "takes no argument 'unknown'"),
    ],
)
def test_wrong_parameters_are_named(
    world: World, arguments: dict[str, Any], complaint: str
) -> None:
    destination, manifest = world.destination(), world.manifest()
    error = refusal(
        world, "createTransfer", destinationId=destination, manifestId=manifest, **arguments
    )
    assert complaint in str(error)
    assert error.kind is ErrorKind.INVALID
    assert world.call("getTransfers") == []


def test_the_end_of_the_ranges_is_in_them(world: World) -> None:
    made = world.transfer(priority=0, timeoutSeconds=0, transferFlags=0, sendRateMax=1)
    assert (made["priority"], made["transferFlags"], made["sendRateMax"]) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("status", "error", "complaint"),
    [
        ("pending", None, "the manifest '1' is pending: wait until it is complete"),
        ("error", "gone", "the manifest '1' has failed and cannot be sent: gone"),
    ],
)
def test_a_manifest_has_to_be_complete(
    world: World, status: str, error: str | None, complaint: str
) -> None:
    manifest = world.manifest(status=status, error=error)
    found = refusal(world, "createTransfer", destinationId=world.destination(), manifestId=manifest)
    assert (str(found), found.kind) == (complaint, ErrorKind.STATE)


def test_a_deleted_manifest_is_not_found(world: World) -> None:
    manifest = world.manifest()
    with world.database.write() as connection:
        connection.execute(update(manifests).values(deleted=True))
    error = refusal(world, "createTransfer", destinationId=world.destination(), manifestId=manifest)
    assert error.kind is ErrorKind.NOT_FOUND


def test_destination_and_manifest_have_to_be_the_callers(world: World) -> None:
    mine, manifest = world.destination(), world.manifest()
    others, their_manifest = world.destination(BOB), world.manifest(BOB)
    given: dict[str, Any]
    for given, complaint in (
        ({"destinationId": others, "manifestId": manifest}, "there is no destination '2'"),
        ({"destinationId": 99, "manifestId": manifest}, "there is no destination 99"),
        ({"destinationId": mine, "manifestId": their_manifest}, "there is no manifest '2'"),
        ({"destinationId": mine, "manifestId": "99"}, "there is no manifest '99'"),
        ({"destinationId": mine, "manifestId": {"manifestId": "x"}}, "there is no manifest 'x'"),
    ):
        error = refusal(world, "createTransfer", **given)
        assert (str(error), error.kind) == (complaint, ErrorKind.NOT_FOUND)
    wrong: Any
    for wrong in (None, {}, [], True):
        error = refusal(world, "createTransfer", destinationId=mine, manifestId=wrong)
        assert error.kind is ErrorKind.INVALID
    world.call("createTransfer", ROOT, destinationId=others, manifestId=manifest)


def test_the_same_call_makes_one(world: World) -> None:
    arguments: dict[str, Any] = {
        "destinationId": world.destination(),
        "manifestId": world.manifest(),
    }
    first, second = (world.call("createTransfer", call_id="f" * 32, **arguments) for _ in range(2))
    assert first["transferId"] == second["transferId"]
    assert world.events.names().count("transferCreated") == 1


def guest(manifest: str) -> Principal:
    return Principal(
        "ann",
        token="7-0123456789ab",
        token_session="t1",
        permissions=frozenset({"download"}),
        manifest_id=int(manifest),
    )


def test_a_guest_sends_from_the_manifest_of_the_token_alone(world: World) -> None:
    shared, other = world.manifest(), world.manifest()
    who = guest(shared)
    destination = world.destination(who)
    made = world.transfer(who, destinationId=destination, manifestId=shared)
    assert (made["owner"], made["ownerToken"]) == ("ann", "7-0123456789ab")
    assert made["ownerTokenSession"] == "t1"
    assert len(world.redeemer.counted) == 1
    error = refusal(world, "createTransfer", who, destinationId=destination, manifestId=other)
    assert error.kind is ErrorKind.NOT_FOUND
    own = world.transfer(destinationId=world.destination(), manifestId=other)["transferId"]
    assert refusal(world, "getTransfer", who, transferId=own).kind is ErrorKind.NOT_FOUND
    assert [each["transferId"] for each in world.call("getTransfers", who)] == ["1"]
    assert len(world.call("getTransfers")) == 2


def test_a_guest_is_not_told_why_a_manifest_has_failed(world: World) -> None:
    shared = world.manifest(status="error", error="/srv/private is unreadable")
    who = guest(shared)
    error = refusal(
        world, "createTransfer", who, destinationId=world.destination(who), manifestId=shared
    )
    assert "private" not in str(error)


def test_what_a_guest_makes_is_counted_once_each(world: World) -> None:
    shared = world.manifest()
    who = guest(shared)
    destination = world.destination(who)
    world.redeemer.limit = 2
    arguments: dict[str, Any] = {"destinationId": destination, "manifestId": shared}
    for number in (1, 1, 2, 2, 1):
        world.call("createTransfer", who, call_id=f"{number:032x}", **arguments)
    assert len(world.call("getTransfers", who)) == 2
    with pytest.raises(CommandError, match="used up"):
        world.call("createTransfer", who, **arguments)
    assert len(world.call("getTransfers", who)) == 2


def test_a_guest_who_deletes_a_transfer_gets_no_other_one_for_it(world: World) -> None:
    shared = world.manifest()
    who = guest(shared)
    arguments: dict[str, Any] = {"destinationId": world.destination(who), "manifestId": shared}
    made = world.call("createTransfer", who, call_id="f" * 32, **arguments)
    world.work.ended(int(made["transferId"]), Status.COMPLETE, "", Progress())
    world.call("deleteTransfer", who, transferId=made)
    with pytest.raises(CommandError, match="used up"):
        world.call("createTransfer", who, call_id="f" * 32, **arguments)
    assert world.call("getTransfers", who) == []


def test_a_call_that_comes_again_after_a_crash_is_counted_once(
    world: World, mocker: MockerFixture
) -> None:
    shared = world.manifest()
    who = guest(shared)
    arguments: dict[str, Any] = {"destinationId": world.destination(who), "manifestId": shared}
    seal = mocker.patch.object(world.vault, "seal", side_effect=RuntimeError("crash"))
    with pytest.raises(RuntimeError, match="crash"):
        world.call("createTransfer", who, call_id="f" * 32, **arguments)
    mocker.stop(seal)
    assert world.call("getTransfers", who) == []
    world.call("createTransfer", who, call_id="f" * 32, **arguments)
    assert world.redeemer.counted == {("7-0123456789ab", "f" * 32)}


def test_what_is_refused_is_not_counted(world: World) -> None:
    shared = world.manifest()
    who = guest(shared)
    refusal(world, "createTransfer", who, destinationId=99, manifestId=shared)
    world.call("createDestination", who, destinationAddress="receiver01")
    refusal(world, "createTransfer", who, destinationId=1, manifestId=shared, priorityLane="X")
    assert not world.redeemer.counted


@pytest.mark.parametrize("permission", ["upload", "delete", "createLinks"])
def test_a_token_needs_a_permission_to_send(world: World, permission: str) -> None:
    who = replace(ANN, token="7-0123456789ab", permissions=frozenset({permission}))
    error = refusal(world, "createTransfer", who, destinationId=1, manifestId=1)
    assert error.kind is ErrorKind.NOT_ALLOWED


def test_a_token_needs_a_permission_to_delete(world: World) -> None:
    who = replace(ANN, token="7-0123456789ab", permissions=frozenset({"download"}))
    number = world.in_state(Status.COMPLETE, who)
    error = refusal(world, "deleteTransfer", who, transferId=number)
    assert error.kind is ErrorKind.NOT_ALLOWED
    both = replace(who, permissions=frozenset({"download", "delete"}))
    world.call("deleteTransfer", both, transferId=number)


def test_a_transfer_is_found_by_id_and_structure(world: World) -> None:
    made = world.transfer()
    for given in ("1", 1, made, {"transferId": 1}):
        found = world.call("getTransfer", transferId=given)
        assert {**found, "snapshotTime": 0} == {**made, "snapshotTime": 0}
        assert found["snapshotTime"] > made["snapshotTime"]


def test_live_numbers_come_from_the_courier(world: World) -> None:
    number = int(world.in_state(Status.SENDING))
    stored = Progress(1, 1, 0, "", 256, 256, 10, 1, 1, 0)
    world.work.progressed({number: stored})
    found = world.call("getTransfer", transferId=number)
    assert (found["blocksSent"], found["filesSent"], found["bytesRecv"]) == (1, 1, 10)
    world.couriers.live[number] = Progress(2, 2, 1, "x", 1000, 999, 20, 5, 4, 257)
    found = world.call("getTransfer", transferId=number)
    assert (found["blocksSent"], found["blocksAcked"], found["blocksRetransmitted"]) == (4, 4, 2)
    assert (found["filesSent"], found["filesFailed"]) == (2, 1)
    assert (found["packetsSent"], found["packetsRecv"], found["bytesSent"]) == (5, 4, 1000)
    world.work.ended(number, Status.COMPLETE, "", Progress(3, 3, 0, "", 1000, 1000, 30, 6, 6, 0))
    assert world.call("getTransfer", transferId=number)["filesSent"] == 3


def test_times_are_durations_after_the_request(world: World) -> None:
    number = int(world.transfer()["transferId"])
    asked = world.call("getTransfer", transferId=number)["requestTime"]
    world.clocks.wall_us -= 3_600_000_000
    world.clocks.pass_by(1_000_000)
    world.work.started(number)
    world.clocks.wall_us += 7_200_000_000
    world.clocks.pass_by(1_000_000)
    world.work.ended(number, Status.COMPLETE, "", Progress())
    found = world.call("getTransfer", transferId=number)
    assert 0 <= found["startTime"] - asked - 1_000_000 < 1000
    assert 0 <= found["endTime"] - asked - 2_000_000 < 1000
    assert found["snapshotTime"] >= found["endTime"]


def test_a_transfer_keeps_its_first_start(world: World) -> None:
    number = world.in_state(Status.SENDING)
    started = world.call("getTransfer", transferId=number)["startTime"]
    world.done("suspendTransferAsync", transferId=number)
    world.done("resumeTransferAsync", transferId=number)
    world.work.started(int(number))
    assert world.call("getTransfer", transferId=number)["startTime"] == started


def test_transfers_are_listed_page_by_page(world: World) -> None:
    here, there = world.destination(), world.destination(destinationPort=1)
    manifest = world.manifest()
    for number in range(6):
        world.transfer(destinationId=there if number % 2 else here, manifestId=manifest)
    world.transfer(BOB)

    def ids(who: Principal = ANN, **arguments: Any) -> list[str]:
        return [each["transferId"] for each in world.call("getTransfers", who, **arguments)]

    assert ids() == ids(limit=0) == list("123456")
    assert ids(limit=2) == ["1", "2"]
    assert ids(after="2", limit=3) == ["3", "4", "5"]
    assert ids(before={"transferId": "3"}) == ["1", "2"]
    assert ids(after=1, before=4) == ["2", "3"]
    assert ids(destinationId=there) == ["2", "4", "6"]
    assert ids(destinationId=there, after="2", limit=1) == ["4"]
    assert ids(ROOT) == list("1234567")
    assert ids(BOB) == ["7"]
    assert ids(limit=10**12) == list("123456")


def test_no_page_has_more_than_fits(world: World) -> None:
    arguments: dict[str, Any] = {
        "destinationId": world.destination(),
        "manifestId": world.manifest(),
    }
    for _ in range(MAX_PAGE + 3):
        world.call("createTransfer", **arguments)
    page = world.call("getTransfers")
    assert 1 < len(page) <= MAX_PAGE
    assert len(json.dumps(page)) < 512 * 1024
    found = [each["transferId"] for each in page]
    while page:
        page = world.call("getTransfers", after=found[-1])
        found += [each["transferId"] for each in page]
    assert found == [str(number) for number in range(1, MAX_PAGE + 4)]


def test_priority_and_lane_are_changed(world: World) -> None:
    number = world.in_state(Status.SENDING)
    assert world.done("setTransferPriorityAsync", transferId=number, priority=0) == {
        "transferId": number
    }
    world.done("setTransferPriorityAsync", transferId=number, priorityLane="High")
    world.done("setTransferPriorityAsync", transferId=number)
    found = world.call("getTransfer", transferId=number)
    assert (found["priority"], found["priorityLane"]) == (0, "High")
    assert [plan.id for plan in world.work.next_transfers(1, "High", 1)] == [int(number)]


def test_the_rate_is_changed_and_told(world: World) -> None:
    number = world.in_state(Status.SENDING)
    result = world.done("setTransferSendRateMaxAsync", transferId=number, sendRateMax=128)
    assert result == {"sendRateMax": 128.0}
    assert world.work.transfers([int(number)])[int(number)].rate == 16_000.0
    result = world.done("setTransferSendRateMaxAsync", transferId=number, sendRateMax=-1)
    assert result == {"sendRateMax": -1.0}
    assert world.call("getTransfer", transferId=number)["sendRateMax"] is None


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("setTransferPriorityAsync", {"priority": -1}),
        ("setTransferPriorityAsync", {"priority": 2**32}),
        ("setTransferPriorityAsync", {"priority": "1"}),
        ("setTransferPriorityAsync", {"priorityLane": "X"}),
        ("setTransferPriorityAsync", {"priorityLane": 1}),
        ("setTransferSendRateMaxAsync", {"sendRateMax": 0}),
        ("setTransferSendRateMaxAsync", {"sendRateMax": -2}),
        ("setTransferSendRateMaxAsync", {}),
        ("failTransfer", {"errorMessage": 5}),
        ("failTransfer", {"errorMessage": "x" * 4097}),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    number = world.in_state(Status.SENDING)
    error = refusal(world, command, transferId=number, **arguments)
    assert error.kind is ErrorKind.INVALID
    assert world.status(number) == "sending"


def test_a_lane_is_checked_again_when_it_is_its_turn(world: World) -> None:
    number = world.in_state(Status.SUSPENDED)
    request = world.call("setTransferPriorityAsync", transferId=number, priorityLane="Low")
    world.done("setPriorityLanesAsync", destinationId=1, priorityLanes={"Only": 1.0})
    with pytest.raises(CommandError, match="no priority lane 'Low'; it has 'Only'"):
        world.queue.carry_out(request)


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("getTransfer", {}),
    ("suspendTransferAsync", {}),
    ("resumeTransferAsync", {}),
    ("failTransfer", {}),
    ("deleteTransfer", {}),
    ("setTransferPriorityAsync", {"priority": 1}),
    ("setTransferSendRateMaxAsync", {"sendRateMax": 1}),
]


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_what_is_not_there_and_what_is_not_yours_are_the_same(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    for status in (Status.SENDING, Status.SUSPENDED, Status.COMPLETE):
        number = world.in_state(status, BOB)
        before = world.row(number)
        error = refusal(world, command, transferId=number, **arguments)
        unknown = refusal(world, command, transferId="99", **arguments)
        assert str(error).replace(number, "99") == str(unknown)
        assert error.kind is unknown.kind is ErrorKind.NOT_FOUND
        assert world.row(number) == before
    for given in ("x", "", "-1", "9" * 40, {"transferId": "x"}):
        error = refusal(world, command, transferId=given, **arguments)
        assert error.kind is ErrorKind.NOT_FOUND
    wrong: Any
    for wrong in (None, True, [], {}, 1.5, {"manifestId": "1"}):
        error = refusal(world, command, transferId=wrong, **arguments)
        assert error.kind is ErrorKind.INVALID


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_a_call_that_nobody_has_logged_on_for_is_refused(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    assert isinstance(
        refusal(world, command, None, transferId="1", **arguments), AuthenticationError
    )


def test_what_one_token_makes_another_does_not_see(world: World) -> None:
    first, second = (
        Principal("ann", token=f"{n}-0123456789ab", permissions=frozenset({"download"}))
        for n in (1, 2)
    )
    number = world.in_state(Status.SENDING, first)
    assert refusal(world, "getTransfer", second, transferId=number).kind is ErrorKind.NOT_FOUND
    assert world.call("getTransfers", second) == []
    assert world.call("getTransfer", transferId=number)["ownerToken"] == "1-0123456789ab"

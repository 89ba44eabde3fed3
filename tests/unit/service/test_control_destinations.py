"""Commands about destinations."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from dxlfiletransferclient.control.constants import DEFAULT_PRIORITY_LANES, PERMISSIONS
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.control.tables import connections, destinations, transfers
from dxlfiletransferservice.courier.seams import (
    ConnectionState,
    Contact,
    DestinationState,
    Status,
)
from tests.unit.service.sendingworld import ANN, BOB, KEY, ROOT, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def refusal(world: World, command: str, **arguments: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        world.call(command, **arguments)
    return error.value


def test_a_new_destination_has_every_field(world: World) -> None:
    assert world.destination(
        destinationAddress="receiver01",
        destinationPort=9000,
        sendRateMax=750_000,
        authenticateDestination=True,
        destinationPublicKey=f" {KEY} ",
        senderPort=-1,
        permanent=True,
    ) == {
        "destinationId": "1",
        "connectionId": "1",
        "destinationAddress": "receiver01",
        "destinationIP": "192.0.2.10",
        "destinationPort": 9000,
        "relayAddress": None,
        "relayIP": None,
        "relayPort": None,
        "senderPort": -1,
        "authenticateDestination": True,
        "destinationPublicKey": KEY,
        "encryptedConnectionState": "disconnected",
        "encryptionEnabled": True,
        "lastError": None,
        "lastErrorMessage": "",
        "roundTripTimeMs": None,
        "lastDestinationServerId": None,
        "lastDestinationServerUid": None,
        "lastReceiverDestinationId": None,
        "lastSendTime": None,
        "lastRecvTime": None,
        "numTransfersQueued": 0,
        "sendRateMax": 750_000.0,
        "sendRate": 0.0,
        "priorityLanes": dict(DEFAULT_PRIORITY_LANES),
        "transferDefaults": {},
        "exclusive": False,
        "permanent": True,
        "userData": {},
        "owner": "ann",
        "ownerToken": None,
        "ownerTokenSession": None,
    }
    assert world.events.names() == ["destinationCreated"]


def test_little_is_needed(world: World) -> None:
    found = world.destination(destinationAddress="receiver01")
    assert (found["destinationPort"], found["sendRateMax"]) == (8886, None)


def test_the_same_parameters_mean_the_same_destination(world: World) -> None:
    first = world.destination(destinationAddress="receiver01", sendRateMax=100)
    again = world.destination(destinationAddress="Receiver01", destinationPort=8886, senderPort=0)
    assert again == first
    assert world.events.names() == ["destinationCreated"]


def test_one_that_is_asked_for_again_is_as_good_as_new(world: World) -> None:
    world.destination()
    world.clocks.pass_by(10**9)
    moved = world.clocks.wall_us
    world.addresses["receiver01"] = "192.0.2.99"
    assert world.destination()["destinationIP"] == "192.0.2.99"
    assert world.call("getConnection", connectionId=1)["destinationIP"] == "192.0.2.99"
    with world.database.read() as connection:
        made = connection.scalar(select(destinations.c.created))
    assert made is not None
    assert made >= moved


@pytest.mark.parametrize(
    "other",
    [
        {"destinationAddress": "receiver02"},
        {"destinationPort": 8887},
        {"senderPort": 5},
        {"permanent": True},
        {"exclusive": True},
        {"destinationPublicKey": KEY},
        {"destinationPublicKey": KEY, "authenticateDestination": False},
        {"relayAddress": "relay01"},
        {"relayAddress": "relay01", "relayPort": 7},
    ],
)
def test_any_other_parameter_means_another_destination(world: World, other: dict[str, Any]) -> None:
    first = world.destination()
    second = world.destination(**other)
    assert second["destinationId"] != first["destinationId"]
    if "exclusive" not in other:
        assert world.destination(**other) == second


def test_an_exclusive_one_is_nobody_elses(world: World) -> None:
    first = world.destination(exclusive=True)
    assert first["exclusive"] is True
    assert world.destination()["destinationId"] != first["destinationId"]


def test_others_have_destinations_of_their_own(world: World) -> None:
    first = world.destination()
    token = replace(ANN, token="7-0123456789ab")
    numbers = {first["destinationId"]}
    for who in (BOB, ROOT, token):
        numbers.add(world.destination(who)["destinationId"])
        numbers.add(world.destination(who)["destinationId"])
    assert len(numbers) == 4
    assert world.destination()["destinationId"] == first["destinationId"]
    with world.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(connections)) == 1


def test_the_same_call_makes_one(world: World) -> None:
    first, second = (
        world.call(
            "createDestination", call_id="f" * 32, destinationAddress="receiver01", exclusive=True
        )
        for _ in range(2)
    )
    assert first == second


def test_a_relay_is_dialled_and_the_address_names_an_instance(world: World) -> None:
    found = world.destination(
        destinationAddress="Site B", relayAddress="Relay01", destinationPort=1, relayPort=8883
    )
    assert world.resolved == ["relay01"]
    assert found["destinationAddress"] == "Site B"
    assert found["destinationIP"] is None
    assert (found["relayAddress"], found["relayIP"], found["relayPort"]) == (
        "Relay01",
        "192.0.2.7",
        8883,
    )
    plan = world.work.destination(int(found["destinationId"]))
    assert plan is not None
    assert (plan.address, plan.port, plan.instance) == ("Relay01", 8883, "Site B")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "needs the argument 'destinationAddress'"),
        ({"destinationAddress": ""}, "text of 1 to 253 characters"),
        ({"destinationAddress": 7}, "text of 1 to 253 characters"),
        ({"destinationAddress": "nowhere"}, "the address 'nowhere' does not resolve"),
        ({"destinationAddress": "receiver01:8886"}, "an argument of its own"),
        ({"destinationAddress": "receiver01", "destinationPort": 0}, "from 1 to 65535"),
        ({"destinationAddress": "receiver01", "destinationPort": 65536}, "from 1 to 65535"),
        ({"destinationAddress": "receiver01", "destinationPort": "8886"}, "a whole number"),
        ({"destinationAddress": "receiver01", "senderPort": -2}, "from -1 to 65535"),
        ({"destinationAddress": "receiver01", "sendRateMax": 0}, "1 to 1e+12, or -1"),
        ({"destinationAddress": "receiver01", "sendRateMax": -2}, "a number from -1"),
        (
            {"destinationAddress": "receiver01", "authenticateDestination": True},
            "'destinationPublicKey' is needed",
        ),
        ({"destinationAddress": "receiver01", "destinationPublicKey": "x"}, "is 'x': "),
        ({"destinationAddress": "receiver01", "relayPort": 7}, "without a 'relayAddress'"),
        ({"destinationAddress": "b", "relayAddress": "nowhere"}, "'nowhere' does not resolve"),
        ({"destinationAddress": "b\n", "relayAddress": "relay01"}, "no name"),
        ({"destinationAddress": "receiver01", "exclusive": 1}, "true or false"),
        ({"destinationAddress": "receiver01", "sendRateMin": 1}, "takes no argument 'sendRateMin'"),
    ],
)
def test_wrong_parameters_are_named(
    world: World, arguments: dict[str, Any], complaint: str
) -> None:
    error = refusal(world, "createDestination", **arguments)
    assert complaint in str(error)
    assert error.kind is ErrorKind.INVALID
    assert world.call("getDestinations") == []
    assert world.call("getConnections") == []


def test_a_key_is_demanded_unless_that_is_refused(world: World) -> None:
    demanded = world.destination(destinationPublicKey=KEY)
    known = world.destination(destinationPublicKey=KEY, authenticateDestination=False)
    assert demanded["authenticateDestination"] is True
    assert known["authenticateDestination"] is False
    keys = [
        plan.public_key
        for each in (demanded, known)
        if (plan := world.work.destination(int(each["destinationId"])))
    ]
    assert keys == [KEY, None]


def test_a_destination_is_found_by_id_and_structure(world: World) -> None:
    made = world.destination()
    for given in ("1", 1, made, {"destinationId": 1}):
        assert world.call("getDestination", destinationId=given) == made


def test_what_couriers_know_is_shown(world: World) -> None:
    world.transfer()
    world.work.contacted(1, Contact(server_id="s", server_uid="u", sent_us=5, received_us=6))
    world.work.contacted(1, Contact(receiver_id="r", received_us=7))
    world.couriers.states[1] = DestinationState(
        ConnectionState.CONNECTED, None, "", KEY, rate=125_000.0, round_trip=0.25
    )
    found = world.call("getDestination", destinationId=1)
    assert found["encryptedConnectionState"] == "connected"
    assert found["destinationPublicKey"] == KEY
    assert (found["sendRate"], found["roundTripTimeMs"]) == (1000.0, 250.0)
    assert (found["lastDestinationServerId"], found["lastDestinationServerUid"]) == ("s", "u")
    assert (found["lastSendTime"], found["lastRecvTime"]) == (5, 7)
    assert found["lastReceiverDestinationId"] == "r"
    world.couriers.states[1] = DestinationState(error="unreachable", error_message="no answer")
    found = world.call("getDestination", destinationId=1)
    assert (found["lastError"], found["lastErrorMessage"]) == ("unreachable", "no answer")


def test_transfers_that_wait_are_counted(world: World) -> None:
    for status in Status:
        world.in_state(status)
    assert world.call("getDestination", destinationId=1)["numTransfersQueued"] == 2


def test_destinations_are_listed_page_by_page(world: World) -> None:
    made = [world.destination(destinationPort=1 + n)["destinationId"] for n in range(5)]
    world.destination(BOB)

    def ids(**arguments: Any) -> list[str]:
        return [each["destinationId"] for each in world.call("getDestinations", **arguments)]

    assert ids() == ids(limit=0) == ids(limit=500) == made
    assert ids(limit=2) == made[:2]
    assert ids(after=made[1], limit=2) == made[2:4]
    assert ids(before={"destinationId": made[2]}) == made[:2]
    assert ids(after="x") == made
    assert refusal(world, "getDestinations", limit=-1).kind is ErrorKind.INVALID


def test_an_answer_stays_small_however_much_there_is_to_tell(world: World) -> None:
    for number in range(4):
        made = world.destination(destinationPort=1 + number)
        for key in range(64):
            world.call("updateObjectUserData", objId=made, key=str(key), value="v" * 4096)
    assert len(world.call("getDestinations")) == 1
    assert len(world.call("getDestinations", after=3)) == 1


def test_a_destination_goes_with_its_transfers(world: World) -> None:
    for status in (Status.COMPLETE, Status.ERROR, Status.SUSPENDED):
        world.in_state(status)
    other = world.transfer(destinationId=world.destination(destinationPort=1))
    world.events.entries.clear()
    assert world.call("deleteDestination", destinationId=1) is None
    assert refusal(world, "getDestination", destinationId=1).kind is ErrorKind.NOT_FOUND
    assert [each["transferId"] for each in world.call("getTransfers")] == [other["transferId"]]
    assert world.events.names() == ["transferDeleted"] * 3 + ["destinationDeleted"]
    assert world.couriers.refreshed[-1] == 1
    assert [each["connectionId"] for each in world.call("getConnections")] == ["2"]


@pytest.mark.parametrize("status", [Status.PENDING, Status.SENDING, Status.RESUMING])
def test_a_destination_stays_while_transfers_are_active(world: World, status: Status) -> None:
    number = world.in_state(status)
    error = refusal(world, "deleteDestination", destinationId=1)
    assert error.kind is ErrorKind.STATE
    assert "has active transfers" in str(error)
    assert world.status(number) == status


def test_numbers_are_not_used_again(world: World) -> None:
    first = world.destination()
    world.call("deleteDestination", destinationId=first)
    assert world.destination()["destinationId"] != first["destinationId"]


def test_the_rate_is_changed_and_told(world: World) -> None:
    world.destination()
    result = world.done("setSendRateMaxAsync", destinationId=1, sendRateMax=750_000)
    assert result == {"sendRateMax": 750_000.0}
    assert world.call("getDestination", destinationId=1)["sendRateMax"] == 750_000.0
    plan = world.work.destination(1)
    assert plan is not None
    assert plan.rate == 750_000 * 125
    assert world.couriers.refreshed == [1]
    world.done("setSendRateMaxAsync", destinationId=1, sendRateMax=-1)
    assert world.call("getDestination", destinationId=1)["sendRateMax"] is None


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("setSendRateMaxAsync", {"sendRateMax": 0.5}),
        ("setSendRateMaxAsync", {"sendRateMax": None}),
        ("setSendRateMaxAsync", {"sendRateMax": float("inf")}),
        ("setSendRateMaxAsync", {"sendRateMax": "fast"}),
        ("setPriorityLanesAsync", {"priorityLanes": {"A": 0.5}}),
        ("setPriorityLanesAsync", {}),
        ("schedulePingAsync", {"pingCount": 0}),
        ("schedulePingAsync", {"pingCount": 1001}),
        ("schedulePingAsync", {}),
        ("updateTransferDefaults", {"priority": -1}),
        ("updateTransferDefaults", {"priorityLane": "X"}),
        ("updateTransferDefaults", {"timeoutSeconds": 1}),
        ("updateTransferDefaults", {"transferFlags": 16}),
        ("updateTransferDefaults", {"overwriteMode": 6}),
        ("updateTransferDefaults", {"minCipher": 4}),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    world.destination()
    before = world.call("getDestination", destinationId=1)
    error = refusal(world, command, destinationId=1, **arguments)
    assert error.kind is ErrorKind.INVALID
    assert world.call("getDestination", destinationId=1) == before


def test_lanes_are_changed_and_told(world: World) -> None:
    world.destination()
    lanes = {"Top": 0.75, "Rest": 0.25, "Spare": 0}
    result = world.done("setPriorityLanesAsync", destinationId=1, priorityLanes=lanes)
    assert result == {"priorityLanes": {"Top": 0.75, "Rest": 0.25, "Spare": 0.0}}
    found = world.call("getDestination", destinationId=1)["priorityLanes"]
    assert list(found.items()) == [("Top", 0.75), ("Rest", 0.25), ("Spare", 0.0)]
    assert world.transfer()["priorityLane"] == "Top"


def test_transfers_and_defaults_go_with_their_lane(world: World) -> None:
    suspended = world.in_state(Status.SUSPENDED, priorityLane="High")
    world.call("updateTransferDefaults", destinationId=1, priorityLane="High")
    lanes = {"Top": 0.7, "Normal": 0.25, "Low": 0.05, "Idle": 0}
    world.done("setPriorityLanesAsync", destinationId=1, priorityLanes=lanes)
    assert world.call("getTransfer", transferId=suspended)["priorityLane"] == "Top"
    assert world.transfer()["priorityLane"] == "Top"


def test_an_active_transfer_keeps_its_lane(world: World) -> None:
    world.transfer(priorityLane="Low")
    renamed = {"High": 0.7, "Normal": 0.25, "Lower": 0.05, "Idle": 0}
    fewer = {"Low": 1.0}
    for lanes in (renamed, fewer):
        error = refusal(world, "setPriorityLanesAsync", destinationId=1, priorityLanes=lanes)
        assert error.kind is ErrorKind.STATE
    shares = {"High": 0.1, "Normal": 0.1, "Low": 0.8, "Idle": 0}
    world.done("setPriorityLanesAsync", destinationId=1, priorityLanes=shares)
    plan = world.work.destination(1)
    assert plan is not None
    assert plan.lanes == shares


def test_lanes_are_checked_again_when_it_is_their_turn(world: World) -> None:
    world.destination()
    request = world.call("setPriorityLanesAsync", destinationId=1, priorityLanes={"A": 1.0})
    world.transfer(priorityLane="Low")
    with pytest.raises(CommandError, match="from 4 to 1"):
        world.queue.carry_out(request)


def test_pings_are_passed_on(world: World) -> None:
    made = world.destination()
    assert world.done("schedulePingAsync", destinationId=made, pingCount=3) is None
    assert world.couriers.pings == [(1, 3)]


def test_defaults_hold_for_new_transfers(world: World) -> None:
    world.destination()
    options: dict[str, Any] = {
        "priority": 7,
        "transferFlags": 3,
        "checkpointFrequencySeconds": 30,
        "sendRateMax": 500,
        "priorityLane": "Low",
        "overwriteMode": 3,
        "minCipher": 3,
        "fileTimeResolutionMicroseconds": 2_000_000,
    }
    before = world.transfer()
    assert world.call("updateTransferDefaults", destinationId=1, **options) is None
    after = world.transfer()
    assert {name: after[name] for name in options} == options
    unchanged = world.call("getTransfer", transferId=1)
    assert {name: unchanged[name] for name in options} == {name: before[name] for name in options}
    world.call("updateTransferDefaults", destinationId=1, priority=9)
    assert world.call("getDestination", destinationId=1)["transferDefaults"] == {
        **options,
        "priority": 9,
    }
    own = world.transfer(checkpointFrequencySeconds=0, sendRateMax=-1, priorityLane="High")
    assert own["checkpointFrequencySeconds"] is None
    assert own["sendRateMax"] is None
    assert (own["priorityLane"], own["priority"]) == ("High", 9)


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("getDestination", {}),
    ("deleteDestination", {}),
    ("updateTransferDefaults", {"priority": 1}),
    ("setSendRateMaxAsync", {"sendRateMax": 1}),
    ("setPriorityLanesAsync", {"priorityLanes": {"A": 1.0}}),
    ("schedulePingAsync", {"pingCount": 1}),
    ("getTransfers", {}),
]


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_what_is_not_there_and_what_is_not_yours_are_the_same(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    world.transfer(BOB)
    before = world.call("getDestination", BOB, destinationId=1)
    errors = [
        refusal(world, command, destinationId=given, **arguments)
        for given in (1, "1", {"destinationId": "1"}, 99, "x", "-1", "9" * 40, "")
    ]
    assert {error.kind for error in errors} == {ErrorKind.NOT_FOUND}
    assert str(errors[0]).replace("1", "99") == str(errors[3])
    optional = command == "getTransfers"
    wrong: Any
    for wrong in (True, [], {}, 1.5) if optional else (None, True, [], {}, 1.5):
        error = refusal(world, command, destinationId=wrong, **arguments)
        assert error.kind is ErrorKind.INVALID
    assert world.call("getDestination", BOB, destinationId=1) == before


@pytest.mark.parametrize(("command", "arguments"), COMMANDS[:1] + COMMANDS[2:])
def test_superusers_may_do_it_all(world: World, command: str, arguments: dict[str, Any]) -> None:
    world.destination(BOB)
    world.call(command, ROOT, destinationId=1, **arguments)


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_a_call_that_nobody_has_logged_on_for_is_refused(
    world: World, command: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(AuthenticationError):
        world.call(command, None, destinationId=1, **arguments)


def test_a_token_may_do_what_it_permits(world: World) -> None:
    for permission in sorted(PERMISSIONS):
        who = replace(ANN, token="7-0123456789ab", permissions=frozenset({permission}))
        if permission == "download":
            made = world.destination(who)
            error = refusal_of(world, who, "deleteDestination", destinationId=made)
            assert "'delete'" in str(error)
        else:
            error = refusal_of(world, who, "createDestination", destinationAddress="receiver01")
            assert "'download'" in str(error)
        assert error.kind is ErrorKind.NOT_ALLOWED


def refusal_of(world: World, who: Any, command: str, **arguments: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        world.call(command, who, **arguments)
    return error.value


def test_a_guest_may_make_and_delete_destinations(world: World) -> None:
    guest = replace(ANN, token="7-0123456789ab", permissions=frozenset({"download"}), manifest_id=1)
    made = world.destination(guest)
    world.call("deleteDestination", guest, destinationId=made)


def test_deleting_leaves_no_transfer_behind(world: World) -> None:
    world.in_state(Status.COMPLETE)
    world.call("deleteDestination", destinationId=1)
    with world.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(transfers)) == 0

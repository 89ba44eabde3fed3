"""Commands about connections."""

from collections.abc import Iterator
from typing import Any

import pytest

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.courier.seams import ConnectionState, Contact, DestinationState
from tests.unit.service.sendingworld import ANN, BOB, KEY, ROOT, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def refusal(world: World, command: str, who: Any = ANN, **arguments: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        world.call(command, who, **arguments)
    return error.value


def test_a_connection_has_every_field(world: World) -> None:
    made = world.destination()
    assert world.call("getConnection", connectionId=made["connectionId"]) == {
        "connectionId": "1",
        "destinationIP": "192.0.2.10",
        "destinationPort": 8886,
        "relayIP": None,
        "relayPort": None,
        "destinationPublicKey": None,
        "encryptedConnectionState": "disconnected",
        "encryptionEnabled": True,
        "lastError": None,
        "lastErrorMessage": "",
        "roundTripTimeMs": None,
        "lastDestinationServerId": None,
        "lastDestinationServerUid": None,
        "lastSendTime": None,
        "lastRecvTime": None,
        "numTransfersQueued": 0,
        "rateControllerActive": True,
        "rateControlMethod": 0,
        "sendRate": 0.0,
        "sendRateMin": None,
        "sendRateMax": None,
    }


def test_a_relay_has_a_connection_that_the_names_behind_it_share(world: World) -> None:
    first = world.destination(destinationAddress="A", relayAddress="relay01")
    second = world.destination(destinationAddress="B", relayAddress="RELAY01")
    assert first["connectionId"] == second["connectionId"]
    found = world.call("getConnection", connectionId=first)
    assert (found["relayIP"], found["relayPort"]) == ("192.0.2.7", 8886)
    assert (found["destinationIP"], found["destinationPort"]) == (None, None)
    direct = world.destination(destinationAddress="relay01")
    assert direct["connectionId"] != first["connectionId"]


def test_it_sums_up_what_is_behind_it(world: World) -> None:
    for number in range(3):
        made = world.destination(exclusive=True)
        world.transfer(destinationId=made)
        state = ConnectionState.NEGOTIATING if number else ConnectionState.CONNECTED
        world.couriers.states[number + 1] = DestinationState(state, rate=125.0, public_key=KEY)
        world.work.contacted(number + 1, Contact(server_id=f"s{number}", received_us=9 - number))
    world.transfer(BOB)
    world.couriers.states[4] = DestinationState(rate=12_500.0)
    found = world.call("getConnection", connectionId=1)
    assert found["numTransfersQueued"] == 3
    assert found["sendRate"] == 3.0
    assert found["encryptedConnectionState"] == "connected"
    assert (found["lastDestinationServerId"], found["lastRecvTime"]) == ("s0", 9)
    assert world.call("getConnection", ROOT, connectionId=1)["numTransfersQueued"] == 4


def test_connections_are_listed_page_by_page(world: World) -> None:
    for port in range(1, 5):
        world.destination(destinationPort=port)
    world.destination(BOB, destinationPort=9)
    assert [each["connectionId"] for each in world.call("getConnections", limit=0)] == [
        "1",
        "2",
        "3",
        "4",
    ]
    page = world.call("getConnections", after={"connectionId": "1"}, limit=2)
    assert [each["connectionId"] for each in page] == ["2", "3"]
    assert len(world.call("getConnections", ROOT)) == 5


def test_rates_are_changed(world: World) -> None:
    world.destination()
    world.destination(exclusive=True)
    result = world.done(
        "updateConnectionParamsAsync",
        connectionId=1,
        sendRateMin=10,
        sendRateMax=1000,
        sendRate=500,
        rateControlEnabled=False,
        rateControlMethod=1,
    )
    assert result is None
    found = world.call("getConnection", connectionId=1)
    assert (found["sendRateMin"], found["sendRateMax"]) == (10.0, 1000.0)
    assert (found["rateControllerActive"], found["rateControlMethod"]) == (False, 1)
    assert limit_of(world) == 500 * 125
    assert world.couriers.refreshed == [1, 2]
    world.done("updateConnectionParamsAsync", connectionId=1, rateControlEnabled=True)
    assert limit_of(world) == 1000 * 125
    world.done("updateConnectionParamsAsync", connectionId=1, sendRateMax=-1)
    assert limit_of(world) is None
    assert world.call("getConnection", connectionId=1)["sendRateMin"] == 10.0


def limit_of(world: World) -> float | None:
    plan = world.work.destination(1)
    assert plan is not None
    return plan.connection_rate


def test_a_lower_highest_rate_takes_the_others_with_it(world: World) -> None:
    world.destination()
    world.done("updateConnectionParamsAsync", connectionId=1, sendRateMin=100, sendRate=200)
    world.done(
        "updateConnectionParamsAsync", connectionId=1, sendRateMax=50, rateControlEnabled=False
    )
    assert world.call("getConnection", connectionId=1)["sendRateMin"] == 50.0
    assert limit_of(world) == 50 * 125


@pytest.mark.parametrize(
    "arguments",
    [
        {"sendRateMin": 200, "sendRateMax": 100},
        {"sendRate": 200, "sendRateMax": 100},
        {"sendRateMax": 0},
        {"sendRateMin": "x"},
        {"rateControlEnabled": 1},
        {"rateControlMethod": -1},
        {"rateControlMethod": 256},
        {"rate": 7},
    ],
)
def test_wrong_arguments_are_refused_at_once(world: World, arguments: dict[str, Any]) -> None:
    world.destination()
    error = refusal(world, "updateConnectionParamsAsync", connectionId=1, **arguments)
    assert error.kind is ErrorKind.INVALID


def test_rates_that_contradict_each_other_meanwhile_are_refused_later(world: World) -> None:
    world.destination()
    request = world.call("updateConnectionParamsAsync", connectionId=1, sendRateMin=100)
    world.done("updateConnectionParamsAsync", connectionId=1, sendRateMax=50)
    with pytest.raises(CommandError, match="'sendRateMin' is 100, above the highest rate of 50"):
        world.queue.carry_out(request)


def test_what_others_send_over_is_changed_by_superusers(world: World) -> None:
    world.destination()
    world.destination(BOB)
    error = refusal(world, "updateConnectionParamsAsync", connectionId=1, sendRateMax=1)
    assert error.kind is ErrorKind.NOT_ALLOWED
    world.done("updateConnectionParamsAsync", ROOT, connectionId=1, sendRateMax=1)
    assert limit_of(world) == 125


@pytest.mark.parametrize("command", ["getConnection", "updateConnectionParamsAsync"])
def test_what_is_not_there_and_what_is_not_yours_are_the_same(world: World, command: str) -> None:
    world.destination(BOB)
    errors = [refusal(world, command, connectionId=given) for given in (1, 99, "x", "")]
    assert {error.kind for error in errors} == {ErrorKind.NOT_FOUND}
    assert str(errors[0]).replace("1", "99") == str(errors[1])
    wrong: Any
    for wrong in (None, {}, True):
        assert refusal(world, command, connectionId=wrong).kind is ErrorKind.INVALID


def test_a_connection_goes_with_its_last_destination(world: World) -> None:
    world.destination()
    other = world.destination(exclusive=True)
    request = world.call("updateConnectionParamsAsync", connectionId=1, sendRateMax=1)
    world.call("deleteDestination", destinationId=1)
    assert len(world.call("getConnections")) == 1
    world.call("deleteDestination", destinationId=other)
    assert world.call("getConnections") == []
    with pytest.raises(CommandError, match="there is no connection '1'"):
        world.queue.carry_out(request)

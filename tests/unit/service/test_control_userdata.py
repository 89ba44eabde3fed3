"""Texts that programs attach to objects."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.tables import destinations, manifests, tokens, transfers
from tests.unit.service.sendingworld import ANN, BOB, ROOT, World

TABLES = {
    "transferId": transfers,
    "destinationId": destinations,
    "manifestId": manifests,
    "token": tokens,
}


@pytest.fixture
def world() -> Iterator[World]:
    """A world in which a transfer, its destination and its manifest all have the number 1."""
    made = World()
    made.transfer()
    made.token(1)
    yield made
    made.close()


def stored(world: World) -> dict[str, dict[str, str]]:
    with world.database.read() as connection:
        return {
            name: data
            for name, table in TABLES.items()
            if (data := connection.scalar(select(table.c.user_data)))
        }


def refusal(world: World, command: str, who: Any = ANN, **arguments: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        world.call(command, who, **arguments)
    return error.value


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"transferId": "1"}, "transferId"),
        ({"transferId": 1, "destinationId": "1", "manifestId": "1"}, "transferId"),
        ({"destinationId": "1", "connectionId": "1"}, "destinationId"),
        ({"manifestId": 1}, "manifestId"),
        ({"token": "1-0123456789ab", "manifestId": "1"}, "token"),
        ({"token": "1-0123456789ab.secret"}, "token"),
        ("1-0123456789ab", "token"),
        ("1-0123456789ab.secret", "token"),
    ],
)
def test_texts_are_set_changed_and_removed(world: World, given: Any, field: str) -> None:
    assert world.call("updateObjectUserData", objId=given, key="a", value="1") is None
    world.call("updateObjectUserData", objId=given, key="b", value="ü\U0001f600")
    world.call("updateObjectUserData", objId=given, key="a", value="2")
    assert stored(world) == {field: {"a": "2", "b": "ü\U0001f600"}}
    assert world.call("deleteObjectUserData", objId=given, key="a") is None
    assert stored(world) == {field: {"b": "ü\U0001f600"}}
    world.call("updateObjectUserData", objId=given, key="b")
    assert stored(world) == {field: {"b": ""}}


def test_they_are_in_structures(world: World) -> None:
    world.call("updateObjectUserData", objId={"transferId": 1}, key="k", value="t")
    world.call("updateObjectUserData", objId={"destinationId": 1}, key="k", value="d")
    assert world.call("getTransfer", transferId=1)["userData"] == {"k": "t"}
    assert world.call("getDestination", destinationId=1)["userData"] == {"k": "d"}


def test_structures_are_taken_as_they_come(world: World) -> None:
    world.call("updateObjectUserData", objId=world.call("getTransfer", transferId=1), key="k")
    world.call("updateObjectUserData", objId=world.call("getDestination", destinationId=1), key="k")
    assert set(stored(world)) == {"transferId", "destinationId"}


@pytest.mark.parametrize("given", ["1", 1])
def test_a_bare_id_of_several_objects_is_refused(world: World, given: Any) -> None:
    for command in ("updateObjectUserData", "deleteObjectUserData"):
        error = refusal(world, command, objId=given, key="k")
        assert "several of your objects (transfers and destinations and manifests)" in str(error)
        assert "give the structure" in str(error)
        assert error.kind is ErrorKind.INVALID
    assert stored(world) == {}


def test_a_bare_id_of_one_own_object_will_do(world: World) -> None:
    assert world.manifest() == "2"
    world.transfer(BOB)
    world.call("updateObjectUserData", objId="2", key="k", value="v")
    with world.database.read() as connection:
        rows = connection.execute(select(manifests.c.id, manifests.c.user_data))
        assert {row.id: row.user_data for row in rows}[2] == {"k": "v"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"key": ""}, "text of 1 to 128"),
        ({"key": "k" * 129}, "text of 1 to 128"),
        ({"key": 7}, "text of 1 to 128"),
        ({"key": "\ud800"}, "text of 1 to 128"),
        ({}, "needs the argument 'key'"),
        ({"key": "k", "value": "v" * 4097}, "text of 0 to 4096"),
        ({"key": "k", "value": 5}, "text of 0 to 4096"),
        ({"key": "k", "value": "\udfff"}, "text of 0 to 4096"),
        ({"key": "k", "other": 1}, "takes no argument 'other'"),
        ({"key": "k", "objId": None}, "needs the argument 'objId'"),
        ({"key": "k", "objId": {}}, "one of the fields transferId, token"),
        ({"key": "k", "objId": {"connectionId": "1"}}, "one of the fields"),
        ({"key": "k", "objId": True}, "one of the fields"),
        ({"key": "k", "objId": [1]}, "one of the fields"),
    ],
)
def test_wrong_arguments_are_refused(
    world: World, arguments: dict[str, Any], complaint: str
) -> None:
    error = refusal(world, "updateObjectUserData", **{"objId": {"transferId": 1}, **arguments})
    assert complaint in str(error)
    assert error.kind is ErrorKind.INVALID
    assert stored(world) == {}


def test_there_are_limits(world: World) -> None:
    this = {"transferId": 1}
    for number in range(64):
        world.call("updateObjectUserData", objId=this, key=f"{number:0128}", value="v" * 4096)
    error = refusal(world, "updateObjectUserData", objId=this, key="more")
    assert "65 texts" in str(error)
    world.call("updateObjectUserData", objId=this, key=f"{63:0128}", value="changed")
    assert len(stored(world)["transferId"]) == 64


def test_letters_that_take_more_room_have_less(world: World) -> None:
    this = {"transferId": 1}
    value = "\U0001f600" * 4096
    for number in range(7):
        world.call("updateObjectUserData", objId=this, key=str(number), value=value)
    error = refusal(world, "updateObjectUserData", objId=this, key="7", value=value)
    assert "the user data are too long; allowed are 393216 bytes in all" in str(error)
    assert len(stored(world)["transferId"]) == 7


@pytest.mark.parametrize("field", list(TABLES))
def test_what_is_not_there_and_what_is_not_yours_are_the_same(world: World, field: str) -> None:
    mine = "1-0123456789ab" if field == "token" else "1"
    other = replace(ANN, token="5-0123456789ab")
    for command in ("updateObjectUserData", "deleteObjectUserData"):
        for who in (BOB, other):
            error = refusal(world, command, who, objId={field: mine}, key="k")
            unknown = refusal(world, command, who, objId={field: "9" + mine}, key="k")
            assert error.kind is unknown.kind is ErrorKind.NOT_FOUND
            assert str(error) == str(unknown).replace("'9", "'")
            bare = refusal(world, command, who, objId=mine, key="k")
            assert bare.kind is ErrorKind.NOT_FOUND
    assert stored(world) == {}
    world.call("updateObjectUserData", ROOT, objId={field: mine}, key="k")
    assert set(stored(world)) == {field}


@pytest.mark.parametrize("given", ["", "x", "-1", "1.5", "9" * 30, "\ud800", {"token": "ü"}])
def test_what_can_be_no_id_is_not_found(world: World, given: Any) -> None:
    error = refusal(world, "updateObjectUserData", objId=given, key="k")
    assert error.kind is ErrorKind.NOT_FOUND


def test_what_was_not_set_cannot_be_removed(world: World) -> None:
    error = refusal(world, "deleteObjectUserData", objId={"transferId": 1}, key="k")
    assert (str(error), error.kind) == ("there are no user data 'k'", ErrorKind.NOT_FOUND)

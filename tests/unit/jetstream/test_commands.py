"""Which command each method calls, and with what."""

import logging
from typing import Any

import pytest

from dxlfiletransferclient.control.errors import CommandError
from jetstream import APIInterface
from jetstream.recvinterface import RecvInterface
from jetstream.sendinterface import SendInterface
from jetstream.serverinterface import ServerInterface
from tests.unit.jetstream.fakeconnection import FakeConnection, fake_api
from tests.unit.jetstream.test_signatures import RECV, SEND, SERVER

TRANSFER = {"transferId": "17", "destinationId": "42", "manifestId": "2", "status": "sending"}
DESTINATION = {"destinationId": "42", "connectionId": "3"}
MANIFEST = {"manifestId": "2", "status": "complete"}
CONNECTION = {"connectionId": "3"}
TOKEN = {"token": "abc", "manifestId": "2"}
EVERYTHING = {
    "destinationPath": "in",
    "userName": "ann",
    "password": "secret",
    "priority": 0,
    "transferFlags": 0,
    "checkpointFrequencySeconds": 0,
    "sendRateMax": 0.5,
    "priorityLane": "High",
    "overwriteMode": 0,
    "minCipher": 0,
    "fileTimeResolutionMicroseconds": 0,
    "timeoutSeconds": 0,
    "userData": {"a": "b"},
    "token": "abc.def",
}
DEFAULTS = {
    "priority": 0,
    "transferFlags": 0,
    "checkpointFrequencySeconds": 0,
    "sendRateMax": 0.5,
    "priorityLane": "High",
    "overwriteMode": 0,
    "minCipher": 0,
    "fileTimeResolutionMicroseconds": 0,
}
PLACE = {
    "destinationAddress": "receiver01",
    "sendRateMax": 1000,
    "destinationPort": 8887,
    "authenticateDestination": False,
    "destinationPublicKey": "key",
    "relayAddress": "relay",
    "relayPort": 1,
    "senderPort": -1,
    "exclusive": False,
    "permanent": True,
}
REQUEST = {"requestId": 1}
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any], Any]] = [
    ("send.createDestination", ("receiver01",), {}, {"destinationAddress": "receiver01"}, PLACE),
    ("send.createDestination", tuple(PLACE.values()), {}, PLACE, PLACE),
    ("send.createDestination", (), PLACE, PLACE, PLACE),
    ("send.deleteDestination", (DESTINATION,), {}, {"destinationId": "42"}, None),
    ("send.deleteDestination", (42,), {}, {"destinationId": 42}, None),
    ("send.getDestination", ("42",), {}, {"destinationId": "42"}, DESTINATION),
    (
        "send.schedulePingAsync",
        (DESTINATION, 3),
        {},
        {"destinationId": "42", "pingCount": 3},
        REQUEST,
    ),
    (
        "send.setPriorityLanesAsync",
        (DESTINATION, {"a": 1.0}),
        {},
        {"destinationId": "42", "priorityLanes": {"a": 1.0}},
        REQUEST,
    ),
    (
        "send.setSendRateMaxAsync",
        (DESTINATION, 750000),
        {},
        {"destinationId": "42", "sendRateMax": 750000},
        REQUEST,
    ),
    (
        "send.updateTransferDefaults",
        (DESTINATION, *DEFAULTS.values()),
        {},
        {"destinationId": "42", **DEFAULTS},
        None,
    ),
    ("send.updateTransferDefaults", ("42",), {}, {"destinationId": "42"}, None),
    ("send.getConnection", (DESTINATION,), {}, {"connectionId": "3"}, CONNECTION),
    (
        "send.createSharedToken",
        (MANIFEST, "secret", 3, 60, "why"),
        {},
        {
            "manifestId": "2",
            "password": "secret",
            "downloadLimit": 3,
            "timeLimitSeconds": 60,
            "description": "why",
        },
        TOKEN,
    ),
    ("send.deleteSharedToken", (TOKEN,), {}, {"token": "abc"}, None),
    ("send.getSharedToken", ("abc.def",), {}, {"token": "abc.def"}, TOKEN),
    (
        "send.updateSharedToken",
        (TOKEN, 60, "why"),
        {},
        {"token": "abc", "timeLimitSeconds": 60, "description": "why"},
        None,
    ),
    (
        "send.createTransfer",
        (DESTINATION, MANIFEST),
        {},
        {"destinationId": "42", "manifestId": "2"},
        TRANSFER,
    ),
    (
        "send.createTransfer",
        ("42", 2),
        EVERYTHING,
        {"destinationId": "42", "manifestId": 2, **EVERYTHING},
        TRANSFER,
    ),
    ("send.deleteTransfer", (TRANSFER,), {}, {"transferId": "17"}, None),
    (
        "send.failTransfer",
        (TRANSFER, "why"),
        {},
        {"transferId": "17", "errorMessage": "why"},
        None,
    ),
    ("send.failTransfer", (17,), {}, {"transferId": 17}, None),
    ("send.getTransfer", ({"transferId": 13},), {}, {"transferId": 13}, TRANSFER),
    ("send.resumeTransferAsync", (TRANSFER,), {}, {"transferId": "17"}, REQUEST),
    ("send.suspendTransferAsync", (TRANSFER,), {}, {"transferId": "17"}, REQUEST),
    (
        "send.setTransferPriorityAsync",
        (TRANSFER, 0, "High"),
        {},
        {"transferId": "17", "priority": 0, "priorityLane": "High"},
        REQUEST,
    ),
    (
        "send.setTransferSendRateMaxAsync",
        (TRANSFER, -1),
        {},
        {"transferId": "17", "sendRateMax": -1},
        REQUEST,
    ),
    ("send.deleteManifest", (MANIFEST,), {}, {"manifestId": "2"}, None),
    ("send.getManifest", (TRANSFER,), {}, {"manifestId": "2"}, MANIFEST),
    (
        "send.updateObjectUserData",
        (TRANSFER, "a", "b"),
        {},
        {"objId": {"transferId": "17"}, "key": "a", "value": "b"},
        None,
    ),
    (
        "send.updateObjectUserData",
        (TOKEN, "a"),
        {},
        {"objId": {"token": "abc"}, "key": "a", "value": ""},
        None,
    ),
    (
        "send.deleteObjectUserData",
        (DESTINATION, "a"),
        {},
        {"objId": {"destinationId": "42"}, "key": "a"},
        None,
    ),
    (
        "send.deleteObjectUserData",
        (MANIFEST, "a"),
        {},
        {"objId": {"manifestId": "2"}, "key": "a"},
        None,
    ),
    ("send.deleteObjectUserData", ("17", "a"), {}, {"objId": "17", "key": "a"}, None),
    ("server.getServerInfo", (), {}, {}, {"apiVersion": 40}),
    ("server.superuser", (), {}, {}, None),
    ("server.garbageCollect", (), {}, {}, {"transfers": 0}),
    (
        "server.updateGarbageCollectSettings",
        (0, 60),
        {},
        {"transferLifetimeSeconds": 0, "manifestLifetimeSeconds": 60},
        {"transferLifetimeSeconds": 0.0, "manifestLifetimeSeconds": 60.0},
    ),
    (
        "server.setSandboxMapping",
        ("", {"data": "/srv"}),
        {},
        {"userName": "", "mapping": {"data": "/srv"}},
        None,
    ),
    (
        "server.createAPIToken",
        ("in", {"upload", "delete"}, "secret", 60, "why"),
        {},
        {
            "path": "in",
            "permissions": ["delete", "upload"],
            "password": "secret",
            "timeLimitSeconds": 60,
            "description": "why",
        },
        TOKEN,
    ),
    ("server.createAPIToken", (), {}, {}, TOKEN),
    ("server.getAPIToken", (TOKEN,), {}, {"token": "abc"}, TOKEN),
    ("server.deleteAPIToken", ("abc",), {}, {"token": "abc"}, None),
    (
        "server.createUser",
        ("ann", "secret", True),
        {},
        {"userName": "ann", "password": "secret", "superuser": True},
        {"userName": "ann"},
    ),
    ("server.deleteUser", ("ann",), {}, {"userName": "ann"}, None),
    (
        "server.setPassword",
        ("ann", "new", "old"),
        {},
        {"userName": "ann", "password": "new", "oldPassword": "old"},
        None,
    ),
    ("recv.addAuthorizedClientAsync", ("key",), {}, {"clientPublicKey": "key"}, REQUEST),
    (
        "recv.addAuthorizedClientAsync",
        ({"clientPublicKey": "key"},),
        {},
        {"clientPublicKey": "key"},
        REQUEST,
    ),
    ("recv.removeAuthorizedClientAsync", ("key",), {}, {"clientPublicKey": "key"}, REQUEST),
    (
        "recv.allowOnlyAuthorizedClientsAsync",
        (False,),
        {},
        {"onlyAuthorizedClientsAllowed": False},
        REQUEST,
    ),
    ("recv.getSourcesAsync", (), {}, {}, REQUEST),
    ("recv.getTransfersAsync", (), {}, {}, REQUEST),
]
ELSEWHERE = {
    # Lists, waits, requests, log-on and the making of manifests have tests of their own.
    *("getConnections", "getDestinations", "getManifests", "getManifestFiles", "getSharedTokens"),
    *("getTransfers", "getAPITokens", "getUsers", "getEventLog", "getSandboxMappings"),
    *("waitForManifest", "waitForTransfer", "getRequestStatus", "getRequestResult"),
    *("auth", "authAsync", "createManifest", "updateConnectionParamsAsync"),
}


def interface_of(
    api: APIInterface, command: str
) -> SendInterface | ServerInterface | RecvInterface:
    found: SendInterface | ServerInterface | RecvInterface = getattr(api, command.split(".")[0])
    return found


@pytest.mark.parametrize(("command", "positional", "named", "arguments", "answer"), CALLS)
def test_what_is_called(
    command: str,
    positional: tuple[Any, ...],
    named: dict[str, Any],
    arguments: dict[str, Any],
    answer: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = FakeConnection()
    connection.script(command, answer)
    api = fake_api(connection)
    method = getattr(interface_of(api, command), command.split(".")[1])
    with caplog.at_level(logging.DEBUG, "jetstream"):
        assert method(*positional, **named) == answer
    assert connection.calls == [(command, arguments)]
    assert "secret" not in caplog.text
    assert command in caplog.text


def test_no_method_is_forgotten() -> None:
    called = {command.split(".")[1] for command, *_ in CALLS}
    assert called | ELSEWHERE == {*SEND, *SERVER, *RECV}
    assert not called & ELSEWHERE


def test_connection_parameters_return_nothing() -> None:
    connection = FakeConnection()
    connection.script("send.updateConnectionParamsAsync", REQUEST)
    parameters: dict[str, Any] = {
        "sendRateMin": 0,
        "sendRateMax": 2000.0,
        "sendRate": 1000.0,
        "rateControlEnabled": False,
        "rateControlMethod": 0,
    }
    send = fake_api(connection).send
    send.updateConnectionParamsAsync(CONNECTION, *parameters.values())
    assert connection.calls == [
        ("send.updateConnectionParamsAsync", {"connectionId": "3", **parameters})
    ]


def test_errors_of_the_server_come_through() -> None:
    connection = FakeConnection()
    connection.script("send.getTransfer", CommandError("there is no transfer '17'"))
    with pytest.raises(CommandError, match="there is no transfer '17'"):
        fake_api(connection).send.getTransfer("17")


def test_structure_of_something_else_is_the_servers_business() -> None:
    connection = FakeConnection()
    connection.script("send.getTransfer", TRANSFER)
    fake_api(connection).send.getTransfer(MANIFEST)
    assert connection.calls == [("send.getTransfer", {"transferId": MANIFEST})]


def test_what_is_no_mapping_is_the_servers_business() -> None:
    connection = FakeConnection()
    connection.script("send.setPriorityLanesAsync", REQUEST)
    connection.script("send.createTransfer", TRANSFER)
    send: Any = fake_api(connection).send
    twice = [("High", 0.5), ("High", 0.5)]
    send.setPriorityLanesAsync("42", twice)
    send.createTransfer("42", "2", userData="text")
    assert [arguments for _, arguments in connection.calls] == [
        {"destinationId": "42", "priorityLanes": twice},
        {"destinationId": "42", "manifestId": "2", "userData": "text"},
    ]

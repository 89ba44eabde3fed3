"""The API against the commands of a server, over a bus in memory: names, arguments, structures."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.control.caller import ControlClient
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.testing import MemoryBus
from dxlfiletransferservice.control import controlplane
from dxlfiletransferservice.control.controlplane import ControlPlane, ServerPlace
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.identity.localticket import read_local_ticket
from dxlfiletransferservice.control.identity.passwords import Passwords
from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts
from dxlfiletransferservice.control.visits import ControlPurpose
from jetstream import APIInterface, Helper, structures
from jetstream.connecting import ServerConnection, Settings
from tests.unit.jetstream.controlservers import ControlServer
from tests.unit.service.identities import CHEAP
from tests.unit.service.sendingworld import RecordingCouriers

KEY = PrivateKey.from_bytes(bytes(range(32)))


class IdleCouriers(RecordingCouriers):
    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    monkeypatch.setattr(controlplane, "Passwords", lambda: Passwords(CHEAP))
    facts = ServerFacts(
        server_id="{id}",
        server_uid="uid",
        server_name="one",
        host_name="host",
        version="1.2.3",
        public_key=KEY.public,
    )
    place = ServerPlace(
        ticket=tmp_path / "local.ticket",
        runs_as="admin",
        secret=KEY.to_bytes(),
        private=[tmp_path / "state"],
        storage=tmp_path / "storage",
    )
    database = Database(f"sqlite:///{tmp_path}/server.db")
    plane = ControlPlane(
        database, place, facts, listeners=(), couriers=lambda _work: IdleCouriers()
    )
    with ExitStack() as stack:
        stack.callback(database.close)
        stack.callback(plane.close)
        plane.start()
        yield plane


def new_api(plane: ControlPlane, ticket: str | None = None) -> APIInterface:
    """An API that nobody has logged on with, unless there is a ticket."""
    bus = MemoryBus()
    ControlServer(bus, purpose=ControlPurpose(plane.commands, plane.access))

    def connect(_settings: Settings) -> ServerConnection:
        client = ControlClient(bus, ticket=ticket)
        client.connect()
        return ServerConnection(client, ExitStack())

    return APIInterface(Settings(), connect=connect, waitTimeoutSeconds=30)


@pytest.fixture
def api(plane: ControlPlane, tmp_path: Path) -> Iterator[APIInterface]:
    """An API that whoever runs the server has logged on with."""
    with new_api(plane, read_local_ticket(tmp_path / "local.ticket")) as api:
        yield api


def check(found: Mapping[str, Any], kind: Any) -> None:
    """Check that a structure has the fields that are documented, and no others."""
    fields = set(kind.__annotations__)
    for base in getattr(kind, "__orig_bases__", ()):
        fields |= set(getattr(base, "__annotations__", ()))
    assert set(found) <= fields
    assert set(kind.__required_keys__) <= set(found)


@pytest.fixture
def manifest(api: APIInterface, tmp_path: Path) -> structures.Manifest:
    source = tmp_path / "data" / "a.txt"
    source.parent.mkdir()
    source.write_bytes(b"12345")
    made = api.send.createManifest(mappings={"in/a.txt": str(source)}, symlinkOptions=3)
    assert made["manifestId"] == "1"
    check(made, structures.Manifest)
    return api.send.waitForManifest(made)


@pytest.fixture
def transfer(api: APIInterface, manifest: structures.Manifest) -> structures.Transfer:
    destination = api.send.createDestination("127.0.0.1", 8000, 8886, permanent=True)
    return api.send.createTransfer(destination, manifest, "there", priority=7, userData={"a": "b"})


def test_manifests(api: APIInterface, manifest: structures.Manifest) -> None:
    assert (manifest["status"], manifest["totalFiles"], manifest["totalSize"]) == ("complete", 1, 5)
    files = api.send.getManifestFiles(manifest)
    assert files["manifestId"] == "1"
    (file,) = files["fileMappings"]
    check(file, structures.FileMapping)
    assert (file["destPath"], file["fileSize"]) == ("in/a.txt", 5)
    older = api.send.createManifest({file["srcPath"]: "b.txt"})
    assert api.send.waitForManifest(older)["status"] == "complete"
    assert [each["manifestId"] for each in api.send.getManifests()] == ["1", "2"]
    assert [each["manifestId"] for each in api.send.getManifests(after=manifest)] == ["2"]
    assert [each["manifestId"] for each in api.send.getManifests(before="2", limit=7)] == ["1"]
    found = Helper(api).getFilteredManifestFiles(lambda each: each["destPath"] == "b.txt")
    assert [each["manifestId"] for each in found] == ["2"]
    api.send.deleteManifest(older)
    with pytest.raises(CommandError) as caught:
        api.send.getManifest(older)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_large_manifest(api: APIInterface) -> None:
    long = "x" * 200
    mappings: Any = {f"d/{n:05}": {"src": f"/{long}/{n:05}", "size": n} for n in range(5_000)}
    manifest = api.send.waitForManifest(api.send.createManifest(mappings=mappings))
    assert (manifest["status"], manifest["totalFiles"]) == ("complete", 5_000)
    files = api.send.getManifestFiles(manifest)["fileMappings"]
    assert [(each["destPath"], each["fileSize"]) for each in files] == [
        (dest, source["size"]) for dest, source in mappings.items()
    ]
    assert len(api.send.getManifestFiles(manifest, 777)["fileMappings"]) == 777


def test_destinations_and_connections(api: APIInterface) -> None:
    send = api.send
    destination = send.createDestination(destinationAddress="127.0.0.1")
    check(destination, structures.Destination)
    again = send.createDestination("127.0.0.1", None, None, None, None, None, None, None, False)
    assert again["destinationId"] == destination["destinationId"]
    other = send.createDestination("127.0.0.1", exclusive=True, destinationPublicKey=KEY.public)
    assert [each["destinationId"] for each in send.getDestinations()] == ["1", "2"]
    assert send.getDestinations(1) == [send.getDestination(destination)]
    (connection,) = send.getConnections()
    check(connection, structures.Connection)
    assert send.getConnection(destination)["connectionId"] == connection["connectionId"]
    send.updateConnectionParamsAsync(connection, 1, 3000, 2000, True, 0)
    with pytest.raises(CommandError):
        send.updateConnectionParamsAsync("99", 1)
    lanes = {"A": 0.5, "B": 0.5, "C": 0.0}
    result = send.getRequestResult(send.setPriorityLanesAsync(other, lanes))
    assert result == {"priorityLanes": lanes}
    with pytest.raises(CommandError):
        send.setPriorityLanesAsync(other, {"A": 0.5})
    result = send.getRequestResult(send.setSendRateMaxAsync(other, 750000))
    assert result == {"sendRateMax": 750000.0}
    assert send.getConnection(connection)["sendRateMax"] == 3000
    assert send.getRequestResult(send.schedulePingAsync(other, 3)) is None
    send.updateTransferDefaults(other, 1, 3, 5, -1, "B", 3, 0, 2_000_000)
    assert send.getDestination(other)["transferDefaults"]["overwriteMode"] == 3
    send.deleteDestination(other)
    with pytest.raises(CommandError):
        send.getDestination(other)


def test_transfers(api: APIInterface, transfer: structures.Transfer) -> None:
    send = api.send
    check(transfer, structures.Transfer)
    assert transfer["status"] == "pending"
    every = send.createTransfer(
        transfer, transfer, "", "ann", "secret", 1, 3, 5, 1000, "High", 0, 0, 0, 60, {"c": "d"}
    )
    check(every, structures.Transfer)
    assert every["userName"] == "ann"
    assert [each["transferId"] for each in send.getTransfers()] == ["1", "2"]
    assert [each["transferId"] for each in send.getTransfers(transfer, "2", None, 5)] == ["1"]
    assert [each["transferId"] for each in send.getTransfers(after=transfer)] == ["2"]
    request = send.suspendTransferAsync(transfer)
    assert request["requestId"] == 1
    assert send.getRequestResult(request)["transferId"] == "1"
    check(send.getRequestStatus(request), structures.RequestStatus)
    assert send.waitForTransfer(transfer)["status"] == "suspended"
    assert send.getRequestResult(send.resumeTransferAsync("1"))["transferId"] == "1"
    assert send.getTransfer({"transferId": 1})["status"] == "resuming"
    with pytest.raises(CommandError) as caught:
        send.resumeTransferAsync(transfer)
    assert caught.value.kind is ErrorKind.STATE
    result = send.getRequestResult(send.setTransferPriorityAsync(transfer, 3, "Low"))
    assert result == {"transferId": "1"}
    result = send.getRequestResult(send.setTransferSendRateMaxAsync(transfer, 8000))
    assert result == {"sendRateMax": 8000.0}
    with pytest.raises(CommandError):
        send.deleteTransfer(transfer)
    send.failTransfer(transfer, "not needed")
    assert send.waitForTransfer(transfer)["errorMessage"] == "not needed"
    send.failTransfer(every)
    send.deleteTransfer(transfer)
    with pytest.raises(CommandError):
        send.waitForTransfer(transfer)


def test_user_data(api: APIInterface, transfer: structures.Transfer) -> None:
    send = api.send
    for found in (transfer, send.getDestination(transfer), send.getManifest(transfer)):
        send.updateObjectUserData(found, "key", "value")
        send.updateObjectUserData(found, "empty")
    assert send.getTransfer(transfer)["userData"] == {"a": "b", "key": "value", "empty": ""}
    assert send.getManifest(transfer)["userData"] == {"key": "value", "empty": ""}
    send.deleteObjectUserData(transfer, "a")
    with pytest.raises(CommandError):
        send.deleteObjectUserData(transfer, "a")
    with pytest.raises(CommandError, match="several of your objects"):
        send.updateObjectUserData("1", "key", "value")


def test_shared_tokens(api: APIInterface, manifest: structures.Manifest) -> None:
    send = api.send
    made = send.createSharedToken(manifest, None, 3, 60, "why")
    check(made, structures.Token)
    found = send.getSharedToken(made)
    check(found, structures.Token)
    assert made["token"].startswith(found["token"] + ".")
    assert found["downloadLimit"] == 3
    send.updateSharedToken(made["token"], 120, "because")
    send.updateObjectUserData(made, "key", "value")
    (listed,) = send.getSharedTokens()
    assert (listed["description"], listed["userData"]) == ("because", {"key": "value"})
    send.deleteSharedToken(listed)
    assert send.getSharedTokens() == []


def test_api_tokens(api: APIInterface) -> None:
    server = api.server
    made = server.createAPIToken("/inbox", ["upload"], timeLimitSeconds=60, description="why")
    check(made, structures.Token)
    assert server.getAPIToken(made)["permissions"] == ["upload"]
    assert [each["description"] for each in server.getAPITokens()] == ["why"]
    server.deleteAPIToken(made)
    assert server.getAPITokens(7) == []


def test_server(api: APIInterface, tmp_path: Path) -> None:
    server = api.server
    assert server.getServerInfo()["serverUid"] == "uid"
    check(server.garbageCollect(), structures.GarbageCollected)
    settings = server.updateGarbageCollectSettings(3600, None)
    check(settings, structures.GarbageCollection)
    assert settings["transferLifetimeSeconds"] == 3600
    (started,) = server.getEventLog(limit=1)
    assert started["_event"] == "serverStarted"
    assert started["_timestamp"] > 0
    assert server.getEventLog(before=started) == []
    server.setSandboxMapping("", {"data": str(tmp_path)})
    mapping: structures.Sandbox = {"type": "File", "path": str(tmp_path)}
    assert server.getSandboxMappings() == {"": {"data": mapping}}


def test_users(api: APIInterface) -> None:
    server = api.server
    assert server.getUsers() == []
    made = server.createUser("ann", "secret")
    check(made, structures.User)
    assert server.getUsers() == [made]
    server.setPassword("ann", "better")
    with pytest.raises(AuthenticationError):
        server.auth("ann", "secret")
    server.auth("ann", "better")
    with pytest.raises(CommandError) as caught:
        server.superuser()
    assert caught.value.kind is ErrorKind.NOT_ALLOWED
    server.setPassword("ann", "best", "better")
    assert api.send.getTransfers() == []


def test_log_on_later(api: APIInterface, plane: ControlPlane) -> None:
    api.server.createUser("ann", "secret", True)
    with new_api(plane) as other:
        server = other.server
        failed = server.authAsync("ann", "guess")
        with pytest.raises(AuthenticationError):
            server.getRequestResult(failed)
        request = server.authAsync("ann", "secret")
        assert server.getRequestResult(request) is None
        assert server.getRequestStatus(request)["status"] == "complete"
        assert other.send.getTransfers() == []
        with pytest.raises(CommandError):
            server.getUsers()
        server.superuser()
        assert [each["userName"] for each in server.getUsers()] == ["ann"]


def test_receiver(api: APIInterface) -> None:
    recv, server = api.recv, api.server
    requests = [
        recv.addAuthorizedClientAsync(KEY.public),
        recv.allowOnlyAuthorizedClientsAsync(True),
        recv.removeAuthorizedClientAsync({"clientPublicKey": KEY.public}),
    ]
    assert [server.getRequestResult(each) for each in requests] == [None] * 3
    assert server.getServerInfo()["receiver"]["onlyAuthorizedClientsAllowed"] is True
    assert server.getRequestResult(recv.getSourcesAsync()) == []
    assert server.getRequestResult(recv.getTransfersAsync()) == []


def test_nobody_has_logged_on(plane: ControlPlane) -> None:
    with new_api(plane) as api:
        assert api.server.getServerInfo()["version"] == "1.2.3"
        with pytest.raises(AuthenticationError, match="log on first"):
            api.send.getTransfers()

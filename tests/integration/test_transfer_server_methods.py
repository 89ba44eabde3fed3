"""Every method of the API, called at a real server: its results, and the errors it documents."""

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jetstream import constants
from jetstream.apiinterface import APIInterface
from jetstream.errors import AuthenticationError, CommandError, ErrorKind, WaitTimeoutError
from jetstream.helper import Helper
from jetstream.recvinterface import RecvInterface
from jetstream.sendinterface import SendInterface
from jetstream.serverinterface import ServerInterface
from jetstream.structures import Destination, Manifest, Transfer
from jetstream.transferobject import TransferObject
from tests.integration.transferstage import (
    ADMIN,
    HOST,
    MEBIBYTE,
    OTHER,
    PASSWORD,
    USER,
    StagedServer,
    TransferStage,
    complete_manifest,
    sending_transfer,
)
from tests.waiting import wait_until

SIZE = 1000

NEVER = "987654321"
"""An id that no object has."""

LANES = constants.DEFAULT_PRIORITY_LANES

Try = Callable[[APIInterface], Any]
"""A call, given the API to make it on."""


@pytest.fixture(scope="module")
def api(transfer_server: StagedServer) -> APIInterface:
    """An API on which the user has logged on."""
    return transfer_server.logged_on()


@pytest.fixture(scope="module")
def superuser(transfer_server: StagedServer) -> APIInterface:
    """An API on which the administrator is superuser."""
    return transfer_server.superuser()


@pytest.fixture(scope="module")
def source(module_stage: TransferStage) -> Path:
    """A small file."""
    return module_stage.source(SIZE, "small")


@pytest.fixture(scope="module")
def manifest(api: APIInterface, source: Path) -> Manifest:
    """A manifest of the small file, which nobody deletes."""
    return complete_manifest(api, {"/some/small": str(source)})


@pytest.fixture(scope="module")
def destination(api: APIInterface, transfer_server: StagedServer) -> Destination:
    """The server itself."""
    return api.send.createDestination(HOST, destinationPort=transfer_server.port)


@pytest.fixture
def own_destination(api: APIInterface, transfer_server: StagedServer) -> Destination:
    """The server itself, for one test."""
    port = transfer_server.port
    return api.send.createDestination(HOST, destinationPort=port, exclusive=True)


@pytest.fixture(scope="module")
def transfer(api: APIInterface, destination: Destination, manifest: Manifest) -> Transfer:
    """A transfer that is complete."""
    ended = api.send.waitForTransfer(api.send.createTransfer(destination, manifest))
    assert ended["status"] == "complete", ended["errorMessage"]
    return ended


@pytest.fixture
def sending(
    api: APIInterface, transfer_server: StagedServer, module_stage: TransferStage
) -> Iterator[Transfer]:
    """A transfer that sends for many seconds, and has begun to."""
    begun = sending_transfer(api, transfer_server, module_stage.source(16 * MEBIBYTE, "big"))
    yield begun
    if api.send.getTransfer(begun)["processing"]:
        api.send.failTransfer(begun)


def done(api: APIInterface, request: Any) -> Any:
    """Return the result of a request, after checking what is said about it."""
    assert list(request) == ["requestId"]
    assert type(request["requestId"]) is int
    found = api.server.getRequestResult(request)
    status = api.server.getRequestStatus(request)
    assert status == {"status": "complete", "processing": False, "errorMessage": ""}
    return found


def refused(kind: ErrorKind, call: Callable[[], Any]) -> str:
    """Check that a call is refused, and return why."""
    with pytest.raises(CommandError) as caught:
        call()
    assert caught.value.kind is kind, caught.value
    return str(caught.value)


def test_every_method_is_called_here() -> None:
    here = Path(__file__).read_text()
    examples = Path(__file__).with_name("test_transfer_server_examples.py").read_text()
    for interface in (SendInterface, ServerInterface, RecvInterface):
        for name, _ in inspect.getmembers(interface, inspect.isfunction):
            if not name.startswith("_"):
                assert re.search(rf"\.{name}\b", here + examples), name


class TestDestinations:
    def test_structure(self, api: APIInterface, transfer_server: StagedServer) -> None:
        port = transfer_server.port
        made = api.send.createDestination(
            "LocalHost", sendRateMax=5000, destinationPort=port, exclusive=True, permanent=True
        )
        assert made["destinationPort"] == port
        assert made["destinationIP"] == "127.0.0.1"
        assert made["sendRateMax"] == 5000
        assert (made["exclusive"], made["permanent"]) == (True, True)
        assert made["priorityLanes"] == LANES
        assert made["numTransfersQueued"] == 0
        assert made["lastDestinationServerUid"] is None
        assert made["owner"] == USER
        assert api.send.getDestination(made["destinationId"]) == made
        assert made in api.send.getDestinations()

    def test_the_same_parameters_give_the_same_one(
        self, api: APIInterface, transfer_server: StagedServer, destination: Destination
    ) -> None:
        port = transfer_server.port
        again = api.send.createDestination(HOST, 77, port)
        assert again["destinationId"] == destination["destinationId"]
        assert again["sendRateMax"] is None
        exclusive = api.send.createDestination(HOST, destinationPort=port, exclusive=True)
        assert exclusive["destinationId"] != destination["destinationId"]

    def test_key_and_relay(self, api: APIInterface, transfer_server: StagedServer) -> None:
        port = transfer_server.port
        info = api.server.getServerInfo()
        keyed = api.send.createDestination(
            HOST,
            destinationPort=port,
            authenticateDestination=True,
            destinationPublicKey=info["publicKey"],
        )
        assert keyed["destinationPublicKey"] == info["publicKey"]
        relayed = api.send.createDestination(
            info["serverName"], relayAddress=HOST, relayPort=port, senderPort=-1
        )
        assert (relayed["relayAddress"], relayed["relayPort"]) == (HOST, port)
        assert relayed["relayIP"] == "127.0.0.1"

    def test_through_a_relay_to_the_server_of_a_name(
        self, api: APIInterface, transfer_server: StagedServer, manifest: Manifest
    ) -> None:
        name = api.server.getServerInfo()["serverName"]
        relayed = api.send.createDestination(
            name, relayAddress=HOST, relayPort=transfer_server.port
        )
        ended = api.send.waitForTransfer(api.send.createTransfer(relayed, manifest, "relayed"))
        assert (ended["status"], ended["errorMessage"]) == ("complete", "")
        assert (transfer_server.storage / "relayed" / "some" / "small").is_file()

    def test_deleting(
        self, api: APIInterface, own_destination: Destination, manifest: Manifest
    ) -> None:
        ended = api.send.waitForTransfer(api.send.createTransfer(own_destination, manifest))
        assert api.send.deleteDestination(own_destination) is None  # type: ignore[func-returns-value]
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getDestination(own_destination))
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getTransfer(ended))

    def test_one_with_an_active_transfer_is_not_deleted(
        self, api: APIInterface, sending: Transfer
    ) -> None:
        refused(ErrorKind.STATE, lambda: api.send.deleteDestination(sending["destinationId"]))

    def test_transfer_defaults(
        self, api: APIInterface, own_destination: Destination, manifest: Manifest
    ) -> None:
        defaults = {
            "priority": 7,
            "transferFlags": constants.TRANSFER_FLAG_READ,
            "checkpointFrequencySeconds": 3,
            "sendRateMax": 90000,
            "priorityLane": "Low",
            "overwriteMode": constants.OVERWRITE_NEVER,
            "minCipher": constants.MIN_CIPHER_ENCRYPTED_256,
            "fileTimeResolutionMicroseconds": 2_000_000,
        }
        update = api.send.updateTransferDefaults
        assert update(own_destination, **defaults) is None  # type: ignore[arg-type]
        assert api.send.getDestination(own_destination)["transferDefaults"] == defaults
        made = api.send.createTransfer(own_destination, manifest, priority=9)
        assert {name: made[name] for name in defaults} == {**defaults, "priority": 9}  # type: ignore[literal-required]
        api.send.updateTransferDefaults(own_destination, priority=8)
        changed = api.send.getDestination(own_destination)["transferDefaults"]
        assert changed == {**defaults, "priority": 8}

    def test_pings(self, api: APIInterface, own_destination: Destination) -> None:
        assert done(api, api.send.schedulePingAsync(own_destination, 3)) is None

        def answered() -> bool:
            found = api.send.getDestination(own_destination)
            return found["lastReceiverDestinationId"] is not None

        wait_until(answered)
        found = api.send.getDestination(own_destination)
        info = api.server.getServerInfo()
        assert found["lastDestinationServerUid"] == info["serverUid"]
        assert found["lastDestinationServerId"] == info["serverId"]
        wait_until(lambda: (api.send.getDestination(own_destination)["roundTripTimeMs"] or 0) > 0)

    def test_priority_lanes(self, api: APIInterface, own_destination: Destination) -> None:
        lanes = {"Fast": 0.6, "Slow": 0.4, "Rest": 0.0}
        done(api, api.send.setPriorityLanesAsync(own_destination, lanes))
        assert api.send.getDestination(own_destination)["priorityLanes"] == lanes

    @pytest.mark.parametrize(
        "lanes",
        [
            {},
            {"": 1.0},
            {" ": 1.0},
            {"A": 0.5},
            {"A": 0.5, "B": 0.6},
            {"A": 1.0, "B": 0.0, "C": 0.0},
            {"A": 1.5, "B": -0.5},
            {"A": "1.0"},
            [("A", 0.5), ("A", 0.5)],
            "High",
        ],
    )
    def test_lanes_that_break_a_rule(
        self, api: APIInterface, destination: Destination, lanes: Any
    ) -> None:
        request = api.send.setPriorityLanesAsync
        refused(ErrorKind.INVALID, lambda: done(api, request(destination, lanes)))
        assert api.send.getDestination(destination)["priorityLanes"] == LANES

    def test_lanes_while_a_transfer_is_active(self, api: APIInterface, sending: Transfer) -> None:
        number = sending["destinationId"]
        request = api.send.setPriorityLanesAsync
        fewer = {"High": 0.7, "Normal": 0.3}
        refused(ErrorKind.STATE, lambda: done(api, request(number, fewer)))
        renamed = {"High": 0.7, "Other": 0.25, "Low": 0.05, "Idle": 0.0}
        refused(ErrorKind.STATE, lambda: done(api, request(number, renamed)))
        rates = {"High": 0.1, "Normal": 0.8, "Low": 0.1, "Idle": 0.0}
        done(api, request(number, rates))
        assert api.send.getDestination(number)["priorityLanes"] == rates
        done(api, request(number, LANES))

    def test_send_rate(self, api: APIInterface, own_destination: Destination) -> None:
        set_rate = api.send.setSendRateMaxAsync
        assert done(api, set_rate(own_destination, 2500.5)) == {"sendRateMax": 2500.5}
        assert api.send.getDestination(own_destination)["sendRateMax"] == 2500.5
        assert done(api, set_rate(own_destination, -1)) == {"sendRateMax": -1}
        assert api.send.getDestination(own_destination)["sendRateMax"] is None


class TestConnections:
    def test_destinations_share_one(
        self, api: APIInterface, destination: Destination, own_destination: Destination,
        transfer: Transfer,
    ) -> None:  # fmt: skip
        assert transfer["status"] == "complete"
        number = destination["connectionId"]
        assert own_destination["connectionId"] == number
        found = api.send.getConnection(number)
        assert found["connectionId"] == number
        assert found["destinationIP"] == "127.0.0.1"
        assert found["destinationPort"] == destination["destinationPort"]
        assert found["lastDestinationServerUid"] == api.server.getServerInfo()["serverUid"]
        every = api.send.getConnections()
        assert number in [each["connectionId"] for each in every]
        assert api.send.getConnections(limit=1) == every[:1]

    def test_updating(self, api: APIInterface) -> None:
        own = api.send.createDestination(HOST, destinationPort=9)
        number = own["connectionId"]
        update = api.send.updateConnectionParamsAsync
        assert update(number, 10, 9000, 500, True, 1) is None
        wait_until(lambda: api.send.getConnection(number)["sendRateMax"] == 9000)
        found = api.send.getConnection(number)
        assert (found["sendRateMin"], found["rateControlMethod"]) == (10, 1)
        assert found["rateControllerActive"] is True
        refused(ErrorKind.INVALID, lambda: update(number, sendRateMin=10_000))


class TestManifests:
    def test_older_mappings_go_from_source_to_destination(
        self, api: APIInterface, source: Path
    ) -> None:
        manifest = api.send.createManifest({str(source): "/older/small"})
        manifest = api.send.waitForManifest(manifest["manifestId"])
        (found,) = api.send.getManifestFiles(manifest)["fileMappings"]
        assert (found["srcPath"], found["destPath"]) == (str(source), "/older/small")
        assert found["fileSize"] == SIZE
        assert found["modificationTime"] == source.stat().st_mtime_ns // 1000

    def test_files_of_a_tree(self, api: APIInterface, module_stage: TransferStage) -> None:
        tree = module_stage.sources / "tree"
        (tree / "empty").mkdir(parents=True)
        (tree / "program").write_text("run")
        (tree / "program").chmod(0o755)
        (tree / "below").mkdir()
        (tree / "below" / "file").write_text("12345")
        (tree / "link").symlink_to("below")
        manifest = complete_manifest(api, {"/to": str(tree)})
        files = api.send.getManifestFiles(manifest)
        assert files["manifestId"] == manifest["manifestId"]
        found = {
            each["destPath"]: (each["fileSize"], each["isEmptyDir"], each["executable"])
            for each in files["fileMappings"]
        }
        assert found == {
            "/to/below/file": (5, False, False),
            "/to/empty": (0, True, False),
            "/to/link/file": (5, False, False),
            "/to/program": (3, False, True),
        }
        assert (manifest["totalFiles"], manifest["totalSize"]) == (4, 13)
        one = api.send.getManifestFiles(manifest, limit=1)["fileMappings"]
        assert one == files["fileMappings"][:1]
        assert list(api.send.each_file(manifest)) == files["fileMappings"]

        ignoring = api.send.createManifest(
            mappings={"/to": str(tree)}, symlinkOptions=constants.SYMLINK_IGNORE
        )
        assert api.send.waitForManifest(ignoring)["totalFiles"] == 3

    def test_flags_and_access(self, api: APIInterface) -> None:
        manifest = complete_manifest(
            api,
            {
                "/a/file": {"src": "/x", "size": 7, "flags": constants.FILETYPE_REGULAR_FILE},
                "/a/program": {"src": "/y", "size": 8, "access": "x"},
                "/a/directory": {"src": "/z", "size": 9, "flags": constants.FILETYPE_DIRECTORY},
            },
        )
        found = {
            each["destPath"]: (each["fileSize"], each["isEmptyDir"], each["executable"])
            for each in api.send.getManifestFiles(manifest)["fileMappings"]
        }
        assert found == {
            "/a/directory": (0, True, False),
            "/a/file": (7, False, False),
            "/a/program": (8, False, True),
        }

    def test_large_mappings(self, api: APIInterface) -> None:
        count = 10_000  # more than one call takes
        where = "/a/directory/with/a/longer/name"
        mappings = {f"/large/{n:05}": {"src": f"{where}/{n}", "size": n} for n in range(count)}
        manifest = complete_manifest(api, mappings)
        assert (manifest["totalFiles"], manifest["totalSize"]) == (count, sum(range(count)))
        found = api.send.getManifestFiles(manifest, limit=1200)["fileMappings"]
        assert [each["fileSize"] for each in found] == list(range(1200))
        api.send.deleteManifest(manifest)

    def test_deleting(self, api: APIInterface, source: Path, destination: Destination) -> None:
        manifest = complete_manifest(api, {"/gone": str(source)})
        sent = api.send.createTransfer(destination, manifest)
        assert api.send.deleteManifest(manifest) is None  # type: ignore[func-returns-value]
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getManifest(manifest))
        refused(ErrorKind.NOT_FOUND, lambda: api.send.createTransfer(destination, manifest))
        assert api.send.waitForTransfer(sent)["status"] == "complete"

    @pytest.mark.parametrize(
        "mappings",
        [
            {},
            {"/a": "/no/such/file"},
            {"/a/../b": "/etc/hostname"},
            {"/a": 7},
            {"/a": {"size": 7}},
            {"/a": {"src": "/x", "size": -1}},
            {"/a": {"src": "/x", "flags": 3}},
            {"/a": {"src": "/x", "size": 1, "access": "w"}},
            {"/a": {"src": "/x", "other": 1}},
            {"/a": {"src": "/x", "size": 1}, "/a/b": {"src": "/y", "size": 1}},
            {"/a": {"src": "/x", "size": 1}, "a": {"src": "/y", "size": 1}},
        ],
    )
    def test_mappings_that_are_wrong(self, api: APIInterface, mappings: dict[str, Any]) -> None:
        refused(ErrorKind.INVALID, lambda: api.send.createManifest(mappings=mappings))


class TestSharedTokens:
    def test_structure_and_changes(self, api: APIInterface, manifest: Manifest) -> None:
        made = api.send.createSharedToken(manifest, "a word", 2, 3600, "for a friend")
        number, _, secret = made["token"].partition(".")
        assert secret
        assert made["description"] == "for a friend"
        assert made["passwordRequired"] is True
        assert (made["downloadCount"], made["downloadLimit"]) == (0, 2)
        assert made["manifestId"] == manifest["manifestId"]
        assert made["expiryTime"] is not None
        assert abs(made["expiryTime"] - made["creationTime"] - 3_600_000_000) < 1_000_000
        assert made["owner"] == USER

        for given in (made, made["token"], number):
            found = api.send.getSharedToken(given)
            assert found["token"] == number
            assert secret not in str(found)
        assert number in [each["token"] for each in api.send.getSharedTokens()]

        update = api.send.updateSharedToken
        assert update(made, 7200, "for two") is None
        changed = api.send.getSharedToken(number)
        assert changed["description"] == "for two"
        assert changed["expiryTime"] is not None
        assert changed["expiryTime"] > made["expiryTime"]

        assert api.send.deleteSharedToken(made) is None  # type: ignore[func-returns-value]
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getSharedToken(number))

    def test_logging_on_with_one(
        self, api: APIInterface, transfer_server: StagedServer, manifest: Manifest
    ) -> None:
        made = api.send.createSharedToken(manifest, downloadLimit=1)
        assert made["expiryTime"] is None
        guest = transfer_server.api()
        guest.server.auth(token=made["token"])
        assert guest.send.getManifest(manifest)["totalFiles"] == 1
        destination = guest.send.createDestination(HOST, destinationPort=transfer_server.port)
        sent = guest.send.createTransfer(destination, manifest, "guest")
        assert guest.send.waitForTransfer(sent)["status"] == "complete"
        with pytest.raises(CommandError):
            guest.send.createTransfer(destination, manifest)
        assert api.send.getSharedToken(made)["downloadCount"] == 1

    def test_only_complete_manifests_are_shared(
        self, api: APIInterface, module_stage: TransferStage
    ) -> None:
        broken = module_stage.sources / "broken"
        broken.mkdir()
        (broken / "link").symlink_to("nowhere")
        failed = api.send.waitForManifest(api.send.createManifest(mappings={"/b": str(broken)}))
        assert failed["status"] == "error"
        refused(ErrorKind.STATE, lambda: api.send.createSharedToken(failed))


class TestTransfers:
    def test_options_come_back(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        options: dict[str, Any] = {
            "destinationPath": "/options",
            "priority": 3,
            "transferFlags": constants.TRANSFER_FLAG_NONE,
            "checkpointFrequencySeconds": 5,
            "sendRateMax": 800_000,
            "priorityLane": "High",
            "overwriteMode": constants.OVERWRITE_WITH_BACKUP,
            "minCipher": constants.MIN_CIPHER_UNENCRYPTED,
            "fileTimeResolutionMicroseconds": 1000,
            "timeoutSeconds": 60,
            "userData": {"ticket": "4711"},
        }
        made = api.send.createTransfer(destination, manifest, **options)
        assert {name: made[name] for name in options} == options  # type: ignore[literal-required]
        ended = api.send.waitForTransfer(made["transferId"])
        assert (ended["status"], ended["errorMessage"]) == ("complete", "")
        assert api.send.getTransfer(made["transferId"])["userData"] == {"ticket": "4711"}

    def test_counters_and_times(self, transfer: Transfer) -> None:
        assert transfer["blocksAcked"] == transfer["totalBlocks"] == 4
        assert transfer["blocksSent"] >= 4
        assert transfer["bytesSent"] >= SIZE
        assert transfer["packetsSent"] >= 1
        assert (transfer["totalFiles"], transfer["filesSent"]) == (1, 1)
        assert transfer["filesFailed"] == 0
        times = [
            transfer["requestTime"],
            transfer["queueTime"],
            transfer["startTime"],
            transfer["endTime"],
            transfer["snapshotTime"],
        ]
        assert all(type(each) is int for each in times)
        assert times == sorted(times, key=lambda each: each or 0)

    def test_times_that_are_not_known_yet(self, api: APIInterface, sending: Transfer) -> None:
        found = api.send.getTransfer(sending)
        assert found["startTime"] is not None
        assert found["endTime"] is None

    @pytest.mark.parametrize("cipher", range(4))
    def test_ciphers(
        self,
        api: APIInterface,
        transfer_server: StagedServer,
        destination: Destination,
        manifest: Manifest,
        source: Path,
        cipher: int,
    ) -> None:
        made = api.send.createTransfer(destination, manifest, f"cipher{cipher}", minCipher=cipher)
        ended = api.send.waitForTransfer(made)
        assert (ended["status"], ended["minCipher"]) == ("complete", cipher)
        stored = transfer_server.storage / f"cipher{cipher}" / "some" / "small"
        assert stored.read_bytes() == source.read_bytes()
        assert stored.stat().st_mtime_ns // 1000 == source.stat().st_mtime_ns // 1000

    def test_overwriting(
        self,
        api: APIInterface,
        transfer_server: StagedServer,
        destination: Destination,
        module_stage: TransferStage,
    ) -> None:
        stored = transfer_server.storage / "over" / "file"
        path = module_stage.source(10, "over")

        def sent(text: str, mode: int) -> Transfer:
            path.write_text(text)
            files = complete_manifest(api, {"/over/file": str(path)})
            made = api.send.createTransfer(destination, files, overwriteMode=mode)
            return api.send.waitForTransfer(made)

        assert sent("first", constants.OVERWRITE_ALWAYS)["status"] == "complete"
        assert sent("other", constants.OVERWRITE_NEVER)["status"] == "complete"
        assert stored.read_text() == "first"
        assert sent("of another size", constants.OVERWRITE_IN_PLACE_SAME_SIZE)["status"] == "error"
        assert stored.read_text() == "first"
        assert sent("third", constants.OVERWRITE_IN_PLACE_SAME_SIZE)["status"] == "complete"
        assert stored.read_text() == "third"
        assert sent("fourth", constants.OVERWRITE_WITH_BACKUP)["status"] == "complete"
        assert stored.read_text() == "fourth"
        assert stored.with_name("file.jetbak").read_text() == "third"

    def test_login_at_the_receiver(
        self,
        api: APIInterface,
        transfer_server: StagedServer,
        destination: Destination,
        manifest: Manifest,
    ) -> None:
        made = api.send.createTransfer(
            destination, manifest, "login", userName=OTHER, password=PASSWORD
        )
        assert made["userName"] == OTHER
        assert PASSWORD not in str(made)
        assert api.send.waitForTransfer(made)["status"] == "complete"
        wrong = api.send.createTransfer(
            destination, manifest, "wrong", userName=OTHER, password="a guess"
        )
        ended = api.send.waitForTransfer(wrong)
        assert ended["status"] == "error"
        assert "a guess" not in ended["errorMessage"]
        assert not (transfer_server.storage / "wrong").exists()

    def test_token_at_the_receiver(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        token = api.server.createAPIToken(permissions=["upload"])["token"]
        made = api.send.createTransfer(destination, manifest, "bytoken", token=token)
        assert token not in str(made)
        assert api.send.waitForTransfer(made)["status"] == "complete"
        api.server.deleteAPIToken(token)

    def test_priority_and_lane_and_rate(self, api: APIInterface, sending: Transfer) -> None:
        number = {"transferId": sending["transferId"]}
        assert done(api, api.send.setTransferPriorityAsync(sending, 5, "Low")) == number
        assert done(api, api.send.setTransferPriorityAsync(sending, 4294967295)) == number
        found = api.send.getTransfer(sending)
        assert (found["priority"], found["priorityLane"]) == (4294967295, "Low")
        rate = done(api, api.send.setTransferSendRateMaxAsync(sending, 9000))
        assert rate == {"sendRateMax": 9000.0}
        assert api.send.getTransfer(sending)["sendRateMax"] == 9000

    def test_suspended_ones_are_deleted(self, api: APIInterface, sending: Transfer) -> None:
        refused(ErrorKind.STATE, lambda: api.send.deleteTransfer(sending))
        refused(ErrorKind.STATE, lambda: done(api, api.send.resumeTransferAsync(sending)))
        done(api, api.send.suspendTransferAsync(sending["transferId"]))
        refused(ErrorKind.STATE, lambda: done(api, api.send.suspendTransferAsync(sending)))
        done(api, api.send.resumeTransferAsync(sending["transferId"]))
        done(api, api.send.suspendTransferAsync(sending))
        api.send.failTransfer(sending, "given up")
        failed = api.send.getTransfer(sending)
        assert (failed["status"], failed["errorMessage"]) == ("error", "given up")
        refused(ErrorKind.STATE, lambda: api.send.failTransfer(sending))

    def test_failing_without_a_message(self, api: APIInterface, sending: Transfer) -> None:
        assert api.send.failTransfer(sending) is None  # type: ignore[func-returns-value]
        failed = api.send.waitForTransfer(sending)
        assert (failed["status"], failed["errorMessage"]) == ("error", "cancelled")
        assert failed["endTime"] is not None

    def test_deleting(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        ended = api.send.waitForTransfer(api.send.createTransfer(destination, manifest))
        assert api.send.deleteTransfer(ended) is None  # type: ignore[func-returns-value]
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getTransfer(ended))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("priority", -1),
            ("priority", 2**32),
            ("priority", "high"),
            ("priority", True),
            ("transferFlags", 16),
            ("checkpointFrequencySeconds", -1),
            ("sendRateMax", 0),
            ("sendRateMax", -2),
            ("sendRateMax", "fast"),
            ("priorityLane", "Nowhere"),
            ("overwriteMode", 6),
            ("minCipher", 4),
            ("minCipher", -1),
            ("fileTimeResolutionMicroseconds", -1),
            ("timeoutSeconds", -1),
            ("userData", {"key": 7}),
            ("userData", "text"),
            ("destinationPath", "../out"),
            ("password", "without a user"),
        ],
    )
    def test_options_out_of_range(
        self,
        api: APIInterface,
        destination: Destination,
        manifest: Manifest,
        name: str,
        value: Any,
    ) -> None:
        create: Any = api.send.createTransfer
        text = refused(ErrorKind.INVALID, lambda: create(destination, manifest, **{name: value}))
        assert "without a user" not in text

    def test_user_and_token_exclude_each_other(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        create = api.send.createTransfer
        login = {"userName": USER, "token": "1.secret"}
        text = refused(
            ErrorKind.INVALID,
            lambda: create(destination, manifest, **login),  # type: ignore[arg-type]
        )
        assert "secret" not in text

    def test_priority_and_lane_that_there_are_not(
        self, api: APIInterface, sending: Transfer
    ) -> None:
        change = api.send.setTransferPriorityAsync
        refused(ErrorKind.INVALID, lambda: done(api, change(sending, -1)))
        refused(ErrorKind.INVALID, lambda: done(api, change(sending, priorityLane="Nowhere")))


class TestUserData:
    def test_of_every_kind_of_object(
        self,
        api: APIInterface,
        transfer: Transfer,
        manifest: Manifest,
        destination: Destination,
    ) -> None:
        token = api.send.createSharedToken(manifest)
        look: list[tuple[Any, Callable[[Any], Any]]] = [
            (transfer, api.send.getTransfer),
            (manifest, api.send.getManifest),
            (destination, api.send.getDestination),
            (token, api.send.getSharedToken),
        ]
        for thing, get in look:
            update = api.send.updateObjectUserData
            assert update(thing, "colour", "blue") is None
            update(thing, "empty")
            assert get(thing)["userData"] == {"colour": "blue", "empty": ""}
            update(thing, "colour", "red")
            assert get(thing)["userData"]["colour"] == "red"
            delete = api.send.deleteObjectUserData
            assert delete(thing, "colour") is None
            delete(thing, "empty")
            assert get(thing)["userData"] == {}
            with pytest.raises(CommandError):
                delete(thing, "colour")

    @pytest.mark.parametrize(("key", "value"), [("", "a"), ("k" * 129, "a"), ("key", "v" * 4097)])
    def test_too_much(self, api: APIInterface, transfer: Transfer, key: str, value: str) -> None:
        update = api.send.updateObjectUserData
        refused(ErrorKind.INVALID, lambda: update(transfer, key, value))


UNKNOWN: dict[str, Try] = {
    "getDestination": lambda api: api.send.getDestination(NEVER),
    "deleteDestination": lambda api: api.send.deleteDestination(NEVER),
    "updateTransferDefaults": lambda api: api.send.updateTransferDefaults(NEVER, priority=1),
    "setSendRateMaxAsync": lambda api: done(api, api.send.setSendRateMaxAsync(NEVER, 1000)),
    "setPriorityLanesAsync": lambda api: done(api, api.send.setPriorityLanesAsync(NEVER, LANES)),
    "schedulePingAsync": lambda api: done(api, api.send.schedulePingAsync(NEVER, 1)),
    "getConnection": lambda api: api.send.getConnection(NEVER),
    "updateConnectionParamsAsync": lambda api: api.send.updateConnectionParamsAsync(NEVER, 1),
    "getManifest": lambda api: api.send.getManifest(NEVER),
    "getManifestFiles": lambda api: api.send.getManifestFiles(NEVER),
    "deleteManifest": lambda api: api.send.deleteManifest(NEVER),
    "waitForManifest": lambda api: api.send.waitForManifest(NEVER),
    "createSharedToken": lambda api: api.send.createSharedToken(NEVER),
    "getSharedToken": lambda api: api.send.getSharedToken(NEVER),
    "updateSharedToken": lambda api: api.send.updateSharedToken(NEVER, description="a"),
    "deleteSharedToken": lambda api: api.send.deleteSharedToken(NEVER),
    "getTransfer": lambda api: api.send.getTransfer(NEVER),
    "getTransfers": lambda api: api.send.getTransfers(NEVER),
    "waitForTransfer": lambda api: api.send.waitForTransfer(NEVER),
    "failTransfer": lambda api: api.send.failTransfer(NEVER),
    "deleteTransfer": lambda api: api.send.deleteTransfer(NEVER),
    "suspendTransferAsync": lambda api: done(api, api.send.suspendTransferAsync(NEVER)),
    "resumeTransferAsync": lambda api: done(api, api.send.resumeTransferAsync(NEVER)),
    "setTransferPriorityAsync": lambda api: done(api, api.send.setTransferPriorityAsync(NEVER, 1)),
    "setTransferSendRateMaxAsync": lambda api: done(
        api, api.send.setTransferSendRateMaxAsync(NEVER, 1000)
    ),
    "updateObjectUserData": lambda api: api.send.updateObjectUserData(
        {"transferId": NEVER}, "a", "b"
    ),
    "deleteObjectUserData": lambda api: api.send.deleteObjectUserData({"manifestId": NEVER}, "a"),
    "getAPIToken": lambda api: api.server.getAPIToken(NEVER),
    "deleteAPIToken": lambda api: api.server.deleteAPIToken(NEVER),
    "getRequestStatus": lambda api: api.server.getRequestStatus(int(NEVER)),
    "getRequestResult": lambda api: api.server.getRequestResult(int(NEVER)),
}
"""Calls with an id that no object has."""


class TestUnknownIds:
    @pytest.mark.parametrize("name", UNKNOWN)
    def test_they_are_named(self, api: APIInterface, name: str) -> None:
        text = refused(ErrorKind.NOT_FOUND, lambda: UNKNOWN[name](api))
        # What stands for a token may be a secret.
        assert (NEVER in text) != ("token" in text)

    @pytest.mark.parametrize("shown", ["", "x", "-1", "1e3", "٣", 0, "9" * 40])
    def test_what_is_no_id_is_not_found_either(self, api: APIInterface, shown: Any) -> None:
        refused(ErrorKind.NOT_FOUND, lambda: api.send.getTransfer(shown))

    @pytest.mark.parametrize("shown", [True, 1.5, [], {"transferId": None}, {"other": "1"}])
    def test_what_cannot_be_one_is_wrong(self, api: APIInterface, shown: Any) -> None:
        refused(ErrorKind.INVALID, lambda: api.send.getTransfer(shown))

    def test_create_transfer_names_what_is_not_there(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        create = api.send.createTransfer
        text = refused(ErrorKind.NOT_FOUND, lambda: create(NEVER, manifest))
        assert "destination" in text
        text = refused(ErrorKind.NOT_FOUND, lambda: create(destination, NEVER))
        assert "manifest" in text


class TestPaging:
    def test_of_transfers_and_manifests(self, transfer_server: StagedServer, source: Path) -> None:
        api = transfer_server.logged_on(OTHER)
        destination = api.send.createDestination(HOST, destinationPort=transfer_server.port)
        manifests = [complete_manifest(api, {"/p": str(source)}) for _ in range(5)]
        transfers = [api.send.createTransfer(destination, each) for each in manifests]
        pages: list[tuple[Callable[..., list[Any]], str, list[Any]]] = [
            (api.send.getManifests, "manifestId", manifests),
            (api.send.getTransfers, "transferId", transfers),
        ]
        for get, field, made in pages:
            ids = [each[field] for each in made]

            def shown(
                get: Callable[..., list[Any]] = get, field: str = field, **page: Any
            ) -> list[str]:
                return [each[field] for each in get(**page)]

            assert shown() == ids
            assert shown(limit=2) == ids[:2]
            assert shown(limit=0) == ids
            assert shown(after=ids[1]) == ids[2:]
            assert shown(after=made[1], limit=1) == ids[2:3]
            assert shown(before=made[3]) == ids[:3]
            assert shown(after=ids[0], before=ids[4]) == ids[1:4]
            assert shown(after=ids[4]) == []
            refused(ErrorKind.INVALID, lambda: get(limit=-1))  # noqa: B023 - called at once
        assert [each["transferId"] for each in api.send.getTransfers(destination)] == [
            each["transferId"] for each in transfers
        ]
        assert [each["destinationId"] for each in api.send.getDestinations(limit=1)] == [
            destination["destinationId"]
        ]
        tokens = [api.send.createSharedToken(manifests[0]) for _ in range(3)]
        assert [each["token"] for each in api.send.getSharedTokens(limit=2)] == [
            each["token"].partition(".")[0] for each in tokens[:2]
        ]

    def test_more_than_a_page(self, transfer_server: StagedServer) -> None:
        count = 503
        api = transfer_server.logged_on(ADMIN)
        for _ in range(count):
            api.send.createDestination(HOST, exclusive=True)
        found = [int(each["destinationId"]) for each in api.send.getDestinations()]
        assert len(found) == count
        assert found == sorted(set(found))
        assert len(api.send.getDestinations(limit=501)) == 501


class TestServer:
    def test_server_information(
        self, transfer_server: StagedServer, api: APIInterface, superuser: APIInterface
    ) -> None:
        shown = transfer_server.api().server.getServerInfo()
        assert shown["apiVersion"] == constants.API_VERSION
        assert shown["apiControlPort"] == transfer_server.port
        assert shown["authRequired"] is True
        assert shown["encryptionAvailable"] is True
        assert shown["eventLogAvailable"] is True
        assert shown["publicKey"]
        assert shown["version"].split(".")[:2] == [
            str(part) for part in constants.BUILD_VERSION[:2]
        ]
        assert "configuration" not in shown
        assert "configuration" not in api.server.getServerInfo()
        assert "garbageCollection" in superuser.server.getServerInfo()["configuration"]

    def test_superuser(self, transfer_server: StagedServer, transfer: Transfer) -> None:
        admin = transfer_server.logged_on(ADMIN)
        refused(ErrorKind.NOT_FOUND, lambda: admin.send.getTransfer(transfer))
        assert admin.server.superuser() is None  # type: ignore[func-returns-value]
        assert admin.send.getTransfer(transfer)["owner"] == USER

    def test_superuser_is_not_for_everybody(self, transfer_server: StagedServer) -> None:
        user = transfer_server.logged_on(OTHER)
        refused(ErrorKind.NOT_ALLOWED, user.server.superuser)

    def test_event_log(self, api: APIInterface, superuser: APIInterface, source: Path) -> None:
        manifest = complete_manifest(api, {"/logged": str(source)})
        mine = [
            each
            for each in api.server.getEventLog()
            if each.get("manifestId") == manifest["manifestId"]
            and each["_event"].startswith("manifest")
        ]
        assert [each["_event"] for each in mine] == ["manifestCreated", "manifestUpdated"]
        assert all(type(each["_timestamp"]) is int for each in mine)
        assert mine[-1]["status"] == "complete"
        every = superuser.server.getEventLog(limit=3)
        assert every[0]["_event"] == "serverStarted"
        assert superuser.server.getEventLog(after=every[0], limit=2) == every[1:3]
        assert superuser.server.getEventLog(before=every[2]) == every[:2]

    def test_users(self, transfer_server: StagedServer, superuser: APIInterface) -> None:
        made = superuser.server.createUser("made", "a first word", superuser=True)
        assert (made["userName"], made["superuser"]) == ("made", True)
        names = [each["userName"] for each in superuser.server.getUsers()]
        assert {"made", USER, OTHER, ADMIN} <= set(names)
        refused(ErrorKind.STATE, lambda: superuser.server.createUser("made", "again"))
        own = transfer_server.logged_on("made", "a first word")
        own.server.setPassword("made", "a second word", "a first word")
        with pytest.raises(AuthenticationError):
            transfer_server.logged_on("made", "a first word")
        transfer_server.logged_on("made", "a second word")
        superuser.server.deleteUser("made")
        refused(ErrorKind.NOT_FOUND, lambda: superuser.server.deleteUser("made"))

    def test_sandboxes(
        self, superuser: APIInterface, transfer_server: StagedServer, tmp_path: Path, source: Path
    ) -> None:
        superuser.server.createUser("boxed", "in a box")
        inside = tmp_path / "inside"
        inside.mkdir()
        (inside / "file").write_text("mine")
        mapping = {"data": str(inside)}
        assert superuser.server.setSandboxMapping("boxed", mapping) is None  # type: ignore[func-returns-value]
        found = superuser.server.getSandboxMappings()["boxed"]
        assert found == {"data": {"type": "File", "path": str(inside)}}
        boxed = transfer_server.logged_on("boxed", "in a box")
        assert complete_manifest(boxed, {"/f": "/data/file"})["totalSize"] == 4
        with pytest.raises(CommandError):
            boxed.send.createManifest(mappings={"/f": str(source)})
        superuser.server.setSandboxMapping("boxed", {})
        assert "boxed" not in superuser.server.getSandboxMappings()

    def test_api_tokens(
        self, api: APIInterface, transfer_server: StagedServer, source: Path
    ) -> None:
        made = api.server.createAPIToken(
            str(source.parent), ["download", "upload"], "a word", 60, "for a program"
        )
        number = made["token"].partition(".")[0]
        assert made["path"] == str(source.parent)
        assert sorted(made["permissions"]) == ["download", "upload"]
        assert made["passwordRequired"] is True
        assert api.server.getAPIToken(made)["token"] == number
        assert number in [each["token"] for each in api.server.getAPITokens()]
        program = transfer_server.api()
        with pytest.raises(AuthenticationError):
            program.server.auth(token=made["token"])
        program.server.auth(token=made["token"], password="a word")
        manifest = complete_manifest(program, {"/f": f"/{source.name}"})
        assert manifest["owner"] == USER
        assert manifest["ownerToken"] == number
        refused(ErrorKind.NOT_ALLOWED, lambda: program.send.deleteManifest(manifest))
        api.server.deleteAPIToken(made)
        with pytest.raises(AuthenticationError):
            program.send.getManifest(manifest)

    def test_garbage_collection(self, transfer_server: StagedServer, source: Path) -> None:
        user = transfer_server.logged_on(OTHER)
        admin = transfer_server.superuser()
        unused = complete_manifest(user, {"/unused": str(source)})
        settings = admin.server.updateGarbageCollectSettings(manifestLifetimeSeconds=100_000)
        assert settings["manifestLifetimeSeconds"] == 100_000
        before = admin.server.garbageCollect()
        assert set(before) == {"transfers", "manifests", "destinations", "tokens"}
        assert user.send.getManifest(unused)["status"] == "complete"

    @pytest.mark.parametrize(
        "call",
        [
            lambda api: api.server.getUsers(),
            lambda api: api.server.createUser("somebody", "a word"),
            lambda api: api.server.deleteUser(OTHER),
            lambda api: api.server.garbageCollect(),
            lambda api: api.server.updateGarbageCollectSettings(1, 1),
            lambda api: api.server.getSandboxMappings(),
            lambda api: api.server.setSandboxMapping("", {}),
            lambda api: done(api, api.recv.getSourcesAsync()),
            lambda api: done(api, api.recv.getTransfersAsync()),
            lambda api: done(api, api.recv.allowOnlyAuthorizedClientsAsync(True)),
            lambda api: done(api, api.recv.addAuthorizedClientAsync("key")),
            lambda api: done(api, api.recv.removeAuthorizedClientAsync("key")),
        ],
    )
    def test_what_is_for_superusers(self, api: APIInterface, call: Try) -> None:
        refused(ErrorKind.NOT_ALLOWED, lambda: call(api))

    def test_nothing_is_for_strangers(self, transfer_server: StagedServer) -> None:
        stranger = transfer_server.api()
        for call in UNKNOWN.values():
            with pytest.raises(CommandError) as caught:
                call(stranger)
            assert caught.value.kind in (ErrorKind.NOT_AUTHENTICATED, ErrorKind.NOT_FOUND)
        with pytest.raises(AuthenticationError):
            stranger.send.getTransfers()


class TestReceiving:
    def test_transfers_and_sources(self, superuser: APIInterface, transfer: Transfer) -> None:
        received = done(superuser, superuser.recv.getTransfersAsync())
        found = next(each for each in received if each["transferId"] == transfer["transferId"])
        assert found["status"] == "complete"
        assert found["totalSize"] == SIZE
        key = superuser.server.getServerInfo()["publicKey"]
        assert found["sourcePublicKey"] == key
        assert found["lastRecvTime"] >= found["startTime"]
        sources = done(superuser, superuser.recv.getSourcesAsync())
        (source,) = [each for each in sources if each["destinationPublicKey"] == key]
        assert source["completeTransferCount"] >= 1
        assert source["encryptionEnabled"] is True

    def test_authorized_clients(
        self,
        api: APIInterface,
        superuser: APIInterface,
        own_destination: Destination,
        manifest: Manifest,
    ) -> None:
        recv = superuser.recv
        key = superuser.server.getServerInfo()["publicKey"]

        def outcome() -> str:
            made = api.send.createTransfer(own_destination, manifest, "listed")
            return api.send.waitForTransfer(made)["status"]

        done(superuser, recv.allowOnlyAuthorizedClientsAsync(True))
        try:
            info = superuser.server.getServerInfo()
            assert info["receiver"]["onlyAuthorizedClientsAllowed"] is True
            assert outcome() == "error"
            done(superuser, recv.addAuthorizedClientAsync({"clientPublicKey": key}))
            assert outcome() == "complete"
            done(superuser, recv.removeAuthorizedClientAsync(key))
            with pytest.raises(CommandError):
                superuser.server.getRequestResult(recv.removeAuthorizedClientAsync(key))
        finally:
            done(superuser, recv.allowOnlyAuthorizedClientsAsync(False))
        assert outcome() == "complete"

    def test_key_that_is_none(self, superuser: APIInterface) -> None:
        add = superuser.recv.addAuthorizedClientAsync
        refused(ErrorKind.INVALID, lambda: done(superuser, add("no key")))


class TestConveniences:
    def test_sending_files(
        self, api: APIInterface, transfer_server: StagedServer, destination: Destination,
        source: Path,
    ) -> None:  # fmt: skip
        sent = Helper(api).sendFiles(
            [source], destination, "helped", relative_to=str(source.parent), priority=6
        )
        wait_until(lambda: sent.getStatus() in ("complete", "error"))
        assert sent.getStatus() == "complete"
        assert sent.getProgress() == 100.0
        assert sent.getRawStats()["priority"] == 6
        assert (transfer_server.storage / "helped" / "small").read_bytes() == source.read_bytes()

    def test_progress(self, api: APIInterface, sending: Transfer) -> None:
        shown = TransferObject(api, sending["destinationId"], sending["transferId"])
        wait_until(lambda: 0.0 < shown.getProgress() < 100.0)

    def test_finding_manifests_by_their_files(self, api: APIInterface, source: Path) -> None:
        manifest = complete_manifest(api, {"/found/by/its.name": str(source)})
        (found,) = Helper(api).getFilteredManifestFiles(
            lambda each: each["destPath"].endswith("its.name")
        )
        assert found["manifestId"] == manifest["manifestId"]
        assert [each["destPath"] for each in found["fileMappings"]] == ["/found/by/its.name"]


class TestWaiting:
    def test_for_too_long(self, transfer_server: StagedServer, sending: Transfer) -> None:
        impatient = transfer_server.logged_on(waitTimeoutSeconds=0.05)
        with pytest.raises(WaitTimeoutError):
            impatient.send.waitForTransfer(sending)

    def test_several_threads_share_an_api(self, api: APIInterface, transfer: Transfer) -> None:
        found: list[str] = []

        def ask() -> None:
            found.extend(api.send.getTransfer(transfer)["status"] for _ in range(10))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["complete"] * 40


def test_log_has_no_secret_and_no_crash(transfer_server: StagedServer) -> None:
    assert "Traceback" not in transfer_server.log
    for secret in (PASSWORD, "a word", "a guess"):
        assert secret not in transfer_server.log

"""The documented steps of the API, one by one, at a real server.

Each step shows what it returns: every field that the documentation shows is checked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jetstream import JetStream, Jetstream
from jetstream.apiinterface import APIInterface
from jetstream.errors import AuthenticationError, CommandError, ErrorKind, NotConnectedError
from jetstream.structures import Destination, Manifest, Transfer
from tests.integration.transferstage import (
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

README_SIZE = 1091
README_NAME = "/data/docs/readme.txt"

PROGRAM = """
import sys
from time import sleep

from jetstream import Jetstream

serverAddress = 'localhost'
serverPort = int(sys.argv[1])
api = Jetstream().api(serverAddress, serverPort)
api.connect()
api.disconnect()
with api:
    api.server.auth(sys.argv[2], sys.argv[3])
    mappings = {'/data/program/readme.txt': sys.argv[4]}
    manifest = api.send.createManifest(mappings=mappings)
    manifest = api.send.getManifest(manifest)
    while manifest['processing']:
        sleep(0.02)
        manifest = api.send.getManifest(manifest)
    destination = api.send.createDestination('localhost', destinationPort=serverPort)
    transfer = api.send.createTransfer(destination, manifest)
    while transfer['processing']:
        sleep(0.02)
        transfer = api.send.getTransfer(transfer)
    print(manifest['status'], manifest['totalFiles'], transfer['status'])
"""


@pytest.fixture(scope="module")
def readme(module_stage: TransferStage) -> Path:
    """The file that the examples send."""
    return module_stage.source(README_SIZE, "readme.txt")


@pytest.fixture(scope="module")
def big(module_stage: TransferStage) -> Path:
    """A file that takes many seconds when it is sent slowly."""
    return module_stage.source(16 * MEBIBYTE, "big.bin")


@pytest.fixture(scope="module")
def api(transfer_server: StagedServer) -> APIInterface:
    """An API on which the user has logged on."""
    return transfer_server.logged_on()


@pytest.fixture
def manifest(api: APIInterface, readme: Path) -> Manifest:
    """A manifest of the readme file."""
    return complete_manifest(api, {README_NAME: str(readme)})


@pytest.fixture(scope="module")
def destination(api: APIInterface, transfer_server: StagedServer) -> Destination:
    """The server itself, which also receives."""
    return api.send.createDestination(HOST, destinationPort=transfer_server.port)


@pytest.fixture
def slow_transfer(
    api: APIInterface, transfer_server: StagedServer, big: Path
) -> Iterator[Transfer]:
    """A transfer that sends for seconds, and has begun to."""
    transfer = sending_transfer(api, transfer_server, big)
    yield transfer
    if api.send.getTransfer(transfer)["status"] not in ("complete", "error"):
        api.send.failTransfer(transfer)


def result(api: APIInterface, request: Any) -> Any:
    """Check that a request is one, and return its result."""
    assert list(request) == ["requestId"]
    assert type(request["requestId"]) is int
    return api.server.getRequestResult(request)


class TestConnecting:
    def test_api_is_connected_and_disconnected(
        self, transfer_server: StagedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DXLFT_HOME", str(transfer_server.home.path))
        api = Jetstream().api("localhost", transfer_server.port)
        with pytest.raises(NotConnectedError):
            api.send.getTransfers()
        api.connect()
        states = [api.connected]
        api.disconnect()
        assert [*states, api.connected] == [True, False]
        with pytest.raises(NotConnectedError):
            api.send.getTransfers()

    def test_context_manager_connects(
        self, transfer_server: StagedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DXLFT_HOME", str(transfer_server.home.path))
        with JetStream().api("localhost", transfer_server.port) as api:
            states = [api.connected]
        assert [*states, api.connected] == [True, False]

    def test_examples_run_as_a_program(
        self, transfer_server: StagedServer, module_stage: TransferStage, readme: Path
    ) -> None:
        arguments = ("-c", PROGRAM, str(transfer_server.port), USER, PASSWORD, readme)
        environment = {"DXLFT_HOME": str(transfer_server.home.path)}

        program = module_stage.processes.start_python(*arguments, environment=environment)

        assert program.wait() == 0, program.errors
        assert program.output == "complete 1 complete\n"
        stored = transfer_server.storage / "data" / "program" / "readme.txt"
        assert stored.read_bytes() == readme.read_bytes()


class TestAuthenticating:
    def test_auth_returns_none(self, transfer_server: StagedServer) -> None:
        api = transfer_server.api()
        with pytest.raises(AuthenticationError):
            api.send.getTransfers()
        assert api.server.auth(USER, PASSWORD) is None  # type: ignore[func-returns-value]
        api.send.getTransfers()

    @pytest.mark.parametrize("name", [OTHER, "nobody"])
    def test_wrong_password_raises(self, transfer_server: StagedServer, name: str) -> None:
        api = transfer_server.api()
        with pytest.raises(AuthenticationError) as caught:
            api.server.auth(name, "not the secret")
        assert "not the secret" not in str(caught.value)
        with pytest.raises(AuthenticationError):
            api.send.getTransfers()

    def test_auth_async(self, transfer_server: StagedServer) -> None:
        api = transfer_server.api()

        request = api.server.authAsync(USER, PASSWORD)

        assert list(request) == ["requestId"]
        assert type(request["requestId"]) is int
        wait_until(lambda: not api.server.getRequestStatus(request)["processing"])
        status = api.server.getRequestStatus(request)
        assert status == {"errorMessage": "", "processing": False, "status": "complete"}
        assert api.server.getRequestResult(request) is None
        api.send.getTransfers()

    def test_auth_async_with_a_wrong_password(self, transfer_server: StagedServer) -> None:
        api = transfer_server.api()

        request = api.server.authAsync("somebody", "not the secret")

        with pytest.raises(AuthenticationError):
            api.server.getRequestResult(request)
        status = api.server.getRequestStatus(request)
        assert status["status"] == "error"
        assert status["processing"] is False
        assert status["errorMessage"]
        assert "not the secret" not in status["errorMessage"]


class TestManifests:
    def test_creating_one(self, api: APIInterface, readme: Path) -> None:
        mappings = {README_NAME: str(readme)}

        manifest = api.send.createManifest(mappings=mappings)

        shown = ("status", "processing", "totalFiles", "totalSize", "errorMessage")
        found = {name: value for name, value in manifest.items() if name in shown}
        assert found == {
            "status": "pending",
            "processing": True,
            "totalFiles": None,
            "totalSize": None,
            "errorMessage": None,
        }
        assert type(manifest["manifestId"]) is str
        assert manifest["owner"] == USER
        assert manifest["userData"] == {}

    def test_monitoring_one(self, api: APIInterface, readme: Path) -> None:
        manifest = api.send.createManifest(mappings={README_NAME: str(readme)})
        number = manifest["manifestId"]

        seen = [manifest["status"]]
        while manifest["processing"]:
            manifest = api.send.getManifest(manifest)
            assert manifest["manifestId"] == number
            seen.append(manifest["status"])

        assert seen == ["pending"] * (len(seen) - 1) + ["complete"]
        assert (manifest["totalFiles"], manifest["totalSize"]) == (1, README_SIZE)

    def test_waiting_for_one(self, api: APIInterface, readme: Path) -> None:
        created = api.send.createManifest(mappings={README_NAME: str(readme)})

        manifest = api.send.waitForManifest(created)

        assert manifest["status"] == "complete"
        assert manifest["processing"] is False
        assert manifest["totalFiles"] == 1
        assert manifest["totalSize"] == 1091
        assert manifest["manifestId"] == created["manifestId"]

    def test_one_that_fails_says_why(self, api: APIInterface, module_stage: TransferStage) -> None:
        directory = module_stage.sources / "broken"
        directory.mkdir()
        (directory / "link").symlink_to("nowhere")

        manifest = api.send.waitForManifest(
            api.send.createManifest(mappings={"/data/broken": str(directory)})
        )

        assert manifest["status"] == "error"
        assert manifest["processing"] is False
        assert f"{directory}/link" in (manifest["errorMessage"] or "")

    def test_renaming_on_the_way(
        self,
        api: APIInterface,
        destination: Destination,
        readme: Path,
        transfer_server: StagedServer,
    ) -> None:
        name = "/project/introduction.txt"
        files = complete_manifest(api, {name: str(readme)})
        transfer = api.send.waitForTransfer(api.send.createTransfer(destination, files))
        assert transfer["status"] == "complete"
        stored = transfer_server.storage / "project" / "introduction.txt"
        assert stored.read_bytes() == readme.read_bytes()

    def test_size_known_in_advance(self, api: APIInterface) -> None:
        mappings = {"/storage/destinationFile.txt": {"src": "/sourceFile.txt", "size": 100}}
        manifest = complete_manifest(api, mappings)
        assert (manifest["totalFiles"], manifest["totalSize"]) == (1, 100)
        (found,) = api.send.getManifestFiles(manifest)["fileMappings"]
        assert found["srcPath"] == "/sourceFile.txt"
        assert found["destPath"] == "/storage/destinationFile.txt"
        assert found["fileSize"] == 100
        assert found["isEmptyDir"] is False

    def test_empty_directory(
        self, api: APIInterface, destination: Destination, transfer_server: StagedServer
    ) -> None:
        mappings = {"/project/data/destinationEmptyDir": {"src": "/emptyDir"}}
        manifest = complete_manifest(api, mappings)
        (found,) = api.send.getManifestFiles(manifest)["fileMappings"]
        assert found["isEmptyDir"] is True
        assert found["fileSize"] == 0
        transfer = api.send.waitForTransfer(api.send.createTransfer(destination, manifest))
        assert (transfer["status"], transfer["errorMessage"]) == ("complete", "")
        assert (transfer_server.storage / "project/data/destinationEmptyDir").is_dir()


class TestDestinations:
    def test_creating_one(self, api: APIInterface, transfer_server: StagedServer) -> None:
        destination = api.send.createDestination(HOST, destinationPort=transfer_server.port)
        assert type(destination["destinationId"]) is str
        assert destination["destinationAddress"] == "localhost"
        assert destination["destinationPort"] == transfer_server.port
        assert destination["destinationIP"] == "127.0.0.1"

    def test_port_by_default(self, api: APIInterface) -> None:
        assert api.send.createDestination("localhost")["destinationPort"] == 8886

    def test_name_that_does_not_resolve(self, api: APIInterface) -> None:
        with pytest.raises(CommandError, match=r"receiver01\.invalid.*does not resolve"):
            api.send.createDestination(destinationAddress="receiver01.invalid")


class TestTransfers:
    def test_creating_one(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        transfer = api.send.createTransfer(destination, manifest)
        assert type(transfer["transferId"]) is str
        assert transfer["processing"] is True
        assert transfer["status"] == "pending"
        assert transfer["destinationId"] == destination["destinationId"]
        assert transfer["manifestId"] == manifest["manifestId"]
        assert transfer["errorMessage"] == ""
        assert transfer["blockSize"] == 256
        assert transfer["totalBytes"] == README_SIZE
        assert transfer["totalBlocks"] == -(-README_SIZE // 256)
        assert transfer["priority"] == 100
        assert transfer["priorityLane"] == "Normal"

    def test_monitoring_one(
        self,
        api: APIInterface,
        destination: Destination,
        manifest: Manifest,
        transfer_server: StagedServer,
        readme: Path,
    ) -> None:
        transfer = api.send.createTransfer(destination, manifest)
        number = transfer["transferId"]

        seen = [transfer["status"]]
        while transfer["processing"]:
            transfer = api.send.getTransfer(transfer)
            assert transfer["transferId"] == number
            seen.append(transfer["status"])

        order = ["pending", "sending", "complete"]
        assert seen == sorted(seen, key=order.index)
        assert seen[-1] == "complete"
        assert (transfer_server.storage / README_NAME[1:]).read_bytes() == readme.read_bytes()

    def test_waiting_for_one(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        created = api.send.createTransfer(destination, manifest)
        transfer = api.send.waitForTransfer(created)
        assert transfer["processing"] is False
        assert transfer["status"] == "complete"
        assert transfer["transferId"] == created["transferId"]
        assert transfer["errorMessage"] == ""

    def test_states_in_their_order(
        self,
        api: APIInterface,
        slow_transfer: Transfer,
        transfer_server: StagedServer,
        big: Path,
    ) -> None:
        sending = api.send.getTransfer(slow_transfer)
        assert (sending["status"], sending["processing"]) == ("sending", True)

        request = api.send.suspendTransferAsync(slow_transfer)
        found = result(api, request)
        status = api.send.getRequestStatus(request)
        assert (status["status"], status["processing"]) == ("complete", False)
        assert found["transferId"] == slow_transfer["transferId"]
        suspended = api.send.getTransfer(found)
        assert (suspended["status"], suspended["processing"]) == ("suspended", False)
        assert api.send.waitForTransfer(slow_transfer)["status"] == "suspended"

        request = api.send.resumeTransferAsync(slow_transfer)
        found = result(api, request)
        assert found["transferId"] == slow_transfer["transferId"]
        assert found["status"] in ("resuming", "sending")
        resumed = api.send.getTransfer(found)
        assert resumed["status"] in ("resuming", "sending")
        assert resumed["processing"] is True

        assert result(api, api.send.setTransferSendRateMaxAsync(slow_transfer, -1)) == {
            "sendRateMax": -1
        }
        ended = api.send.waitForTransfer(slow_transfer)
        assert (ended["status"], ended["errorMessage"]) == ("complete", "")
        assert (transfer_server.storage / big.name).read_bytes() == big.read_bytes()

    def test_one_that_fails_says_why(
        self, api: APIInterface, destination: Destination, module_stage: TransferStage
    ) -> None:
        path = module_stage.source(100, "vanishing")
        files = complete_manifest(api, {"/data/vanishing": str(path)})
        path.unlink()

        transfer = api.send.waitForTransfer(api.send.createTransfer(destination, files))

        assert transfer["status"] == "error"
        assert transfer["processing"] is False
        assert "vanishing" in transfer["errorMessage"]

    def test_rates_come_back_as_they_are_set(
        self, api: APIInterface, transfer_server: StagedServer
    ) -> None:
        destination = api.send.createDestination(
            HOST, destinationPort=transfer_server.port, exclusive=True
        )
        request = api.send.setSendRateMaxAsync(destination, 750000)
        assert result(api, request) == {"sendRateMax": 750000.0}
        assert api.send.getDestination(destination)["sendRateMax"] == 750000.0

    def test_only_active_ones_are_suspended_and_only_suspended_ones_resumed(
        self, api: APIInterface, destination: Destination, manifest: Manifest
    ) -> None:
        transfer = api.send.waitForTransfer(api.send.createTransfer(destination, manifest))
        for change in (api.send.suspendTransferAsync, api.send.resumeTransferAsync):
            with pytest.raises(CommandError, match="complete") as caught:
                api.server.getRequestResult(change(transfer))
            assert caught.value.kind is ErrorKind.STATE


def test_nothing_secret_is_in_the_log(transfer_server: StagedServer) -> None:
    assert PASSWORD not in transfer_server.log
    assert "Traceback" not in transfer_server.log

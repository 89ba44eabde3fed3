"""The application inside another program: hooks, its end at any time, failures to start."""

import gc
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from dxlclient.exceptions import DxlException
from dxlclient.message import Request
from pytest_mock import MockerFixture

from dxlfabric.configuration import BrokerAddress, write_client_configuration
from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfiletransferclient import FileTransferClient
from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.protocol.messages import (
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.storage.local import LocalStore
from dxlfiletransferclient.store import FileStoreManager
from dxlfiletransferservice import FileTransferService, get_version
from tests.fabric import Connections, Fabric, answer_of, new_topic, registered_services
from tests.integration.verbclient import VerbClient
from tests.waiting import TIMEOUT, wait_until


class Recording(FileTransferService):
    """Writes down which hooks are called."""

    def __init__(self, config_dir: Path) -> None:
        self.calls: list[str] = []
        super().__init__(config_dir)

    def on_run(self) -> None:
        self.calls.append("run")

    def on_load_configuration(self, config: ConfigParser) -> None:
        self.calls.append("load")
        super().on_load_configuration(config)

    def on_register_event_handlers(self) -> None:
        self.calls.append("events")

    def on_register_services(self) -> None:
        self.calls.append("services")
        super().on_register_services()

    def on_dxl_connect(self) -> None:
        self.calls.append("connect")


def config_for(fabric: Fabric, tmp_path: Path, **general: str | Path) -> Path:
    settings = {"storageDir": tmp_path / "files", "storeTopic": new_topic(), **general}
    return fabric.write_service_directory(tmp_path / "config", settings)


def assert_free(storage: Path) -> None:
    """Fails if a store still uses the directories."""
    FileStoreManager(storage).close()


def service_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "file-transfer-maintenance"]


def test_it_runs_until_it_is_destroyed(
    fabric: Fabric, connections: Connections, tmp_path: Path
) -> None:
    config_dir = config_for(fabric, tmp_path)
    with Recording(config_dir) as service:
        service.run()
        assert service.calls == ["run", "load", "events", "services", "connect"]
        assert service.client is not None
        assert service.client.connected
        assert service.config is not None
        assert service.settings is not None
        assert service.config["General"]["storeTopic"] == service.settings.store_topic
        assert service_threads()
        client = FileTransferClient(connections.open(fabric), service.settings.store_topic)
        client.send_file_request(config_dir / "dxlclient.config", "sub/stored")
        with pytest.raises(Exception, match="already running"):
            service.run()
    assert not service_threads()
    assert (tmp_path / "files" / "sub" / "stored").exists()
    assert_free(tmp_path / "files")
    service.destroy()
    assert service.service_id is None


def test_nothing_is_known_before_it_runs(tmp_path: Path) -> None:
    service = FileTransferService(tmp_path)
    assert service.client is None
    assert service.config is None
    assert service.settings is None
    assert service.service_id is None
    service.destroy()


def test_the_pools_have_the_sizes_from_the_settings(fabric: Fabric, tmp_path: Path) -> None:
    config_dir = config_for(fabric, tmp_path)
    with (config_dir / "dxlfiletransferservice.config").open("a") as file:
        file.write("[IncomingMessagePool]\nqueueSize=7\nthreadCount=3\n")
    with FileTransferService(config_dir) as service:
        service.run()
        assert service.client is not None
        assert service.client.config.incoming_message_queue_size == 7
        assert service.client.config.incoming_message_thread_pool_size == 3


def test_segments_are_not_stored_on_the_network_thread(
    fabric: Fabric, connections: Connections, tmp_path: Path, mocker: MockerFixture
) -> None:
    threads: set[str] = set()
    store_segment = FileStoreManager.store_segment

    def noting(store: FileStoreManager, message: Any) -> Any:
        threads.add(threading.current_thread().name)
        return store_segment(store, message)

    mocker.patch.object(FileStoreManager, "store_segment", noting)
    with FileTransferService(config_for(fabric, tmp_path)) as service:
        service.run()
        assert service.settings is not None
        request = Request(service.settings.store_topic)
        request.other_fields = {"segment_number": "1"}
        request.payload = b"version 1"
        answer_of(connections.open(fabric).sync_request(request, timeout=TIMEOUT))
    assert threads
    assert all(name.startswith("DxlMessagePool") for name in threads)


def test_it_ends_while_it_waits_for_a_broker(fabric: Fabric, tmp_path: Path) -> None:
    config_dir = config_for(fabric, tmp_path)
    # A port that is taken but not listened on refuses every connection.
    with socket.socket() as taken, ThreadPoolExecutor(1) as pool:
        taken.bind(("127.0.0.1", 0))
        write_client_configuration(
            config_dir / "dxlclient.config",
            fabric.provisioned.service.credentials,
            BrokerAddress("absent", "127.0.0.1", taken.getsockname()[1]),
        )
        connecting = threading.Event()

        class Waiting(FileTransferService):
            def on_load_configuration(self, config: ConfigParser) -> None:
                super().on_load_configuration(config)
                connecting.set()

        service = Waiting(config_dir)
        running = pool.submit(service.run)
        assert connecting.wait(TIMEOUT)
        service.destroy()
        with pytest.raises(DxlException):
            running.result(TIMEOUT)
    assert not service_threads()
    assert_free(tmp_path / "files")


def test_it_ends_after_its_broker_has_vanished(own_fabric: Fabric, tmp_path: Path) -> None:
    with FileTransferService(config_for(own_fabric, tmp_path)) as service:
        service.run()
        own_fabric.broker.__exit__(None, None, None)
    assert service.client is None
    assert_free(tmp_path / "files")


def test_a_registration_that_is_not_confirmed_is_an_error(
    fabric: Fabric, tmp_path: Path, mocker: MockerFixture
) -> None:
    mocker.patch(
        "dxlfiletransferservice.app.FileTransferService.register_service",
        side_effect=DxlException("timeout"),
    )
    config_dir = config_for(fabric, tmp_path, storeTopic="/some/topic")
    with (
        pytest.raises(ConnectError, match="registration of /some/topic"),
        FileTransferService(config_dir) as service,
    ):
        service.run()
    assert_free(tmp_path / "files")


def test_mistakes_show_before_a_broker_is_looked_for(fabric: Fabric, tmp_path: Path) -> None:
    config_dir = config_for(fabric, tmp_path, workingDir="/proc/nothing")
    service = FileTransferService(config_dir)
    with pytest.raises(ConfigurationError, match=r"\[General\] .*/proc/nothing"):
        service.run()
    assert service.client is None
    service.destroy()


def test_a_missing_directory_is_created_to_be_filled_in(tmp_path: Path) -> None:
    with FileTransferService(str(tmp_path / "new")) as service:
        with pytest.raises(ConfigurationError, match="fill in"):
            service.run()
        with pytest.raises(ConfigurationError, match="placeholders"):
            service.check_configuration()


def test_a_failed_constructor_leaves_nothing_to_destroy() -> None:
    with pytest.raises(TypeError):
        FileTransferService(None)  # type: ignore[arg-type]
    gc.collect()


def test_a_failed_round_of_maintenance_does_not_end_it(
    fabric: Fabric, tmp_path: Path, mocker: MockerFixture
) -> None:
    tried_again = threading.Event()
    outcomes: list[Exception | None] = [OSError("disk gone"), None]

    def maintain(_store: LocalStore, now: float) -> None:
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is not None:
            raise outcome
        tried_again.set()

    mocker.patch.object(LocalStore, "maintain", maintain)
    with FileTransferService(config_for(fabric, tmp_path)) as service:
        service.run()
        assert tried_again.wait(TIMEOUT)


def test_requests_that_have_come_are_answered_at_the_end(
    fabric: Fabric, connections: Connections, tmp_path: Path, mocker: MockerFixture
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    status = LocalStore.status

    def slow(store: LocalStore, request: StatusRequest) -> TransferAnswer:
        begun.set()
        assert go_on.wait(TIMEOUT)
        return status(store, request)

    mocker.patch.object(LocalStore, "status", slow)
    client = connections.open(fabric)
    with (
        FileTransferService(config_for(fabric, tmp_path)) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        service.run()
        assert service.settings is not None
        verbs = VerbClient(client, service.settings.store_topic)
        verbs.open("f", "file", 10)
        verbs.segment("f", 0, b"12345")
        asked = pool.submit(
            verbs.ask, Verb.STATUS, StatusRequest(file_id="f", flush=True), TransferAnswer
        )
        assert begun.wait(TIMEOUT)
        service_id = service.service_id
        ending = pool.submit(service.destroy)
        wait_until(lambda: service_id not in registered_services(client, SERVICE_TYPE))
        go_on.set()
        assert asked.result(TIMEOUT).durable == ((0, 5),)
        ending.result(TIMEOUT)
    assert_free(tmp_path / "files")


def test_requests_of_version_2_are_not_carried_out_on_the_network_thread(
    fabric: Fabric, connections: Connections, tmp_path: Path, mocker: MockerFixture
) -> None:
    threads: set[str] = set()
    write = LocalStore.write

    def noting(store: LocalStore, request: SegmentRequest) -> TransferAnswer:
        threads.add(threading.current_thread().name)
        return write(store, request)

    mocker.patch.object(LocalStore, "write", noting)
    with FileTransferService(config_for(fabric, tmp_path)) as service:
        service.run()
        assert service.settings is not None
        verbs = VerbClient(connections.open(fabric), service.settings.store_topic)
        verbs.open("f", "file", 10)
        verbs.segment("f", 0, b"12345")
    assert threads
    assert all(name.startswith("DxlMessagePool") for name in threads)


def test_the_version_is_that_of_the_distribution() -> None:
    assert get_version().count(".") == 2

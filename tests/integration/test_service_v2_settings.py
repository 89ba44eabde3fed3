"""Services of version 2 with settings of their own, and from one process to the next."""

import json
import os
from pathlib import Path

import pytest
from dxlclient.client import DxlClient
from dxlclient.message import Request

from dxlfiletransferclient.constants import SERVICE_TYPE
from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    HelloAnswer,
    HelloRequest,
    Kind,
    ListRequest,
    Message,
    OpenRequest,
    RemoveAnswer,
    RemoveRequest,
    RetrieveRequest,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from tests.fabric import Fabric, answer_of, new_topic
from tests.integration.verbclient import VerbClient
from tests.processes import Processes
from tests.services import Service
from tests.waiting import TIMEOUT, wait_until

MIB = 1_048_576


class OwnServices:
    """Starts services with settings of their own, all with the same files."""

    def __init__(self, fabric: Fabric, processes: Processes, directory: Path) -> None:
        self._fabric = fabric
        self._processes = processes
        self._directory = directory

    def start(self, more: str = "") -> Service:
        """Start one, with more text in its settings."""
        topic, storage = new_topic(), self._directory / "files"
        config = self._fabric.write_service_directory(
            self._directory / "config", {"storageDir": storage, "storeTopic": topic}, more=more
        )
        return Service(self._processes.start_service(config), storage, topic)


@pytest.fixture
def own_services(fabric: Fabric, processes: Processes, tmp_path: Path) -> OwnServices:
    return OwnServices(fabric, processes, tmp_path)


def topics_of(dxl_client: DxlClient, service: Service) -> set[str]:
    """The topics under which the broker knows a service."""
    request = Request("/mcafee/service/dxl/svcregistry/query")
    request.payload = json.dumps({"serviceType": SERVICE_TYPE}).encode()
    found = answer_of(dxl_client.sync_request(request, timeout=TIMEOUT))
    return set(found["services"][service.service_id]["requestChannels"])


def test_what_is_not_allowed_is_not_there(own_services: OwnServices, dxl_client: DxlClient) -> None:
    service = own_services.start("[Access]\nretrieve=no\nlist=no\nremove=no\n")
    verbs = VerbClient(dxl_client, service.topic)
    storing = {"hello", "open", "segment", "status", "finish", "abort", "batch"}
    assert set(verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer).verbs.split()) == storing
    offered = {topic_of(Verb(verb), service.topic) for verb in storing}
    assert topics_of(dxl_client, service) == offered | {service.topic}
    verbs.put("file", b"x")
    asked: list[tuple[Verb, Message]] = [
        (Verb.RETRIEVE, RetrieveRequest(name="file", offset=0, length=1)),
        (Verb.LIST, ListRequest()),
        (Verb.STAT, StatRequest(name="file")),
        (Verb.REMOVE, RemoveRequest(name="file")),
    ]
    for verb, message in asked:
        assert verbs.refused(verb, message).means(ErrorCode.NO_SERVICE), verb
    assert (service.storage / "file").read_bytes() == b"x"


def test_links_are_made_where_that_is_allowed(
    own_services: OwnServices, dxl_client: DxlClient, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    service = own_services.start("[Access]\nsymbolicLinks=yes\n")
    verbs = VerbClient(dxl_client, service.topic)
    verbs.put("sub/file", b"content")
    inside, outside = verbs.batch(
        BatchEntry(kind=Kind.LINK, name="link", target="sub/file"),
        BatchEntry(kind=Kind.LINK, name="out", target="../secret"),
    )
    assert inside.state == TransferState.STORED
    assert (service.storage / "link").readlink() == Path("sub/file")
    assert outside.state is None
    assert not (service.storage / "out").is_symlink()


def test_quotas_are_kept(own_services: OwnServices, dxl_client: DxlClient) -> None:
    service = own_services.start("[Quota]\ntotalMegabytes=3\nfileMegabytes=2\n")
    verbs = VerbClient(dxl_client, service.topic)
    too_large = OpenRequest(file_id="large", name="large", size=2 * MIB + 1)
    assert verbs.refused(Verb.OPEN, too_large).means(ErrorCode.QUOTA)
    content = os.urandom(2 * MIB)
    verbs.open("one", "one", len(content))
    for offset in range(0, len(content), MIB // 2):
        verbs.segment("one", offset, content[offset:][: MIB // 2])
    assert verbs.finish("one", content).state == TransferState.STORED
    second = OpenRequest(file_id="two", name="two", size=len(content))
    error = verbs.refused(Verb.OPEN, second)
    assert error.means(ErrorCode.QUOTA)
    assert str(service.storage) not in error.message
    verbs.open("three", "three", MIB // 2)
    verbs.ask(Verb.REMOVE, RemoveRequest(name="one"), RemoveAnswer)
    verbs.ask(Verb.OPEN, second, TransferAnswer)


def test_the_segments_of_a_service_may_be_small(
    own_services: OwnServices, dxl_client: DxlClient
) -> None:
    service = own_services.start("[Transfers]\nsegmentBytes=5000\nwindowMegabytes=1\n")
    verbs = VerbClient(dxl_client, service.topic)
    hello = verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer)
    assert hello.segment_size == 5000
    assert 5000 <= hello.window <= MIB
    assert verbs.open("f", "file").segment_size == 5000


@pytest.mark.parametrize("crash", [False, True])
def test_a_file_goes_on_after_a_restart(
    own_services: OwnServices, dxl_client: DxlClient, crash: bool
) -> None:
    content = os.urandom(300_000)
    service = own_services.start()
    verbs = VerbClient(dxl_client, service.topic)
    store_id = verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer).store_id
    verbs.open("f", "file", len(content))
    verbs.segment("f", 0, content[:100_000])
    if crash:
        verbs.ask(Verb.STATUS, StatusRequest(file_id="f", flush=True), TransferAnswer)
        service.process.kill()
    else:
        # The end makes a last checkpoint.
        assert service.process.end() == 0
        assert "Traceback" not in service.process.errors

    service = own_services.start()
    verbs = VerbClient(dxl_client, service.topic)
    assert verbs.ask(Verb.HELLO, HelloRequest(), HelloAnswer).store_id == store_id
    opened = verbs.open("f", "file", len(content))
    assert opened.durable == opened.held == ((0, 100_000),)
    verbs.segment("f", 100_000, content[100_000:])
    assert verbs.finish("f", content).state == TransferState.STORED
    assert (service.storage / "file").read_bytes() == content


def test_a_checkpoint_comes_by_itself(own_services: OwnServices, dxl_client: DxlClient) -> None:
    service = own_services.start("[Transfers]\ncheckpointSeconds=0.1\n")
    verbs = VerbClient(dxl_client, service.topic)
    verbs.open("f", "file", 1000)
    verbs.segment("f", 0, b"x" * 500)

    def durable() -> bool:
        status = verbs.ask(Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
        return status.durable == ((0, 500),)

    wait_until(durable)


def test_abandoned_files_expire(own_services: OwnServices, dxl_client: DxlClient) -> None:
    # What is added first is still in the section [General].
    service = own_services.start("partialFileLifetimeHours=0.0003\n")
    verbs = VerbClient(dxl_client, service.topic)
    verbs.open("f", "file", 1000)

    def forgotten() -> bool:
        try:
            # Asking keeps no file alive.
            verbs.ask(Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)
        except RefusedError as error:
            return error.means(ErrorCode.UNKNOWN_TRANSFER)
        return False

    wait_until(forgotten)

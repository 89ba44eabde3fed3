"""Transfers that lose a server, a broker or a source on the way, with real processes."""

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from jetstream import CommandError, constants
from jetstream.structures import Transfer
from tests.integration.stage import never_seen_half
from tests.integration.transferscene import TransferScene, digests, everything
from tests.integration.transferstage import (
    HOST,
    KIBIBYTE,
    MEBIBYTE,
    StagedServer,
    TransferStage,
)
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.slow

SIZE: Final = 4 * MEBIBYTE
"""Bytes of a file that takes a while."""

QUOTA_MEGABYTES: Final = 256
"""Megabytes for which the receiver has room."""

CALLERS: Final = 3
"""Threads that call at the same time."""

CALLS: Final = 20
"""Calls that have to go through before the server is killed, and after it is there again."""

TOO_LATE: Final = 10
"""Seconds in which a transfer has failed that is to wait for one; even on a busy machine."""

OLD: Final = b"what was there before"


@pytest.fixture(scope="module")
def sender(module_stage: TransferStage) -> StagedServer:
    return module_stage.server("sender")


@pytest.fixture(scope="module")
def receiver(module_stage: TransferStage, sender: StagedServer) -> StagedServer:
    settings = {"Quota": {"totalMegabytes": QUOTA_MEGABYTES}}
    server = module_stage.server("receiver", settings=settings)
    sender.knows(server)
    return server


@pytest.fixture
def scene(
    module_stage: TransferStage, sender: StagedServer, receiver: StagedServer
) -> Iterator[TransferScene]:
    """Somebody who has logged on, and whose transfers do not outlive the test."""
    for server in (sender, receiver):
        if server.process.process.poll() is not None:
            server.start()
    made = TransferScene(module_stage, sender)
    yield made
    made.fail_all()


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A directory at the receiver that no other test uses."""
    return tmp_path.name


def test_everything_is_where_it_was_after_the_server_was_killed(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    send, server = scene.api.send, scene.api.server
    source = scene.source(SIZE)
    manifest = scene.manifest({"file": source})
    slow = scene.destination(receiver, megabytes=0.5, permanent=True)
    nowhere = scene.nowhere()
    lanes = {"Fast": 0.9, "Slow": 0.1}
    server.getRequestResult(send.setPriorityLanesAsync(nowhere, lanes))
    send.updateTransferDefaults(nowhere, priority=7, priorityLane="Slow", minCipher=3)
    transfers = {
        "sending": scene.send(slow, manifest, f"{place}/sending", userData={"a": "b"}),
        "sending suspended": scene.send(slow, manifest, f"{place}/suspended", priority=1),
        "pending": scene.send(nowhere, manifest, f"{place}/pending"),
        "suspended": scene.send(nowhere, manifest, f"{place}/nowhere"),
        "resuming": scene.send(nowhere, manifest, f"{place}/nowhere"),
        "error": scene.send(nowhere, manifest, f"{place}/nowhere"),
    }
    scene.until_acked(transfers["sending suspended"], 1)
    for each in ("sending suspended", "suspended", "resuming"):
        scene.suspend(transfers[each])
    scene.resume(transfers["resuming"])
    send.failTransfer(transfers["error"], "for a reason")
    token = send.createSharedToken(manifest, downloadLimit=3, description="a link")
    send.updateObjectUserData(manifest, "key", "value")
    send.updateObjectUserData(slow, "key", "value")
    scene.until_acked(transfers["sending"], SIZE // 4)
    request = send.setTransferPriorityAsync(transfers["pending"], priority=5)
    server.getRequestResult(request)
    before = everything(scene)

    scene.restart()

    send, server = scene.api.send, scene.api.server
    assert everything(scene) == before
    assert server.getRequestResult(request) == {"transferId": transfers["pending"]["transferId"]}
    found = {name: scene.now(each) for name, each in transfers.items()}
    assert {name: each["status"] for name, each in found.items()} == {
        "sending": "sending",
        "sending suspended": "suspended",
        "pending": "pending",
        "suspended": "suspended",
        "resuming": "resuming",
        "error": "error",
    }
    assert found["pending"]["priority"] == 5
    assert found["error"]["errorMessage"] == "for a reason"
    assert send.getSharedToken(token)["downloadLimit"] == 3
    assert send.getDestination(nowhere)["priorityLanes"] == lanes

    scene.set_rate(slow, None)
    scene.resume(transfers["sending suspended"])
    for name in ("sending", "sending suspended"):
        ended = scene.completed(transfers[name])
        assert ended["bytesSent"] < SIZE + SIZE // 2, name
    assert {path.read_bytes() for path in (receiver.storage / place).glob("*/file")} == {
        source.read_bytes()
    }


def test_a_server_that_is_killed_while_transfers_finish_loses_and_doubles_nothing(
    scene: TransferScene, sender: StagedServer, place: str
) -> None:
    """The server is sender and receiver, so both ends are cut off at the same moment."""
    directory = scene.sources(20, 200 * KIBIBYTE)
    small = scene.sources(200, KIBIBYTE)
    storage = sender.storage / place
    for name in ("file 0", "file 13"):
        _write(storage / "many" / "directory" / name, OLD)
        _write(storage / "small" / "directory" / name, OLD)
    destination = scene.destination(sender, megabytes=4)
    options = {"overwriteMode": constants.OVERWRITE_WITH_BACKUP}
    manifest = scene.manifest({"directory": directory})
    transfers = [scene.send(destination, manifest, f"{place}/many", **options)]
    manifest = scene.manifest({"directory": small})
    transfers.append(scene.send(destination, manifest, f"{place}/small", **options))
    for number, path in enumerate(sorted(directory.iterdir())):
        manifest = scene.manifest({path.name: path})
        transfers.append(scene.send(destination, manifest, f"{place}/one {number}"))

    for count in (2, 8, 16):
        wait_until(lambda least=count: len(list(storage.glob("one */*"))) >= least)  # type: ignore[misc]
        sender.restart()

    scene.log_on()
    scene.set_rate(destination, None)
    for each in transfers:
        scene.completed(each)
    found = digests(storage)
    expected = {f"many/directory/{name}": each for name, each in digests(directory).items()}
    expected |= {f"small/directory/{name}": each for name, each in digests(small).items()}
    for number, path in enumerate(sorted(directory.iterdir())):
        expected[f"one {number}/{path.name}"] = expected[f"many/directory/{path.name}"]
    backups = {name: each for name, each in found.items() if name.endswith(".jetbak")}
    # A file that was stored twice would have put itself in the place of the one before.
    assert {(storage / name).read_bytes() for name in backups} == {OLD}
    assert len(backups) == 4
    assert {name: each for name, each in found.items() if name not in backups} == expected


def test_calls_that_are_under_way_when_the_server_dies_count_once(
    scene: TransferScene, sender: StagedServer, place: str
) -> None:
    manifest = scene.manifest({"file": scene.source(KIBIBYTE)})
    nowhere = scene.nowhere()
    over = threading.Event()
    made: dict[str, str] = {}

    def call(caller: int) -> None:
        api = sender.logged_on()
        for number in range(1000):
            path = f"{place}/{caller}/{number}"
            made[path] = api.send.createTransfer(nowhere, manifest, path)["transferId"]
            if over.is_set():
                return

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(call, each) for each in range(CALLERS)]
        wait_until(lambda: len(made) >= CALLS)
        sender.restart()
        already = len(made)
        wait_until(lambda: len(made) >= already + CALLS)
        over.set()
        for each in callers:
            each.result(TIMEOUT)

    found = scene.api.send.getTransfers(nowhere)
    assert Counter(each["destinationPath"] for each in found) == Counter(made.keys())
    assert {each["destinationPath"]: each["transferId"] for each in found} == made
    assert {each["status"] for each in found} == {"pending"}


def test_a_receiver_that_is_killed_is_sent_the_rest(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    size = 3 * SIZE
    source, directory = scene.source(size), scene.sources(40, 50 * KIBIBYTE)
    destination = scene.destination(receiver, megabytes=4)
    stored = receiver.storage / place / "file"
    with never_seen_half(stored, size):
        big = scene.send(destination, scene.manifest({"file": source}), place)
        many = scene.send(destination, scene.manifest({"directory": directory}), place)
        for part in (4, 2):
            scene.until_acked(big, size // part)
            receiver.restart()
            assert scene.now(big)["status"] == "sending"
        scene.set_rate(destination, None)
        ended = scene.completed(big)
        scene.completed(many)
    # A crash costs what had come since the last checkpoint, here that of two seconds.
    assert ended["bytesSent"] < 2 * size + SIZE
    assert stored.read_bytes() == source.read_bytes()
    assert digests(receiver.storage / place / "directory") == digests(directory)


def test_a_broker_that_is_killed_is_there_again(
    scene: TransferScene, sender: StagedServer, place: str
) -> None:
    source = scene.source(2 * SIZE)
    destination = scene.destination(sender, megabytes=4)
    transfer = scene.send(destination, scene.manifest({"file": source}), place)
    scene.until_acked(transfer, SIZE)
    os.kill(sender.brokers[-1], signal.SIGKILL)
    # The API and the courier both come back by themselves.
    scene.set_rate(destination, None)
    ended = scene.completed(transfer)
    assert ended["bytesSent"] < 3 * SIZE
    assert (sender.storage / place / "file").read_bytes() == source.read_bytes()


# What cannot go well


def test_a_transfer_fails_in_time_if_nobody_is_at_its_destination(
    scene: TransferScene, place: str
) -> None:
    manifest = scene.manifest({"file": scene.source(KIBIBYTE)})
    nowhere = scene.nowhere()
    patient = scene.send(nowhere, manifest, place)
    text = _failed_in_time(scene, scene.send(nowhere, manifest, place, timeoutSeconds=1))
    assert "nobody listens there" in text
    assert scene.now(patient)["status"] == "pending"
    shown = scene.api.send.getDestination(nowhere)
    assert shown["encryptedConnectionState"] == "disconnected"
    assert shown["lastError"] == "ConnectError"
    assert "nobody listens there" in shown["lastErrorMessage"]


def test_a_transfer_fails_in_time_if_its_destination_never_answers(
    scene: TransferScene, place: str
) -> None:
    manifest = scene.manifest({"file": scene.source(KIBIBYTE)})
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        destination = scene.api.send.createDestination(HOST, destinationPort=port)
        _failed_in_time(scene, scene.send(destination, manifest, place, timeoutSeconds=1))


def test_a_transfer_fails_in_time_if_its_receiver_stops_on_the_way(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    destination = scene.destination(receiver, megabytes=1)
    manifest = scene.manifest({"file": scene.source(SIZE)})
    transfer = scene.send(destination, manifest, place, timeoutSeconds=1)
    patient = scene.send(destination, manifest, f"{place}/patient")
    scene.until_acked(transfer, 1)
    with _stopped(receiver):
        _failed_in_time(scene, transfer)
    scene.set_rate(destination, None)
    scene.completed(patient)
    assert digests(receiver.storage / place).keys() == {"patient/file"}


def test_an_address_that_does_not_resolve_is_no_destination(scene: TransferScene) -> None:
    with pytest.raises(CommandError, match=r"the address 'nobody\.invalid' does not resolve"):
        scene.api.send.createDestination("nobody.invalid")


def test_a_full_receiver_fails_transfers_with_what_is_to_be_done(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    large = scene.source(0)
    os.truncate(large, (QUOTA_MEGABYTES + 1) * MEBIBYTE)
    destination = scene.destination(receiver)
    transfer = scene.send(destination, scene.manifest({"large": large}), place)
    text = scene.failed(transfer)
    assert "the limit of 268435456 bytes for all files is reached" in text
    assert "have the limit raised" in text
    assert scene.now(transfer)["bytesSent"] == 0
    small = scene.manifest({"small": scene.source(KIBIBYTE)})
    scene.completed(scene.send(destination, small, place))
    assert digests(receiver.storage / place).keys() == {"small"}


def test_sources_that_vanish_fail_by_name_and_the_others_arrive(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    sources = {name: scene.source(size) for name, size in _SIZES.items()}
    manifest = scene.manifest(sources)
    sources["gone"].unlink()
    sources["gone small"].unlink()
    os.truncate(sources["shorter"], SIZE - 1)
    transfer = scene.send(scene.destination(receiver), manifest, place)
    assert scene.failed(transfer) == (
        "3 of 5 files could not be sent; the first: 'gone': No such file or directory"
    )
    ended = scene.now(transfer)
    assert (ended["filesSent"], ended["filesFailed"]) == (2, 3)
    kept = {name: path.read_bytes() for name, path in sources.items() if name in _KEPT}
    stored = receiver.storage / place
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == kept


def test_a_source_that_is_cut_while_it_is_sent_is_never_stored(
    scene: TransferScene, receiver: StagedServer, place: str
) -> None:
    source = scene.source(SIZE)
    transfer = scene.send(
        scene.destination(receiver, megabytes=1), scene.manifest({"file": source}), place
    )
    scene.until_acked(transfer, SIZE // 4)
    os.truncate(source, SIZE // 2)
    assert scene.failed(transfer).startswith("1 of 1 files could not be sent; the first: ")
    assert not (receiver.storage / place / "file").exists()


_SIZES: Final = {"gone": SIZE, "gone small": 10, "kept": SIZE, "kept small": 10, "shorter": SIZE}

_KEPT: Final = {"kept", "kept small"}


def _failed_in_time(scene: TransferScene, transfer: Transfer) -> str:
    """Wait until a transfer has failed that waits one second; returns what it says."""
    text = scene.failed(transfer)
    assert text.startswith("there was no connection to the destination for 1 seconds: ")
    ended = scene.now(transfer)
    began = ended["startTime"] or ended["requestTime"]
    assert began is not None
    assert ended["endTime"] is not None
    assert ended["endTime"] - began < TOO_LATE * 1_000_000
    return text


@contextmanager
def _stopped(server: StagedServer) -> Iterator[None]:
    """Let a server stand still for the time being, while its broker runs."""
    process = server.process.process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)

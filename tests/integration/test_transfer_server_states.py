"""Suspend, resume, fail and delete in every state of a transfer, over the wire."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from jetstream import CommandError
from jetstream.structures import Transfer
from tests.integration.stage import never_seen_half
from tests.integration.transferscene import TransferScene, digests
from tests.integration.transferstage import KIBIBYTE, MEBIBYTE, StagedServer, TransferStage

SIZE: Final = 4 * MEBIBYTE
"""Bytes of a file that takes a while."""

SLOW: Final = 0.5
"""Megabytes per second at which that file is sent."""

OLD: Final = b"what was there before"

STATES: Final = ("pending", "sending", "resuming", "suspended", "complete", "error")

ACTIVE: Final = {"pending", "sending", "resuming"}

ALLOWED: Final[Mapping[str, set[str]]] = {
    "suspend": ACTIVE,
    "resume": {"suspended"},
    "fail": ACTIVE | {"suspended"},
    "delete": {"suspended", "complete", "error"},
}
"""In which states what is allowed."""

CASES: Final = [(step, state) for step in ALLOWED for state in STATES]


@pytest.fixture(scope="module")
def visitor(module_stage: TransferStage, transfer_server: StagedServer) -> TransferScene:
    """Somebody who has logged on."""
    return TransferScene(module_stage, transfer_server)


@pytest.fixture
def scene(visitor: TransferScene) -> Iterator[TransferScene]:
    """The same, whose transfers do not outlive the test."""
    yield visitor
    visitor.fail_all()


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A directory at the receiver that no other test uses."""
    return tmp_path.name


@pytest.mark.parametrize(("step", "state"), CASES)
def test_what_is_allowed_in_a_state(
    scene: TransferScene, place: str, step: str, state: str
) -> None:
    transfer = _in_state(scene, state, place)
    stored = scene.sender.storage / place / "file"
    old = stored.read_bytes() if stored.exists() else None
    if state in ALLOWED[step]:
        _STEPS[step](scene, transfer)
        _AFTERWARDS[step](scene, transfer)
    else:
        with pytest.raises(CommandError) as raised:
            _STEPS[step](scene, transfer)
        assert raised.value.kind == "state"
        assert f"the transfer {transfer['transferId']!r} {_SHOWN[state]}: " in str(raised.value)
        assert scene.now(transfer)["status"] == state
    assert (stored.read_bytes() if stored.exists() else None) == old


@pytest.mark.parametrize("state", STATES)
def test_the_number_of_a_deleted_transfer_means_nothing_any_more(
    scene: TransferScene, place: str, state: str
) -> None:
    transfer = _in_state(scene, state, place)
    if state in ACTIVE:
        scene.suspend(transfer)
    scene.api.send.deleteTransfer(transfer)
    unknown = f"there is no transfer {transfer['transferId']!r}"
    for step in _STEPS.values():
        with pytest.raises(CommandError, match=rf"^{unknown}$"):
            step(scene, transfer)
    with pytest.raises(CommandError, match=rf"^{unknown}$"):
        scene.now(transfer)


def test_nothing_is_sent_while_a_transfer_is_suspended(scene: TransferScene, place: str) -> None:
    source = scene.source(SIZE)
    stored = scene.sender.storage / place / "file"
    with never_seen_half(stored, SIZE):
        transfer = _send(scene, source, place, megabytes=2 * SLOW)
        scene.until_acked(transfer, SIZE // 4)
        assert scene.suspend(transfer)["status"] == "suspended"
        halted = scene.now(transfer)
        assert not halted["processing"]
        # Another one to the same destination gets through meanwhile.
        small = scene.manifest({"small": scene.source(KIBIBYTE)})
        scene.completed(scene.send(transfer["destinationId"], small, place))
        later = scene.now(transfer)
        assert later["status"] == "suspended"
        assert later["blocksAcked"] < later["totalBlocks"]
        resumed = scene.resume(transfer)
        assert resumed["status"] in {"resuming", "sending"}
        scene.set_rate(transfer["destinationId"], None)
        ended = scene.completed(transfer)
    assert later["bytesSent"] <= halted["bytesSent"] + SIZE // 4
    assert ended["bytesSent"] < SIZE + SIZE // 2
    assert stored.read_bytes() == source.read_bytes()


def test_a_transfer_may_be_suspended_again_and_again(scene: TransferScene, place: str) -> None:
    directory = scene.sources(60, 40 * KIBIBYTE)
    transfer = _send(scene, directory, place, megabytes=4)
    for number in range(1, 5):
        scene.until_acked(transfer, number * 300 * KIBIBYTE)
        scene.suspend(transfer)
        scene.resume(transfer)
    scene.set_rate(transfer["destinationId"], None)
    scene.completed(transfer)
    assert digests(scene.sender.storage / place / "file") == digests(directory)


def test_what_was_there_before_stays_if_a_transfer_fails(scene: TransferScene, place: str) -> None:
    stored = scene.sender.storage / place / "file"
    stored.parent.mkdir()
    stored.write_bytes(OLD)
    transfer = _send(scene, scene.source(SIZE), place, megabytes=SLOW)
    scene.until_acked(transfer, 1)
    scene.api.send.failTransfer(transfer, "it is not needed any more")
    failed = scene.now(transfer)
    assert (failed["status"], failed["errorMessage"]) == ("error", "it is not needed any more")
    assert not failed["processing"]
    assert failed["endTime"] is not None
    # The next one is sent over the same connection, so the one before is through with it.
    small = scene.manifest({"small": scene.source(KIBIBYTE)})
    scene.completed(scene.send(transfer["destinationId"], small, place))
    assert stored.read_bytes() == OLD


def test_a_destination_can_be_deleted_once_nothing_is_active(
    scene: TransferScene, place: str
) -> None:
    send = scene.api.send
    transfer = _send(scene, scene.source(SIZE), place, megabytes=SLOW)
    scene.until_acked(transfer, 1)
    destination = send.getDestination(transfer["destinationId"])
    with pytest.raises(CommandError, match="active"):
        send.deleteDestination(destination)
    scene.suspend(transfer)
    send.deleteDestination(destination)
    for gone in (lambda: send.getDestination(destination), lambda: send.getTransfer(transfer)):
        with pytest.raises(CommandError, match=r"^there is no "):
            gone()
    assert not (scene.sender.storage / place).exists()


def test_a_manifest_may_be_deleted_while_it_is_sent(scene: TransferScene, place: str) -> None:
    source = scene.source(SIZE)
    transfer = _send(scene, source, place, megabytes=SLOW)
    scene.until_acked(transfer, 1)
    scene.api.send.deleteManifest(transfer["manifestId"])
    with pytest.raises(CommandError, match=r"^there is no manifest"):
        scene.api.send.getManifest(transfer["manifestId"])
    scene.suspend(transfer)
    scene.resume(transfer)
    scene.set_rate(transfer["destinationId"], None)
    scene.completed(transfer)
    assert (scene.sender.storage / place / "file").read_bytes() == source.read_bytes()


def test_a_source_that_changes_while_its_transfer_is_suspended_is_never_mixed(
    scene: TransferScene, place: str
) -> None:
    source = scene.source(SIZE)
    transfer = _send(scene, source, place, megabytes=2 * SLOW)
    scene.until_acked(transfer, SIZE // 4)
    scene.suspend(transfer)
    content = bytes(reversed(source.read_bytes()))
    source.write_bytes(content)
    scene.set_rate(transfer["destinationId"], None)
    scene.resume(transfer)
    scene.completed(transfer)
    assert (scene.sender.storage / place / "file").read_bytes() == content


def _send(scene: TransferScene, source: Path, place: str, *, megabytes: float) -> Transfer:
    manifest = scene.manifest({"file": source})
    destination = scene.destination(scene.sender, megabytes=megabytes)
    return scene.send(destination["destinationId"], manifest, place)


def _in_state(scene: TransferScene, state: str, place: str) -> Transfer:
    """Make a transfer that is in some state and stays there for a while."""
    if state in {"sending", "complete"}:
        size, rate = (SIZE, SLOW) if state == "sending" else (KIBIBYTE, 1000.0)
        transfer = _send(scene, scene.source(size), place, megabytes=rate)
        if state == "complete":
            return scene.completed(transfer)
        return scene.until_acked(transfer, 1)
    manifest = scene.manifest({"file": scene.source(KIBIBYTE)})
    transfer = scene.send(scene.nowhere()["destinationId"], manifest, place)
    if state in {"suspended", "resuming"}:
        scene.suspend(transfer)
    if state == "resuming":
        scene.resume(transfer)
    if state == "error":
        scene.api.send.failTransfer(transfer)
    return transfer


def _fail(scene: TransferScene, transfer: Transfer) -> None:
    scene.api.send.failTransfer(transfer, "no more")


def _delete(scene: TransferScene, transfer: Transfer) -> None:
    scene.api.send.deleteTransfer(transfer)


_STEPS: Final[Mapping[str, Callable[[TransferScene, Transfer], Any]]] = {
    "suspend": TransferScene.suspend,
    "resume": TransferScene.resume,
    "fail": _fail,
    "delete": _delete,
}


def _is_suspended(scene: TransferScene, transfer: Transfer) -> None:
    found = scene.now(transfer)
    assert (found["status"], found["processing"]) == ("suspended", False)


def _is_active(scene: TransferScene, transfer: Transfer) -> None:
    found = scene.now(transfer)
    assert (found["status"], found["processing"]) == ("resuming", True)


def _has_failed(scene: TransferScene, transfer: Transfer) -> None:
    found = scene.now(transfer)
    assert (found["status"], found["processing"]) == ("error", False)
    assert found["errorMessage"] == "no more"


def _is_gone(scene: TransferScene, transfer: Transfer) -> None:
    with pytest.raises(CommandError, match=r"^there is no transfer"):
        scene.now(transfer)
    numbers = {each["transferId"] for each in scene.api.send.getTransfers()}
    assert transfer["transferId"] not in numbers


_AFTERWARDS: Final[Mapping[str, Callable[[TransferScene, Transfer], None]]] = {
    "suspend": _is_suspended,
    "resume": _is_active,
    "fail": _has_failed,
    "delete": _is_gone,
}

_SHOWN: Final = {
    "pending": "is pending",
    "sending": "is sending",
    "resuming": "is resuming",
    "suspended": "is suspended",
    "complete": "is complete",
    "error": "has failed",
}

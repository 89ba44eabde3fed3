"""What tests of transfers under way have in common: a sender, its API, and trees of files."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from jetstream.structures import Destination, Manifest, Transfer
from tests.integration.transferstage import HOST, StagedServer, TransferStage
from tests.tlsservers import unused_port
from tests.waiting import wait_until

KILOBITS_PER_MEGABYTE: Final = 8000
"""Kilobits in 1,000,000 bytes, as rates count."""


_COMES_LATER: Final = {"status", "processing", "startTime", "endTime", "snapshotTime"}
"""What a transfer's structure may say otherwise after a restart, besides how much was sent."""

_COUNTERS: Final = {
    "filesSent",
    "blocksSent",
    "blocksAcked",
    "blocksRetransmitted",
    "bytesSent",
    "bytesRecv",
    "packetsSent",
    "packetsRecv",
}

_CONTACT: Final = {
    "encryptedConnectionState",
    "destinationPublicKey",
    "lastDestinationServerId",
    "lastError",
    "lastErrorMessage",
    "lastSendTime",
    "lastRecvTime",
    "roundTripTimeMs",
    "sendRate",
    "numTransfersQueued",
}
"""What the structures of destinations and connections say of the moment."""


class TransferScene:
    """A server that sends, and somebody who has logged on there.

    Args:
        stage: Where its files come from.
        sender: The server.

    Attributes:
        api: An API on which a user has logged on; made anew by :meth:`log_on`.
    """

    def __init__(self, stage: TransferStage, sender: StagedServer) -> None:
        self._stage = stage
        self.sender = sender
        self.api = sender.logged_on()

    def log_on(self) -> None:
        """Log on again, after the server was started again."""
        self.api = self.sender.logged_on()

    def restart(self) -> None:
        """Kill the server and start it again, and log on there."""
        self.sender.restart()
        self.log_on()

    def source(self, size: int) -> Path:
        """Make a file that no other test uses."""
        return self._stage.source(size, f"{uuid.uuid4().hex}.source")

    def sources(self, count: int, size: int) -> Path:
        """Make a directory of files that no other test uses."""
        name = uuid.uuid4().hex
        for number in range(count):
            self._stage.source(size, f"{name}/file {number}")
        return self._stage.sources / name

    def manifest(self, mappings: Mapping[str, Path]) -> Manifest:
        """Make a manifest, and wait until it can be used."""
        send = self.api.send
        names = {name: str(path) for name, path in mappings.items()}
        made = send.waitForManifest(send.createManifest(mappings=names))
        assert made["status"] == "complete", made["errorMessage"]
        return made

    def destination(
        self, receiver: StagedServer, *, megabytes: float | None = None, **more: Any
    ) -> Destination:
        """Make a destination of its own for a server.

        Args:
            receiver: The server.
            megabytes: Megabytes per second that it gets; by default any number.
            more: Further arguments of ``createDestination``.
        """
        rate = None if megabytes is None else int(megabytes * KILOBITS_PER_MEGABYTE)
        return self.api.send.createDestination(
            HOST, destinationPort=receiver.port, sendRateMax=rate, exclusive=True, **more
        )

    def nowhere(self) -> Destination:
        """Make a destination behind which there is nobody."""
        return self.api.send.createDestination(HOST, destinationPort=unused_port())

    def send(
        self, destination: str | Destination, manifest: Manifest, place: str, **more: Any
    ) -> Transfer:
        """Make a transfer to a directory of the receiver."""
        options = {"destinationPath": place, **more}
        return self.api.send.createTransfer(destination, manifest, **options)

    def fail_all(self) -> None:
        """Have everything fail that has not ended."""
        for each in self.api.send.getTransfers():
            if each["status"] not in {"complete", "error"}:
                self.api.send.failTransfer(each, "the test is over")

    def set_rate(self, destination: str | Destination, megabytes: float | None) -> None:
        """Change the rate of a destination, and wait until that is done."""
        rate = -1 if megabytes is None else megabytes * KILOBITS_PER_MEGABYTE
        request = self.api.send.setSendRateMaxAsync(destination, rate)
        self.api.server.getRequestResult(request)

    def suspend(self, transfer: Transfer) -> Transfer:
        """Suspend a transfer, and return what became of it."""
        server = self.api.server
        result: Transfer = server.getRequestResult(self.api.send.suspendTransferAsync(transfer))
        return result

    def resume(self, transfer: Transfer) -> Transfer:
        """Resume a transfer, and return what became of it."""
        server = self.api.server
        result: Transfer = server.getRequestResult(self.api.send.resumeTransferAsync(transfer))
        return result

    def now(self, transfer: Transfer) -> Transfer:
        """Return a transfer as it is now."""
        return self.api.send.getTransfer(transfer)

    def until(self, transfer: Transfer, condition: Callable[[Transfer], bool]) -> Transfer:
        """Wait until something is the case for a transfer, and return it as it is then."""
        found = [transfer]

        def look() -> bool:
            found[0] = self.now(transfer)
            return condition(found[0])

        wait_until(look)
        return found[0]

    def until_acked(self, transfer: Transfer, size: int) -> Transfer:
        """Wait until the receiver of a transfer has so many bytes of it."""
        return self.until(transfer, lambda each: each["blocksAcked"] * each["blockSize"] >= size)

    def completed(self, transfer: Transfer) -> Transfer:
        """Wait for the end of a transfer that has to be a good one."""
        ended = self.api.send.waitForTransfer(transfer)
        assert (ended["status"], ended["errorMessage"]) == ("complete", "")
        assert ended["filesSent"] == ended["totalFiles"]
        assert ended["blocksAcked"] == ended["totalBlocks"]
        return ended

    def failed(self, transfer: Transfer) -> str:
        """Wait for the end of a transfer that has to be a bad one; returns what it says."""
        ended = self.api.send.waitForTransfer(transfer)
        assert ended["status"] == "error", ended
        return ended["errorMessage"]


def digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of all files below a directory, by their names from there."""
    found: dict[str, str] = {}
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(root).as_posix()] = digest
    return found


def everything(scene: TransferScene) -> dict[str, list[dict[str, Any]]]:
    """Return all that the server knows, without what is only so at a moment."""
    send = scene.api.send
    volatile = _COMES_LATER | _COUNTERS
    return {
        "transfers": [_without(each, volatile) for each in send.getTransfers()],
        "destinations": [_without(each, _CONTACT) for each in send.getDestinations()],
        "connections": [_without(each, _CONTACT) for each in send.getConnections()],
        "manifests": [dict(each) for each in send.getManifests()],
        "tokens": [dict(each) for each in send.getSharedTokens()],
    }


def _without(structure: Mapping[str, Any], fields: set[str]) -> dict[str, Any]:
    return {name: value for name, value in structure.items() if name not in fields}

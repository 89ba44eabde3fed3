"""Measurements of the transfer server: what it sends, and how quickly it answers meanwhile."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.checks import stored_as_sent
from benchmarks.fabric import Fabric
from benchmarks.links import PLAIN
from benchmarks.measurements import measured
from benchmarks.processes import ProgramError, Server, output_of, python
from benchmarks.samples import Sample
from dxlfabric.configuration import load_configuration
from jetstream import APIInterface, Jetstream, constants

USER = "bench"
PASSWORD = "only-for-this-run"

ACTIVE_TRANSFERS = 1000
"""Transfers that are under way while the API is asked."""

CALLS = 200
"""Calls whose median is taken."""

SLOW_KBITS = 8_000
"""Rate of the destination whose transfers shall last: one megabyte per second."""

MANIFEST_DIRECTORIES = 1000
MANIFEST_FILES_EACH = 1000

PATIENCE = 600.0
"""Seconds for any one thing to come about."""


@dataclass(frozen=True, slots=True)
class SendingServer:
    """A transfer server on a fabric of its own, which sends to the measured one.

    Attributes:
        server: Its process.
        api: A client of it that has logged on.
    """

    server: Server
    api: APIInterface


@contextlib.contextmanager
def sending_server(home: Path, to: Fabric | None = None) -> Iterator[SendingServer]:
    """Run a transfer server.

    Args:
        home: Its home.
        to: The fabric that it is to send to, if that is not its own.
    """
    if to is not None:
        fabrics = home / "state" / "fabrics"
        fabrics.mkdir(parents=True)
        load_configuration(to.client_configuration).write(str(fabrics / "measured.config"))
    add = python(*("-m", "dxlfiletransferservice.command", "user", "add", USER, "--home", home))
    output_of(add, PLAIN, told=f"{PASSWORD}\n{PASSWORD}\n")
    start = ("-m", "dxlfiletransferservice.command", "server", "--home", home, "--port", "0")
    with Server(python(*start), PLAIN, home.with_suffix(".log")) as server:
        config = home / "client" / "dxlclient.config"
        with Jetstream().api(None, None, config=config) as api:
            api.server.auth(USER, PASSWORD)
            yield SendingServer(server, api)


def broker_port(configuration: Path) -> int:
    """Return the port of the only broker that a client configuration names."""
    (broker,) = load_configuration(configuration).brokers
    return int(broker.port)


def transfer(
    sending: SendingServer, fabric: Fabric, service: Server, source: Path, cipher: int
) -> Sample:
    """Send a file once through the transfer server, and check what was stored.

    Raises:
        ProgramError: The transfer failed, or the stored file differs.
    """
    send = sending.api.send
    manifest = send.waitForManifest(send.createManifest(mappings={"sent": str(source)}))
    destination = send.createDestination(
        "127.0.0.1", destinationPort=broker_port(fabric.client_configuration)
    )

    def run() -> dict[str, Any]:
        before = sending.server.cost()
        began = time.monotonic()
        made = send.createTransfer(destination, manifest, minCipher=cipher)
        ended = send.waitForTransfer(made)
        seconds = time.monotonic() - began
        if ended["status"] != "complete":
            raise ProgramError(f"the transfer failed: {ended['errorMessage']}")
        after = sending.server.cost()
        return {"seconds": seconds, "cpu": after.cpu - before.cpu, "peak": after.peak}

    sample = measured(fabric, service, source.stat().st_size, run)
    stored_as_sent(fabric.storage / "sent", source)
    return sample


def call_seconds(sending: SendingServer, directory: Path) -> float:
    """Return the median of the time that a look at one of many active transfers takes.

    Args:
        sending: The server, which sends to itself.
        directory: A new directory for what is sent.
    """
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(10_000_000))
    send = sending.api.send
    port = broker_port(directory.parent / "api" / "client" / "dxlclient.config")
    manifest = send.waitForManifest(send.createManifest(mappings={"file": str(directory / "file")}))
    destination = send.createDestination("127.0.0.1", SLOW_KBITS, port)
    transfers = [
        send.createTransfer(destination, manifest, destinationPath=str(number))
        for number in range(ACTIVE_TRANSFERS)
    ]
    found = []
    # The first ones may be over by the time of the last call.
    for one in transfers[-CALLS:]:
        began = time.monotonic()
        if not send.getTransfer(one)["processing"]:
            raise ProgramError("a transfer that was to last is over")
        found.append(time.monotonic() - began)
    return median(found)


def manifest_of_many(sending: SendingServer, tree: Path) -> tuple[float, float]:
    """Make a manifest of a large tree.

    Returns:
        Files per second, and the bytes by which the server's memory grew.
    """
    process = psutil.Process(sending.server.pid)
    before = peak = process.memory_info().rss
    send = sending.api.send
    began = time.monotonic()
    manifest = send.createManifest(mappings={"tree": str(tree)})
    while manifest["processing"]:
        if time.monotonic() - began > PATIENCE:
            raise ProgramError("the manifest was not complete in time")
        time.sleep(0.1)
        peak = max(peak, process.memory_info().rss)
        manifest = send.getManifest(manifest)
    seconds = time.monotonic() - began
    if manifest["status"] != "complete":
        raise ProgramError(f"the manifest failed: {manifest['errorMessage']}")
    return (manifest["totalFiles"] or 0) / seconds, peak - before


def large_tree(root: Path) -> Path:
    """Make a tree of a million files in a thousand directories."""
    for number in range(MANIFEST_DIRECTORIES):
        directory = root / f"{number:04}"
        directory.mkdir(parents=True)
        for one in range(MANIFEST_FILES_EACH):
            os.close(os.open(directory / f"{one:04}", os.O_CREAT | os.O_WRONLY))
    return root


CIPHERS = {
    "server, not encrypted": constants.MIN_CIPHER_NONE,
    "server, encrypted (256)": constants.MIN_CIPHER_ENCRYPTED_256,
}
"""Ways of sending that are compared."""

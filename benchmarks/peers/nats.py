"""A NATS server with TLS and its object store on disk."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.checks import size_of, stored_as_sent
from benchmarks.fabric import PROGRAMS
from benchmarks.links import PLAIN
from benchmarks.peers.tools import PeerError, program
from benchmarks.processes import Cost, ProgramError, cost_of, python, run
from benchmarks.samples import Sample
from dxlfabric.certificates import Provisioned, provision

START_SECONDS = 20.0
"""Seconds for the server to listen."""

BUCKET = "bench"

_CONFIGURATION = """\
listen: "127.0.0.1:-1"
ports_file_dir: "{home}"
jetstream {{ store_dir: "{home}/store" }}
tls {{
  cert_file: "{broker.certificate}"
  key_file: "{broker.private_key}"
  ca_file: "{broker.authority}"
  verify: true
  timeout: 10
}}
"""


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A running server.

    Attributes:
        home: Directory of certificates and of what is stored.
        url: Where it listens.
        pid: Its process.
        certificates: Those that it takes.
    """

    home: Path
    url: str
    pid: int
    certificates: Provisioned

    def put(self, source: Path) -> Sample:
        """Put a file into the store once."""
        return self._measured("put", source, size_of(source))

    def get(self, source: Path) -> Sample:
        """Get what was put last from the store, and check what came."""
        target = self.home / "got"
        sample = self._measured("get", target, size_of(source))
        stored_as_sent(target, source)
        return sample

    def _measured(self, verb: str, path: Path, size: int) -> Sample:
        of = self.certificates.client.credentials
        command = python(
            PROGRAMS / "transfer_nats.py",
            *(self.url, of.authority, of.certificate, of.private_key),
            *(verb, BUCKET, path),
        )
        before = self._cost()
        try:
            found: dict[str, Any] = run(command, PLAIN)
        except ProgramError as error:
            raise PeerError(str(error)) from error
        after = self._cost()
        gigabytes = size / 1e9
        return Sample(
            rate=size / found["seconds"],
            sender_cpu=found["cpu"] / gigabytes,
            broker_cpu=(after.cpu - before.cpu) / gigabytes,
            service_cpu=0.0,
            sender_peak=found["peak"],
            broker_peak=after.peak,
            service_peak=0,
        )

    def _cost(self) -> Cost:
        return cost_of(self.pid)


@contextlib.contextmanager
def nats_server(home: Path) -> Iterator[NatsServer]:
    """Run a server whose object stores are files below its home.

    Raises:
        PeerError: It does not start.
    """
    certificates = provision(home / "certificates")
    configuration = home / "nats.config"
    configuration.write_text(_CONFIGURATION.format(home=home, broker=certificates.broker))
    log = home / "nats.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program("nats-server"), "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield NatsServer(home, _url(process, home, log), process.pid, certificates)
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _url(process: subprocess.Popen[bytes], home: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for path in home.glob("*.ports"):
            with contextlib.suppress(ValueError):  # not yet written to its end
                url: str = json.loads(path.read_text())["nats"][0]
                return url
        time.sleep(0.02)
    raise PeerError(f"nats-server does not start: {log.read_text().strip()}")

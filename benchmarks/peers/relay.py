"""The relay limit: what a plain Python program makes of a relay, without a bus."""

from pathlib import Path

from benchmarks.checks import size_of, stored_as_sent
from benchmarks.fabric import PROGRAMS
from benchmarks.links import Link
from benchmarks.processes import Server, python, run
from benchmarks.samples import Sample
from dxlfabric.certificates import Provisioned
from dxlfabric.credentials import Credentials


def relay_limit(certificates: Provisioned, link: Link, source: Path, home: Path) -> Sample:
    """Send a file once by three processes over two mutual-TLS connections, and check what came.

    Args:
        certificates: Of the relay (the broker's) and of both ends (the client's).
        link: Network to do it in.
        source: The file.
        home: Directory for the received file.
    """
    target = home / "relayed"
    ends = certificates.client.credentials
    with Server(_command("relay", certificates.broker), link, home / "relay.log") as relay:
        port = relay.ready.split()[1]
        receive = _command("receive", ends, port, target)
        with Server(receive, link, home / "receive.log") as receiver:
            found = run(_command("send", ends, port, source), link)
            passed, received = relay.cost(), receiver.cost()
    stored_as_sent(target, source)
    size = size_of(source)
    gigabytes = size / 1e9
    return Sample(
        rate=size / found["seconds"],
        sender_cpu=found["cpu"] / gigabytes,
        broker_cpu=(passed.cpu - relay.began.cpu) / gigabytes,
        service_cpu=(received.cpu - receiver.began.cpu) / gigabytes,
        sender_peak=found["peak"],
        broker_peak=passed.peak,
        service_peak=received.peak,
    )


def _command(role: str, end: Credentials, *more: str | Path) -> list[str]:
    files = (end.authority, end.certificate, end.private_key)
    return python(PROGRAMS / "relay.py", role, *files, *more)

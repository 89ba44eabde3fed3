"""The transfer server: what it sends, and what it answers meanwhile."""

from functools import partial

from benchmarks import measurements, servers
from benchmarks.fabric import running_fabric
from benchmarks.groups.run import GIBIBYTE, MEBIBYTE, VERSION_2, Run
from benchmarks.links import PLAIN
from benchmarks.samples import Figure

SEND_COMMAND = "dxlft send"
"""The command, from its start to its end; it loads and connects, which a server did before."""


def server(run: Run) -> None:
    """Measure transfers through the transfer server against sending the same file without it."""
    source = run.source(GIBIBYTE)
    what = "1 GiB file, by the transfer server"
    with (
        running_fabric(run.place("server", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        servers.sending_server(run.home / "sending", fabric) as sending,
    ):
        senders = {
            VERSION_2: partial(measurements.version_2, fabric, service, source),
            SEND_COMMAND: partial(measurements.send_command, fabric, service, source),
        } | {
            who: partial(servers.transfer, sending, fabric, service, source, cipher)
            for who, cipher in servers.CIPHERS.items()
        }
        run.turns(what, PLAIN, senders)
    plain, encrypted = servers.CIPHERS
    run.compare(what, plain, SEND_COMMAND, PLAIN, 0.95)
    run.compare(what, encrypted, plain, PLAIN, 0.75)


def api(run: Run) -> None:
    """Measure how quickly the API answers while much is under way."""
    run.tell(f"getTransfer beside {servers.ACTIVE_TRANSFERS:,} active transfers")
    with servers.sending_server(run.home / "api") as sending:
        seconds = servers.call_seconds(sending, run.home / "active")
    what = f"getTransfer beside {servers.ACTIVE_TRANSFERS:,} active transfers, median ms"
    run.figures.append(Figure(what, seconds * 1000, 20, least=False))


def manifest(run: Run) -> None:
    """Measure a manifest of a million files."""
    run.tell("making a tree of a million files")
    tree = servers.large_tree(run.home / "million")
    with servers.sending_server(run.home / "manifest") as sending:
        run.tell("manifest of a million files")
        rate, growth = servers.manifest_of_many(sending, tree)
    what = "manifest of 1,000,000 files in 1,000 directories"
    run.figures.append(Figure(f"{what}: files/s", rate, 30_000))
    text = f"{what}: growth of the server's memory, MiB"
    run.figures.append(Figure(text, growth / MEBIBYTE, 100, least=False))


def server_space(_run: Run) -> int:
    """Return the bytes of disk that the file takes for a while."""
    return GIBIBYTE


def kept_space(_run: Run) -> int:
    """Return the bytes of disk that a million files without content take, and their manifest."""
    return GIBIBYTE

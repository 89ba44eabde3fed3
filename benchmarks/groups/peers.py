"""A large file, sent and got, by version 2 and by its peers."""

import contextlib
from collections.abc import Iterator
from functools import partial

from benchmarks import measurements
from benchmarks.fabric import Client, Fabric, running_fabric
from benchmarks.groups.bus import DEFAULT_SIZE, FABRIC_LIMIT, LARGE_SIZE, LIMIT
from benchmarks.groups.run import VERSION_2, Run, Senders, size_text
from benchmarks.links import PLAIN, Link
from benchmarks.peers import copies
from benchmarks.peers.nats import NatsServer, nats_server
from benchmarks.peers.relay import relay_limit
from benchmarks.peers.ssh import Copier, SshServer, ssh_server
from benchmarks.peers.tools import NATS, RSYNC, SCP, PeerError
from benchmarks.samples import Sample
from dxlfabric.certificates import provision
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE

SCP_GCM = "scp, aes128-gcm"
PLAIN_VERSION_2 = "version 2, plain dxlclient"
RELAY = "relay limit"
NATS_PUT = "NATS put"
NATS_GET = "NATS get"
NATS_BOTH = "NATS put and get"

GCM = ("-c", "aes128-gcm@openssh.com")
"""Options of scp for the fastest cipher of most processors."""


def gigabyte(run: Run) -> None:
    """Measure a large file by everybody."""
    source = run.source(run.large)
    what = f"{size_text(run.large)} file"
    for link in run.links:
        with contextlib.ExitStack() as stack:
            fabric = stack.enter_context(running_fabric(run.place("gigabyte", link), link))
            service = stack.enter_context(fabric.transfer_service())
            send = partial(measurements.version_2, fabric, service, source, whole=True)
            senders: Senders = {VERSION_2: send}
            if link is PLAIN:
                senders = (
                    stack.enter_context(_copies(run, "gigabyte"))
                    | senders
                    | stack.enter_context(_nats(run))
                    | _limits(run, fabric, stack)
                )
            senders |= stack.enter_context(_plain(run, link))
            senders |= stack.enter_context(_published(run, link))
            _put_and_get(run, what, run.turns(what, link, senders))
        _figures(run, what, link)


def download(run: Run) -> None:
    """Measure getting a large file."""
    source = run.source(run.large)
    what = f"{size_text(run.large)} file, got"
    with (
        running_fabric(run.place("download", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        ssh_or_none(run, "download") as ssh,
        _nats(run) as nats,
    ):
        senders: Senders = {}
        if ssh:
            for who, copier in _copiers(run, ssh).items():
                senders[who] = partial(copies.fetched, ssh, copier, source)
        senders[VERSION_2] = partial(measurements.download, fabric, service, source, whole=True)
        if nats:
            senders[NATS_GET] = partial(_got_after_put, nats)
        run.turns(what, PLAIN, senders)


def space(run: Run) -> int:
    """Return the bytes of disk that these take for a while: a copy, and what NATS keeps."""
    return 3 * run.large + run.size


@contextlib.contextmanager
def ssh_or_none(run: Run, name: str) -> Iterator[SshServer | None]:
    """Run a server for ssh; ``None``, and a note, where that is not possible."""
    with contextlib.ExitStack() as stack:
        server = None
        if run.has(SCP):
            try:
                server = stack.enter_context(ssh_server(run.place(f"{name}-ssh", PLAIN)))
            except PeerError as error:
                run.leave_out("scp, rsync and rclone", str(error))
        yield server


def _copiers(run: Run, ssh: SshServer) -> dict[str, Copier]:
    found = {SCP.name: ssh.scp(), SCP_GCM: ssh.scp(*GCM)}
    if run.has(RSYNC):
        found[RSYNC.name] = ssh.rsync()
    return found


@contextlib.contextmanager
def _copies(run: Run, name: str) -> Iterator[Senders]:
    source = run.source(run.large)
    with ssh_or_none(run, name) as ssh:
        yield {
            who: partial(copies.sent, ssh, copier, source)
            for who, copier in (_copiers(run, ssh) if ssh else {}).items()
            if ssh
        }


@contextlib.contextmanager
def _nats(run: Run) -> Iterator[Senders]:
    source = run.source(run.large)
    with contextlib.ExitStack() as stack:
        server: NatsServer | None = None
        if run.has(NATS):
            try:
                server = stack.enter_context(nats_server(run.fresh("nats")))
            except PeerError as error:
                run.leave_out(NATS.name, str(error))
        if server is None:
            yield {}
        else:
            yield {NATS_PUT: partial(server.put, source), NATS_GET: partial(server.get, source)}


def _got_after_put(nats: Senders) -> Sample:
    nats[NATS_PUT]()
    return nats[NATS_GET]()


def _put_and_get(run: Run, what: str, samples: dict[str, list[Sample]]) -> None:
    pairs = zip(samples.get(NATS_PUT, ()), samples.get(NATS_GET, ()), strict=False)
    both = [put.then(get) for put, get in pairs]
    if both:
        run.add(what, NATS_BOTH, PLAIN, both)


def _limits(run: Run, fabric: Fabric, stack: contextlib.ExitStack) -> Senders:
    official = stack.enter_context(fabric.answering_service(Client.OFFICIAL))
    answering = stack.enter_context(fabric.answering_service(Client.FABRIC))
    limit = partial(measurements.bus_limit, fabric, request_size=SEGMENT_SIZE, total=run.large)
    home = run.fresh("relay")
    certificates = provision(home)
    return {
        RELAY: partial(relay_limit, certificates, PLAIN, run.source(run.large), home),
        LIMIT: partial(limit, official),
        FABRIC_LIMIT: partial(limit, answering, client=Client.FABRIC),
    }


@contextlib.contextmanager
def _plain(run: Run, link: Link) -> Iterator[Senders]:
    # On a fabric of its own: the two services would share the topics of one.
    with (
        running_fabric(run.fresh("plain"), link) as fabric,
        fabric.plain_transfer_service() as service,
    ):
        send = partial(measurements.version_2, fabric, service, run.source(run.large), whole=True)
        yield {PLAIN_VERSION_2: partial(send, client=Client.OFFICIAL)}


@contextlib.contextmanager
def _published(run: Run, link: Link) -> Iterator[Senders]:
    if not run.published:
        yield {}
        return
    with (
        running_fabric(run.place("published", link), link) as fabric,
        fabric.published_service(run.published) as service,
    ):
        yield {
            published_name(run, size): partial(
                measurements.version_1,
                fabric,
                service,
                run.source(run.size),
                segment_size=size,
                who="published",
                interpreter=run.published,
            )
            for size in (DEFAULT_SIZE, LARGE_SIZE)
        }


def published_name(run: Run, size: int) -> str:
    """Return how rows name the published packages with some segment size."""
    return f"0.1.x, {size // 1024} KiB segments ({size_text(run.size)})"


def _figures(run: Run, what: str, link: Link) -> None:
    if link is not PLAIN:
        run.compare(what, VERSION_2, published_name(run, LARGE_SIZE), link, 8.0)
        return
    run.compare(what, VERSION_2, SCP.name, link, 1.0)
    run.compare(what, VERSION_2, RELAY, link, 0.8)
    run.compare(what, VERSION_2, PLAIN_VERSION_2, link, 2.0)
    run.compare(what, VERSION_2, NATS_BOTH, link, 3.0)
    row = run.row(what, VERSION_2, link)
    if row:
        text = f"{what}, {link.name}: processor seconds per GB of all three processes"
        run.limit(text, row.median.total_cpu, 7.0)

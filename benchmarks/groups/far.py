"""A longer way, to the broker and to the peers' server."""

import contextlib
from functools import partial

from benchmarks import measurements
from benchmarks.delays import ADDED_ROUND_TRIP, far_configuration, longer_way
from benchmarks.fabric import running_fabric
from benchmarks.groups.peers import ssh_or_none
from benchmarks.groups.run import VERSION_2, Run, Senders, megabytes
from benchmarks.links import PLAIN
from benchmarks.peers import copies
from benchmarks.peers.tools import RSYNC, SCP

FAR = f", {ADDED_ROUND_TRIP} ms more"


def delay(run: Run) -> None:
    """Measure version 2 and its peers over a longer way."""
    source = run.source(run.size)
    what = f"{megabytes(source)} MiB file, near and far"
    with contextlib.ExitStack() as stack:
        fabric = stack.enter_context(running_fabric(run.place("delay", PLAIN), PLAIN))
        service = stack.enter_context(fabric.transfer_service())
        configuration = stack.enter_context(far_configuration(fabric))
        near = partial(measurements.version_2, fabric, service, source)
        senders: Senders = {
            VERSION_2: near,
            f"{VERSION_2}{FAR}": partial(near, configuration=configuration),
        }
        ssh = stack.enter_context(ssh_or_none(run, "delay"))
        if ssh:
            log = ssh.home / "delay.log"
            port = stack.enter_context(longer_way(ssh.port, PLAIN, log))
            senders[f"{SCP.name}{FAR}"] = partial(copies.sent, ssh, ssh.scp(port=port), source)
            if run.has(RSYNC):
                copier = ssh.rsync(port=port)
                senders[f"{RSYNC.name}{FAR}"] = partial(copies.sent, ssh, copier, source)
        run.turns(what, PLAIN, senders)
    run.compare(what, f"{VERSION_2}{FAR}", VERSION_2, PLAIN, 0.7)

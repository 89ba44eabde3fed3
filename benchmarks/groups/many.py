"""Several files at once, each by a process of its own."""

from functools import partial

from benchmarks import measurements
from benchmarks.fabric import running_fabric
from benchmarks.groups.peers import ssh_or_none
from benchmarks.groups.run import VERSION_2, Run, Senders, size_text
from benchmarks.links import PLAIN
from benchmarks.peers import copies

AT_ONCE = 8


def eight(run: Run) -> None:
    """Measure eight senders at the same time; all that they send is as much as one large file."""
    source = run.source(run.large // AT_ONCE)
    what = f"{AT_ONCE} files of {size_text(run.large // AT_ONCE)} at once"
    with (
        running_fabric(run.place("eight", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        ssh_or_none(run, "eight") as ssh,
    ):
        senders: Senders = {}
        if ssh:
            send = partial(copies.sent, ssh, ssh.scp(), source, at_once=AT_ONCE)
            senders[f"{AT_ONCE} scp"] = send
        senders[f"{AT_ONCE} of {VERSION_2}"] = partial(
            measurements.version_2_at_once, fabric, service, source, AT_ONCE
        )
        run.turns(what, PLAIN, senders)


def space(run: Run) -> int:
    """Return the bytes of disk that it takes for a while."""
    return run.large

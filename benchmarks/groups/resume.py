"""A transfer whose sender is killed at half of it, and done again."""

from functools import partial

from benchmarks import interruptions
from benchmarks.fabric import running_fabric
from benchmarks.groups.peers import ssh_or_none
from benchmarks.groups.run import VERSION_2, Run, Senders, size_text
from benchmarks.links import PLAIN
from benchmarks.peers.tools import RSYNC

APPENDING = ("--partial", "--append-verify")
"""Options with which rsync goes on with a file and checks what it has of it."""


def resume(run: Run) -> None:
    """Measure the second call; its rate counts the whole file."""
    source = run.source(run.large)
    what = f"{size_text(run.large)} file, second call after half"
    with (
        running_fabric(run.place("resume", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        ssh_or_none(run, "resume") as ssh,
    ):
        senders: Senders = {}
        if ssh and run.has(RSYNC):
            copier = ssh.rsync(*APPENDING, "--stats")
            senders["rsync --append-verify"] = partial(interruptions.rsync, ssh, copier, source)
        senders[VERSION_2] = partial(interruptions.version_2, fabric, service, source)
        run.turns(what, PLAIN, senders)

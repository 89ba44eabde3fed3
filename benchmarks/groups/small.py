"""Many small files, by version 2 and by its peers."""

from functools import partial

from benchmarks import measurements
from benchmarks.fabric import running_fabric
from benchmarks.groups.peers import ssh_or_none
from benchmarks.groups.run import TREE_FILE_SIZE, VERSION_2, Run, Senders
from benchmarks.links import PLAIN
from benchmarks.peers import copies
from benchmarks.peers.tools import RCLONE, RSYNC

SCP_TREE = "scp -r"
FAST_RCLONE = "rclone, 16 at a time, no hash"

FASTER = ("--transfers", "16", "--checkers", "16", "--sftp-disable-hashcheck")
"""Options that make rclone faster: by default it moves four files at a time, and has the other end
hash each by a command of its own."""

TREE_DISK_SIZE = 8192
"""Bytes of disk that a small file takes, with its share of what the file system needs for it."""

MOST_PEERS = 5


def tree(run: Run) -> None:
    """Measure many small files."""
    source = run.tree()
    what = f"{run.files:,} files of {TREE_FILE_SIZE} bytes"
    with (
        running_fabric(run.place("tree", PLAIN), PLAIN) as fabric,
        fabric.transfer_service() as service,
        ssh_or_none(run, "tree") as ssh,
    ):
        senders: Senders = {}
        if ssh:
            copiers = {SCP_TREE: ssh.scp()}
            if run.has(RSYNC):
                copiers[RSYNC.name] = ssh.rsync()
            if run.has(RCLONE):
                copiers |= {RCLONE.name: ssh.rclone(), FAST_RCLONE: ssh.rclone(*FASTER)}
            for who, copier in copiers.items():
                senders[who] = partial(copies.sent, ssh, copier, source)
        senders[VERSION_2] = partial(measurements.version_2, fabric, service, source, whole=True)
        run.turns(what, PLAIN, senders)
    row = run.row(what, VERSION_2, PLAIN)
    if row:
        rate = row.median.files_rate
        run.limit(f"{what}: files/s", rate, 2000, least=True)
        run.limit(f"{what}: files/s, beside the peers", rate, 5000, least=True)
    run.compare(what, VERSION_2, SCP_TREE, PLAIN, 1.0)
    run.compare(what, VERSION_2, RCLONE.name, PLAIN, 1.0)
    run.compare(what, VERSION_2, FAST_RCLONE, PLAIN, 1.0)
    run.compare(what, VERSION_2, RSYNC.name, PLAIN, 0.6)


def kept_space(run: Run) -> int:
    """Return the bytes of disk that it takes: every copy is kept until the end."""
    return run.files * TREE_DISK_SIZE * (1 + MOST_PEERS * run.rounds)

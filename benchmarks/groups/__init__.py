"""The measurements, in groups that can be run one by one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.groups import alone, bus, far, many, peers, resume, small, transferserver
from benchmarks.groups.run import GIBIBYTE, Run


@dataclass(frozen=True, slots=True)
class Group:
    """Some measurements that belong together.

    Attributes:
        measure: Makes them.
        space: Returns the bytes of disk that they take and give back, beside their sources.
        kept: Returns the bytes of disk that they take until the end.
    """

    measure: Callable[[Run], None]
    space: Callable[[Run], int]
    kept: Callable[[Run], int] = lambda _: 0


def needed_space(run: Run, names: Iterable[str]) -> int:
    """Return the bytes of disk that some groups take at most, one after another."""
    groups = [GROUPS[name] for name in names]
    sources = run.large + 2 * run.size + GIBIBYTE
    return sources + max(one.space(run) for one in groups) + sum(one.kept(run) for one in groups)


GROUPS: Mapping[str, Group] = {
    "gigabyte": Group(peers.gigabyte, peers.space),
    "tree": Group(small.tree, bus.space, small.kept_space),
    "delay": Group(far.delay, bus.space),
    "eight": Group(many.eight, many.space),
    "download": Group(peers.download, peers.space),
    "resume": Group(resume.resume, peers.space),
    "forwarding": Group(bus.forwarding, bus.space),
    "version1": Group(bus.version_1, bus.space),
    "version2": Group(bus.version_2, bus.space),
    "memory": Group(alone.memory, alone.memory_space),
    "recovery": Group(alone.recovery, alone.recovery_space),
    "server": Group(transferserver.server, transferserver.server_space),
    "api": Group(transferserver.api, bus.space),
    "manifest": Group(transferserver.manifest, bus.space, transferserver.kept_space),
}
"""What can be measured, in the order of a whole run."""

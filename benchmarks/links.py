"""The networks that measured programs talk over, all of them inside this machine."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

ETHERNET_MTU = 1500
"""Bytes of the largest packet on an ordinary network; the loopback device allows 65,536."""


class LinkUnavailableError(Exception):
    """This machine does not allow such a link; the message says why."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network that programs are started into.

    Attributes:
        name: What the tables call it.
        prefix: Words to put before a program's own to start it there.
    """

    name: str
    prefix: tuple[str, ...] = ()


PLAIN = Link("loopback")


@contextlib.contextmanager
def ethernet() -> Iterator[Link]:
    """Make a network namespace of its own whose loopback device has the MTU of an Ethernet.

    The loopback device as it is flatters and harms: its large packets spare work per byte, and make
    a client that leaves Nagle's algorithm on wait for delayed acknowledgements.

    Raises:
        LinkUnavailableError: The tools or the rights for it are missing.
    """
    ip = shutil.which("ip")
    if ip is None:
        raise LinkUnavailableError("the command ip (package iproute2) is not installed")
    if os.geteuid() != 0:
        raise LinkUnavailableError("only root may make a network namespace")
    name = f"dxlft-bench-{os.getpid()}"
    _run(ip, "netns", "add", name)
    try:
        _run(ip, "-n", name, "link", "set", "lo", "mtu", str(ETHERNET_MTU), "up")
        yield Link(f"MTU {ETHERNET_MTU}", (ip, "netns", "exec", name))
    finally:
        _run(ip, "netns", "delete", name)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise LinkUnavailableError(f"{' '.join(command)}: {done.stderr.strip()}")

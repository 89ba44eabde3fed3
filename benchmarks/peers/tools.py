"""The programs of others, which are there or left out by name."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import ProgramError

_SYSTEM_PROGRAMS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers are; an ordinary user's path does not lead there."""


class PeerError(ProgramError):
    """A peer cannot be measured here; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A peer as people install it.

    Attributes:
        name: What the tables call it.
        programs: The commands that it needs.
        install: What installs them.
        modules: The Python modules that it needs.
    """

    name: str
    programs: tuple[str, ...]
    install: str
    modules: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """What is missing here and how to get it; empty if nothing is."""
        lacks = [name for name in self.programs if find_program(name) is None]
        lacks += [f"the module {name}" for name in self.modules if find_spec(name) is None]
        if not lacks:
            return ""
        return f"{' and '.join(lacks)} not installed; try: {self.install}"


SCP = Tool("scp", ("scp", "ssh", "ssh-keygen", "sshd"), "apt install openssh-server")
RSYNC = Tool(
    "rsync",
    ("rsync", "ssh", "ssh-keygen", "sshd"),
    "apt install rsync openssh-server",
)
RCLONE = Tool("rclone", ("rclone", "ssh-keygen", "sshd"), "apt install rclone openssh-server")
NATS = Tool(
    "NATS object store",
    ("nats-server",),
    "apt install nats-server, and pip install nats-py",
    modules=("nats",),
)

TOOLS = (SCP, RSYNC, RCLONE, NATS)


def find_program(name: str) -> Path | None:
    """Return where a program is, ``None`` if it is not installed."""
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PROGRAMS))
    found = shutil.which(name, path=places)
    return None if found is None else Path(found)


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        PeerError: It is not installed.
    """
    found = find_program(name)
    if found is None:
        raise PeerError(f"{name} is not installed")
    return str(found)

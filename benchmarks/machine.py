"""What the measurements were made on and with."""

import os
import platform
import ssl
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.commands import version_of
from benchmarks.peers.tools import find_program

_PROGRAMS = {
    "ssh": "-V",
    "rsync": "--version",
    "rclone": "version",
    "nats-server": "--version",
}
"""Peers that tell their version, and the argument that makes them do so."""

_PACKAGES = ("dxlfiletransfer", "dxlclient", "nats-py", "cryptography")

_PUBLISHED = """\
from importlib.metadata import version
print("0.1.x packages: client", version("dxlfiletransferclient"),
      "service", version("dxlfiletransferservice"), "dxlclient", version("dxlclient"))
"""


def facts() -> dict[str, str | int]:
    """Return the machine's processor, cores, memory, system, Python and OpenSSL."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory": pages,
        "kernel": platform.release(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "openssl": ssl.OPENSSL_VERSION,
    }


def versions(published: str | None) -> dict[str, str]:
    """Return the versions of the packages and peers that are installed.

    Args:
        published: The Python that has the published packages, if there is one.
    """
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, argument in _PROGRAMS.items():
        path = find_program(name)
        told = version_of(path, argument) if path else ""
        if told:
            found[name] = told
    if published:
        done = subprocess.run(
            [published, "-c", _PUBLISHED], capture_output=True, text=True, timeout=60, check=False
        )
        found["0.1.x"] = done.stdout.strip().partition(": ")[2]
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

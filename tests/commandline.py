"""``dxlft`` as real processes, and what their output says."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
from dxlclient.client import DxlClient

from dxlfiletransferclient.constants import SERVICE_TYPE
from tests.fabric import registered_services
from tests.processes import ROOT, Processes, RunningProcess
from tests.waiting import TIMEOUT, wait_until

BROKER_READY = re.compile(r"broker process (\d+) is ready on port (\d+)")


class CommandLine:
    """Runs ``dxlft`` in a home of its own."""

    def __init__(self, processes: Processes, home: Path) -> None:
        self._processes = processes
        self.home = home

    @property
    def configuration(self) -> Path:
        """The client configuration in the home."""
        return self.home / "client" / "dxlclient.config"

    def start(self, *arguments: str | Path | int) -> RunningProcess:
        """Start a command."""
        command = ("-m", "dxlfiletransferservice.command", *map(str, arguments))
        environment = {"DXLFT_HOME": str(self.home)}
        return self._processes.start_python(*command, environment=environment)

    def run_as_anybody(self, *arguments: str | Path) -> RunningProcess:
        """Run a command that may read only what files let their owner read, even if root runs it.

        Where that cannot be had, root may read everything; see :func:`reads_everything`.
        """
        ahead = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
        program = (sys.executable, "-m", "dxlfiletransferservice.command")
        environment = {"DXLFT_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        is_root = os.geteuid() == 0 and not reads_everything()
        command = (*(ahead if is_root else ()), *program, *arguments)
        process = self._processes.start(*command, environment=environment)
        process.wait(TIMEOUT)
        return process

    def run(self, *arguments: str | Path | int) -> RunningProcess:
        """Start a command and wait for its end."""
        process = self.start(*arguments)
        process.wait(TIMEOUT)
        return process

    def pipe(self, *arguments: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command with bytes on standard input, and return the bytes that it writes."""
        return subprocess.run(
            [sys.executable, "-m", "dxlfiletransferservice.command", *map(str, arguments)],
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "DXLFT_HOME": str(self.home), "PYTHONPATH": str(ROOT)},
        )

    def server(self, *arguments: str | Path | int) -> RunningProcess:
        """Start a server, on any port unless told, and wait until it is ready."""
        server = self.start("server", *(arguments or ("--port", "0")))
        server.wait_for_line("ready")
        return server


def reads_everything() -> bool:
    """Whether commands can read files whatever their permissions."""
    return os.geteuid() == 0 and shutil.which("setpriv") is None


def code_of(process: RunningProcess) -> int:
    """The exit code of a process that has ended."""
    code = process.process.returncode
    assert code is not None
    return int(code)


def problem(process: RunningProcess) -> str:
    """The one line about a problem; everything else on standard error has to be log lines."""
    (line,) = problems(process)
    return line


def problems(process: RunningProcess) -> list[str]:
    """The lines about problems; everything else on standard error has to be log lines."""
    assert "Traceback" not in process.errors
    return [line for line in process.errors.splitlines() if line.startswith("dxlft: ")]


def brokers_of(server: RunningProcess) -> list[tuple[int, int]]:
    """Process and port of each broker that a server has started so far."""
    return [(int(pid), int(port)) for pid, port in BROKER_READY.findall(server.errors)]


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended, whoever its parent is."""
    wait_until(lambda: not psutil.pid_exists(pid) or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_served(dxl_client: DxlClient) -> None:
    """Wait until a file transfer service is registered."""
    wait_until(lambda: dxl_client.connected and bool(registered_services(dxl_client, SERVICE_TYPE)))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

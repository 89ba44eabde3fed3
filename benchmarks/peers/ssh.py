"""A server for ssh on the loopback device, and the programs that go by it.

Keys and configurations are those of the run alone; whatever the user has of them is neither read
nor written.
"""

import contextlib
import os
import pwd
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import environment
from benchmarks.peers.tools import PeerError, program
from benchmarks.processtrees import tree_seconds

SEPARATION = Path("/run/sshd")
"""The directory in which a server of root's locks up what is not logged in yet."""

HOST = "bench"
"""What clients call the server."""

START_SECONDS = 10.0
"""Seconds for the server to listen."""

MOST_STARTING = 100
"""Connections that may log on at once; by default the server refuses some beyond ten."""

Copier = Callable[[str | Path, str | Path], list[str]]
"""Makes the command that copies something to a place; what is remote is named as by `remote`."""

_SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey "{home}/host"
AuthorizedKeysFile "{home}/user.pub"
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
SetEnv "HOME={home}"
PrintLastLog no
MaxStartups {starting}
Subsystem sftp internal-sftp
LogLevel INFO
"""

_CLIENT = """\
Host *
HostName 127.0.0.1
Port {port}
User {user}
HostKeyAlias {host}
IdentityFile "{home}/user"
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile "{home}/known"
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    """A running server.

    Attributes:
        home: Directory of its keys and configurations, and of what it receives.
        port: Where it listens.
        pid: Its process.
    """

    home: Path
    port: int
    pid: int

    @property
    def received(self) -> Path:
        """Where senders put what they send."""
        return self.home / "received"

    @property
    def seconds(self) -> float:
        """Processor seconds of the server and of all its ended sessions."""
        return tree_seconds(self.pid)

    def client_configuration(self, port: int | None = None) -> Path:
        """Return a client's configuration.

        Args:
            port: Another way to the server.
        """
        path = self.home / f"client-{port or self.port}.config"
        text = _CLIENT.format(port=port or self.port, user=_user(), host=HOST, home=self.home)
        path.write_text(text)
        return path

    def scp(self, *options: str, port: int | None = None) -> Copier:
        """Return what makes commands of scp.

        Args:
            options: Its own.
            port: Another way to the server.
        """
        configuration = str(self.client_configuration(port))
        words = [program("scp"), "-q", "-r", "-F", configuration, "-S", program("ssh"), *options]
        return lambda source, target: [*words, str(source), str(target)]

    def rsync(self, *options: str, port: int | None = None) -> Copier:
        """Return what makes commands of rsync, which copies as an archive.

        Args:
            options: Its own.
            port: Another way to the server.
        """
        shell = shlex.join([program("ssh"), "-F", str(self.client_configuration(port))])
        words = [program("rsync"), "-a", "-e", shell, *options]

        def copy(source: str | Path, target: str | Path) -> list[str]:
            inside = "/" if isinstance(source, Path) and source.is_dir() else ""
            return [*words, f"{source}{inside}", str(target)]

        return copy

    def rclone(self, *options: str) -> Copier:
        """Return what makes commands of rclone, which goes by sftp.

        Args:
            options: Its own.
        """
        words = [
            *(program("rclone"), "--config", str(self.home / "rclone.config"), "copy"),
            *("--sftp-host", "127.0.0.1", "--sftp-port", str(self.port)),
            *("--sftp-user", _user(), "--sftp-key-file", str(self.home / "user")),
            *("--sftp-known-hosts-file", str(self.home / "known"), *options),
        ]

        def copy(source: str | Path, target: str | Path) -> list[str]:
            return [*words, str(source), f":sftp:{str(target).removeprefix(f'{HOST}:')}"]

        return copy

    @staticmethod
    def remote(path: Path) -> str:
        """Return how commands name a path of the server's."""
        return f"{HOST}:{path}"


@contextlib.contextmanager
def ssh_server(home: Path) -> Iterator[SshServer]:
    """Run a server with keys of its own.

    Raises:
        PeerError: It does not start, or lets nobody in.
    """
    (home / "received").mkdir(parents=True)
    for name in ("host", "user"):
        _run(
            program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", home / name
        )
    port = _free_port()
    key = " ".join((home / "host.pub").read_text().split()[:2])
    (home / "known").write_text(f"{HOST} {key}\n[127.0.0.1]:{port} {key}\n")
    (home / "rclone.config").touch()
    configuration = home / "sshd.config"
    configuration.write_text(_SERVER.format(port=port, home=home, starting=MOST_STARTING))
    with _separation(), (home / "sshd.log").open("w+") as log:
        process = subprocess.Popen(
            [program("sshd"), "-D", "-e", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
        try:
            _wait_for(process, port, home / "sshd.log")
            server = SshServer(home, port, process.pid)
            try:
                _run(program("ssh"), "-F", server.client_configuration(), HOST, "true")
            except PeerError as error:
                said = (home / "sshd.log").read_text().strip()
                raise PeerError(f"{error}; sshd says: {said}") from error
            yield server
        finally:
            process.terminate()
            process.wait(START_SECONDS)


@contextlib.contextmanager
def _separation() -> Iterator[None]:
    missing = os.geteuid() == 0 and not SEPARATION.exists()
    try:
        if missing:
            SEPARATION.mkdir(mode=0o755)
    except OSError as error:
        raise PeerError(f"sshd needs the directory {SEPARATION}: {error}") from error
    try:
        yield
    finally:
        if missing:
            SEPARATION.rmdir()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise PeerError(f"sshd does not start: {log.read_text().strip()}")


def _run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    if done.returncode:
        raise PeerError(f"{words[0]} ended with {done.returncode}: {done.stderr.strip()}")


def _user() -> str:
    # Variables of the environment may name somebody else, for example below su.
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_port() -> int:
    # The server cannot be told to choose; nobody else should be as quick as its start.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

"""Stands in for a transfer server that a command calls, and takes note of what it is asked for."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.sealing.keyfile import load_or_make
from tests.unit.service.dxlft import run_dxlft

PUBLIC_KEY = "dxlft1-j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8"
TICKET = "the ticket in the home"

Call = tuple[str, dict[str, Any]]
Answers = dict[str, Any]
Strings = list[str]


@dataclass
class ControlledServer:
    """A server and its home.

    Attributes:
        home: The home, in which a server has run.
        answers: What becomes of commands: a result, an error, or what makes one of the arguments.
        calls: The commands that were called, but for those that tell of requests.
        clients: How each client was made.
        log_ons: What was shown to log on.
        connect: Is called when a client connects.
        closed: Clients that took leave.
    """

    home: Path
    answers: Answers = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    clients: list[dict[str, Any]] = field(default_factory=list)
    log_ons: list[dict[str, Any]] = field(default_factory=list)
    connect: Callable[[dict[str, Any]], object] = lambda _: None
    closed: int = 0
    _requests: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def run(self, *arguments: str | Path, **more: Any) -> Result:
        """Run a command in the home."""
        texts = [str(each) for each in arguments]
        return run_dxlft([*texts, "--home", str(self.home)], **more)

    def write_ticket(self, ticket: str = TICKET) -> None:
        """Write a ticket as a server does when it starts."""
        state = self.home / "state"
        load_or_make(state / "server.key")
        (state / "local.ticket").write_text(f"{ticket}\n")

    @property
    def public_key(self) -> str:
        return load_or_make(self.home / "state" / "server.key").public

    def answer(self, command: str, arguments: Mapping[str, Any]) -> Any:
        given = {name: value for name, value in arguments.items() if value is not None}
        if command == "server.getRequestStatus":
            left, outcome = self._requests[given["requestId"]]
            self._requests[given["requestId"]] = (left - 1, outcome)
            return {"status": "pending", "processing": left > 0, "errorMessage": ""}
        if command == "server.getRequestResult":
            left, outcome = self._requests[given["requestId"]]
            assert left < 0, "the result was asked for before it was there"
            return _raised(outcome)
        self.calls.append((command, given))
        if command not in self.answers:
            raise CommandError(f"no command {command}", ErrorKind.UNKNOWN_COMMAND)
        answer = self.answers[command]
        return _raised(answer(given) if callable(answer) else answer)

    def request(self, outcome: Any, rounds: int = 2) -> dict[str, int]:
        """Queue a request that ends after some questions."""
        number = len(self._requests) + 1
        self._requests[number] = (rounds, outcome)
        return {"requestId": number}

    def named(self, command: str) -> list[dict[str, Any]]:
        """The arguments of each call of a command."""
        return [arguments for name, arguments in self.calls if name == command]


class ControlledClient:
    """What commands have in place of a ``ControlClient``."""

    hello = HelloAnswer(
        revision=0, store_id="s", segment_size=1, window=1, verbs="", public_key=PUBLIC_KEY
    )

    def __init__(self, server: ControlledServer, options: dict[str, Any]) -> None:
        self._server = server
        self._options = options
        server.clients.append(options)

    def connect(self) -> None:
        self._server.connect(self._options)

    def log_on(self, arguments: dict[str, Any]) -> None:
        self._server.log_ons.append(arguments)

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        return self._server.answer(command, arguments or {})

    def close(self) -> None:
        self._server.closed += 1


def controlled_server(mocker: MockerFixture, directory: Path) -> ControlledServer:
    """Return a server that all commands call."""
    server = ControlledServer(directory / "home")
    server.write_ticket()
    place = "dxlfiletransferservice.command.controlling"
    mocker.patch(f"{place}.connected_bus", side_effect=lambda *_: nullcontext())
    mocker.patch(
        f"{place}.ControlClient", side_effect=lambda _, **given: ControlledClient(server, given)
    )
    mocker.patch("time.sleep")
    return server


def _raised(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def problem(result: Result) -> str:
    """The last line on standard error, which tells of a problem."""
    line = result.stderr.splitlines()[-1]
    assert line.startswith("dxlft: ")
    return line

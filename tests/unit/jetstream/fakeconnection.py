"""A connection that takes note of what is called, and answers what a test says."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from jetstream.apiinterface import APIInterface
from jetstream.connecting import Settings


class FakeConnection:
    """A connection without a server.

    Attributes:
        calls: What was called: command, and arguments that are not ``None``.
        logs_on: With what was logged on.
        tickets: Tickets that were adopted.
        closed: Whether it was closed.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.logs_on: list[Mapping[str, Any]] = []
        self.tickets: list[str] = []
        self.closed = False
        self._scripts: dict[str, deque[Any]] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def script(self, command: str, *answers: Any) -> None:
        """Answer the next calls of a command; an exception is raised."""
        self._scripts.setdefault(command, deque()).extend(answers)

    def handle(self, command: str, handler: Callable[[dict[str, Any]], Any]) -> None:
        """Answer all calls of a command."""
        self._handlers[command] = handler

    def of(self, command: str) -> list[dict[str, Any]]:
        """The arguments of all calls of a command."""
        return [arguments for name, arguments in self.calls if name == command]

    @property
    def connected(self) -> bool:
        return not self.closed

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        given = {name: value for name, value in (arguments or {}).items() if value is not None}
        self.calls.append((command, given))
        if command in self._handlers:
            return self._handlers[command](given)
        if not self._scripts.get(command):
            raise CommandError(f"nobody expects {command}", ErrorKind.UNKNOWN_COMMAND)
        answer = self._scripts[command].popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def log_on(self, arguments: Mapping[str, Any]) -> None:
        self.logs_on.append(arguments)

    def adopt(self, ticket: str) -> None:
        self.tickets.append(ticket)

    def close(self) -> None:
        self.closed = True


class FakeTime:
    """A clock that sleeping moves on.

    Attributes:
        now: The time.
        slept: How long each sleep took.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def fake_api(
    connection: FakeConnection, time: FakeTime | None = None, *, wait: float | None = None
) -> APIInterface:
    """An API that is connected to nothing."""
    api = APIInterface(Settings(), waitTimeoutSeconds=wait, connect=lambda _settings: connection)
    time = time or FakeTime()
    for interface in (api.server, api.send, api.recv):
        interface._sync._clock = time.clock
        interface._sync._sleep = time.sleep
    api.connect()
    return api

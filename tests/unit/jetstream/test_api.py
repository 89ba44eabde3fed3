import subprocess
import sys
from pathlib import Path

import pytest

import jetstream
from dxlfiletransferclient._version import __version__
from dxlfiletransferclient.control import constants as below
from dxlfiletransferclient.errors import FileTransferError
from jetstream import (
    APIInterface,
    ConnectError,
    JetStream,
    Jetstream,
    NotConnectedError,
    constants,
    errors,
)
from jetstream.connecting import Settings, open_connection
from jetstream.syncinterface import Connection
from tests.unit.jetstream.fakeconnection import FakeConnection


def api(connections: list[FakeConnection]) -> APIInterface:
    def connect(_settings: Settings) -> Connection:
        connections.append(FakeConnection())
        return connections[-1]

    return APIInterface(Settings(), connect=connect)


def test_connect_and_disconnect() -> None:
    connections: list[FakeConnection] = []
    interface = api(connections)
    states = [interface.connected]
    interface.connect()
    interface.connect()
    states.append(interface.connected)
    assert len(connections) == 1
    interface.disconnect()
    interface.disconnect()
    assert connections[0].closed
    states.append(interface.connected)
    interface.connect()
    assert len(connections) == 2
    assert states == [False, True, False]


def test_context_manager_connects_if_it_is_not() -> None:
    connections: list[FakeConnection] = []
    interface = api(connections)
    with interface as same:
        assert same is interface
        assert interface.connected
    assert connections[0].closed
    interface.connect()
    with interface:
        assert len(connections) == 2
    assert connections[1].closed


def test_calls_without_a_connection() -> None:
    connections: list[FakeConnection] = []
    interface = api(connections)
    with pytest.raises(NotConnectedError, match=r"not connected to localhost:8886: call connect\("):
        interface.send.getTransfers()
    with pytest.raises(NotConnectedError):
        interface.server.auth("ann", "secret")
    with interface:
        pass
    with pytest.raises(NotConnectedError):
        interface.recv.getSourcesAsync()


def test_what_the_api_is_shown_as() -> None:
    made = Jetstream().api("files.example.com", 99, server="one")
    assert repr(made) == ("<APIInterface to the server one at files.example.com:99, not connected>")
    assert str(Settings(config="some.config")) == "the brokers of the configuration"
    assert JetStream is Jetstream


@pytest.mark.parametrize("options", [{"timeoutSeconds": 0}, {"waitTimeoutSeconds": -1}])
def test_times_that_are_none(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Seconds' must be greater than 0"):
        Jetstream().api(**options)  # type: ignore[arg-type]


def test_nothing_to_connect_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(tmp_path))
    with pytest.raises(ConnectError, match=f"{tmp_path}/client/dxlclient.config: there is no such"):
        open_connection(Settings())


def test_exports() -> None:
    assert jetstream.__all__ == sorted(jetstream.__all__)
    assert all(hasattr(jetstream, name) for name in jetstream.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)
    assert constants.__all__ == sorted(constants.__all__)
    assert all(hasattr(constants, name) for name in constants.__all__)


def test_constants() -> None:
    assert __version__ == ".".join(map(str, constants.BUILD_VERSION))
    assert constants.DEFAULT_API_PORT == 8886
    names = {name for name in vars(below) if name.isupper() and not name.startswith("_")}
    assert names - set(constants.__all__) <= {"MAX_PAGE"}


def test_every_error_has_one_base() -> None:
    for name in errors.__all__:
        found = getattr(errors, name)
        if issubclass(found, Exception):
            assert issubclass(found, errors.JetstreamError)
            assert issubclass(found, FileTransferError)
    assert issubclass(errors.CallTimeoutError, TimeoutError)
    assert issubclass(errors.WaitTimeoutError, TimeoutError)


def test_import_needs_no_server() -> None:
    code = (
        "import sys, jetstream; "
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('dxlfiletransferservice', 'sqlalchemy', 'argon2', 'typer', 'rich')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"

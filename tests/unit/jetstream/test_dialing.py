"""How programs find their configuration, and what they are told if there is no way."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dxlclient.client_config import DxlClientConfig
from pytest_mock import MockerFixture

from dxlfabric.certificates import provision
from dxlfabric.errors import ConnectError as FabricError
from dxlfiletransferclient.control import dialing
from dxlfiletransferclient.control.configuration import client_configuration, home_directory
from dxlfiletransferclient.control.dialing import dial
from dxlfiletransferclient.control.errors import ConnectError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("home")
    provision(directory)
    return directory


@pytest.fixture
def dialled(home: Path, mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("DXLFT_HOME", str(home))
    return mocker.patch.object(dialing, "connect", autospec=True)


def places(dialled: Any) -> list[tuple[str, int]]:
    (config,) = dialled.call_args.args
    return [(broker.host_name, broker.port) for broker in config.brokers]


def test_home_is_the_default(dialled: Any, home: Path) -> None:
    assert dial(timeout=7) is dialled.return_value
    assert places(dialled) == [("localhost", 8886)]
    assert dialled.call_args.kwargs == {"timeout": 7}
    (config,) = dialled.call_args.args
    assert config.cert_file.startswith(str(home))
    assert config.reconnect_delay_max <= 2
    assert client_configuration(home_directory()) == home / "client" / "dxlclient.config"


@pytest.mark.parametrize(
    ("address", "port", "place"),
    [
        ("files.example.com", None, ("files.example.com", 8886)),
        (None, 99, ("localhost", 99)),
        ("::1", 99, ("::1", 99)),
        ("[::1]", 99, ("::1", 99)),
    ],
)
def test_address_comes_first(
    dialled: Any, home: Path, address: str | None, port: int | None, place: tuple[str, int]
) -> None:
    dial(address, port, timeout=7)
    assert places(dialled) == [place]
    dial(address, port, config=client_configuration(home), timeout=7)
    assert places(dialled) == [place]


def test_brokers_of_a_configuration(dialled: Any, home: Path) -> None:
    path = client_configuration(home)
    config = DxlClientConfig.create_dxl_config_from_file(str(path))
    own = [(broker.host_name, broker.port) for broker in config.brokers]
    for given in (path, str(path), config):
        dial(config=given, timeout=7)
        assert places(dialled) == own
    (used,) = dialled.call_args.args
    assert used is not config
    assert used._client_id != config._client_id


def test_configuration_that_is_not_changed(dialled: Any, home: Path) -> None:
    config = DxlClientConfig.create_dxl_config_from_file(str(client_configuration(home)))
    before = [(broker.host_name, broker.port) for broker in config.brokers]
    dial("files.example.com", config=config, timeout=7)
    assert [(broker.host_name, broker.port) for broker in config.brokers] == before


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        ("", None, "address is ''"),
        ("a b", None, "address is 'a b', but must be a host name"),
        (7, None, "address is 7"),
        (None, 0, "port is 0, but must be from 1 to 65535"),
        (None, 65536, "port is 65536"),
        (None, "8886", "port is '8886'"),
        (None, True, "port is True"),
    ],
)
def test_places_that_are_none(dialled: Any, address: Any, port: Any, text: str) -> None:
    with pytest.raises(ConnectError, match=text):
        dial(address, port, timeout=7)
    dialled.assert_not_called()


def test_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(tmp_path / "none"))
    with pytest.raises(ConnectError) as caught:
        dial(timeout=7)
    for part in (f"{tmp_path}/none/client/dxlclient.config", "dxlft server", "DXLFT_HOME", "'conf"):
        assert part in str(caught.value)
    with pytest.raises(ConnectError, match=f"{tmp_path}/x: there is no such client configuration"):
        dial(config=tmp_path / "x", timeout=7)


def test_configuration_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "dxlclient.config"
    path.write_text("[Certs\n")
    with pytest.raises(ConnectError, match=f"configuration cannot be used: {path}"):
        dial(config=path, timeout=7)


def test_errors_of_the_fabric_name_the_file(dialled: Any, home: Path) -> None:
    dialled.side_effect = FabricError("broker there:1: its certificate is not accepted")
    with pytest.raises(ConnectError) as caught:
        dial("there", 1, timeout=7)
    assert str(caught.value) == (
        "no transfer server can be reached: broker there:1: its certificate is not accepted "
        f"(client configuration: {client_configuration(home)})"
    )


def test_nobody_listens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(home))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectError, match=f"broker 127.0.0.1:{port}: nobody listens there"):
            dial("127.0.0.1", port, timeout=7)


def test_name_that_nobody_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DXLFT_HOME", str(home))
    with pytest.raises(ConnectError, match=r"host name .*example\.invalid.* cannot be resolved"):
        dial(".example.invalid", timeout=7)

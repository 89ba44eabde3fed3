"""Connections to brokers: which configuration, shared, ended when nobody uses them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dxlclient.client_config import DxlClientConfig

from dxlfabric.certificates import Provisioned
from dxlfabric.configuration import BrokerAddress, write_client_configuration
from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfiletransferservice.courier import dialling
from dxlfiletransferservice.courier.dialling import IDLE_SECONDS, Dialling, configuration_for
from tests.waiting import TIMEOUT, wait_until


class FakeClient:
    def __init__(self, config: DxlClientConfig) -> None:
        self.config = config
        self.connected = True
        self.destroyed = threading.Event()

    def destroy(self) -> None:
        self.connected = False
        self.destroyed.set()


class Lines:
    """Connects to nothing, and remembers it."""

    def __init__(self) -> None:
        self.made: list[FakeClient] = []
        self.error: Exception | None = None
        self.held: threading.Event | None = None
        self.waiting = threading.Event()
        self.attempts = 0
        self.now = 0.0

    def connect(self, config: DxlClientConfig, *, timeout: float) -> FakeClient:
        assert timeout > 0
        self.attempts += 1
        self.waiting.set()
        if self.held is not None:
            assert self.held.wait(TIMEOUT)
        if self.error is not None:
            raise self.error
        self.made.append(FakeClient(config))
        return self.made[-1]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    made = Lines()
    monkeypatch.setattr(dialling, "connect", made.connect)
    return made


@pytest.fixture
def own(provisioned: Provisioned, tmp_path: Path) -> Path:
    return written(tmp_path / "dxlclient.config", provisioned, BrokerAddress("{1}", "home", 8886))


@pytest.fixture
def dialled(own: Path, tmp_path: Path, lines: Lines) -> Iterator[Dialling]:
    made = Dialling(own, tmp_path / "fabrics", clock=lambda: lines.now)
    yield made
    made.close()


def written(path: Path, provisioned: Provisioned, broker: BrokerAddress) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_client_configuration(path, provisioned.client.credentials, broker)
    return path


def test_the_own_configuration_is_for_all_brokers_that_no_other_names(
    own: Path, provisioned: Provisioned, tmp_path: Path
) -> None:
    fabrics = tmp_path / "fabrics"
    written(fabrics / "b.config", provisioned, BrokerAddress("{2}", "There", 9000, "10.0.0.1"))
    written(fabrics / "local.config", provisioned, BrokerAddress("{3}", "localhost", 9001))
    (fabrics / "a.config").write_text("[broken")
    ids = {
        place: configuration_for(place, own, fabrics)._client_id
        for place in [("elsewhere", 8883), ("there", 9000)]
    }
    assert len(set(ids.values())) == 2, "no two clients have the same id"
    for place in [("elsewhere", 8883), ("there", 9000), ("10.0.0.1", 9000), ("127.0.0.1", 9001)]:
        config = configuration_for(place, own, fabrics)
        assert [(each.host_name, each.port) for each in config.brokers] == [place]
    written(fabrics / "c.config", provisioned, BrokerAddress("{4}", "other", 9000))
    assert configuration_for(("other", 9001), own, fabrics).brokers[0].port == 9001


def test_all_who_send_there_share_a_connection(dialled: Dialling, lines: Lines) -> None:
    with dialled.client("a", 1) as first, dialled.client("a", 1) as second:
        assert first is second
    with dialled.client("b", 1) as third:
        assert third is not first
    assert len(lines.made) == 2


def test_one_that_nobody_uses_is_ended_after_a_while(dialled: Dialling, lines: Lines) -> None:
    with dialled.client("a", 1):
        lines.now += 10 * IDLE_SECONDS
        dialled.maintain()
        assert lines.made[0].connected
    dialled.maintain()
    assert lines.made[0].connected
    lines.now += IDLE_SECONDS
    dialled.maintain()
    assert lines.made[0].destroyed.wait(TIMEOUT)


def test_one_that_is_lost_is_dialled_anew(dialled: Dialling, lines: Lines) -> None:
    with dialled.client("a", 1):
        pass
    lines.made[0].connected = False
    with dialled.client("a", 1):
        pass
    assert len(lines.made) == 2
    assert lines.made[0].destroyed.is_set()


def test_why_there_is_none_is_told(dialled: Dialling, lines: Lines) -> None:
    lines.error = ConnectError("nobody there")
    with pytest.raises(ConnectError, match="nobody there"), dialled.client("a", 1):
        pass
    lines.error = None
    with dialled.client("a", 1) as client:
        assert client.connected


def test_none_outlives_the_end(dialled: Dialling, lines: Lines) -> None:
    with dialled.client("a", 1):
        pass
    lines.held = threading.Event()
    lines.waiting.clear()
    failures: list[Exception] = []

    def dial() -> None:
        try:
            with dialled.client("b", 1):
                pass
        except ConfigurationError as error:
            failures.append(error)

    thread = threading.Thread(target=dial)
    thread.start()
    assert lines.waiting.wait(TIMEOUT)
    dialled.close()
    lines.held.set()
    thread.join(TIMEOUT)
    assert len(failures) == 1
    wait_until(lambda: all(each.destroyed.is_set() for each in lines.made))
    assert len(lines.made) == 2
    with pytest.raises(ConfigurationError, match="ending"), dialled.client("a", 1):
        pass


class Waiters:
    """Threads that want a connection to the same broker, while one of them dials."""

    def __init__(self, dialled: Dialling, lines: Lines, count: int = 5) -> None:
        self.failures: list[Exception] = []
        lines.held = threading.Event()
        self._dialled = dialled
        self._threads = [threading.Thread(target=self._dial) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: lines.waiting.is_set() and self._users == count)

    @property
    def _users(self) -> int:
        return sum(line.users for line in self._dialled._lines.values())

    def join(self) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    def _dial(self) -> None:
        try:
            with self._dialled.client("dead", 1):
                pass
        except (ConfigurationError, ConnectError) as error:
            self.failures.append(error)


@pytest.mark.parametrize("kind", [ConnectError, ConfigurationError])
def test_one_attempt_counts_for_all_who_wait(
    dialled: Dialling, lines: Lines, kind: type[Exception]
) -> None:
    lines.error = kind("nobody there")
    waiters = Waiters(dialled, lines)
    assert lines.held is not None
    lines.held.set()
    waiters.join()
    assert [str(error) for error in waiters.failures] == ["nobody there"] * 5
    assert {type(error) for error in waiters.failures} == {kind}
    before = lines.attempts
    assert before < 5
    with pytest.raises(kind), dialled.client("dead", 1):
        pass
    assert lines.attempts == before + 1, "who comes later tries again"


def test_nobody_waits_for_ever_for_the_attempt_of_another(
    dialled: Dialling, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "CONNECT_SECONDS", 0.05)
    waiters = Waiters(dialled, lines)
    wait_until(lambda: len(waiters.failures) == 4)
    assert all("still under way" in str(error) for error in waiters.failures)
    assert lines.held is not None
    lines.held.set()
    waiters.join()
    assert len(lines.made) == 1


def test_who_waits_for_the_attempt_of_another_is_let_go_at_the_end(
    dialled: Dialling, lines: Lines
) -> None:
    waiters = Waiters(dialled, lines)
    dialled.refuse()
    wait_until(lambda: len(waiters.failures) == 4)
    assert all("ending" in str(error) for error in waiters.failures)
    assert lines.held is not None
    lines.held.set()
    waiters.join()


def test_connections_outlive_the_end_of_dialling(dialled: Dialling, lines: Lines) -> None:
    with dialled.client("a", 1) as client:
        dialled.refuse()
        with pytest.raises(ConfigurationError, match="ending"), dialled.client("a", 1):
            pass
        assert client.connected
        dialled.close()
        assert lines.made[0].destroyed.wait(TIMEOUT)


@pytest.mark.parametrize(
    ("reason", "hinted"), [("its certificate is not accepted", True), ("nobody listens", False)]
)
def test_where_to_put_the_configuration_of_another_fabric_is_said(
    dialled: Dialling, lines: Lines, reason: str, hinted: bool
) -> None:
    lines.error = ConnectError(reason)
    with pytest.raises(ConnectError) as caught, dialled.client("far.example.com", 8886):
        raise AssertionError
    assert str(caught.value).startswith(reason)
    assert ("put a client configuration of it" in str(caught.value)) == hinted

"""All couriers of a server: who is served, and what becomes of those who cannot be reached."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dxlclient.client import DxlClient

from dxlfabric.errors import ConfigurationError, ConnectError
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.courier import courier as courier_module
from dxlfiletransferservice.courier.couriers import DestinationCouriers
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.seams import ConnectionState, DestinationState, Status
from tests.unit.service.fakework import FakeWork
from tests.waiting import TIMEOUT, wait_until

KEY = PrivateKey.from_bytes(bytes(range(32)))


class Nowhere(Dialling):
    """Reaches nobody."""

    def __init__(self) -> None:
        super().__init__(Path("none"), Path("none"))
        self.error: Exception = ConnectError("broker 127.0.0.1:8886: it refuses connections")
        self.dialled: list[int] = []
        self.held: threading.Event | None = None
        self.held_ports = [1, 2, 8886]
        self.closed = False

    @contextmanager
    def client(self, address: str, port: int) -> Iterator[DxlClient]:
        self.dialled.append(port)
        if self.held is not None and port in self.held_ports:
            assert self.held.wait(TIMEOUT)
        raise self.error
        yield  # type: ignore[unreachable]

    def close(self) -> None:
        self.closed = True


class Server:
    def __init__(self, **options: float) -> None:
        self.work = FakeWork()
        self.work.add_manifest(1, [])
        self.dialling = Nowhere()
        chosen = {"write_every": 0.02, "longest_pause": 0.05, **options}
        self.couriers = DestinationCouriers(
            self.work,
            KEY,
            self.dialling,
            options=CourierOptions(**chosen),  # type: ignore[arg-type]
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "FIRST_PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.work.add_destination(1)
    yield made
    made.couriers.close()


def test_nothing_is_dialled_where_there_is_nothing_to_send(server: Server) -> None:
    server.couriers.start()
    server.couriers.refresh(1)
    server.couriers.refresh(17)
    wait_until(lambda: not server.couriers._running)
    assert server.dialling.dialled == []
    assert server.couriers.state(1) == DestinationState()
    assert server.couriers.state(99) == DestinationState()
    assert server.couriers.progress(5) is None


def test_a_destination_is_tried_again_and_again(server: Server) -> None:
    server.work.add_transfer(1, 1)
    server.couriers.start()
    wait_until(lambda: len(server.dialling.dialled) >= 5)
    state = server.couriers.state(1)
    assert state.error == "ConnectError"
    assert state.error_message == "broker 127.0.0.1:8886: it refuses connections"
    assert server.work.status(1) is Status.PENDING
    server.work.suspend(1)
    server.couriers.refresh(1)
    wait_until(lambda: not server.couriers._running)
    assert server.couriers.state(1).state is ConnectionState.DISCONNECTED


def test_paths_of_the_server_are_not_told(server: Server) -> None:
    server.dialling.error = ConfigurationError("/srv/secret/dxlclient.config: broken")
    server.work.add_transfer(1, 1)
    server.couriers.start()
    wait_until(lambda: server.couriers.state(1).error is not None)
    assert "/srv" not in server.couriers.state(1).error_message


def test_who_is_not_to_wait_fails_and_others_wait_on(server: Server) -> None:
    server.work.add_transfer(1, 1, timeout_seconds=0.2)
    server.work.add_transfer(2, 1, lane="High", timeout_seconds=0.1)
    server.work.add_transfer(3, 1)
    server.couriers.start()
    wait_until(lambda: not server.work.status(1).active)
    for number in (1, 2):
        row = server.work.rows[number]
        assert row.status is Status.ERROR
        assert row.message.startswith("there was no connection to the destination for 0.")
        assert row.message.endswith("it refuses connections")
    assert server.work.status(3) is Status.PENDING


def test_who_is_not_to_wait_fails_though_it_is_still_dialled(server: Server) -> None:
    server.dialling.held = threading.Event()
    server.work.add_transfer(1, 1, timeout_seconds=0.1)
    server.work.add_transfer(2, 1)
    server.couriers.start()
    wait_until(lambda: not server.work.status(1).active)
    assert server.work.rows[1].message.endswith(" for 0.1 seconds: it does not answer")
    assert server.work.status(2) is Status.PENDING
    assert server.dialling.dialled == [8886]
    server.dialling.held.set()


def test_who_is_not_to_wait_fails_though_others_have_all_threads() -> None:
    server = Server(most_threads=1)
    server.work.add_destination(1)
    server.work.add_destination(2, port=2)
    server.work.add_transfer(1, 1, timeout_seconds=0.3)
    server.couriers.start()
    wait_until(lambda: bool(server.dialling.dialled))
    server.dialling.held_ports = [2]
    server.dialling.held = threading.Event()
    server.work.add_transfer(2, 1, destination_id=2)
    server.couriers.refresh(2)
    wait_until(lambda: 2 in server.couriers._running)
    wait_until(lambda: not server.work.status(1).active)
    assert 1 not in server.couriers._running, "it waits for its turn"
    assert server.work.rows[1].message.endswith("it refuses connections")
    server.dialling.held.set()
    server.couriers.close()


def test_a_ping_is_worth_a_connection(server: Server) -> None:
    server.couriers.start()
    server.couriers.ping(1, 3)
    wait_until(lambda: bool(server.dialling.dialled))
    wait_until(lambda: not server.couriers._running)
    assert len(server.dialling.dialled) == 1, "nobody waits for pings"


def test_a_database_that_fails_does_not_end_a_courier(server: Server) -> None:
    server.work.add_transfer(1, 1)
    server.couriers.start()
    wait_until(lambda: len(server.dialling.dialled) >= 2)
    server.work.failures.extend(OSError("gone") for _ in range(3))
    before = len(server.dialling.dialled)
    wait_until(lambda: not server.work.failures and len(server.dialling.dialled) > before + 2)


def test_all_have_a_turn_where_there_are_too_many() -> None:
    server = Server(most_threads=3)
    for number in range(1, 13):
        server.work.add_destination(number, port=number)
        server.work.add_transfer(number, 1, destination_id=number)
    server.couriers.start()
    wait_until(lambda: set(server.dialling.dialled) == set(range(1, 13)))
    assert len(server.couriers._running) <= 3
    counts = [server.dialling.dialled.count(number) for number in range(1, 13)]
    wait_until(lambda: min(server.dialling.dialled.count(n) for n in range(1, 13)) >= 3)
    assert counts
    server.couriers.close()
    assert server.couriers._running == {}


def test_closing_does_not_wait_for_who_is_dialling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dxlfiletransferservice.courier.couriers.CLOSE_SECONDS", 0.2)
    server = Server()
    server.work.add_destination(1)
    server.work.add_transfer(1, 1)
    server.dialling.held = threading.Event()
    server.couriers.start()
    wait_until(lambda: bool(server.dialling.dialled))
    server.couriers.close()
    assert server.dialling.closed
    thread = server.couriers._threads.get(1)
    server.dialling.held.set()
    if thread is not None:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    server.couriers.refresh(1)
    server.couriers.ping(1, 1)
    assert server.couriers._running == {}


def test_states_of_those_who_rest_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dxlfiletransferservice.courier.couriers.MOST_STATES", 5)
    server = Server()
    for number in range(30):
        server.couriers.refresh(number)
    wait_until(lambda: not server.couriers._running and not server.couriers._waiting)
    assert len(server.couriers._resting) <= 5


def test_the_database_is_looked_at_though_nobody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dxlfiletransferservice.courier.couriers.LOOK_SECONDS", 0.05)
    server = Server()
    server.work.add_destination(1)
    server.couriers.start()
    wait_until(lambda: not server.couriers._running)
    server.work.add_transfer(1, 1)
    wait_until(lambda: bool(server.dialling.dialled))
    server.work.failures.append(OSError("gone"))
    wait_until(lambda: not server.work.failures)
    server.couriers.close()


def test_those_of_one_connection_share_its_limit(server: Server) -> None:
    plans = [
        server.work.add_destination(number, connection_id=number // 2, connection_rate=1000)
        for number in range(4)
    ]
    limits = [server.couriers._limit_of(plan) for plan in plans]
    assert limits[0] is limits[1]
    assert limits[2] is limits[3]
    assert limits[1] is not limits[2]
    assert limits[0].rate == 1000

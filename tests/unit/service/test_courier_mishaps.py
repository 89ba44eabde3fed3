"""What goes wrong around couriers, and must not harm anything else."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dxlclient.client import DxlClient

from dxlfabric.errors import ConnectError
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferservice.courier import courier as courier_module
from dxlfiletransferservice.courier import dialling as dialling_module
from dxlfiletransferservice.courier.couriers import DestinationCouriers
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.seams import Progress, Status
from tests.unit.service.admitting import ALICE, receiver
from tests.unit.service.couriering import KIB, MIB, SessionService, World
from tests.unit.service.fakework import FakeWork, Guard
from tests.waiting import TIMEOUT, wait_until


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[tuple[World, SessionService]]:
    directory = tmp_path / "receiver"
    directory.mkdir()
    with receiver(directory) as other:
        made = World(tmp_path, store=other.store)
        made.manifest(1, {"a": 20 * MIB})
        yield made, SessionService(other, made.bus)


@pytest.mark.parametrize("size", [10, MIB])
def test_a_time_that_cannot_be_told_is_a_failure_of_that_file(world: World, size: int) -> None:
    world.serve()
    world.manifest(1, {"a": 10, "b.odd": size, "c": MIB})
    far = 10**19
    os.utime(world.source(1, "b.odd"), ns=(far, far))
    if world.source(1, "b.odd").stat().st_mtime_ns != far:
        pytest.skip("the file system cannot keep such a time")
    world.work.add_transfer(1, 1)
    world.run()
    assert world.work.status(1) is Status.ERROR
    assert "1 of 3 files could not be sent" in world.work.rows[1].message
    assert "b.odd" in world.work.rows[1].message
    assert world.work.progress(1).files_sent == 2


def test_slow_ones_do_not_keep_a_lane_waiting(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 2 * MIB})
    world.manifest(2, {"a": 100})
    for number in range(1, 21):
        world.work.add_transfer(number, 1, destination_path=str(number), rate=125)
    world.work.add_transfer(21, 2, destination_path="21")
    delivery = world.delivery()
    world.bus.at(60.0, delivery.close)
    delivery.run()
    assert world.work.status(21) is Status.COMPLETE
    assert world.work.status(1) is Status.SENDING


def test_a_manifest_that_has_lost_files_is_not_complete(world: World) -> None:
    world.serve()
    files = world.manifest(1, {"a": 10, "b": 20})
    world.work.add_transfer(1, 1)
    world.work.manifests[1] = files[:1]
    world.run()
    assert world.work.status(1) is Status.ERROR
    assert world.work.progress(1).files_sent == 1


def test_other_rights_count_for_what_is_under_way(world: World) -> None:
    world.serve()
    files = world.manifest(1, {f"{number:03}": 300 * KIB for number in range(40)})
    world.work.add_transfer(1, 1, rate=1e6)
    delivery = world.delivery()

    def confine() -> None:
        world.work.change(1, guard=Guard({file.src for file in files}))
        delivery.refresh()

    world.bus.at(3.0, confine)
    delivery.run()
    progress = world.work.progress(1)
    assert 0 < progress.files_sent < 20
    assert progress.files_failed == 40 - progress.files_sent


def test_leave_is_not_waited_for_where_nobody_answers(
    sealed: tuple[World, SessionService],
) -> None:
    world, service = sealed
    world.work.add_transfer(1, 1, timeout_seconds=3, rate=5e6)
    world.bus.at(2.0, service.hang)
    world.run()
    assert world.work.status(1) is Status.ERROR
    assert "no connection to the destination for 3 seconds" in world.work.rows[1].message
    assert world.bus.now() < 5 + CourierOptions().idle + 1


def test_a_farewell_that_nobody_answers_does_not_keep_a_courier(
    sealed: tuple[World, SessionService],
) -> None:
    world, service = sealed
    world.work.add_transfer(1, 1, rate=1e6)
    delivery = world.delivery()
    world.bus.at(2.0, service.hang)

    def suspend() -> None:
        world.work.suspend(1)
        delivery.refresh()

    world.bus.at(2.1, suspend)
    with pytest.raises(TransferCancelledError):
        delivery.run()
    assert world.bus.now() < 2.1 + CourierOptions().idle + 2


def test_progress_that_could_not_be_written_is_written_later(world: World) -> None:
    world.manifest(1, {"a": 10})
    world.work.add_transfer(1, 1)
    world.records.put({1: Progress(bytes_sent=5)})
    world.work.failures.append(OSError("locked"))
    with pytest.raises(OSError, match="locked"):
        world.records.flush()
    world.records.flush()
    assert world.work.progress(1).bytes_sent == 5


class Refused(Dialling):
    """Reaches nobody, at once."""

    def __init__(self) -> None:
        super().__init__(Path("none"), Path("none"))
        self.dialled = 0

    @contextmanager
    def client(self, address: str, port: int) -> Iterator[DxlClient]:
        self.dialled += 1
        raise ConnectError(f"broker {address}:{port}: it refuses connections")
        yield  # type: ignore[unreachable]


def test_those_that_cannot_be_reached_are_left_alone_though_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier_module, "FIRST_PAUSE", 0.05)
    work, dialling = FakeWork(), Refused()
    work.add_manifest(1, [])
    for number in (1, 2, 3):
        work.add_destination(number, port=number)
        work.add_transfer(number, 1, destination_id=number, timeout_seconds=0.5)
    couriers = DestinationCouriers(work, ALICE, dialling, options=CourierOptions(most_threads=1))
    couriers.start()
    wait_until(lambda: work.all_ended)
    couriers.close()
    assert all("it refuses connections" in row.message for row in work.rows.values())
    assert dialling.dialled < 100, "each attempt is followed by a pause"


def test_pings_that_come_while_it_is_dialled_are_sent_then(monkeypatch: pytest.MonkeyPatch) -> None:
    pings: list[int] = []
    dialling, connected = threading.Event(), threading.Event()

    class Sending:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.over = threading.Event()

        def ping(self, count: int) -> None:
            pings.append(count)

        def refresh(self) -> None:
            pass

        def close(self) -> None:
            self.over.set()

        def run(self) -> None:
            assert self.over.wait(TIMEOUT)

    class Slow(Refused):
        @contextmanager
        def client(self, address: str, port: int) -> Iterator[Any]:
            dialling.set()
            assert connected.wait(TIMEOUT)
            yield None

    @contextmanager
    def bus(_: object) -> Iterator[None]:
        yield None

    monkeypatch.setattr(courier_module, "Delivery", Sending)
    monkeypatch.setattr(courier_module, "DxlBus", bus)
    work = FakeWork()
    work.add_manifest(1, [])
    work.add_destination(1)
    work.add_transfer(1, 1)
    couriers = DestinationCouriers(work, ALICE, Slow())
    couriers.start()
    assert dialling.wait(TIMEOUT)
    couriers.ping(1, 3)
    connected.set()
    wait_until(lambda: bool(pings))
    couriers.close()
    assert pings == [3]


def test_a_connection_that_comes_back_is_not_taken_from_those_who_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def dialled(self: Dialling, place: object) -> Any:
        client = SimpleNamespace(connected=True, destroyed=False)
        client.destroy = lambda: setattr(client, "destroyed", True)
        made.append(client)
        return client

    monkeypatch.setattr(dialling_module.Dialling, "_dialled", dialled)
    lines = Dialling(Path("own"), Path("none"))
    with lines.client("there", 1) as first:
        assert id(first) == id(made[0])
        made[0].connected = False
        with pytest.raises(ConnectError), lines.client("there", 1):
            pytest.fail("there is no connection")
        assert not made[0].destroyed
        made[0].connected = True
        with lines.client("there", 1) as second:
            assert second is first
        made[0].connected = False
    with lines.client("there", 1):
        assert made[0].destroyed
    assert len(made) == 2
    lines.close()

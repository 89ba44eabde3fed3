"""Couriers between real processes: a broker, services that are killed, and clocks that tick."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.courier.couriers import DestinationCouriers
from dxlfiletransferservice.courier.dialling import Dialling
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.seams import ConnectionState, Status
from tests.integration.stage import MEBIBYTE, TOPIC, Stage, StageService, digest
from tests.processes import Processes
from tests.unit.service.fakework import FakeWork, manifest_of, write_files
from tests.waiting import wait_until

_logger = logging.getLogger(__name__)

KEY = PrivateKey.from_bytes(bytes(range(32)))


class Sending:
    """A server's couriers, beside the stage."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage = stage
        self.directory = directory
        self.work = FakeWork()
        self.work.add_destination(port=int(stage._port))
        self.options = CourierOptions(store_topic=TOPIC, write_every=0.1)
        self.couriers = self.new()

    def new(self) -> DestinationCouriers:
        """Return couriers as a server that was started anew has them."""
        dialling = Dialling(self.stage.configuration, self.directory / "fabrics")
        self.couriers = DestinationCouriers(self.work, KEY, dialling, options=self.options)
        return self.couriers

    def large(self, manifest: int, size: int) -> Path:
        root = self.directory / f"large-{manifest}"
        root.mkdir()
        path = self.stage.source(size, f"large-{manifest}/file")
        self.work.add_manifest(manifest, manifest_of(root))
        return path

    def change(self, number: int = 1, **values: object) -> None:
        self.work.change(number, **values)
        self.couriers.refresh(1)

    def wait(self, number: int = 1) -> None:
        wait_until(lambda: not self.work.status(number).active)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    processes = Processes(tmp_path)
    yield Stage(processes, tmp_path)
    processes.close()


@pytest.fixture
def sending(stage: Stage, tmp_path: Path) -> Iterator[Sending]:
    made = Sending(stage, tmp_path)
    yield made
    made.couriers.close()
    wait_until(lambda: not [each for each in threading.enumerate() if "dxlft" in each.name])


@pytest.fixture
def service(stage: Stage) -> StageService:
    return stage.service()


def test_everything_is_sent_and_told(sending: Sending, service: StageService) -> None:
    sending.work.add_manifest(1, write_files(sending.directory / "small", [0, 10, 2_000_000]))
    large = sending.large(2, 20 * MEBIBYTE)
    sending.work.add_transfer(1, 1, destination_path="small")
    sending.couriers.start()
    sending.wait(1)
    sending.work.add_transfer(2, 2)
    sending.couriers.refresh(1)
    sending.couriers.ping(1, 2)
    sending.wait(2)
    for number in (1, 2):
        assert (sending.work.status(number), sending.work.rows[number].message) == (
            Status.COMPLETE,
            "",
        )
        assert sending.couriers.progress(number) is None
    assert digest(service.storage / "file") == digest(large)
    assert len(list((service.storage / "small").iterdir())) == 3
    wait_until(lambda: sending.couriers.state(1).round_trip is not None)
    state = sending.couriers.state(1)
    assert state.state is ConnectionState.CONNECTED
    wait_until(lambda: sending.work.contacts[1].receiver_id is not None)
    contact = sending.work.contacts[1]
    assert contact.server_id == contact.receiver_id


def test_suspended_in_the_middle_and_resumed(sending: Sending, service: StageService) -> None:
    source = sending.large(1, 40 * MEBIBYTE)
    sending.work.add_transfer(1, 1, rate=20 * MEBIBYTE)
    sending.couriers.start()
    wait_until(lambda: service.received > 10 * MEBIBYTE)
    live = sending.couriers.progress(1)
    assert live is not None
    assert live.bytes_acked > 0
    sending.work.suspend(1)
    sending.couriers.refresh(1)
    wait_until(lambda: sending.couriers.progress(1) is None)
    halfway = sending.work.progress(1)
    assert 8 * MEBIBYTE < halfway.bytes_acked < 35 * MEBIBYTE
    sending.work.resume(1)
    sending.change(rate=None)
    sending.wait()
    assert sending.work.status(1) is Status.COMPLETE
    assert digest(service.storage / "file") == digest(source)
    assert sending.work.progress(1).bytes_sent < 42 * MEBIBYTE


def test_a_server_that_ends_and_starts_goes_on(sending: Sending, service: StageService) -> None:
    source = sending.large(1, 60 * MEBIBYTE)
    sending.work.add_transfer(1, 1, rate=30 * MEBIBYTE)
    sending.couriers.start()
    wait_until(lambda: service.received > 20 * MEBIBYTE)
    began = time.monotonic()
    sending.couriers.close()
    assert time.monotonic() - began < 10
    assert sending.work.status(1) is Status.SENDING
    sending.work.change(1, rate=None)
    sending.new().start()
    sending.wait()
    assert sending.work.status(1) is Status.COMPLETE
    assert digest(service.storage / "file") == digest(source)
    progress = sending.work.progress(1)
    assert progress.bytes_acked == 60 * MEBIBYTE
    assert progress.bytes_sent < 62 * MEBIBYTE


def test_a_receiver_that_is_killed_and_started(sending: Sending, service: StageService) -> None:
    source = sending.large(1, 60 * MEBIBYTE)
    sending.work.add_transfer(1, 1, rate=30 * MEBIBYTE)
    sending.couriers.start()
    wait_until(lambda: service.received > 30 * MEBIBYTE)
    service.kill()
    before = sending.work.contacts[1].server_id
    service.start()
    sending.change(rate=None)
    sending.wait()
    assert sending.work.status(1) is Status.COMPLETE
    assert digest(service.storage / "file") == digest(source)
    wait_until(lambda: sending.work.contacts[1].server_id != before)


def test_a_broker_that_is_killed_and_started(sending: Sending, service: StageService) -> None:
    source = sending.large(1, 60 * MEBIBYTE)
    sending.work.add_transfer(1, 1, rate=30 * MEBIBYTE)
    sending.couriers.start()
    wait_until(lambda: service.received > 15 * MEBIBYTE)
    sending.stage.broker.kill()
    wait_until(lambda: sending.couriers.state(1).state is ConnectionState.DISCONNECTED)
    assert sending.couriers.state(1).error is not None
    sending.stage.start_broker()
    sending.change(rate=None)
    sending.wait()
    assert sending.work.status(1) is Status.COMPLETE
    assert digest(service.storage / "file") == digest(source)


def test_a_destination_that_never_answers(sending: Sending) -> None:
    sending.work.add_manifest(1, [])
    sending.stage.broker.kill()
    sending.work.add_transfer(1, 1, timeout_seconds=2)
    sending.work.add_transfer(2, 1)
    before = time.process_time()
    sending.couriers.start()
    sending.wait(1)
    row = sending.work.rows[1]
    assert row.status is Status.ERROR
    assert "no connection to the destination for 2 seconds" in row.message
    assert sending.work.status(2) is Status.PENDING
    state = sending.couriers.state(1)
    assert (state.state, state.error) == (ConnectionState.DISCONNECTED, "ConnectError")
    assert str(sending.stage._port) in state.error_message
    assert time.process_time() - before < 1.5


def test_many_small_transfers_all_end_well(sending: Sending, service: StageService) -> None:
    sending.work.add_manifest(1, write_files(sending.directory / "small", [300] * 20))
    for number in range(1, 61):
        sending.work.add_transfer(
            number, 1, destination_path=f"t{number}", lane=("High", "Normal", "Low")[number % 3]
        )
    sending.couriers.start()
    wait_until(lambda: sending.work.all_ended)
    assert {row.status for row in sending.work.rows.values()} == {Status.COMPLETE}
    assert len(list(service.storage.glob("t*/*"))) == 60 * 20
    wait_until(lambda: not sending.couriers._records._live)
    assert threading.active_count() < 60


@pytest.mark.slow
def test_rates_and_shares_by_the_clock_on_the_wall(sending: Sending, service: StageService) -> None:
    source = sending.large(1, 90 * MEBIBYTE)
    assert source.stat().st_size == 90 * MEBIBYTE
    port = int(sending.stage._port)
    sending.work.add_destination(port=port, rate=10 * MEBIBYTE)
    for number, lane in enumerate(("High", "Normal", "Low", "Idle"), start=1):
        sending.work.add_transfer(number, 1, lane=lane, destination_path=str(number))
    sending.couriers.start()

    def sent() -> dict[int, int]:
        found = {number: sending.couriers.progress(number) for number in (1, 2, 3)}
        return {number: each.bytes_sent if each else 0 for number, each in found.items()}

    wait_until(lambda: all(sent().values()))
    tick = threading.Event()
    tick.wait(1.0)
    began, before = time.monotonic(), sent()
    tick.wait(6.0)
    seconds, after = time.monotonic() - began, sent()
    counts = {number: after[number] - before[number] for number in after}
    total = sum(counts.values())
    shares = {number: count / total for number, count in counts.items()}
    _logger.info("rate %.2f MiB/s, shares %s", total / seconds / MEBIBYTE, shares)
    # Figures are published five times per second, so they may be a fifth of a second old.
    assert total / seconds == pytest.approx(10 * MEBIBYTE, rel=0.08)
    assert shares[1] == pytest.approx(0.70, rel=0.05)
    assert shares[2] == pytest.approx(0.25, rel=0.05)
    assert shares[3] == pytest.approx(0.05, rel=0.1)
    assert sending.couriers.progress(4) is None
    sending.work.add_destination(port=port, rate=2 * MEBIBYTE)
    sending.couriers.refresh(1)
    tick.wait(1.0)
    before = sent()
    tick.wait(3.0)
    total = sum(sent().values()) - sum(before.values())
    assert total / 3 == pytest.approx(2 * MEBIBYTE, rel=0.15)

"""Receivers that vanish, fall silent or come back: nobody takes one for another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.errors import FileTransferError, NoAnswerError
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.protocol.messages import ListRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import MemoryBus, MemoryStore, MemoryStoreOptions
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferservice.courier.delivery import Delivery
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.receivers import ReceiverAwayError
from dxlfiletransferservice.courier.seams import Progress, Status
from tests.unit.service.admitting import receiver
from tests.unit.service.couriering import KIB, MIB, SessionService, World

FILES = {f"{number:03}": 300 * KIB for number in range(20)}


class Pair:
    """Two servers with a store each on one topic, and a transfer of 20 files in 6 seconds."""

    def __init__(self, directory: Path) -> None:
        self.bus = MemoryBus()
        stores = [MemoryStore(MemoryStoreOptions(store_id=name)) for name in "ab"]
        self.world = World(directory, bus=self.bus, store=stores[0])
        self.services = [self.bus.serve(store) for store in stores]
        self.world.manifest(1, FILES)
        self.world.work.add_transfer(1, 1, rate=1e6)

    def used(self, delivery: Delivery) -> MemoryService:
        """Return what is being sent to."""
        return next(
            each for each in self.services if each.service_id == delivery._engine.service_id
        )

    def other(self, service: MemoryService) -> MemoryService:
        return next(each for each in self.services if each is not service)

    def interrupted(self) -> MemoryService:
        """Send a part, and return where to; it is stopped then."""
        delivery = self.world.delivery()
        found: list[MemoryService] = []

        def stop() -> None:
            found.append(self.used(delivery))
            found[0].stop()

        self.bus.at(3.0, stop)
        with pytest.raises(NoAnswerError):
            delivery.run()
        assert self.world.work.progress(1).position > 5
        return found[0]

    def count(self, service: MemoryService) -> int:
        """Return how many files a server has."""
        return len(service.store.list(ListRequest(name="", recursive=True)).entries)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_another_receiver_gets_all_files(pair: Pair) -> None:
    first = pair.interrupted()
    before = pair.world.work.progress(1)
    pair.world.run()
    assert pair.world.work.status(1) is Status.COMPLETE
    assert pair.count(pair.other(first)) == len(FILES)
    progress = pair.world.work.progress(1)
    assert progress.position == progress.files_sent == len(FILES)
    assert progress.bytes_acked == progress.bytes_through == len(FILES) * 300 * KIB
    assert progress.bytes_sent >= before.bytes_sent + progress.bytes_acked


def test_another_receiver_is_used_only_after_a_while(pair: Pair) -> None:
    pair.interrupted()
    before = pair.world.work.progress(1)
    delivery = pair.world.delivery(patient=True)
    with pytest.raises(ReceiverAwayError, match="not there at the moment"):
        delivery.run()
    assert not delivery.begun
    assert pair.world.work.progress(1) == before
    assert pair.world.touch.lost_since is not None, "those who are not to wait wait since then"


def test_the_receiver_that_has_files_is_preferred(pair: Pair) -> None:
    first = pair.interrupted()
    second = pair.other(first)
    pair.world.work.add_transfer(2, 1, rate=2e6)
    delivery = pair.world.delivery()
    pair.bus.at(pair.bus.now() + 2.0, delivery.close)
    delivery.run()
    assert pair.used(delivery) is second
    first.restart()
    pair.world.run()
    assert {pair.world.work.status(number) for number in (1, 2)} == {Status.COMPLETE}
    assert pair.count(second) == len(FILES)


def test_a_receiver_that_comes_back_is_gone_on_with(pair: Pair) -> None:
    first = pair.interrupted()
    position = pair.world.work.progress(1).position
    first.restart()
    pair.world.run()
    assert pair.world.work.status(1) is Status.COMPLETE
    assert pair.count(first) == len(FILES)
    assert (1, position) in pair.world.work.read_from


def test_a_delivery_does_not_go_on_at_another_store(pair: Pair) -> None:
    engine = EngineOptions(concurrency=256, patience=30.0, failover_after=2.0, connect_timeout=10.0)
    pair.world.options = CourierOptions(engine=engine)
    delivery = pair.world.delivery()
    first: list[MemoryService] = []

    def stop() -> None:
        first.append(pair.used(delivery))
        first[0].stop()

    pair.bus.at(3.0, stop)
    with pytest.raises(FileTransferError, match="another server answers now"):
        delivery.run()
    pair.world.run()
    assert pair.world.work.status(1) is Status.COMPLETE
    assert pair.count(pair.other(first[0])) == len(FILES)


def test_what_begins_anew_keeps_only_what_has_travelled() -> None:
    before = Progress(1, 2, 3, "why", 5, 6, 7, 8, 9, 10, 11)
    travelled = Progress(
        bytes_sent=5, bytes_received=7, packets_sent=8, packets_received=9, bytes_retransmitted=10
    )
    assert before.anew() == travelled


def test_the_answers_of_others_do_not_count(pair: Pair) -> None:
    pair.world.work.change(1, timeout_seconds=15)
    delivery = pair.world.delivery()
    pair.bus.at(2.0, lambda: pair.used(delivery).hang())
    delivery.run()
    assert pair.world.work.status(1) is Status.ERROR
    assert 2.0 + 15.0 < pair.bus.now() < 2.0 + 15.0 + 1.0 + CourierOptions().idle


def test_those_that_wait_for_their_turn_are_not_begun_in_silence(tmp_path: Path) -> None:
    world = World(tmp_path)
    service = world.serve()
    world.manifest(1, {"a": 20 * MIB})
    for number in range(1, 31):
        world.work.add_transfer(number, 1, timeout_seconds=3, destination_path=str(number))
    world.bus.when(Verb.SEGMENT, service.hang, skip=5)
    world.run()
    ended = set(world.work.finished)
    assert 0 < len(ended) <= 5
    assert all(world.work.status(number) is Status.PENDING for number in set(range(1, 31)) - ended)


def test_a_slow_one_does_not_fail_for_what_another_was_stopped_with(tmp_path: Path) -> None:
    world = World(tmp_path)
    service = world.serve()
    world.manifest(1, {"a": 20 * MIB})
    world.manifest(2, {"b": 2 * MIB})
    world.work.add_transfer(1, 1)
    world.work.add_transfer(2, 2, timeout_seconds=10, rate=125)
    delivery = world.delivery()

    def suspend() -> None:
        world.suspend(1, delivery)

    world.bus.at(2.0, service.hang)
    world.bus.at(2.2, suspend)
    world.bus.at(2.5, lambda: service.hang(hanging=False))
    world.bus.at(100.0, delivery.close)
    delivery.run()
    assert world.work.status(1) is Status.SUSPENDED
    assert (world.work.status(2), world.work.rows[2].message) == (Status.SENDING, "")


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[tuple[World, SessionService]]:
    directory = tmp_path / "receiver"
    directory.mkdir()
    with receiver(directory) as other:
        made = World(tmp_path, store=other.store)
        made.manifest(1, {"a": 20 * MIB})
        yield made, SessionService(other, made.bus)


def test_a_question_about_a_checkpoint_does_not_outlive_its_transfer(
    sealed: tuple[World, SessionService],
) -> None:
    world, service = sealed
    world.work.add_transfer(1, 1, rate=1e6, checkpoint_seconds=2)
    delivery = world.delivery()
    # The question is lost, and what takes leave is not.
    world.bus.at(3.9, service.hang)
    world.bus.at(4.3, lambda: service.hang(hanging=False))
    world.bus.at(4.4, lambda: world.suspend(1, delivery))
    delivery.run()
    assert world.bus.now() > 9
    assert world.bus.log.of(Verb.ADMIT).requests == 1

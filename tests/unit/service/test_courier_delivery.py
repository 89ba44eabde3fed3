"""Whole transfers by a courier, on a bus in memory and in virtual time."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dxlfiletransferclient.control import constants
from dxlfiletransferclient.errors import FileTransferError, NoAnswerError
from dxlfiletransferclient.exchange.cancelling import TransferCancelledError
from dxlfiletransferclient.exchange.options import EngineOptions
from dxlfiletransferclient.protocol.messages import BatchEntry, Kind, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.testing import Faults, MemoryBus, MemoryStore, MemoryStoreOptions
from dxlfiletransferservice.courier.hand import MOST_IN_HAND
from dxlfiletransferservice.courier.options import CourierOptions
from dxlfiletransferservice.courier.seams import (
    ConnectionState,
    ManifestFile,
    Progress,
    Status,
)
from tests.unit.service.couriering import KIB, MIB, World

BAD = Faults(lose=0.02, duplicate=0.02, reorder=0.02, corrupt=0.02)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_file_of_every_transfer_is_stored(world: World) -> None:
    world.serve()
    files = world.manifest(1, {"a": 0, "b/c": 100, "b/large": 3 * MIB, "z": 300 * KIB, "zz": MIB})
    (world.directory / "manifest-1" / "empty").mkdir()
    files = world.work.manifests[1] = [
        *files,
        ManifestFile(5, "", "some/empty", 0, directory=True, executable=False, modified_us=None),
    ]
    world.work.add_transfer(1, 1, destination_path="/one")
    world.work.add_transfer(2, 1, destination_path="two/", lane="High")
    world.run()
    for number, prefix in ((1, "one/"), (2, "two/")):
        row = world.work.rows[number]
        assert (row.status, row.message) == (Status.COMPLETE, "")
        world.check_stored(1, prefix)
        entry = world.store.stat(StatRequest(name=f"{prefix}some/empty")).entry[0]
        assert entry.kind is Kind.DIRECTORY
        progress = row.plan.progress
        total = sum(file.size for file in files)
        assert progress.position == progress.files_sent == len(files)
        assert progress.bytes_acked == progress.bytes_through == total
        assert total <= progress.bytes_sent < total + 10 * KIB
        assert progress.packets_sent == progress.packets_received > 5
        assert progress.bytes_received > 0
        assert progress.files_failed == progress.bytes_retransmitted == 0
    assert world.work.begun == [2, 1]


def test_what_is_known_of_the_server_is_written_down(world: World) -> None:
    service = world.serve()
    world.manifest(1, {"a": 100})
    world.work.add_transfer(1, 1)
    world.run()
    contact = world.work.contacts[1]
    assert contact.server_id == service.service_id
    assert contact.server_uid == world.store.store_id
    assert contact.sent_us is not None
    assert contact.received_us is not None
    assert abs(contact.received_us - time.time() * 1e6) < 60e6
    assert world.states[-1].state is ConnectionState.CONNECTED
    assert world.states[-1].error is None


def test_small_files_travel_many_at_once(world: World) -> None:
    world.serve()
    world.manifest(1, {f"{number:04}": 50 for number in range(1500)})
    world.work.add_transfer(1, 1)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert world.bus.log.of(Verb.BATCH).requests <= 3
    assert world.bus.log.of(Verb.OPEN).requests == 0
    world.check_stored(1)


def test_a_transfer_of_nothing_is_complete(world: World) -> None:
    world.serve()
    world.manifest(1, {})
    world.work.add_transfer(1, 1)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert world.work.progress(1) == Progress()


def test_nothing_is_lost_or_stored_twice_on_a_bad_way(tmp_path: Path) -> None:
    world = World(tmp_path, bus=MemoryBus(seed=4, faults=BAD))
    world.serve()
    world.manifest(1, {f"{number:03}": number * 2000 for number in range(60)})
    world.manifest(2, {"large": 20 * MIB})
    for number, manifest in ((1, 1), (2, 2), (3, 1)):
        world.work.add_transfer(number, manifest, destination_path=str(number))
    world.run()
    assert {row.status for row in world.work.rows.values()} == {Status.COMPLETE}
    for number, manifest in ((1, 1), (2, 2), (3, 1)):
        world.check_stored(manifest, f"{number}/")
        progress = world.work.progress(number)
        assert progress.bytes_acked == sum(file.size for file in world.work.manifests[manifest])
    assert world.work.progress(2).bytes_retransmitted > 0


def test_a_receiver_that_was_restarted_is_gone_on_with(world: World) -> None:
    service = world.serve()
    world.manifest(1, {"large": 40 * MIB})
    world.work.add_transfer(1, 1)
    world.bus.when(Verb.SEGMENT, service.crash, skip=30)
    world.bus.at(3.0, service.restart)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    world.store = service.store
    world.check_stored(1)
    assert world.work.contacts[1].server_id == service.service_id


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda world, path: path.unlink(), "No such file"),
        (lambda world, path: path.write_bytes(b"other"), "and has"),
        (lambda world, path: world.work.guard.forbidden.add(str(path)), "must not be read"),
    ],
)
@pytest.mark.parametrize("name", ["m-small", "m-large"])
def test_a_file_that_cannot_be_sent_does_not_stop_the_others(
    world: World, harm: Callable[[World, Path], object], why: str, name: str
) -> None:
    world.serve()
    world.manifest(1, {"a": 10, "m-small": 10, "m-large": 2 * MIB, "z": 2 * MIB, "zz": 10})
    world.work.add_transfer(1, 1)
    harm(world, world.source(1, name))
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert row.message.startswith("1 of 5 files could not be sent; the first: ")
    assert why in row.message
    assert name in row.message
    assert str(world.directory) not in row.message
    progress = row.plan.progress
    assert (progress.position, progress.files_sent, progress.files_failed) == (5, 4, 1)
    for other in {"a", "m-small", "m-large", "z", "zz"} - {name}:
        assert world.stored(other) == world.source(1, other).read_bytes()
    with pytest.raises(RefusedError):
        world.stored(name)


def test_a_name_that_no_file_may_have_is_a_failure_of_that_file(world: World) -> None:
    world.serve()
    files = world.manifest(1, {"a": 10, "b": 10})
    bad = ManifestFile(2, files[0].src, "../out", 10, False, False, None)
    worse = ManifestFile(3, files[0].src, "not\udcff", 10, False, False, None)
    world.work.manifests[1] = [*files, bad, worse]
    world.work.add_transfer(1, 1)
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert "2 of 4 files" in row.message
    assert "leads out of the storage directory" in row.message
    assert world.stored("a") == Path(files[0].src).read_bytes()


def test_more_files_than_are_looked_at_in_one_go_can_be_gone(world: World) -> None:
    world.serve()
    gone = [
        ManifestFile(number, f"/gone/{number}", f"{number}", 10, False, False, None)
        for number in range(12_000)
    ]
    world.work.add_manifest(1, gone)
    world.work.add_transfer(1, 1)
    world.run()
    row = world.work.rows[1]
    assert row.message.startswith("12000 of 12000 files could not be sent")
    assert world.bus.now() < 10


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.STORAGE_FULL,
        ErrorCode.QUOTA,
        ErrorCode.NOT_ALLOWED,
        ErrorCode.STORAGE_FAILED,
        ErrorCode.DENIED,
    ],
)
@pytest.mark.parametrize("verb", [Verb.SEGMENT, Verb.OPEN, Verb.BATCH])
def test_some_refusals_end_the_transfer_at_once(world: World, code: ErrorCode, verb: Verb) -> None:
    service = world.serve()
    world.manifest(1, {"a": 5 * MIB, "b": 100, "c": 5 * MIB, "d": 100, "e": 50 * MIB})
    world.work.add_transfer(1, 1)
    world.manifest(2, {"other": 3 * MIB})
    service.refuse(verb, RefusedError(code, "no room for it"))
    world.run()
    row = world.work.rows[1]
    assert (row.status, row.message) == (Status.ERROR, "no room for it")
    assert world.bus.log.of(Verb.SEGMENT).requests < 30
    assert world.bus.log.of(Verb.ABORT).requests == 0


def test_a_batch_may_bring_the_end_for_one_entry(world: World) -> None:
    class Full(MemoryStore):
        def put(self, entries: tuple[BatchEntry, ...]) -> object:  # type: ignore[override]
            found = list(super().put(entries))
            for number, entry in enumerate(entries):
                if entry.name == "b":
                    found[number] = type(found[number])(code=ErrorCode.QUOTA, text="enough")
            return tuple(found)

    world.store = Full()
    world.serve()
    world.manifest(1, {"a": 10, "b": 10, "c": 10})
    world.work.add_transfer(1, 1)
    world.run()
    assert world.work.rows[1].message == "enough"


def test_a_suspended_transfer_goes_on_where_it_was(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 100, "large": 30 * MIB})
    world.work.add_transfer(1, 1, rate=5 * MIB)
    delivery = world.delivery()
    world.bus.at(2.0, lambda: world.suspend(1, delivery))
    delivery.run()
    assert world.work.status(1) is Status.SUSPENDED
    assert world.bus.now() < 10
    halfway = world.work.progress(1)
    assert 8 * MIB < halfway.bytes_acked < 12 * MIB
    assert halfway.position == 1
    assert halfway.bytes_through == 100
    assert world.records.get(1) is None
    sent = world.bus.log.of(Verb.SEGMENT).request_bytes
    world.work.resume(1)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    world.check_stored(1)
    again = world.bus.log.of(Verb.SEGMENT).request_bytes - sent
    assert again < 30 * MIB - halfway.bytes_acked + 2 * MIB
    progress = world.work.progress(1)
    assert progress.bytes_acked == 30 * MIB + 100
    assert progress.files_sent == 2
    assert world.bus.log.of(Verb.ABORT).requests == 0
    assert world.work.read_from[-1] == (1, 1)


def test_a_courier_that_was_killed_is_followed_by_another(world: World) -> None:
    service = world.serve()
    world.manifest(1, {f"{number:02}": 3 * MIB for number in range(12)})
    world.work.add_transfer(1, 1)

    def die() -> None:
        raise KeyboardInterrupt

    world.bus.when(Verb.SEGMENT, die, skip=20)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    # What was not written down is not known any more.
    world.work.change(1, progress=Progress())
    world.work.rows[1].status = Status.SENDING
    world.bus.abandon()
    before = world.bus.log.of(Verb.SEGMENT).request_bytes
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    world.check_stored(1)
    assert world.bus.log.of(Verb.SEGMENT).request_bytes - before < 36 * MIB - 15 * MIB
    assert world.work.progress(1).files_sent == 12
    assert service.store is world.store


def test_a_lost_connection_harms_nothing(world: World) -> None:
    world.serve()
    world.manifest(1, {f"{number:02}": 2 * MIB for number in range(10)})
    world.work.add_transfer(1, 1, rate=8 * MIB)
    world.bus.at(1.0, lambda: world.bus.cut(5.0))
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    world.check_stored(1)
    assert ConnectionState.DISCONNECTED in {state.state for state in world.states}


def test_what_the_courier_gives_up_is_no_failure_of_files(world: World) -> None:
    service = world.serve()
    world.options = CourierOptions(engine=EngineOptions(patience=5, concurrency=64))
    world.manifest(1, {f"{number:02}": 2 * MIB for number in range(10)})
    world.manifest(2, {f"{number:02}": 10 for number in range(10)})
    world.work.add_transfer(1, 1)
    world.work.add_transfer(2, 2)
    world.bus.when(Verb.SEGMENT, service.hang, skip=5)
    with pytest.raises(NoAnswerError):
        world.run()
    for number in (1, 2):
        assert world.work.status(number) in (Status.SENDING, Status.COMPLETE)
        assert world.work.progress(number).files_failed == 0
    service.hang(hanging=False)
    world.run()
    assert world.work.all_ended
    assert world.work.status(1) is Status.COMPLETE
    world.check_stored(1)


def test_a_database_that_fails_is_no_failure_of_files(world: World) -> None:
    world.serve()
    world.manifest(1, {f"{number:02}": 2 * MIB for number in range(10)})
    world.work.add_transfer(1, 1, rate=10 * MIB)
    delivery = world.delivery()

    def fail() -> None:
        world.work.failures.append(OSError("the database is gone"))
        delivery.refresh()

    world.bus.at(1.0, fail)
    with pytest.raises(OSError, match="the database is gone"):
        delivery.run()
    assert world.work.status(1) is Status.SENDING
    assert world.work.progress(1).files_failed == 0
    world.run()
    world.check_stored(1)
    assert world.work.progress(1).files_sent == 10


def test_a_manifest_that_cannot_be_read_on_is_no_failure_of_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.serve()
    files = world.manifest(1, {f"{number:02}": 2 * MIB for number in range(10)})
    world.work.add_transfer(1, 1)

    def failing(manifest_id: int, position: int) -> object:
        yield from files[position : position + 6]
        raise OSError("the database is gone")

    monkeypatch.setattr(world.work, "files", failing)
    with pytest.raises(OSError, match="the database is gone"):
        world.run()
    monkeypatch.undo()
    assert world.work.progress(1).files_failed == 0
    world.run()
    assert world.work.progress(1).files_sent == 10


@pytest.mark.parametrize("kept", [False, True])
def test_a_transfer_that_is_not_to_wait_fails(world: World, *, kept: bool) -> None:
    service = world.serve()
    world.manifest(1, {"a": 20 * MIB})
    world.work.add_transfer(1, 1, timeout_seconds=0 if kept else 7)
    world.bus.when(Verb.SEGMENT, service.hang, skip=5)
    world.bus.at(20.0, lambda: service.hang(hanging=False))
    world.run()
    row = world.work.rows[1]
    if kept:
        assert row.status is Status.COMPLETE
    else:
        assert row.status is Status.ERROR
        assert "no connection to the destination for 7 seconds" in row.message
        state = world.states[-1]
        assert (state.state, state.error) == (ConnectionState.DISCONNECTED, "NoAnswerError")
        assert world.bus.now() < 20


def test_a_slow_rate_is_no_lost_connection(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 200 * KIB})
    world.work.add_transfer(1, 1, timeout_seconds=2, rate=5000)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert world.bus.now() > 30


def test_checkpoints_are_asked_for(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 10 * MIB})
    world.work.add_transfer(1, 1, rate=MIB, checkpoint_seconds=2)
    world.run()
    assert 3 <= world.bus.log.of(Verb.STATUS).requests <= 5


def test_pings_are_answered_between_what_is_sent(world: World) -> None:
    service = world.serve()
    delivery = world.delivery()
    delivery.ping(3)
    world.bus.at(0.05, lambda: delivery.ping(2))
    hellos = world.bus.log.of(Verb.HELLO).requests
    delivery.run()
    assert world.bus.log.of(Verb.HELLO).requests - hellos == 5 + 1
    assert world.work.contacts[1].receiver_id == service.service_id
    trip = world.states[-1].round_trip
    assert trip is not None
    assert 0 < trip < 0.1
    delivery = world.delivery()
    delivery.ping(1)
    service.refuse(Verb.HELLO, RefusedError(ErrorCode.INTERNAL, "no"), skip=1)
    delivery.run()


def test_it_ends_in_order_when_it_is_told_to(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 50 * MIB})
    world.work.add_transfer(1, 1, rate=MIB)
    delivery = world.delivery()
    world.bus.at(3.0, delivery.close)
    delivery.run()
    assert world.bus.now() < 4.5
    assert world.work.status(1) is Status.SENDING
    assert world.work.progress(1).bytes_acked > MIB


def test_it_ends_at_once_before_there_is_a_connection(world: World) -> None:
    delivery = world.delivery()
    delivery.close()
    with pytest.raises(TransferCancelledError):
        delivery.run()


def test_nobody_there_is_said_at_once(world: World) -> None:
    with pytest.raises(RefusedError, match="nobody serves files"):
        world.run()
    assert world.bus.now() < 5


@pytest.mark.parametrize("change", ["deleted", "moved"])
def test_it_ends_when_the_destination_is_gone_or_elsewhere(world: World, change: str) -> None:
    world.serve()
    world.manifest(1, {"a": 50 * MIB})
    world.work.add_transfer(1, 1, rate=MIB)
    delivery = world.delivery()

    def harm() -> None:
        if change == "deleted":
            del world.work.plans[1]
        else:
            world.work.add_destination(port=9999)
        delivery.refresh()

    world.bus.at(2.0, harm)
    delivery.run()
    assert world.bus.now() < 3.5
    assert world.work.status(1) is Status.SENDING


def test_zeros_are_sent_where_files_are_not_read(world: World) -> None:
    world.serve()
    world.manifest(1, {"large": 3 * MIB, "small": 100})
    for name in ("large", "small"):
        world.source(1, name).unlink()
    flags = constants.TRANSFER_FLAG_WRITE | constants.TRANSFER_FLAG_WRITE_MTIME
    world.work.add_transfer(1, 1, flags=flags)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert world.stored("large") == bytes(3 * MIB)
    assert world.stored("small") == bytes(100)
    entry = world.store.stat(StatRequest(name="small")).entry[0]
    assert entry.modified_ns == (world.work.manifests[1][1].modified_us or 0) * 1000


def test_times_are_told_only_where_they_count(world: World) -> None:
    world.serve()
    world.manifest(1, {"large": 3 * MIB, "small": 100})
    before = constants.TRANSFER_FLAG_READ | constants.TRANSFER_FLAG_WRITE
    world.work.add_transfer(1, 1, flags=before, destination_path="without")
    world.work.add_transfer(2, 1, destination_path="with")
    world.run()
    for name in ("large", "small"):
        here = world.source(1, name).stat().st_mtime_ns
        found = {
            place: world.store.stat(StatRequest(name=f"{place}/{name}")).entry[0].modified_ns
            for place in ("with", "without")
        }
        assert found["with"] == here
        assert found["without"] != here


def test_older_files_are_treated_as_the_transfer_says(world: World) -> None:
    world.serve()
    world.manifest(1, {"large": 3 * MIB, "small": 100})
    world.work.add_transfer(1, 1)
    world.run()
    old = world.stored("small")
    for name in ("large", "small"):
        path = world.source(1, name)
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        earlier = status.st_mtime_ns - 10**9
        os.utime(path, ns=(earlier, earlier))
    only_newer = constants.DEFAULT_TRANSFER_FLAGS | constants.TRANSFER_FLAG_WRITE_ONLY_NEWER
    world.work.add_transfer(2, 1, overwrite_mode=constants.OVERWRITE_NEVER)
    world.work.add_transfer(3, 1, flags=only_newer)
    world.run()
    assert world.stored("small") == old
    assert world.work.progress(2).bytes_acked == world.work.progress(3).bytes_acked == 3 * MIB + 100
    world.work.add_transfer(4, 1, overwrite_mode=constants.OVERWRITE_IN_PLACE_ALWAYS)
    world.run()
    assert world.stored("small") == bytes(100)
    assert {row.status for row in world.work.rows.values()} == {Status.COMPLETE}


@pytest.mark.parametrize(
    "asked",
    [
        {"overwrite_mode": constants.OVERWRITE_WITH_BACKUP},
        {"overwrite_mode": constants.OVERWRITE_IN_PLACE_SAME_SIZE},
        {"flags": constants.TRANSFER_FLAG_READ},
        {"flags": constants.DEFAULT_TRANSFER_FLAGS | 8, "time_resolution_us": 5},
        {"min_cipher": constants.MIN_CIPHER_UNENCRYPTED},
    ],
)
def test_a_service_without_sessions_gets_nothing_that_it_cannot_do(
    world: World, asked: dict[str, int]
) -> None:
    world.serve()
    world.manifest(1, {"a": 10})
    world.work.add_transfer(1, 1, **asked)  # type: ignore[arg-type]
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert "too old" in row.message
    assert world.bus.log.of(Verb.BATCH).requests == world.bus.log.of(Verb.OPEN).requests == 0


def test_files_go_one_by_one_to_a_service_without_batches(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.bus.serve(world.store, verbs=STORE_VERBS - {Verb.BATCH})
    files = world.manifest(1, {"a": 10, "b": 0})
    world.work.manifests[1] = [*files, ManifestFile(2, "", "empty", 0, True, False, None)]
    world.work.add_transfer(1, 1)
    world.run()
    assert world.stored("a") == Path(files[0].src).read_bytes()
    assert "takes no empty directories" in world.work.rows[1].message


def test_the_instance_that_is_named_is_used(tmp_path: Path) -> None:
    bus = MemoryBus()
    stores = [MemoryStore(MemoryStoreOptions(store_id=f"store-{number}")) for number in range(4)]
    services = [bus.serve(store) for store in stores]
    for wanted, store in [("store-2", stores[2]), (services[3].service_id, stores[3])]:
        world = World(tmp_path / wanted, bus=bus, store=store, instance=wanted)
        world.manifest(1, {"a": 10})
        world.work.add_transfer(1, 1)
        world.run()
        world.check_stored(1)
    world = World(tmp_path / "none", bus=bus, instance="nobody")
    with pytest.raises(FileTransferError, match=r"no server 'nobody' on that fabric.*'store-0'"):
        world.run()


def test_transfers_of_a_lane_come_in_hand_a_few_at_a_time(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 100 * KIB})
    for number in range(1, 41):
        world.work.add_transfer(number, 1, priority=number % 5, destination_path=str(number))
    most: list[int] = []
    delivery = world.delivery()
    original = delivery._hand.fill

    def fill() -> None:
        original()
        most.append(len(delivery._hand))

    delivery._hand.fill = fill  # type: ignore[method-assign]
    delivery.run()
    assert max(most) <= 6
    assert world.work.all_ended
    ended = world.work.finished
    assert [number % 5 for number in ended[:6]].count(0) >= 4
    for number in range(1, 41):
        world.check_stored(1, f"{number}/")


def test_those_that_go_first_displace_others(world: World) -> None:
    world.serve()
    world.manifest(1, {"a": 3 * MIB})
    numbers = itertools.count(1)
    for _ in range(5):
        world.work.add_transfer(number := next(numbers), 1, destination_path=str(number))
    delivery = world.delivery()

    def more() -> None:
        priority = 50 - len(world.work.rows)
        for _ in range(4):
            world.work.add_transfer(
                number := next(numbers), 1, priority=priority, destination_path=str(number)
            )
        delivery.refresh()
        seen.append(len(delivery._hand))

    seen: list[int] = []
    world.work.plans[1] = world.work.add_destination(rate=2 * MIB)
    delivery = world.delivery()
    for second in range(1, 6):
        world.bus.at(float(second), more)
    delivery.run()
    assert world.work.all_ended
    assert {row.status for row in world.work.rows.values()} == {Status.COMPLETE}
    assert max(seen) <= MOST_IN_HAND + 1
    assert world.work.finished.index(25) < world.work.finished.index(2)

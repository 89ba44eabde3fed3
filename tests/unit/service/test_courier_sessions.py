"""Transfers in sessions: admission, ciphers, keys, leave."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.control import constants
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import Faults, MemoryBus
from dxlfiletransferservice.courier.failures import not_let_in
from dxlfiletransferservice.courier.seams import Login, Status
from tests.unit.service.admitting import ALICE, BOB, MALLORY, Receiver, receiver
from tests.unit.service.couriering import KIB, MIB, SessionService, World


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Receiver]:
    directory = tmp_path / "receiver"
    directory.mkdir()
    with receiver(directory) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, other: Receiver) -> World:
    made = World(tmp_path, store=other.store)
    made.manifest(1, {"a": 100, "b/large": 3 * MIB, "c": 0})
    SessionService(other, made.bus)
    return made


def expected(world: World, prefix: str = "") -> dict[str, bytes]:
    return {prefix + file.dest: Path(file.src).read_bytes() for file in world.work.manifests[1]}


@pytest.mark.parametrize("cipher", [0, 1, 2, 3])
def test_everything_arrives_whatever_the_cipher(world: World, other: Receiver, cipher: int) -> None:
    world.work.add_transfer(1, 1, min_cipher=cipher, destination_path="to/here")
    world.run()
    row = world.work.rows[1]
    assert (row.status, row.message) == (Status.COMPLETE, "")
    assert other.stored() == expected(world, "to/here/")
    assert [kind for kind, _ in other.told] == ["started", "ended"]
    assert other.told[-1][1]["status"] == "complete"
    assert world.states[-1].public_key == BOB.public
    assert world.work.contacts[1].server_uid == "the-uid"
    assert row.plan.progress.bytes_acked == 3 * MIB + 100


def test_each_transfer_has_a_session_of_its_own(world: World, other: Receiver) -> None:
    for number in (1, 2, 3):
        world.work.add_transfer(number, 1, destination_path=str(number))
    world.run()
    assert world.bus.log.of(Verb.ADMIT).requests == 3
    assert [kind for kind, _ in other.told].count("ended") == 3
    assert len(other.stored()) == 9


def test_the_key_of_the_destination_is_checked_before_anything_is_sent(
    world: World, other: Receiver
) -> None:
    world.work.add_destination(public_key=MALLORY.public)
    world.work.add_transfer(1, 1)
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert BOB.public in row.message
    assert MALLORY.public in row.message
    assert world.bus.log.of(Verb.SEALED).requests == 0
    assert other.stored() == {}
    world.work.add_destination(public_key=BOB.public)
    world.work.add_transfer(2, 1)
    world.run()
    assert world.work.status(2) is Status.COMPLETE


@pytest.mark.parametrize("files", ["some", "none"])
def test_wrong_credentials_are_told(world: World, other: Receiver, files: str) -> None:
    if files == "none":
        world.work.add_manifest(1, [])
    login = Login(user="ann", password="not hers")
    world.work.add_transfer(1, 1, login=login)
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert "not hers" not in row.message
    assert row.plan.progress.files_failed == 0
    assert world.bus.log.of(Verb.ADMIT).requests == 1
    assert other.stored() == {}


def test_listed_senders_are_let_in_alone(world: World, other: Receiver) -> None:
    other.senders.restricted = True
    world.work.add_transfer(1, 1)
    world.run()
    assert world.work.status(1) is Status.ERROR
    other.senders.listed.add(ALICE.public)
    world.work.add_transfer(2, 1)
    world.run()
    assert world.work.status(2) is Status.COMPLETE


def test_a_file_that_is_refused_does_not_stop_the_others(world: World, other: Receiver) -> None:
    (other.storage / "b").write_bytes(b"in the way")
    world.work.add_transfer(1, 1)
    world.run()
    row = world.work.rows[1]
    assert row.status is Status.ERROR
    assert row.message.startswith("1 of 3 files could not be sent; the first: 'b/large'")
    assert set(other.stored()) == {"a", "b", "c"}
    assert other.told[-1][1]["status"] == "error"


def test_the_overwrite_mode_is_the_receivers_affair(world: World, other: Receiver) -> None:
    for number, mode in enumerate((4, constants.OVERWRITE_WITH_BACKUP, 3), start=1):
        world.work.add_transfer(number, 1, overwrite_mode=mode)
        world.run()
        for file in world.work.manifests[1]:
            Path(file.src).write_bytes(bytes([number]) * file.size)
        assert world.work.status(number) is Status.COMPLETE, world.work.rows[number].message
    assert {"a.jetbak", "b/large.jetbak"} <= set(other.stored())
    assert other.stored()["a"] == bytes([1]) * 100


def test_a_suspended_transfer_takes_leave_and_comes_back(world: World, other: Receiver) -> None:
    world.work.add_transfer(1, 1, rate=MIB, min_cipher=3)
    delivery = world.delivery()
    world.bus.at(1.5, lambda: world.suspend(1, delivery))
    delivery.run()
    assert world.work.status(1) is Status.SUSPENDED
    assert [kind for kind, _ in other.told] == ["started"], "it may be gone on with"
    sent = world.work.progress(1).bytes_sent
    world.work.resume(1)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert other.stored() == expected(world)
    assert world.work.progress(1).bytes_sent < 3 * MIB + 200 * KIB
    assert sent > MIB
    assert [kind for kind, _ in other.told] == ["started", "ended"]


def test_sessions_outlive_a_bad_way_and_a_restart(tmp_path: Path, other: Receiver) -> None:
    bus = MemoryBus(seed=11, faults=Faults(lose=0.02, duplicate=0.02, reorder=0.02, corrupt=0.02))
    world = World(tmp_path, bus=bus, store=other.store)
    world.manifest(1, {f"{number:02}": number * 100 * KIB for number in range(25)})
    service = SessionService(other, bus)
    for number in (1, 2):
        world.work.add_transfer(
            number, 1, destination_path=str(number), min_cipher=number + 1, rate=4 * MIB
        )
    bus.at(4.0, service.crash)
    bus.at(6.0, service.restart)
    world.run()
    for number in (1, 2):
        assert world.work.status(number) is Status.COMPLETE, world.work.rows[number].message
    assert other.stored() == {**expected(world, "1/"), **expected(world, "2/")}


def test_whoever_runs_the_fabric_cannot_lower_the_cipher(world: World, other: Receiver) -> None:
    def plain() -> None:
        service = world.bus.services[0]
        service._desk.verbs = frozenset()  # nothing is offered any more

    plain()
    world.work.add_transfer(1, 1, min_cipher=2)
    world.run()
    assert world.work.status(1) is Status.COMPLETE
    assert world.bus.log.of(Verb.OPEN).requests == world.bus.log.of(Verb.BATCH).requests == 0


def test_a_lost_session_is_no_failure(world: World, other: Receiver) -> None:
    world.work.add_transfer(1, 1, rate=MIB, min_cipher=1)

    def forget() -> None:
        other.stop()
        other.start()
        world.bus.services[0].store = other.store

    world.bus.at(1.5, forget)
    world.run()
    assert world.work.status(1) is Status.COMPLETE, world.work.rows[1].message
    assert other.stored() == expected(world)
    assert world.bus.log.of(Verb.ADMIT).requests >= 2


def test_a_receiver_without_sessions_gets_only_what_needs_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.serve()
    world.manifest(1, {"a": 10})
    world.work.add_transfer(1, 1, login=Login(token="1.secret"))
    world.work.add_transfer(2, 1, min_cipher=1)
    world.work.add_transfer(3, 1)
    world.run()
    for number in (1, 2):
        row = world.work.rows[number]
        assert row.status is Status.ERROR
        assert "Nothing was sent" in row.message
    assert world.work.status(3) is Status.COMPLETE


def test_whose_user_is_wrong_is_said() -> None:
    denied = RefusedError(ErrorCode.DENIED, "the user or the password is wrong")
    assert not_let_in(denied) == ("not let in by the receiver: the user or the password is wrong")
    assert not_let_in(RefusedError(ErrorCode.CIPHER, "no cipher")) == "no cipher"

"""Whole transfers and downloads in sessions, by the engines that clients use, on a bad bus."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dxlfiletransferclient.calls import caller
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.protocol.desk import Desk, ServerIdentity
from dxlfiletransferclient.protocol.messages import RetrieveAnswer, RetrieveRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.receiving.receiver import Receiver as Getter
from dxlfiletransferclient.sealing.passage import Passage
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from dxlfiletransferclient.testing.memoryservice import MemoryService
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.admission.sourcefiles import Source, SourceFiles
from dxlfiletransferservice.admission.standing import RECHECK_SECONDS
from tests.unit.client.transferring import (
    BAD,
    GET,
    OPTIONS,
    SEGMENT,
    SEND,
    begun,
    content_of,
    files_in,
    write_file,
)
from tests.unit.service.admitting import ALICE, BOB, PEER, Receiver, receiver, transfer
from tests.unit.service.downloading import Sharer, download, sharer


class _Both:
    """Answers ``hello`` from a store, and everything about sessions from a desk."""

    def __init__(
        self, store: Store, desk: Callable[[], AdmissionDesk], sealed: Callable[[], None]
    ) -> None:
        self._sealed = sealed
        self._plain = Desk(store, identity=ServerIdentity(BOB.public, "uid", "name"))
        self._desk = desk
        self.verbs = frozenset({Verb.HELLO, Verb.ADMIT, Verb.SEALED})

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        if verb is Verb.ADMIT:
            return self._desk().admit(request, PEER)
        if verb is Verb.SEALED:
            self._sealed()
            return self._desk().sealed(request, PEER)
        return self._plain.answer(verb, request)


class SessionService(MemoryService):
    """A service on a memory bus that answers in sessions alone."""

    def __init__(
        self,
        desk: Callable[[], AdmissionDesk],
        on_restart: Callable[[], None],
        new_id: Callable[[], str],
    ) -> None:
        self._admitting = desk
        self._planned: dict[int, Callable[[], object]] = {}
        self._sealed = itertools.count(1)
        self._on_restart: Callable[[], None] | None = None
        super().__init__(MemoryStore(OPTIONS), DEFAULT_STORE_TOPIC, STORE_VERBS, new_id)
        self._on_restart = on_restart

    def _start(self, store: Store) -> None:
        super()._start(store)
        if self._on_restart is not None:
            self._on_restart()
        self._desk = _Both(store, self._admitting, self._count)  # type: ignore[assignment]

    def after(self, count: int, action: Callable[[], object]) -> None:
        """Have something happen when so many requests have come in sessions."""
        self._planned[count] = action

    def _count(self) -> None:
        action = self._planned.pop(next(self._sealed), None)
        if action is not None:
            action()


def serve(
    bus: MemoryBus, desk: Callable[[], AdmissionDesk], on_restart: Callable[[], None]
) -> SessionService:
    service = SessionService(desk, on_restart, bus._new_id)
    bus._broker.add(service)
    service.maintain(bus.time())
    return service


class Ways:
    """Makes every engine go through a passage of its own, in which it shows what a test says."""

    def __init__(self) -> None:
        self.admission = transfer()
        self.made: list[Passage] = []

    def engine(self, *args: object, **more: object) -> Engine:
        self.made.append(Passage(ALICE, self.admission, peer_key=BOB.public))
        return Engine(*args, **more, passage=self.made[-1])  # type: ignore[arg-type]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    made = Ways()
    monkeypatch.setattr(caller, "Engine", made.engine)
    return made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as made:
        yield made


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharer]:
    with sharer(tmp_path) as made:
        for name, content in source_files():
            write_file(made.files / name, content, 1_000_000_000)
        (made.files / "empty").mkdir()
        yield made


def source_files() -> Iterator[tuple[str, bytes]]:
    sizes = [0, 1, 100, SEGMENT, SEGMENT + 1, 31 * SEGMENT, 7 * SEGMENT]
    for number, size in enumerate(sizes):
        yield f"d{number % 3}/file-{number}", content_of(size, number)


def restarted(world: Receiver | Sharer) -> Callable[[], None]:
    """Return what lets a server begin anew, without any session."""

    def restart() -> None:
        world.stop()
        world.start()

    return restart


def troubled(bus: MemoryBus, service: SessionService, world: Receiver | Sharer) -> list[str]:
    """Have sessions lost and the service killed on the way; returns what has happened."""
    happened: list[str] = []

    def lose() -> None:
        happened.extend("lost" for _ in world.desk._sessions.ended(4e9))

    def crash() -> None:
        happened.append("crashed")
        service.crash()
        bus.at(bus.now() + 0.5, service.restart)

    service.after(5, lose)
    service.after(15, crash)
    return happened


def test_a_transfer(world: Receiver, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus()
    serve(bus, lambda: world.desk, restarted(world))
    for name, content in source_files():
        write_file(tmp_path / "source" / name, content, 1_000_000_000)
    ways.admission = transfer(destination_path="in")

    report = Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([tmp_path / "source"], "")

    assert {result.result for result in report.outcomes} == {Result.STORED}
    assert world.stored(world.storage / "in" / "source") == dict(sorted(source_files()))


@pytest.mark.parametrize("seed", range(3))
def test_a_transfer_whatever_happens(
    world: Receiver, ways: Ways, tmp_path: Path, seed: int
) -> None:
    bus = MemoryBus(seed=seed, faults=BAD)
    service = serve(bus, lambda: world.desk, restarted(world))
    for name, content in source_files():
        write_file(tmp_path / "source" / name, content, 1_000_000_000)
    happened = troubled(bus, service, world)

    begun(
        bus,
        lambda: Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([tmp_path / "source"], ""),
    )

    assert world.stored(world.storage / "source") == dict(sorted(source_files()))
    (row,) = world.receptions.transfers()
    assert row["status"] == "receiving"
    assert happened == ["lost", "crashed"]


def test_a_transfer_goes_on_in_another_sandbox(world: Receiver, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus()
    service = serve(bus, lambda: world.desk, restarted(world))
    for name, content in source_files():
        write_file(tmp_path / "source" / name, content, 1_000_000_000)
    ways.admission = transfer(user="ann", password="secret")

    def confine() -> None:
        world.control.sandboxes.set("ann", {"": str(tmp_path / "confined")})
        world.clock.now += RECHECK_SECONDS

    service.after(40, confine)
    report = Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([tmp_path / "source"], "")

    assert {result.result for result in report.outcomes} == {Result.STORED}
    before, after = world.stored(), world.stored(tmp_path / "confined")
    assert before
    assert after
    assert {
        name.removeprefix("source/"): content for name, content in {**before, **after}.items()
    } == dict(source_files())


def test_a_transfer_of_somebody_who_is_removed_fails_soon(
    world: Receiver, ways: Ways, tmp_path: Path
) -> None:
    bus = MemoryBus()
    service = serve(bus, lambda: world.desk, restarted(world))
    for name, content in source_files():
        write_file(tmp_path / "source" / name, content, 1_000_000_000)
    ways.admission = transfer(user="ann", password="secret")

    def remove() -> None:
        world.control.users.remove("ann")
        world.clock.now += RECHECK_SECONDS

    service.after(15, remove)
    report = Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([tmp_path / "source"], "")

    errors = [each.error for each in report.outcomes if each.result is Result.FAILED]
    assert errors
    assert all(isinstance(each, RefusedError) and each.means(ErrorCode.DENIED) for each in errors)
    assert bus.now() < 5


def test_what_is_dropped_is_sent_all_the_same(world: Receiver, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus(seed=1, faults=BAD)
    service = serve(bus, lambda: world.desk, restarted(world))
    for name, content in source_files():
        write_file(tmp_path / "source" / name, content, 1_000_000_000)
    ways.admission = transfer(flags=1)
    # The session is lost, and with it all that was under way.
    happened = troubled(bus, service, world)

    report = begun(
        bus,
        lambda: Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([tmp_path / "source"], ""),
    )

    assert {result.result for result in report.outcomes} == {Result.STORED}
    assert world.stored() == {}
    assert happened == ["lost", "crashed"]


def test_a_download(shared: Sharer, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus()
    serve(bus, lambda: shared.desk, restarted(shared))
    token = shared.share(downloadLimit=1)
    ways.admission = download(token)

    report = Getter(bus, DEFAULT_STORE_TOPIC, options=GET).get(["tree"], tmp_path / "target/")

    assert {result.result for result in report.outcomes} == {Result.STORED}
    assert files_in(tmp_path / "target" / "tree") == files_in(shared.files)
    assert (tmp_path / "target" / "tree" / "empty").is_dir()
    name = "d0/file-0"
    assert (tmp_path / "target" / "tree" / name).stat().st_mtime == 1_000_000_000
    # Once more: nothing has changed, and it is the same download.
    again = Getter(bus, DEFAULT_STORE_TOPIC, options=GET).get(["tree"], tmp_path / "target/")
    assert {result.result for result in again.outcomes} == {Result.UNCHANGED}
    assert shared.count(token) == 1


def test_single_files_and_everything(shared: Sharer, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus()
    serve(bus, lambda: shared.desk, restarted(shared))
    ways.admission = download(shared.share({"one": str(shared.files / "d1" / "file-1")}))

    getter = Getter(bus, DEFAULT_STORE_TOPIC, options=GET)
    getter.get(["one"], tmp_path / "single")
    getter.get([""], tmp_path / "all/")

    assert (tmp_path / "single").read_bytes() == content_of(1, 1)
    assert (tmp_path / "all" / "one").read_bytes() == content_of(1, 1)
    assert [entry.name for entry in getter.list()] == ["one"]


@pytest.mark.parametrize("seed", range(3))
def test_a_download_whatever_happens(shared: Sharer, ways: Ways, tmp_path: Path, seed: int) -> None:
    bus = MemoryBus(seed=seed, faults=BAD)
    service = serve(bus, lambda: shared.desk, restarted(shared))
    token = shared.share(downloadLimit=1)
    ways.admission = download(token)
    happened = troubled(bus, service, shared)

    begun(
        bus,
        lambda: Getter(bus, DEFAULT_STORE_TOPIC, options=GET).get(["tree"], tmp_path / "target/"),
    )

    assert files_in(tmp_path / "target" / "tree") == files_in(shared.files)
    assert shared.count(token) == 1
    assert happened == ["lost", "crashed"]


def test_files_that_vanish_and_change_during_a_download(
    shared: Sharer, ways: Ways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()
    serve(bus, lambda: shared.desk, restarted(shared))
    ways.admission = download(shared.share())
    (shared.files / "d0" / "file-0").unlink()
    large = shared.files / "d2" / "file-5"
    retrieve, parts = SourceFiles.retrieve, itertools.count(1)

    def changing(files: SourceFiles, source: Source, request: RetrieveRequest) -> RetrieveAnswer:
        if source.name.endswith("file-5") and next(parts) == 7:
            write_file(large, content_of(20 * SEGMENT, 9), 2_000_000_000)
        return retrieve(files, source, request)

    monkeypatch.setattr(SourceFiles, "retrieve", changing)

    report = Getter(bus, DEFAULT_STORE_TOPIC, options=GET).get(["tree"], tmp_path / "target/")

    failed = [result for result in report.outcomes if result.result is Result.FAILED]
    assert [result.name for result in failed] == ["tree/d0/file-0"]
    assert "not there any more" in str(failed[0].error)
    assert next(parts) > 7
    assert files_in(tmp_path / "target" / "tree") == files_in(shared.files)


def test_a_wrong_token_fails_at_once(shared: Sharer, ways: Ways, tmp_path: Path) -> None:
    bus = MemoryBus()
    serve(bus, lambda: shared.desk, restarted(shared))
    ways.admission = download("7.wrong")

    report = Getter(bus, DEFAULT_STORE_TOPIC, options=GET).get(["tree"], tmp_path / "target/")

    (outcome,) = report.outcomes
    assert isinstance(outcome.error, RefusedError)
    assert outcome.error.means(ErrorCode.DENIED)
    assert bus.now() < 2

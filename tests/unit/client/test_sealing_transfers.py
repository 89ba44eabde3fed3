"""Whole transfers in sessions, over a bus that loses, doubles, delays and cuts."""

from pathlib import Path

import pytest

from dxlfiletransferclient.calls import caller
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.engine import Engine
from dxlfiletransferclient.protocol.desk import Desk, ServerIdentity
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.passage import Passage
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.storage.interface import Store
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from dxlfiletransferclient.testing.memoryservice import MemoryService
from tests.unit.client.sealedservice import ALICE, BOB, SealedService
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


class SealedDesk:
    """Answers ``hello`` as ever, and everything else in sessions alone."""

    verbs = frozenset({Verb.HELLO, Verb.ADMIT, Verb.SEALED})

    def __init__(self, store: Store) -> None:
        self._desk = Desk(store, identity=ServerIdentity(BOB.public, "uid", "name"))
        self.sessions = SealedService(self._desk.answer)

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        if verb is Verb.HELLO:
            return self._desk.answer(verb, request)
        return self.sessions.answer(verb, request)


class SealedMemoryService(MemoryService):
    """A service on a memory bus that takes nothing outside of sessions, which a restart ends."""

    def _start(self, store: Store) -> None:
        super()._start(store)
        self._desk = self.sealed = SealedDesk(store)  # type: ignore[assignment]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Passage]:
    """Make every engine go through a passage of its own; these are gathered."""
    cipher = getattr(request, "param", Cipher.AES_256)
    gathered: list[Passage] = []

    def sealed_engine(*args: object, **more: object) -> Engine:
        asked = Admission(
            admission_id=str(len(gathered)), purpose=SessionPurpose.TRANSFER, cipher=cipher
        )
        gathered.append(Passage(ALICE, asked, peer_key=BOB.public))
        return Engine(*args, **more, passage=gathered[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(caller, "Engine", sealed_engine)
    return gathered


def serve(bus: MemoryBus) -> SealedMemoryService:
    service = SealedMemoryService(
        MemoryStore(OPTIONS), DEFAULT_STORE_TOPIC, STORE_VERBS, bus._new_id
    )
    bus._broker.add(service)
    service.maintain(bus.time())
    return service


def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    for number, size in enumerate([0, 1, 100, SEGMENT, SEGMENT + 1, 31 * SEGMENT, 7 * SEGMENT]):
        write_file(directory / f"file-{number}", content_of(size, number), 1_000_000_000)
    return directory


@pytest.mark.parametrize("ways", list(Cipher), indirect=True)
def test_files_travel_in_sessions_both_ways(tmp_path: Path, ways: list[Passage]) -> None:
    bus = MemoryBus()
    service = serve(bus)
    directory = source(tmp_path)
    Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([directory], "")
    Receiver(bus, DEFAULT_STORE_TOPIC, options=GET).get(["source"], tmp_path / "target")
    assert files_in(tmp_path / "target" / "source") == files_in(directory)
    travelled = {entry.name for entry in bus.log.entries if entry.name != "registry"}
    assert travelled == {"hello", "admit", "sealed"}
    assert len(service.sealed.sessions.admissions) == len(ways)


@pytest.mark.parametrize("seed", range(6))
def test_files_arrive_whatever_happens(tmp_path: Path, ways: list[Passage], seed: int) -> None:
    bus = MemoryBus(seed=seed, faults=BAD)
    service = serve(bus)
    directory = source(tmp_path)

    def forget() -> None:
        service.sealed.sessions.forget()

    for moment in (0.3, 2.0, 5.0):
        bus.at(moment, forget)
    bus.at(1.0, service.crash)
    bus.at(1.5, service.restart)
    begun(bus, lambda: Sender(bus, DEFAULT_STORE_TOPIC, options=SEND).send([directory], ""))
    begun(
        bus,
        lambda: Receiver(bus, DEFAULT_STORE_TOPIC, options=GET).get(
            ["source"], tmp_path / "target"
        ),
    )
    assert files_in(tmp_path / "target" / "source") == files_in(directory)

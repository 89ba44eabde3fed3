"""Whole transfers over a bad bus: what travels, and that chance is the same each time."""

from dataclasses import replace
from pathlib import Path

import pytest

from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.testing import (
    Faults,
    LogEntry,
    MemoryBus,
    MemoryStore,
)
from tests.unit.client.transferring import (
    BAD,
    CHECKPOINT,
    GET,
    OPTIONS,
    SEGMENT,
    SEND,
    KilledError,
    content_of,
    files_in,
    write_file,
)


def source_of(directory: Path) -> dict[str, bytes]:
    """Make a directory to send, and return what is in it."""
    files = {f"small/{number}": content_of(number * 7, number) for number in range(40)}
    files |= {f"large/{number}": content_of(SEGMENT * (20 + number), number) for number in range(3)}
    for name, content in files.items():
        write_file(directory / name, content, 1_000_000_000)
    return files


def life_of(source: Path, seed: int) -> tuple[MemoryBus, list[LogEntry]]:
    """Send with a crash on a bad bus, and return all that travelled."""
    bus = MemoryBus(seed=seed, faults=BAD)
    service = bus.serve(MemoryStore(OPTIONS))
    bus.at(1.5, service.crash)
    bus.at(3, service.restart)
    Sender(bus, options=SEND).send(f"{source}/.").raise_for_failure()
    return bus, list(bus.log.entries)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_transfer(tmp_path: Path, seed: int) -> None:
    files = source_of(tmp_path / "source")
    bus, first = life_of(tmp_path / "source", seed)
    _, second = life_of(tmp_path / "source", seed)
    assert first == second
    Receiver(bus, options=GET).get("", tmp_path / "target").raise_for_failure()
    assert files_in(tmp_path / "target") == files


def test_another_seed_gives_another_transfer(tmp_path: Path) -> None:
    source_of(tmp_path / "source")
    assert life_of(tmp_path / "source", 1)[1] != life_of(tmp_path / "source", 2)[1]


def test_without_faults_every_byte_travels_once(tmp_path: Path) -> None:
    files = source_of(tmp_path / "source")
    bus = MemoryBus()
    store = MemoryStore(OPTIONS)
    bus.serve(store)
    Sender(bus, options=SEND).send(f"{tmp_path / 'source'}/.").raise_for_failure()
    assert store.stored == files
    large = sum(len(content) for content in files.values() if len(content) > SEGMENT // 2)
    assert bus.log.of(Verb.SEGMENT).request_bytes == large
    Receiver(bus, options=GET).get("", tmp_path / "target").raise_for_failure()
    assert files_in(tmp_path / "target") == files
    retrieved = bus.log.of(Verb.RETRIEVE).answer_bytes
    assert retrieved == sum(len(content) for content in files.values())


def test_a_killed_sender_sends_only_what_was_not_durable_again(tmp_path: Path) -> None:
    content = content_of(100 * SEGMENT, 1)
    write_file(tmp_path / "a", content, 1)
    bus = MemoryBus(faults=Faults(delay=(0.02, 0.02)))
    store = MemoryStore(OPTIONS)
    service = bus.serve(store)

    def die() -> None:
        raise KilledError

    bus.when(Verb.SEGMENT, die, skip=60)
    with pytest.raises(KilledError):
        Sender(bus, options=SEND).send(tmp_path / "a")
    bus.abandon()
    service.crash()
    service.restart()
    bus.log.clear()
    report = Sender(bus, options=SEND).send(tmp_path / "a")
    report.raise_for_failure()
    (outcome,) = report.outcomes
    assert outcome.resumed >= 60 * SEGMENT - CHECKPOINT - SEGMENT
    assert bus.log.of(Verb.SEGMENT).request_bytes == len(content) - outcome.resumed
    assert isinstance(service.store, MemoryStore)
    assert service.store.stored == {"a": content}


def test_another_instance_takes_over(tmp_path: Path) -> None:
    content = content_of(60 * SEGMENT, 1)
    write_file(tmp_path / "a", content, 1)
    bus = MemoryBus(seed=4, faults=BAD)
    stores = [MemoryStore(replace(OPTIONS, store_id=f"{number}")) for number in range(2)]
    services = [bus.serve(store) for store in stores]

    def crash_the_one_that_is_used() -> None:
        for store, service in zip(stores, services, strict=True):
            if store.under_way:
                service.crash()

    bus.when(Verb.SEGMENT, crash_the_one_that_is_used, skip=20)
    Sender(bus, options=SEND).send(tmp_path / "a").raise_for_failure()
    assert [store.stored for store in stores if store.stored] == [{"a": content}]
    assert [service.alive for service in services].count(False) == 1

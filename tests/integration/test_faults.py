"""What version 2 survives in the middle of a large file, with real processes."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.stage import (
    CHECKPOINT,
    MEBIBYTE,
    WINDOW,
    Outcome,
    Stage,
    digest,
    never_seen_half,
    outcomes,
    wait_until_received,
)
from tests.processes import ROOT, Processes
from tests.waiting import TIMEOUT, wait_until

SIZE = 200_000_000

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(processes: Processes, tmp_path: Path) -> Stage:
    return Stage(processes, tmp_path)


def test_service_killed_and_started_again(stage: Stage) -> None:
    service = stage.service()
    source = stage.source(SIZE)
    with never_seen_half(service.storage / "file", SIZE):
        sender = stage.send((source, "file"))
        wait_until_received(service, SIZE // 2)
        service.kill()
        service.start()
        (outcome,) = outcomes(sender)
    assert outcome.result == "stored"
    assert outcome.sent <= SIZE + CHECKPOINT + WINDOW
    assert digest(service.storage / "file") == digest(source) == outcome.sha256
    assert service.parts == []


def test_client_killed_and_the_same_command_given_again(stage: Stage) -> None:
    service = stage.service()
    source = stage.source(SIZE)
    with never_seen_half(service.storage / "file", SIZE):
        sender = stage.send((source, "file"))
        wait_until_received(service, SIZE // 2)
        sender.kill()
        arrived = service.received
        (outcome,) = outcomes(stage.send((source, "file")))
    assert outcome.result == "stored"
    assert outcome.resumed > 0
    assert outcome.sent <= SIZE - arrived + CHECKPOINT + WINDOW
    assert digest(service.storage / "file") == digest(source) == outcome.sha256
    assert service.parts == []


def test_both_killed_and_started_again(stage: Stage) -> None:
    service = stage.service()
    source = stage.source(SIZE)
    sender = stage.send((source, "file"))
    wait_until_received(service, SIZE // 2)
    service.kill()
    sender.kill()
    arrived = service.received
    service.start()
    (outcome,) = outcomes(stage.send((source, "file")))
    assert outcome.result == "stored"
    assert outcome.sent <= SIZE - arrived + CHECKPOINT + WINDOW
    assert digest(service.storage / "file") == digest(source)


def test_broker_killed_and_started_again(stage: Stage) -> None:
    service = stage.service()
    source = stage.source(SIZE)
    with never_seen_half(service.storage / "file", SIZE):
        sender = stage.send((source, "file"))
        wait_until_received(service, SIZE // 2)
        stage.broker.kill()
        stage.start_broker()
        (outcome,) = outcomes(sender)
    assert outcome.result == "stored"
    assert outcome.sent <= SIZE + CHECKPOINT + WINDOW
    assert digest(service.storage / "file") == digest(source) == outcome.sha256
    assert service.process.process.poll() is None


def test_one_of_two_instances_killed(stage: Stage) -> None:
    one, other = services = [stage.service("one"), stage.service("other")]
    # Each name leads to one of the two for good; enough names lead to both, but for one run in two
    # thousand.
    sources = [stage.source(SIZE // 8, f"source-{number}") for number in range(12)]
    names = [(source, source.name) for source in sources]
    sender = stage.send(*names, failover_after=2.0)
    wait_until(lambda: all(service.received >= 4 * MEBIBYTE for service in services))
    one.kill()
    found = {outcome.name: outcome for outcome in outcomes(sender)}
    assert {outcome.result for outcome in found.values()} == {"stored"}, found
    untouched = [outcome for outcome in found.values() if outcome.sent == outcome.size]
    assert untouched
    assert len(untouched) < len(found)
    for source in sources:
        stored = [service.storage / source.name for service in services]
        (path, *_) = [path for path in stored if path.exists()]
        assert digest(path) == digest(source)
    assert other.parts == []


def test_instance_killed_and_back_before_the_other_takes_over(stage: Stage) -> None:
    one, other = services = [stage.service("one"), stage.service("other")]
    source = stage.source(SIZE)
    sender = stage.send((source, "file"))
    wait_until(lambda: one.received + other.received >= SIZE // 2)
    (chosen,) = [service for service in services if service.parts]
    chosen.kill()
    chosen.start()
    (outcome,) = outcomes(sender)
    assert outcome.result == "stored"
    assert outcome.sent <= SIZE + CHECKPOINT + WINDOW
    assert digest(chosen.storage / "file") == digest(source)
    assert [service.parts for service in services] == [[], []]


def test_quota_reached_and_room_made(stage: Stage) -> None:
    service = stage.service(settings={"Quota": {"totalMegabytes": 100}})
    old, new = stage.source(60 * MEBIBYTE, "old"), stage.source(61 * MEBIBYTE, "new")
    (first,) = outcomes(stage.send((old, "old")))
    assert first.result == "stored"
    (refused,) = outcomes(stage.send((new, "new")))
    assert refused.result == "failed"
    assert "limit" in refused.error
    assert digest(service.storage / "old") == digest(old)
    assert not (service.storage / "new").exists()
    (service.storage / "old").unlink()
    wait_until(lambda: _sent(stage, new, "new").result == "stored")
    assert digest(service.storage / "new") == digest(new)


def test_file_above_the_limit_for_one(stage: Stage) -> None:
    service = stage.service(settings={"Quota": {"fileMegabytes": 1}})
    (outcome,) = outcomes(stage.send((stage.source(2 * MEBIBYTE), "file")))
    assert outcome.result == "failed"
    assert "limit" in outcome.error
    assert list(service.storage.glob("[!.]*")) == []
    assert service.parts == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB of its own."""
    directory = tmp_path / "small disk"
    directory.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    options = ("-t", "tmpfs", "-o", "size=96m", "tmpfs", str(directory))
    done = subprocess.run([mount, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_disk_full_and_room_made(stage: Stage, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(60 * MEBIBYTE))
    service = stage.service(storage=small_disk / "files")
    old, new = stage.source(4 * MEBIBYTE, "old"), stage.source(60 * MEBIBYTE, "new")
    assert _sent(stage, old, "file").result == "stored"
    refused = _sent(stage, new, "file")
    assert refused.result == "failed"
    assert "disk of the service is full" in refused.error
    assert digest(service.storage / "file") == digest(old)
    ballast.unlink()
    assert _sent(stage, new, "file").result == "stored"
    assert digest(service.storage / "file") == digest(new)
    assert service.parts == []


def test_source_changes_while_it_is_sent(stage: Stage) -> None:
    service = stage.service()
    source = stage.source(SIZE)
    sender = stage.send((source, "file"))
    wait_until_received(service, SIZE // 2)
    with source.open("r+b") as file:
        file.write(b"changed")
    (outcome,) = outcomes(sender)
    assert outcome.result == "failed"
    assert "source" in outcome.error
    assert "written to" in outcome.error or "changed" in outcome.error
    assert not (service.storage / "file").exists()
    wait_until(lambda: service.parts == [])


def test_many_clients_at_once(stage: Stage, processes: Processes, tmp_path: Path) -> None:
    service = stage.service()
    sources = tmp_path / "many"
    program = ROOT / "tests" / "integration" / "manyclients.py"
    senders = [
        processes.start_python(
            program, stage.configuration, "/test/faults/store", sources, str(number * 10), "10"
        )
        for number in range(5)
    ]
    for sender in senders:
        assert sender.wait(3 * TIMEOUT) == 0, sender.errors
    sent = [path for path in sources.rglob("*") if path.is_file()]
    assert len(sent) == 50 * 20
    for path in sent:
        assert digest(service.storage / path.relative_to(sources)) == digest(path)
    assert service.parts == []
    # Far below what 50 senders hold if each has the largest window: 50 times 16 MiB.
    assert _peak(service.process.process.pid) < 400 * MEBIBYTE


def _sent(stage: Stage, source: Path, name: str) -> Outcome:
    (outcome,) = outcomes(stage.send((source, name)))
    return outcome


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)

"""Files, trees and streams from a sender to a store, over a bus in memory."""

import io
import os
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.errors import NoAnswerError, SourceChangedError, UnsafeNameError
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.exchange.window import FIRST_SEGMENTS
from dxlfiletransferclient.outcomes import FileOutcome, Result, TransferReport
from dxlfiletransferclient.progress import Phase, Progress
from dxlfiletransferclient.protocol.desk import ALL_VERBS
from dxlfiletransferclient.protocol.messages import Kind, Overwrite, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending import source
from dxlfiletransferclient.sending.options import Links, SendOptions
from dxlfiletransferclient.sending.scan import NotSentError
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.sending.streamsource import StreamLostError
from dxlfiletransferclient.testing import (
    Direction,
    Faults,
    Harm,
    MemoryBus,
    MemoryService,
    MemoryStore,
    MemoryStoreOptions,
)
from tests.unit.client.fabric import open_descriptors, sha256

SEGMENT = 1000
SLICE = Faults(lose=0.05, duplicate=0.05, reorder=0.05, corrupt=0.01)


def content_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


class World:
    """A bus with one service, and a directory with files."""

    def __init__(self, directory: Path, *, seed: int = 0, **options: object) -> None:
        self.directory = directory
        self.bus = MemoryBus(seed=seed)
        values = {"segment_size": SEGMENT, "checkpoint_bytes": 4 * SEGMENT, **options}
        self.store = MemoryStore(MemoryStoreOptions(**values))  # type: ignore[arg-type]
        self.service: MemoryService = self.bus.serve(self.store)

    def file(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def sender(self, **more: object) -> Sender:
        options = more.pop("options", SendOptions(batch_below=100))
        return Sender(self.bus, options=options, **more)  # type: ignore[arg-type]

    def send(self, *sources: Path, to: str = "", **more: object) -> TransferReport:
        return self.sender(**more).send(sources, to)

    @property
    def stored(self) -> dict[str, bytes]:
        store = self.service.store
        assert isinstance(store, MemoryStore)
        return store.stored

    @property
    def under_way(self) -> frozenset[str]:
        store = self.service.store
        assert isinstance(store, MemoryStore)
        return store.under_way

    def crash(self, after: float = 1.0) -> None:
        """Have the service crash, and come back with what was on its disk."""
        store = self.service.store
        assert isinstance(store, MemoryStore)
        self.service.crash()
        survived = store.crashed()
        self.bus.at(self.bus.now() + after, lambda: self.service.restart(survived))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "files")


def only(report: TransferReport) -> FileOutcome:
    (outcome,) = report.outcomes
    return outcome


def test_a_large_file(world: World) -> None:
    content = content_of(25_500)
    path = world.file("f", content)
    path.chmod(0o700)
    before = open_descriptors()

    report = world.send(path, to="x/y")

    assert world.stored == {"x/y": content}
    outcome = only(report)
    assert (outcome.name, outcome.path, outcome.result) == ("x/y", path, Result.STORED)
    assert (outcome.size, outcome.sha256, outcome.sent) == (25_500, sha256(content), 25_500)
    assert (report.files, report.stored, report.bytes, report.sent) == (1, 1, 25_500, 25_500)
    assert report.seconds > 0
    assert world.bus.log.of(Verb.SEGMENT).requests == 26
    entry = world.store.stat(StatRequest(name="x/y")).entry[0]
    assert (entry.modified_ns, entry.executable) == (path.stat().st_mtime_ns, True)
    assert open_descriptors() == before
    assert not world.under_way


def test_a_tree(world: World) -> None:
    sizes = {"a": 0, "b/small": 80, "b/large": 5000, "b/c/d": 99, "z": 101, "ä ö/x": 7}
    expected = {f"t/files/{name}": content_of(size, size) for name, size in sizes.items()}
    for name, content in expected.items():
        world.file(name.removeprefix("t/files/"), content)
    (world.directory / "empty").mkdir()

    report = world.send(world.directory, to="t/../t/")

    assert world.stored == expected
    assert world.store.stat(StatRequest(name="t/files/empty")).entry[0].kind is Kind.DIRECTORY
    assert (report.files, report.stored, report.failed) == (7, 7, 0)
    assert world.bus.log.of(Verb.BATCH).requests == 1
    assert world.bus.log.of(Verb.OPEN).requests == 2


def test_many_small_files_take_few_messages(world: World) -> None:
    expected = {}
    for number in range(3000):
        content = b"%d" % number * (number % 20)
        world.file(f"{number % 7}/{number}", content)
        expected[f"files/{number % 7}/{number}"] = content
    heard: list[FileOutcome] = []

    report = world.send(world.directory, on_outcome=heard.append, options=SendOptions())

    assert world.stored == expected
    assert (report.files, report.stored) == (3000, 3000)
    assert {outcome.name for outcome in heard} == set(expected)
    assert all(outcome.sha256 == sha256(expected[outcome.name]) for outcome in heard)
    # 3000 entries of some 350 bytes into batches of 64 KiB, as segments are small here.
    assert world.bus.log.of(Verb.BATCH).requests < 25


def test_links(world: World) -> None:
    world.file("t/f", b"f")
    (world.directory / "t" / "link").symlink_to("f")
    report = world.send(world.directory / "t", options=SendOptions(links=Links.KEEP))
    (failed,) = [each for each in report.outcomes if each.result is Result.FAILED]
    assert failed.name == "t/link"
    assert isinstance(failed.error, RefusedError)
    assert failed.error.means(ErrorCode.NOT_ALLOWED)

    report = world.send(world.directory / "t", options=SendOptions(links=Links.SKIP))
    assert (report.stored, report.skipped, report.failed) == (1, 1, 0)

    world.send(world.directory / "t").raise_for_failure()
    assert world.stored == {"t/f": b"f", "t/link": b"f"}


def test_links_where_they_are_allowed(tmp_path: Path) -> None:
    world = World(tmp_path, links=True)
    world.file("t/f", b"f")
    (world.directory / "t" / "link").symlink_to("f")
    world.send(world.directory / "t", options=SendOptions(links=Links.KEEP)).raise_for_failure()
    entry = world.store.stat(StatRequest(name="t/link")).entry[0]
    assert (entry.kind, entry.target) == (Kind.LINK, "f")


def test_the_same_command_again_sends_nothing(world: World) -> None:
    path = world.file("f", content_of(5000))
    world.send(path)
    report = world.send(path)
    outcome = only(report)
    assert (outcome.result, outcome.sent, outcome.size) == (Result.UNCHANGED, 0, 5000)
    assert (report.unchanged, report.bytes, report.sent) == (1, 5000, 0)
    assert world.bus.log.of(Verb.SEGMENT).requests == 5


def test_a_file_that_was_changed_is_sent_again(world: World) -> None:
    path = world.file("f", content_of(5000))
    world.send(path)
    before = path.stat()
    path.write_bytes(content_of(5000, 2))
    assert only(world.send(path)).result is Result.STORED
    # Whoever resets the times of a file cannot hide the change either.
    path.write_bytes(content_of(5000, 3))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert only(world.send(path)).result is Result.STORED
    assert world.stored == {"f": content_of(5000, 3)}


def test_a_file_that_was_replaced_on_the_service_is_sent_again(world: World) -> None:
    path, other = world.file("f", content_of(5000)), world.file("g", content_of(5000, 2))
    world.send(path, to="x")
    world.send(other, to="x")
    assert only(world.send(path, to="x")).result is Result.STORED
    assert world.stored == {"x": content_of(5000)}


@pytest.mark.parametrize("size", [50, 5000])
def test_overwrite_modes(world: World, size: int) -> None:
    old, new = content_of(size, 1), content_of(size, 2)
    path = world.file("f", old)
    world.send(path)
    path.write_bytes(new)
    later = path.stat().st_mtime_ns + 10**9

    def send(overwrite: Overwrite, modified_ns: int) -> FileOutcome:
        os.utime(path, ns=(modified_ns, modified_ns))
        options = SendOptions(overwrite=overwrite, batch_below=100)
        return only(world.send(path, options=options))

    assert send(Overwrite.KEEP, later).result is Result.KEPT
    assert send(Overwrite.NEWER, 10**18).result is Result.KEPT
    failed = send(Overwrite.FAIL, later)
    assert failed.result is Result.FAILED
    assert isinstance(failed.error, RefusedError)
    assert failed.error.means(ErrorCode.EXISTS)
    assert world.stored == {"f": old}
    assert not world.under_way, "what is of no use to anybody is dropped"
    assert send(Overwrite.NEWER, later).result is Result.STORED
    assert world.stored == {"f": new}
    assert send(Overwrite.FAIL, later + 1).result is Result.STORED, "it is the same"


def test_failures_are_reported_and_the_rest_goes_on(world: World) -> None:
    world.file("t/a", b"a")
    world.file("t/b", content_of(5000))
    (world.directory / "t" / "nowhere").symlink_to("nowhere/at/all")
    world.file("u/file", b"")
    world.send(world.directory / "u", to="t/b-is-a-directory/.")
    world.file("t/b-is-a-directory", b"no")

    report = world.send(world.directory / "t", world.directory / "absent", to="")

    failures = {each.name: each.error for each in report.outcomes if each.result is Result.FAILED}
    assert set(failures) == {"t/nowhere", "absent", "t/b-is-a-directory"}
    assert isinstance(failures["absent"], FileNotFoundError)
    assert isinstance(failures["t/nowhere"], NotSentError)
    assert isinstance(failures["t/b-is-a-directory"], RefusedError)
    assert {"t/a", "t/b"} <= set(world.stored)
    assert (report.files, report.stored, report.failed) == (5, 2, 3)


def test_unreadable_files_are_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.file("t/a", b"a")
    world.file("t/large", content_of(5000))
    world.file("t/small", b"b")
    real = os.open

    def opened(path: str, flags: int) -> int:
        if not path.endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags)

    monkeypatch.setattr("dxlfiletransferclient.sending.source.os.open", opened)
    report = world.send(world.directory / "t")
    failed = [each for each in report.outcomes if each.result is Result.FAILED]
    assert [each.name for each in failed] == ["t/large", "t/small"]
    assert all(isinstance(each.error, PermissionError) for each in failed)
    assert world.stored == {"t/a": b"a"}


def test_a_service_without_batches(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.bus = MemoryBus()
    world.service = world.bus.serve(world.store, verbs=ALL_VERBS - {Verb.BATCH})
    world.file("t/a", b"a")
    world.file("t/e", b"")
    (tmp_path / "t" / "d").mkdir()
    report = world.send(tmp_path / "t")
    assert world.stored == {"t/a": b"a", "t/e": b""}
    (failed,) = [each for each in report.outcomes if each.result is Result.FAILED]
    assert "takes no directory by itself" in str(failed.error)


def test_nobody_is_there(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(RefusedError) as raised:
        Sender(MemoryBus()).send(tmp_path / "f")
    assert raised.value.means(ErrorCode.NO_SERVICE)


def test_a_target_that_no_service_takes(world: World) -> None:
    with pytest.raises(UnsafeNameError):
        world.send(world.file("f", b""), to="../x")
    assert world.bus.log.of(Verb.HELLO).requests == 0


# Progress


def test_progress_of_a_tree(world: World) -> None:
    for number in range(40):
        world.file(f"t/{number}", content_of(20 * number, number))
    world.file("t/large", content_of(50_000))
    heard: list[Progress] = []
    world.bus.faults = Faults(delay=(0.05, 0.1))

    report = world.send(world.directory / "t", progress=heard.append)

    last = heard[-1]
    assert (last.done, last.total) == (report.bytes, report.bytes)
    assert (last.files_done, last.files_total) == (41, 41)
    assert (last.durable, last.remaining) == (report.bytes, 0.0)
    assert [each.done for each in heard] == sorted(each.done for each in heard)
    assert len(heard) > 2
    assert {Phase.SENDING, Phase.STORED} <= {each.phase for each in heard}


def test_what_is_verified_is_shown(tmp_path: Path) -> None:
    world = World(tmp_path, slow_answers=4)
    heard: list[Progress] = []
    world.send(world.file("f", content_of(5000)), progress=heard.append).raise_for_failure()
    assert Phase.VERIFYING in {each.phase for each in heard}
    assert heard[-1].phase is Phase.STORED


@pytest.mark.parametrize("callback", ["progress", "on_outcome"])
def test_an_exception_of_a_callback_ends_the_call(world: World, callback: str) -> None:
    def refuse(_what: object) -> None:
        raise LookupError("no more")

    world.file("t/a", b"a")
    world.file("t/large", content_of(50_000))
    before = open_descriptors()
    callbacks: dict[str, Any] = {callback: refuse}
    with pytest.raises(LookupError, match="no more"):
        world.send(world.directory / "t", **callbacks)
    assert open_descriptors() == before
    assert not [each for each in threading.enumerate() if each.name == "dxlft-count"]


# Trouble


@pytest.mark.parametrize("seed", range(8))
def test_a_tree_over_a_bad_bus(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed=seed)
    expected = {f"t/{number}": content_of(150 * number, number) for number in range(40)}
    for name, content in expected.items():
        world.file(name, content)
    world.bus.faults = SLICE
    world.bus.when(Verb.SEGMENT, world.crash, skip=20)
    world.bus.when(Verb.SEGMENT, lambda: world.bus.cut(2.0), skip=60)

    world.send(tmp_path / "t").raise_for_failure()

    assert world.stored == expected
    assert not world.under_way


def test_a_crash_costs_no_more_than_what_was_not_durable(world: World) -> None:
    content = content_of(100 * SEGMENT)
    world.bus.when(Verb.SEGMENT, world.crash, skip=50)
    outcome = only(world.send(world.file("f", content)))
    assert outcome.result is Result.STORED
    assert world.stored == {"f": content}
    # A checkpoint comes every four segments, and the window has doubled twice at most by then.
    assert world.bus.log.of(Verb.SEGMENT).delivered <= 100 + 5 + 4 * FIRST_SEGMENTS
    assert world.bus.log.of(Verb.OPEN).delivered == 2


def test_a_lost_answer_to_the_end_makes_no_second_file(world: World) -> None:
    world.bus.harm(Verb.FINISH, Harm.LOSE, direction=Direction.ANSWER)
    outcome = only(world.send(world.file("f", content_of(5000))))
    assert outcome.result is Result.STORED
    assert world.bus.log.of(Verb.SEGMENT).requests == 5


def test_a_call_that_was_given_up_is_gone_on_with(world: World) -> None:
    content = content_of(50 * SEGMENT)
    path = world.file("f", content)
    world.bus.when(Verb.SEGMENT, world.service.crash, skip=30)
    options = SendOptions(engine=EngineOptions(patience=5.0), batch_below=100)
    with pytest.raises(NoAnswerError):
        world.send(path, options=options)
    world.service.restart(world.store.crashed())
    sent = world.bus.log.of(Verb.SEGMENT).delivered

    outcome = only(world.send(path, options=options))

    assert (outcome.result, world.stored) == (Result.STORED, {"f": content})
    assert outcome.resumed >= 24 * SEGMENT
    assert outcome.resumed + outcome.sent == 50 * SEGMENT
    assert world.bus.log.of(Verb.SEGMENT).delivered - sent <= 26


def test_a_cancelled_call_is_gone_on_with(world: World) -> None:
    path = world.file("f", content_of(50 * SEGMENT))
    cancel = Cancellation()
    world.bus.when(Verb.SEGMENT, cancel.cancel, skip=30)
    heard: list[FileOutcome] = []
    before = open_descriptors()

    with pytest.raises(TransferCancelledError):
        world.send(path, cancel=cancel, on_outcome=heard.append)

    assert heard == []
    assert open_descriptors() == before
    assert len(world.under_way) == 1
    assert world.bus.log.of(Verb.ABORT).requests == 0
    world.bus.run(1.0)
    outcome = only(world.send(path))
    assert outcome.resumed >= 20 * SEGMENT
    assert world.stored == {"f": content_of(50 * SEGMENT)}


def test_a_file_that_rots_at_the_service_is_repaired(world: World) -> None:
    content = content_of(50 * SEGMENT)

    def rot() -> None:
        (file_id,) = world.under_way
        world.store.rot(file_id, 7 * SEGMENT + 5)

    world.bus.when(Verb.FINISH, rot)
    outcome = only(world.send(world.file("f", content)))
    assert world.stored == {"f": content}
    assert outcome.result is Result.STORED
    assert outcome.sent == 51 * SEGMENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b"short"), "ended after 5 bytes|has 5 now"),
        (lambda path: os.utime(path, ns=(5, 5)), "was written to"),
        (lambda path: path.unlink(), "was removed"),
    ],
)
def test_a_file_that_changes_is_dropped(
    world: World, change: Callable[[Path], object], message: str
) -> None:
    path = world.file("t/f", content_of(50 * SEGMENT))
    world.file("t/g", content_of(5 * SEGMENT))
    world.bus.when(Verb.SEGMENT, lambda: change(path), skip=20)

    report = world.send(world.directory / "t")

    (failed,) = [each for each in report.outcomes if each.result is Result.FAILED]
    assert failed.name == "t/f"
    assert isinstance(failed.error, SourceChangedError)
    assert re.search(message, str(failed.error))
    assert set(world.stored) == {"t/g"}
    assert not world.under_way


def test_a_part_that_was_left_by_another_content_is_not_mixed_in(world: World) -> None:
    path = world.file("f", content_of(50 * SEGMENT))
    status = path.stat()
    cancel = Cancellation()
    world.bus.when(Verb.SEGMENT, cancel.cancel, skip=30)
    with pytest.raises(TransferCancelledError):
        world.send(path, cancel=cancel)
    with path.open("r+b") as file:
        file.write(content_of(10 * SEGMENT, 5))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    outcome = only(world.send(path))

    assert outcome.result is Result.STORED
    assert world.stored == {"f": path.read_bytes()}


def test_entries_that_cannot_be_taken_at_the_moment_come_again(world: World) -> None:
    world.service.refuse(Verb.BATCH, RefusedError(ErrorCode.BUSY, "later", 0.5), count=3)
    world.send(world.file("f", b"small")).raise_for_failure()
    assert world.stored == {"f": b"small"}


def test_a_full_service_fails_the_files_that_do_not_fit(tmp_path: Path) -> None:
    world = World(tmp_path, total_bytes=10_000)
    for number in range(4):
        world.file(f"t/{number}", content_of(4000, number))
    report = world.send(tmp_path / "t")
    assert (report.stored, report.failed) == (2, 2)
    errors = [each.error for each in report.outcomes if each.result is Result.FAILED]
    assert all(isinstance(error, RefusedError) for error in errors)


# Streams


def test_a_stream(world: World) -> None:
    content = content_of(25_500)
    outcome = world.sender().send_stream(io.BytesIO(content), "s", modified_ns=10**18)
    assert world.stored == {"s": content}
    assert (outcome.result, outcome.size, outcome.path) == (Result.STORED, 25_500, None)
    assert outcome.sha256 == sha256(content)
    assert world.store.stat(StatRequest(name="s")).entry[0].modified_ns == 10**18


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_over_a_bad_bus(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed=seed)
    content = content_of(100 * SEGMENT + 1)
    world.bus.faults = SLICE
    world.bus.when(Verb.SEGMENT, world.crash, skip=30)
    world.bus.when(Verb.SEGMENT, world.crash, skip=80)
    options = SendOptions(stream_buffer=20 * SEGMENT)
    world.sender(options=options).send_stream(io.BytesIO(content), "s")
    assert world.stored == {"s": content}
    assert not world.under_way


def test_a_small_buffer_is_enough(tmp_path: Path) -> None:
    world = World(tmp_path, checkpoint_bytes=10**9, checkpoint_seconds=10**9)
    content = content_of(50 * SEGMENT)
    options = SendOptions(stream_buffer=5 * SEGMENT)
    world.sender(options=options).send_stream(io.BytesIO(content), "s", size=len(content))
    assert world.stored == {"s": content}
    assert world.bus.log.of(Verb.STATUS).requests >= 9


def test_a_stream_that_ends_too_early_is_dropped(world: World) -> None:
    with pytest.raises(SourceChangedError, match="ended after 5000 bytes"):
        world.sender().send_stream(io.BytesIO(content_of(5000)), "s", size=5001)
    assert world.stored == {}
    assert not world.under_way


def test_a_stream_that_cannot_be_read_is_dropped(world: World) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 5000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        world.sender().send_stream(Broken(content_of(9000)), "s")
    assert not world.under_way


def test_a_stream_that_is_cancelled_is_dropped(world: World) -> None:
    cancel = Cancellation()
    world.bus.when(Verb.SEGMENT, cancel.cancel, skip=30)
    with pytest.raises(TransferCancelledError):
        world.sender(cancel=cancel).send_stream(io.BytesIO(content_of(50_000)), "s")
    assert not world.under_way


def test_a_stream_cannot_go_on_with_another_service(world: World) -> None:
    world.bus.serve(MemoryStore(MemoryStoreOptions(store_id="other", segment_size=SEGMENT)))

    def lose() -> None:
        for service in world.bus.services:
            if service.service_id in {entry.service_id for entry in world.bus.log.entries}:
                service.crash()

    options = SendOptions(stream_buffer=8 * SEGMENT, engine=EngineOptions(failover_after=1.0))
    world.bus.when(Verb.SEGMENT, lose, skip=60)
    with pytest.raises((StreamLostError, NoAnswerError)):
        world.sender(options=options).send_stream(io.BytesIO(content_of(90_000)), "s")


def test_an_older_file_is_kept_for_a_stream(world: World) -> None:
    world.send(world.file("f", b"old"))
    options = SendOptions(overwrite=Overwrite.KEEP)
    outcome = world.sender(options=options).send_stream(io.BytesIO(b"new"), "f")
    assert outcome.result is Result.KEPT
    assert world.stored == {"f": b"old"}


def test_a_pipe_that_is_named(world: World) -> None:
    world.directory.mkdir()
    pipe = world.directory / "pipe"
    os.mkfifo(pipe)
    content = content_of(25_000)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    before = open_descriptors()

    outcome = only(world.send(pipe))

    writer.join(10)
    assert world.stored == {"pipe": content}
    assert (outcome.result, outcome.path) == (Result.STORED, pipe)
    assert open_descriptors() <= before


def test_several_instances_keep_to_one(tmp_path: Path) -> None:
    bus = MemoryBus()
    stores = [
        MemoryStore(MemoryStoreOptions(store_id=name, segment_size=SEGMENT)) for name in "abc"
    ]
    for store in stores:
        bus.serve(store)
    path = tmp_path / "f"
    path.write_bytes(content_of(20_000))
    options = SendOptions(batch_below=100)
    results = [only(Sender(bus, options=options).send(path)).result for _ in range(3)]
    assert results == [Result.STORED, Result.UNCHANGED, Result.UNCHANGED]
    assert sum(bool(store.stored) for store in stores) == 1


def test_the_same_seed_does_the_same(tmp_path: Path) -> None:
    def messages() -> int:
        world = World(tmp_path, seed=5)
        world.file("t/f", content_of(50_000))
        os.utime(tmp_path / "t" / "f", ns=(10**18, 10**18))
        world.bus.faults = SLICE
        world.send(tmp_path / "t")
        return len(world.bus.log.entries)

    assert messages() == messages()


class Cancelled(io.BytesIO):
    """A stream whose reading is cancelled, with or without the rest of the call."""

    def __init__(self, cancel: Cancellation | None) -> None:
        super().__init__(content_of(9000))
        self.cancel = cancel

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 5000:
            if self.cancel is not None:
                self.cancel.cancel()
            raise TransferCancelledError("reading was interrupted")
        return super().read(size)


@pytest.mark.parametrize("cancel", [None, Cancellation()])
def test_a_stream_whose_reading_is_cancelled_is_dropped(
    world: World, cancel: Cancellation | None
) -> None:
    with pytest.raises(TransferCancelledError):
        world.sender(cancel=cancel).send_stream(Cancelled(cancel), "s")
    assert not world.under_way
    assert world.stored == {}


def test_what_is_to_be_dropped_is_so_though_the_call_is_cancelled_meanwhile(world: World) -> None:
    path = world.file("f", content_of(50 * SEGMENT))
    cancel = Cancellation()
    world.bus.when(Verb.SEGMENT, lambda: path.write_bytes(b"less"), skip=30)
    with pytest.raises(TransferCancelledError):
        world.send(path, cancel=cancel, on_outcome=lambda _: cancel.cancel())
    assert not world.under_way


def test_files_that_cannot_be_sent_are_told_as_they_are_found(world: World) -> None:
    world.directory.mkdir()
    for number in range(50):
        (world.directory / str(number)).symlink_to("nowhere")
    cancel = Cancellation()
    heard: list[FileOutcome] = []

    def hear(outcome: FileOutcome) -> None:
        heard.append(outcome)
        if len(heard) == 3:
            cancel.cancel()

    with pytest.raises(TransferCancelledError):
        world.send(world.directory, cancel=cancel, on_outcome=hear)
    assert len(heard) == 3


def test_a_pipe_that_nobody_writes_to_can_be_cancelled(world: World) -> None:
    world.directory.mkdir()
    pipe = world.directory / "pipe"
    os.mkfifo(pipe)
    cancel = Cancellation()
    before = open_descriptors()
    timer = threading.Timer(0.2, cancel.cancel)
    timer.start()
    with pytest.raises(TransferCancelledError):
        world.send(pipe, cancel=cancel)
    timer.join()
    assert open_descriptors() <= before
    assert world.stored == {}


def test_a_pipe_whose_writer_falls_silent_can_be_cancelled(world: World) -> None:
    world.directory.mkdir()
    pipe = world.directory / "pipe"
    os.mkfifo(pipe)
    cancel = Cancellation()
    before = open_descriptors()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(content_of(3 * SEGMENT))
            cancel.cancel()

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(TransferCancelledError):
        world.send(pipe, cancel=cancel)
    writer.join(10)
    assert open_descriptors() <= before
    assert not world.under_way


def test_cancelling_is_noticed_between_small_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.directory.mkdir()
    for number in range(50):
        (world.directory / str(number)).write_bytes(b"1")
    cancel = Cancellation()
    read: list[str] = []

    def read_small(path: str, most: int) -> source.SmallFile | None:
        read.append(path)
        if len(read) == 3:
            cancel.cancel()
        return source.read_small(path, most)

    monkeypatch.setattr("dxlfiletransferclient.sending.itemjobs.read_small", read_small)
    with pytest.raises(TransferCancelledError):
        world.send(world.directory, cancel=cancel)
    assert len(read) == 3

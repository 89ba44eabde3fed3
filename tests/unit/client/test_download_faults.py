"""Receiving while things go wrong: on the bus, at the service, and here."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.digests import RunningSha256
from dxlfiletransferclient.errors import MalformedAnswerError, NoAnswerError
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.exchange.engine import EngineOptions
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import Progress
from dxlfiletransferclient.protocol.messages import (
    ListAnswer,
    ListRequest,
    Overwrite,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.errors import (
    ContentChangingError,
    ContentDamagedError,
    TargetError,
    TargetInUseError,
)
from dxlfiletransferclient.receiving.part import Part, Place, part_id
from dxlfiletransferclient.storage.directory import open_directory
from dxlfiletransferclient.testing import (
    Direction,
    Faults,
    Harm,
    MemoryStore,
    MemoryStoreOptions,
)
from tests.unit.client.receiving import (
    SEGMENT,
    Stage,
    content_of,
    files_in,
    nothing_stays_open,
    open_descriptors,
    parts_in,
    put,
    sha256,
)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with nothing_stays_open():
        yield


def part_id_of(name: str) -> str:
    return part_id(DEFAULT_STORE_TOPIC, name, name)


LARGE = 60 * SEGMENT + 17
SMALL = 300


def files() -> dict[str, bytes]:
    small = {f"t/{n}": content_of(SMALL, n) for n in range(40)}
    return {**small, "t/large": content_of(LARGE), "t/other": content_of(LARGE // 2, 1)}


@pytest.mark.parametrize("seed", range(8))
def test_a_bad_bus(tmp_path: Path, seed: int) -> None:
    faults = Faults(lose=0.05, duplicate=0.05, reorder=0.05, corrupt=0.02, delay=(0.001, 0.05))
    stage = Stage(seed=seed, faults=faults, slow_answers=2)
    put(stage.store, files())

    report = stage.get("", tmp_path)

    assert files_in(tmp_path) == files()
    assert report.failed == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_connection_that_breaks(tmp_path: Path, seed: int) -> None:
    stage = Stage(seed=seed, faults=Faults(cut=0.004, delay=(0.001, 0.05)))
    put(stage.store, files())

    assert stage.get("", tmp_path).failed == 0
    assert files_in(tmp_path) == files()


@pytest.mark.parametrize("skip", [0, 3, 30])
@pytest.mark.parametrize("verb", [Verb.RETRIEVE, Verb.STAT])
def test_a_service_that_crashes_and_comes_back(tmp_path: Path, verb: Verb, skip: int) -> None:
    stage = Stage()
    put(stage.store, files())
    stage.bus.when(verb, stage.service.crash, skip=skip)
    stage.bus.at(5.0, stage.service.restart)

    assert stage.get("", tmp_path).failed == 0
    assert files_in(tmp_path) == files()


def test_a_service_that_does_not_come_back(tmp_path: Path) -> None:
    stage = Stage()
    put(stage.store, files())
    stage.bus.when(Verb.RETRIEVE, stage.service.crash, skip=30)

    with pytest.raises(NoAnswerError):
        stage.get("", tmp_path, engine=EngineOptions(patience=20))

    # What was whole has its name; what was not is no failure of the file.
    whole = {name: content for name, content in files_in(tmp_path).items() if "dxlft" not in name}
    assert whole.items() <= files().items()
    stage.service.restart()
    stage.get("", tmp_path)
    assert files_in(tmp_path) == files()


def test_another_instance_takes_over(tmp_path: Path) -> None:
    stage = Stage()
    put(stage.store, files())
    first = {"a": stage.service}
    other = MemoryStore(MemoryStoreOptions(store_id="other"))
    put(other, files())
    second = stage.bus.serve(other)

    def crash() -> None:
        (first["a"] if answered_by() == first["a"].service_id else second).crash()

    def answered_by() -> str:
        return next(
            each.service_id for each in reversed(stage.bus.log.entries) if each.name == "retrieve"
        )

    stage.bus.when(Verb.RETRIEVE, crash, skip=50)

    assert stage.get("", tmp_path).failed == 0
    assert files_in(tmp_path) == files()


class Meddler(MemoryStore):
    """A store on which something happens between two requests."""

    def __init__(self) -> None:
        super().__init__()
        self.before_retrieve: Callable[[RetrieveRequest], object] = lambda _: None
        self.after_retrieve: Callable[[RetrieveAnswer], RetrieveAnswer] = lambda answer: answer
        self.after_stat: Callable[[StatAnswer], StatAnswer] = lambda answer: answer
        self.after_list: Callable[[ListAnswer], ListAnswer] = lambda answer: answer
        self.retrieved = 0
        self.ignores_versions = False

    def retrieve(self, request: RetrieveRequest) -> RetrieveAnswer:
        self.retrieved += 1
        self.before_retrieve(request)
        if self.ignores_versions:
            request = replace(request, version=None)
        return self.after_retrieve(super().retrieve(request))

    def stat(self, request: StatRequest) -> StatAnswer:
        return self.after_stat(super().stat(request))

    def list(self, request: ListRequest) -> ListAnswer:
        return self.after_list(super().list(request))


@pytest.fixture
def meddler() -> Meddler:
    return Meddler()


@pytest.fixture
def stage(meddler: Meddler) -> Stage:
    stage = Stage()
    stage.service.restart(meddler)
    stage.store = meddler
    return stage


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("at", [1, 40])
@pytest.mark.parametrize("ignoring", [False, True])
def test_a_file_that_is_replaced_while_it_is_received(
    stage: Stage, meddler: Meddler, tmp_path: Path, size: int, at: int, ignoring: bool
) -> None:
    meddler.ignores_versions = ignoring
    put(meddler, {"a": content_of(size)})
    new = content_of(size, 1)

    def replace_it(_: RetrieveRequest) -> None:
        if meddler.retrieved == at:
            put(meddler, {"a": new}, modified_ns=77, executable=True)

    meddler.before_retrieve = replace_it
    report = stage.get("a", tmp_path)

    expected = new if meddler.retrieved >= at else content_of(size)
    assert files_in(tmp_path) == {"a": expected}
    assert report.outcomes[0].sha256 == sha256(expected)
    if expected == new:
        assert (tmp_path / "a").stat().st_mtime_ns == 77
        assert os.access(tmp_path / "a", os.X_OK)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_file_that_is_replaced_all_the_time(
    stage: Stage, meddler: Meddler, tmp_path: Path, size: int
) -> None:
    put(meddler, {"a": content_of(size)})
    meddler.before_retrieve = lambda _: put(meddler, {"a": content_of(size, meddler.retrieved)})

    (outcome,) = stage.get("a", tmp_path).outcomes

    assert isinstance(outcome.error, ContentChangingError)
    assert "'a' keeps changing on the service" in str(outcome.error)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_file_that_is_removed_meanwhile(
    stage: Stage, meddler: Meddler, tmp_path: Path, size: int
) -> None:
    put(meddler, {"t/a": content_of(size), "t/b": b"1"})

    def remove(request: RetrieveRequest) -> None:
        if request.name == "t/a" and "t/a" in meddler.stored:
            meddler.remove(RemoveRequest(name="t/a"))

    meddler.before_retrieve = remove
    report = stage.get("t", tmp_path)

    assert {each.name: each.result for each in report.outcomes} == {
        "t/a": Result.FAILED,
        "t/b": Result.STORED,
    }


def test_a_service_that_damages_a_segment(stage: Stage, meddler: Meddler, tmp_path: Path) -> None:
    put(meddler, {"a": content_of(LARGE)})

    def damage_once(answer: RetrieveAnswer) -> RetrieveAnswer:
        if meddler.retrieved == 5:
            return replace(answer, payload=b"x" * len(answer.payload))
        return answer

    meddler.after_retrieve = damage_once
    (outcome,) = stage.get("a", tmp_path).outcomes

    assert files_in(tmp_path) == {"a": content_of(LARGE)}
    assert (outcome.result, outcome.sent) == (Result.STORED, 2 * LARGE)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_service_that_damages_everything(
    stage: Stage, meddler: Meddler, tmp_path: Path, size: int
) -> None:
    put(meddler, {"a": content_of(size)})
    meddler.after_retrieve = lambda answer: replace(answer, payload=b"x" * len(answer.payload))

    (outcome,) = stage.get("a", tmp_path).outcomes

    assert isinstance(outcome.error, ContentDamagedError)
    assert files_in(tmp_path) == {}


def test_a_service_that_answers_less_than_was_asked_for(
    stage: Stage, meddler: Meddler, tmp_path: Path
) -> None:
    put(meddler, {"a": content_of(LARGE)})
    meddler.after_retrieve = lambda answer: replace(answer, payload=answer.payload[:300])

    assert stage.get("a", tmp_path).stored == 1
    assert files_in(tmp_path) == {"a": content_of(LARGE)}


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: replace(answer, payload=b""),
        lambda answer: replace(answer, offset=answer.offset + 1),
        lambda answer: replace(answer, payload=bytes(answer.payload) + b"x"),
    ],
)
def test_answers_that_make_no_sense(
    stage: Stage,
    meddler: Meddler,
    tmp_path: Path,
    change: Callable[[RetrieveAnswer], RetrieveAnswer],
) -> None:
    put(meddler, {"a": content_of(LARGE)})
    meddler.after_retrieve = change

    (outcome,) = stage.get("a", tmp_path).outcomes

    assert isinstance(outcome.error, MalformedAnswerError)
    assert not (tmp_path / "a").exists()


def test_a_service_that_tells_no_digest(stage: Stage, meddler: Meddler, tmp_path: Path) -> None:
    put(meddler, {"a": content_of(LARGE)})
    meddler.after_stat = lambda answer: replace(answer, sha256=None, pending=False)

    (outcome,) = stage.get("a", tmp_path).outcomes

    assert str(outcome.error).startswith("the service tells no SHA-256 of 'a',")


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "t/../../a", "u/a", "t", "t/" + 300 * "n", "t/a\0b"]
)
def test_names_that_the_service_makes_up(
    stage: Stage, meddler: Meddler, tmp_path: Path, name: str
) -> None:
    put(meddler, {"t/a": b"1", "t/b": b"2"})
    target = tmp_path / "x"

    def rename(answer: ListAnswer) -> ListAnswer:
        first, *others = answer.entries
        return replace(answer, entries=(replace(first, name=name), *others))

    meddler.after_list = rename
    report = stage.get("t", target)

    assert (report.stored, report.failed) == (1, 1)
    assert files_in(tmp_path) == {"x/t/b": b"2"}


def test_a_name_of_a_file_under_way(stage: Stage, meddler: Meddler, tmp_path: Path) -> None:
    name = f".dxlft-{part_id('topic', 'name', 'target')}.part"
    put(meddler, {f"t/{name}": b"1"})

    (outcome,) = stage.get("t", tmp_path).outcomes

    assert "is kept for files that are being received" in str(outcome.error)
    assert files_in(tmp_path) == {}


def test_a_list_without_an_end(stage: Stage, meddler: Meddler, tmp_path: Path) -> None:
    put(meddler, {"t/a": b"1"})
    meddler.after_list = lambda answer: replace(answer, next="t/a")

    report = stage.get("t", tmp_path)

    assert [type(each.error) for each in report.outcomes if each.error] == [MalformedAnswerError]


def test_answers_that_are_lost_cost_nothing_but_themselves(tmp_path: Path) -> None:
    stage = Stage()
    put(stage.store, {"a": content_of(LARGE)})
    stage.bus.harm(Verb.RETRIEVE, Harm.LOSE, direction=Direction.ANSWER, skip=7)

    (outcome,) = stage.get("a", tmp_path).outcomes

    traffic = stage.bus.log.of(Verb.RETRIEVE)
    assert (outcome.sent, traffic.answer_bytes - LARGE) == (LARGE, SEGMENT)
    assert files_in(tmp_path) == {"a": content_of(LARGE)}


class TestGoingOn:
    """What a call has received of a file when it ends, the next one does not get again."""

    def cancelled_at(self, stage: Stage, target: Path, done: int) -> None:
        cancel = Cancellation()

        def watch(progress: Progress) -> None:
            if progress.done >= done:
                cancel.cancel()

        stage.bus.faults = Faults(delay=(0.1, 0.2))
        with pytest.raises(TransferCancelledError):
            stage.get(
                "a", target, cancel=cancel, progress=watch, engine=EngineOptions(window=SEGMENT)
            )
        assert stage.heard == []
        stage.bus.faults = Faults()

    def test_after_a_cancellation(self, tmp_path: Path) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)
        assert len(parts_in(tmp_path)) == 2
        assert not (tmp_path / "a").exists()

        (outcome,) = stage.get("a", tmp_path).outcomes

        assert outcome.resumed >= LARGE // 2
        assert outcome.sent == LARGE - outcome.resumed
        assert files_in(tmp_path) == {"a": content_of(LARGE)}

    def test_what_is_hashed_is_not_read_again(self, tmp_path: Path, mocker: MockerFixture) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)
        read = mocker.spy(Part, "read")

        stage.get("a", tmp_path)

        assert read.call_count == 0

    def test_another_version_begins_anew(self, tmp_path: Path) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)
        put(stage.store, {"a": content_of(LARGE, 1)})

        (outcome,) = stage.get("a", tmp_path).outcomes

        assert (outcome.resumed, outcome.sent) == (0, LARGE)
        assert files_in(tmp_path) == {"a": content_of(LARGE, 1)}

    def test_a_platform_that_saves_no_state(self, tmp_path: Path, mocker: MockerFixture) -> None:
        mocker.patch.object(RunningSha256, "state", return_value=None)
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)

        (outcome,) = stage.get("a", tmp_path).outcomes

        assert outcome.resumed >= LARGE // 2
        assert outcome.sent == LARGE - outcome.resumed
        assert files_in(tmp_path) == {"a": content_of(LARGE)}

    def test_a_part_that_somebody_damaged(self, tmp_path: Path, mocker: MockerFixture) -> None:
        mocker.patch.object(RunningSha256, "state", return_value=None)
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)
        with next(tmp_path.glob(".*.part")).open("r+b") as part:
            part.write(b"damage")

        (outcome,) = stage.get("a", tmp_path).outcomes

        assert outcome.result is Result.STORED
        assert outcome.sent == LARGE - outcome.resumed + LARGE
        assert files_in(tmp_path) == {"a": content_of(LARGE)}

    @pytest.mark.parametrize("name", ["part", "journal"])
    def test_half_of_it_is_gone(self, tmp_path: Path, name: str) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        self.cancelled_at(stage, tmp_path, LARGE // 2)
        next(tmp_path.glob(f".*.{name}")).unlink()

        (outcome,) = stage.get("a", tmp_path).outcomes

        assert (outcome.result, outcome.resumed) == (Result.STORED, 0)
        assert files_in(tmp_path) == {"a": content_of(LARGE)}

    def test_a_process_that_was_killed(self, tmp_path: Path) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE)})
        target, killed = tmp_path / "target", tmp_path / "killed"
        target.mkdir()

        def watch(progress: Progress) -> None:
            # What lies on the disk at this moment is all that a killed process leaves.
            if progress.durable >= LARGE // 3 and not killed.exists():
                shutil.copytree(target, killed)

        stage.bus.faults = Faults(delay=(0.1, 0.2))
        stage.get(
            "a",
            target,
            progress=watch,
            checkpoint_bytes=5 * SEGMENT,
            engine=EngineOptions(window=4 * SEGMENT),
        )
        assert not (killed / "a").exists()

        (outcome,) = stage.get("a", killed).outcomes

        assert LARGE // 3 <= outcome.resumed < LARGE
        assert files_in(killed) == {"a": content_of(LARGE)}

    def test_a_tree(self, tmp_path: Path) -> None:
        stage = Stage()
        put(stage.store, files())
        stage.bus.when(Verb.RETRIEVE, stage.service.crash, skip=80)
        with pytest.raises(NoAnswerError):
            stage.get("t", tmp_path, engine=EngineOptions(patience=20, window=4 * SEGMENT))
        before = stage.bus.log.of(Verb.RETRIEVE).received_bytes
        stage.service.restart()

        report = stage.get("t", tmp_path)

        assert report.failed == 0
        assert files_in(tmp_path) == files()
        after = stage.bus.log.of(Verb.RETRIEVE).received_bytes
        assert after - before == report.sent < sum(map(len, files().values()))
        assert before + report.sent <= sum(map(len, files().values())) + 10 * SEGMENT

    def test_another_process_is_at_it(self, tmp_path: Path) -> None:
        stage = Stage()
        put(stage.store, {"a": content_of(LARGE), "b": content_of(SMALL)})
        parent = open_directory(tmp_path)
        held = [
            Part.opened(Place(parent, name, tmp_path / name), part_id_of(name))
            for name in ("a", "b")
        ]

        report = stage.get(["a", "b"], tmp_path)

        assert [type(each.error) for each in report.outcomes] == [TargetInUseError] * 2
        for part in held:
            part.close()
        assert stage.get(["a", "b"], tmp_path).stored == 2


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    stage = Stage()
    put(stage.store, {"a": content_of(size)})

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        (outcome,) = stage.get("a", tmp_path).outcomes

    assert isinstance(outcome.error, TargetError)
    assert str(outcome.error) == f"cannot write {tmp_path / 'a'}: No space left on device"
    assert outcome.error.errno == errno.ENOSPC
    assert not (tmp_path / "a").exists()


def test_a_report_of_failures_holds_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    put(stage.store, {f"{n}/a": content_of(SMALL if n % 2 else 2 * SEGMENT) for n in range(40)})
    before = open_descriptors()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        report = stage.get("", tmp_path)

    assert open_descriptors() == before
    assert report.failed == 40


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, call: str
) -> None:
    stage = Stage()
    put(stage.store, {"a": content_of(size)})
    (tmp_path / "a").write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        (outcome,) = stage.get("a", tmp_path).outcomes

    assert str(outcome.error) == f"cannot write {tmp_path / 'a'}: Input/output error"
    assert (tmp_path / "a").read_bytes() == b"old"
    assert stage.get("a", tmp_path, overwrite=Overwrite.REPLACE).stored == 1
    assert files_in(tmp_path) == {"a": content_of(size)}


def test_a_refusal_is_the_file_s_alone(tmp_path: Path) -> None:
    stage = Stage()
    put(stage.store, {"a": content_of(SMALL), "b": content_of(LARGE), "c": content_of(SMALL)})
    error = RefusedError(ErrorCode.STORAGE_FAILED, "cannot read: Input/output error")
    stage.service.refuse(Verb.RETRIEVE, error, count=1)

    report = stage.get(["a", "b", "c"], tmp_path)

    assert (report.stored, report.failed) == (2, 1)

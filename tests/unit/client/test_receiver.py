"""Receiving files and trees from a service that works."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import UnsafeNameError
from dxlfiletransferclient.outcomes import Result, TransferFailedError
from dxlfiletransferclient.progress import Phase, Progress
from dxlfiletransferclient.protocol.desk import ALL_VERBS
from dxlfiletransferclient.protocol.messages import Kind, Overwrite, RemoveAnswer
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.errors import TargetError, TargetExistsError
from dxlfiletransferclient.receiving.options import GetOptions
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.sending.options import Links
from dxlfiletransferclient.testing import Direction, Faults, Harm, MemoryBus, MemoryStore
from tests.unit.client.receiving import (
    MODIFIED,
    SEGMENT,
    Stage,
    content_of,
    files_in,
    nothing_stays_open,
    parts_in,
    put,
    put_directory,
    put_link,
    sha256,
)

SIZES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT, 40 * SEGMENT + 7]

NOTHING_SHOWN = ALL_VERBS - {Verb.STAT, Verb.LIST, Verb.RETRIEVE}
"""What a service offers that neither gives files away nor tells which there are."""


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    with nothing_stays_open():
        yield


@pytest.fixture
def stage() -> Stage:
    return Stage(links=True)


@pytest.fixture
def shy() -> Stage:
    return Stage(verbs=NOTHING_SHOWN)


@pytest.mark.parametrize("size", SIZES)
def test_a_file(stage: Stage, tmp_path: Path, size: int) -> None:
    content = content_of(size)
    put(stage.store, {"a/b.bin": content})

    report = stage.get("a/b.bin", tmp_path / "c.bin")

    assert files_in(tmp_path) == {"c.bin": content}
    (outcome,) = report.outcomes
    assert stage.heard == [outcome]
    assert (outcome.name, outcome.path) == ("a/b.bin", tmp_path / "c.bin")
    assert (outcome.result, outcome.sha256) == (Result.STORED, sha256(content))
    assert (outcome.size, outcome.sent, outcome.resumed) == (size, size, 0)
    assert (report.files, report.stored, report.bytes) == (1, 1, size)


@pytest.mark.parametrize("size", [5, 5 * SEGMENT])
def test_time_and_permissions(stage: Stage, tmp_path: Path, size: int) -> None:
    put(stage.store, {"plain": content_of(size)})
    put(stage.store, {"program": content_of(size, 1)}, executable=True)
    mask = os.umask(0o027)
    try:
        stage.get(["plain", "program"], tmp_path)
    finally:
        os.umask(mask)

    plain, program = (tmp_path / "plain").stat(), (tmp_path / "program").stat()
    assert (plain.st_mtime_ns, program.st_mtime_ns) == (MODIFIED, MODIFIED)
    assert (stat.S_IMODE(plain.st_mode), stat.S_IMODE(program.st_mode)) == (0o640, 0o750)
    assert parts_in(tmp_path) == []


def test_the_time_of_its_arrival_if_that_is_wanted(stage: Stage, tmp_path: Path) -> None:
    put(stage.store, {"a": b"1"})
    stage.get("a", tmp_path, keep_modified=False)

    assert (tmp_path / "a").stat().st_mtime_ns > MODIFIED


class TestWhereThingsGo:
    @pytest.fixture(autouse=True)
    def _files(self, stage: Stage) -> None:
        put(stage.store, {"a/b": b"1", "a/c/d": b"2", "e": b"3"})

    def test_into_a_directory(self, stage: Stage, tmp_path: Path) -> None:
        stage.get("a/b", tmp_path)

        assert files_in(tmp_path) == {"b": b"1"}

    def test_into_a_directory_that_is_made(self, stage: Stage, tmp_path: Path) -> None:
        stage.get("a/b", f"{tmp_path}/x/y/")

        assert files_in(tmp_path) == {"x/y/b": b"1"}

    def test_several_names(self, stage: Stage, tmp_path: Path) -> None:
        stage.get(["a/b", "e"], tmp_path / "x")

        assert files_in(tmp_path) == {"x/b": b"1", "x/e": b"3"}

    def test_a_tree(self, stage: Stage, tmp_path: Path) -> None:
        report = stage.get("a", tmp_path / "x")

        assert files_in(tmp_path) == {"x/a/b": b"1", "x/a/c/d": b"2"}
        assert sorted(outcome.name for outcome in report.outcomes) == ["a/b", "a/c/d"]

    def test_a_tree_in_a_tree(self, stage: Stage, tmp_path: Path) -> None:
        stage.get("a/c", tmp_path)

        assert files_in(tmp_path) == {"c/d": b"2"}

    @pytest.mark.parametrize("name", ["", ".", "a/.."])
    def test_everything(self, stage: Stage, tmp_path: Path, name: str) -> None:
        stage.get(name, tmp_path / "x")

        assert files_in(tmp_path) == {"x/a/b": b"1", "x/a/c/d": b"2", "x/e": b"3"}

    def test_a_link_that_the_caller_names_is_followed(self, stage: Stage, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "file").write_bytes(b"old")
        (tmp_path / "link").symlink_to("real/file")
        stage.get("e", tmp_path / "link")

        assert (tmp_path / "link").is_symlink()
        assert files_in(tmp_path) == {"real/file": b"3"}

    def test_two_names_for_one_place(self, stage: Stage, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="'e' and 'x/e' would both become 'e'"):
            stage.get(["e", "x/e"], tmp_path)

    def test_no_names(self, stage: Stage, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no names"):
            stage.get([], tmp_path)

    def test_names_that_lead_out(self, stage: Stage, tmp_path: Path) -> None:
        with pytest.raises(UnsafeNameError):
            stage.get("../e", tmp_path)


def test_empty_directories(stage: Stage, tmp_path: Path) -> None:
    put(stage.store, {"t/full/file": b"1"})
    for name in ("t/a", "t/b/c", "t/full/empty"):
        put_directory(stage.store, name)

    report = stage.get("t", tmp_path)

    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_dir()}
    assert made == {"t", "t/a", "t/b", "t/b/c", "t/full", "t/full/empty"}
    stored = {outcome.name: outcome.result for outcome in report.outcomes}
    assert stored == dict.fromkeys(["t/a", "t/b/c", "t/full/empty", "t/full/file"], Result.STORED)
    assert stage.get("t", tmp_path).unchanged == report.files


def test_an_empty_directory_by_its_name(stage: Stage, tmp_path: Path) -> None:
    put_directory(stage.store, "t")

    (outcome,) = stage.get("t", tmp_path).outcomes

    assert (outcome.name, outcome.result) == ("t", Result.STORED)
    assert (tmp_path / "t").is_dir()


def test_many_files(stage: Stage, tmp_path: Path) -> None:
    # More than a page of the list, a job and a group of files; every hundredth is a large one.
    files = {
        f"t/{n % 30}/{n}": content_of(2 * SEGMENT if n % 100 == 0 else n % 50, n)
        for n in range(2500)
    }
    put(stage.store, files)

    report = stage.get("", tmp_path)

    assert files_in(tmp_path) == files
    assert (report.files, report.stored, report.failed) == (2500, 2500, 0)
    assert report.bytes == report.sent == sum(map(len, files.values()))


def test_the_default_size_of_messages_is_what_the_service_takes(tmp_path: Path) -> None:
    stage = Stage(segment_size=512)
    put(stage.store, {"a": content_of(5 * 512)})
    stage.get("a", tmp_path, segment_size=None)

    assert stage.bus.log.of(Verb.RETRIEVE).requests == 5


@pytest.mark.parametrize("size", [100, 5 * SEGMENT])
class TestOlderFiles:
    """An older file under the name, for a small and a large one."""

    OLD = b"older content"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "a"
        path.write_bytes(self.OLD)
        return path

    def get(self, path: Path, size: int, overwrite: Overwrite) -> tuple[Result, int]:
        stage = Stage()
        put(stage.store, {"a": content_of(size)})
        (outcome,) = stage.get("a", path, overwrite=overwrite).outcomes
        if outcome.error is not None:
            raise outcome.error
        assert parts_in(path.parent) == []
        return outcome.result, outcome.sent

    def test_replace(self, path: Path, size: int) -> None:
        assert self.get(path, size, Overwrite.REPLACE) == (Result.STORED, size)
        assert path.read_bytes() == content_of(size)

    def test_keep(self, path: Path, size: int) -> None:
        assert self.get(path, size, Overwrite.KEEP) == (Result.KEPT, 0)
        assert path.read_bytes() == self.OLD

    @pytest.mark.parametrize(("age", "kept"), [(-1, False), (0, True), (1, True)])
    def test_newer(self, path: Path, size: int, age: int, kept: bool) -> None:
        os.utime(path, ns=(0, MODIFIED + age))
        result = self.get(path, size, Overwrite.NEWER)

        assert result == ((Result.KEPT, 0) if kept else (Result.STORED, size))
        assert path.read_bytes() == (self.OLD if kept else content_of(size))

    def test_fail(self, path: Path, size: int) -> None:
        with pytest.raises(TargetExistsError, match=f"{path} exists with other content"):
            self.get(path, size, Overwrite.FAIL)
        assert path.read_bytes() == self.OLD

    def test_fail_with_the_same_size(self, path: Path, size: int) -> None:
        path.write_bytes(content_of(size, 1))
        with pytest.raises(TargetExistsError):
            self.get(path, size, Overwrite.FAIL)
        assert files_in(path.parent) == {"a": content_of(size, 1)}

    def test_fail_with_the_same_content(self, path: Path, size: int) -> None:
        path.write_bytes(content_of(size))
        result, _ = self.get(path, size, Overwrite.FAIL)
        assert result is Result.UNCHANGED

    @pytest.mark.parametrize("overwrite", [Overwrite.REPLACE, Overwrite.NEWER])
    def test_what_was_received_before_does_not_travel(
        self, path: Path, size: int, overwrite: Overwrite
    ) -> None:
        path.write_bytes(content_of(size))
        os.utime(path, ns=(0, MODIFIED))
        unchanged = Result.UNCHANGED if overwrite is Overwrite.REPLACE else Result.KEPT

        assert self.get(path, size, overwrite) == (unchanged, 0)

    def test_size_and_time_alone_prove_nothing(self, path: Path, size: int) -> None:
        path.write_bytes(content_of(size, 1))
        os.utime(path, ns=(0, MODIFIED))

        assert self.get(path, size, Overwrite.REPLACE) == (Result.STORED, size)
        assert path.read_bytes() == content_of(size)

    def test_a_directory(self, path: Path, size: int) -> None:
        stage = Stage()
        put(stage.store, {"x": content_of(size)})
        (path.parent / "x").mkdir()
        (outcome,) = stage.get("x", path.parent).outcomes

        assert str(outcome.error) == f"cannot write {path.parent / 'x'}: it is a directory"

    def test_a_device(self, path: Path, size: int) -> None:
        os.mkfifo(path.parent / "x")
        stage = Stage()
        put(stage.store, {"x": content_of(size)})
        (outcome,) = stage.get("x", path.parent).outcomes

        assert "neither a file nor a directory" in str(outcome.error)
        assert stat.S_ISFIFO((path.parent / "x").stat().st_mode)


class TestLinks:
    def test_they_are_left_out(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"t/a": b"1"})
        put_link(stage.store, "t/l", "a")

        report = stage.get("t", tmp_path)

        assert (report.stored, report.skipped) == (1, 1)
        assert not (tmp_path / "t/l").is_symlink()

    def test_they_are_made(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"t/a": b"1"})
        put_link(stage.store, "t/d/l", "../a")

        report = stage.get("t", tmp_path, links=Links.KEEP)

        assert report.stored == 2
        assert (tmp_path / "t/d/l").readlink() == Path("../a")
        assert (tmp_path / "t/d/l").lstat().st_mtime_ns == MODIFIED
        assert stage.get("t/d", tmp_path / "t", links=Links.KEEP).unchanged == 1
        assert parts_in(tmp_path) == []

    def test_one_that_leads_out_of_the_target(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"t/a": b"1"})
        put_link(stage.store, "t/d/l", "../../t/a")

        (outcome,) = stage.get("t/d", tmp_path, links=Links.KEEP).outcomes

        assert outcome.result is Result.FAILED
        assert isinstance(outcome.error, UnsafeNameError)
        assert list((tmp_path / "d").iterdir()) == []

    def test_they_cannot_be_followed(self) -> None:
        with pytest.raises(ValueError, match=r"choose Links\.KEEP"):
            GetOptions(links=Links.FOLLOW)

    def test_a_link_here_leads_no_file_elsewhere(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"t/d/a": b"1", "t/b": content_of(5 * SEGMENT)})
        (tmp_path / "outside").mkdir()
        (tmp_path / "x/t").mkdir(parents=True)
        (tmp_path / "x/t/d").symlink_to(tmp_path / "outside")
        (tmp_path / "x/t/b").symlink_to(tmp_path / "outside/b")

        report = stage.get("t", tmp_path / "x")

        assert (report.stored, report.failed) == (1, 2)  # the directory and what is in it
        assert list((tmp_path / "outside").iterdir()) == []
        assert not (tmp_path / "x/t/b").is_symlink()


class TestFailures:
    def test_of_one_file(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"a": b"1", "b": content_of(3 * SEGMENT), "c": b"3"})
        (tmp_path / "b").mkdir()

        report = stage.get(["a", "b", "missing", "c"], tmp_path)

        assert files_in(tmp_path) == {"a": b"1", "c": b"3"}
        failed = {each.name: each.error for each in report.outcomes if each.error}
        assert isinstance(failed["b"], TargetError)
        assert isinstance(failed["missing"], RefusedError)
        assert failed["missing"].means(ErrorCode.NOT_FOUND)
        with pytest.raises(TransferFailedError, match="2 of 4 files failed"):
            report.raise_for_failure()

    def test_a_target_that_is_a_file(self, stage: Stage, tmp_path: Path) -> None:
        put(stage.store, {"t/a": b"1"})
        (tmp_path / "x").write_bytes(b"")

        report = stage.get("t", tmp_path / "x")

        assert (report.failed, report.files) == (1, 1)
        assert str(tmp_path / "x") in str(report.outcomes[0].error)

    def test_no_permission(
        self, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(stage.store, {"a": b"1"})
        really_open = os.open

        def refuse(path: str, flags: int, *rest: int, **more: int) -> int:
            if flags & os.O_CREAT and str(path).startswith(".dxlft"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return really_open(path, flags, *rest, **more)

        monkeypatch.setattr(os, "open", refuse)
        (outcome,) = stage.get("a", tmp_path).outcomes

        assert str(outcome.error) == f"cannot write {tmp_path / 'a'}: Permission denied"

    def test_nobody_offers_version_2(self, tmp_path: Path) -> None:
        with pytest.raises(RefusedError) as caught:
            Receiver(MemoryBus()).get("a", tmp_path)
        assert caught.value.means(ErrorCode.NO_SERVICE)

    def test_the_service_gives_nothing_away(self, tmp_path: Path) -> None:
        bus = MemoryBus()
        bus.serve(MemoryStore(), verbs=frozenset({Verb.HELLO, Verb.STAT, Verb.LIST}))
        with pytest.raises(RefusedError, match="not configured to take 'retrieve'") as caught:
            Receiver(bus).get("a", tmp_path)
        assert caught.value.means(ErrorCode.NOT_ALLOWED)

    @pytest.mark.parametrize("size", [10, 5 * SEGMENT])
    def test_a_callback_that_raises_ends_the_call(
        self, stage: Stage, tmp_path: Path, size: int
    ) -> None:
        put(stage.store, {"a": content_of(size), "b": content_of(size)})
        heard = []

        def hear(outcome: object) -> None:
            heard.append(outcome)
            raise ZeroDivisionError

        receiver = Receiver(stage.bus, on_outcome=hear)
        with pytest.raises(ZeroDivisionError):
            receiver.get(["a", "b"], tmp_path)
        assert len(heard) == 1


def test_progress(stage: Stage, tmp_path: Path) -> None:
    put(stage.store, {"t/a": content_of(300 * SEGMENT), "t/b": content_of(10)})
    heard: list[Progress] = []
    stage.bus.faults = Faults(delay=(0.1, 0.2))

    stage.get("t", tmp_path, progress=heard.append)

    assert Phase.RECEIVING in {progress.phase for progress in heard}
    assert [each.done for each in heard] == sorted(each.done for each in heard)
    last = heard[-1]
    total = 300 * SEGMENT + 10
    assert (last.done, last.total, last.durable) == (total, total, total)
    assert (last.files_done, last.files_total, last.phase) == (2, 2, Phase.STORED)


class TestWhatIsStored:
    def test_list(self, stage: Stage) -> None:
        put(stage.store, {"a/b": b"1", "a/c/d": b"22", "e": b""})
        receiver = stage.receiver()

        assert [entry.name for entry in receiver.list()] == ["a", "e"]
        assert [entry.name for entry in receiver.list("a/.")] == ["a/b", "a/c"]
        found = [(each.name, each.kind, each.size) for each in receiver.list("a", recursive=True)]
        assert found == [
            ("a/b", Kind.FILE, 1),
            ("a/c", Kind.DIRECTORY, 0),
            ("a/c/d", Kind.FILE, 2),
        ]

    def test_nothing_to_list(self, stage: Stage) -> None:
        assert list(stage.receiver().list()) == []

    def test_pages_are_fetched_as_needed(self, stage: Stage) -> None:
        names = [f"{n:04}" for n in range(2300)]
        put(stage.store, dict.fromkeys(names, b""))
        found = stage.receiver().list()

        assert next(found).name == names[0]
        assert stage.bus.log.of(Verb.LIST).requests == 1
        assert [entry.name for entry in found] == names[1:]
        assert stage.bus.log.of(Verb.LIST).requests == 3

    @pytest.mark.parametrize(
        ("name", "code"), [("x", ErrorCode.NOT_FOUND), ("e", ErrorCode.WRONG_KIND)]
    )
    def test_no_directory(self, stage: Stage, name: str, code: ErrorCode) -> None:
        put(stage.store, {"e": b""})
        with pytest.raises(RefusedError) as caught:
            list(stage.receiver().list(name))
        assert caught.value.means(code)

    def test_stat(self, stage: Stage) -> None:
        put(stage.store, {"a/b": b"123"})

        found = stage.receiver().stat("a//b")
        assert (found.entry.name, found.entry.size, found.sha256) == ("a/b", 3, None)
        assert stage.receiver().stat("a", digest=True).entry.kind is Kind.DIRECTORY

    def test_a_digest_that_takes_a_while(self) -> None:
        stage = Stage(slow_answers=5)
        put(stage.store, {"a": b"123"})

        assert stage.receiver().stat("a", digest=True).sha256 == sha256(b"123")
        assert stage.bus.log.of(Verb.STAT).requests == 6

    def test_stat_of_nothing(self, stage: Stage) -> None:
        with pytest.raises(RefusedError) as caught:
            stage.receiver().stat("a")
        assert caught.value.means(ErrorCode.NOT_FOUND)

    def test_remove(self, stage: Stage) -> None:
        put(stage.store, {"a/b": b"1", "a/c/d": b"22", "e": b""})

        assert stage.receiver().remove("e") == 1
        with pytest.raises(RefusedError) as caught:
            stage.receiver().remove("a")
        assert caught.value.means(ErrorCode.NOT_EMPTY)
        assert stage.receiver().remove("a", recursive=True) == 4
        assert stage.store.stored == {}
        with pytest.raises(RefusedError) as caught:
            stage.receiver().remove("a")
        assert caught.value.means(ErrorCode.NOT_FOUND)

    def test_removed_though_the_answer_was_lost(self, stage: Stage) -> None:
        put(stage.store, {"a": b"1"})
        stage.bus.harm(Verb.REMOVE, Harm.LOSE, direction=Direction.ANSWER)

        assert stage.receiver().remove("a") == 1
        assert stage.bus.log.of(Verb.REMOVE).requests == 2

    def test_remove_from_a_service_that_shows_nothing(self, shy: Stage) -> None:
        put(shy.store, {"a/b": b"1", "a/c/d": b"22", "e": b""})

        assert shy.receiver().remove("e") == 1
        assert shy.receiver().remove("a", recursive=True) == 4
        assert shy.store.stored == {}
        with pytest.raises(RefusedError) as caught:
            shy.receiver().remove("a")
        assert caught.value.means(ErrorCode.NOT_FOUND)

    def test_remove_in_steps_from_a_service_that_shows_nothing(self, mocker: MockerFixture) -> None:
        steps = [
            RemoveAnswer(removed=4, more=True),
            RefusedError(ErrorCode.NOT_FOUND, "it is gone"),
        ]
        mocker.patch.object(MemoryStore, "remove", side_effect=steps)
        stage = Stage(verbs=NOTHING_SHOWN)

        assert stage.receiver().remove("a", recursive=True) == 4
        assert stage.bus.log.of(Verb.REMOVE).requests == 2

    @pytest.mark.parametrize("others", [NOTHING_SHOWN, ALL_VERBS])
    def test_remove_where_it_is_not_allowed(self, others: frozenset[Verb]) -> None:
        stage = Stage(verbs=others - {Verb.REMOVE})
        put(stage.store, {"a": b"1"})

        with pytest.raises(RefusedError, match="to take 'remove' requests") as caught:
            stage.receiver().remove("a")
        assert caught.value.means(ErrorCode.NOT_ALLOWED)
        assert set(stage.store.stored) == {"a"}

    @pytest.mark.parametrize("name", ["", ".", "..", "/a"])
    def test_names_of_nothing(self, stage: Stage, name: str) -> None:
        with pytest.raises(UnsafeNameError):
            stage.receiver().remove(name, recursive=True)

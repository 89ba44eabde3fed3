"""Files under way by the requests of version 2, up to the moment when they have their name."""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    FinishRequest,
    OpenRequest,
    Overwrite,
    SegmentRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage import finishing, places
from dxlfiletransferclient.storage.catalogue import Catalogue
from dxlfiletransferclient.storage.directory import Directory
from dxlfiletransferclient.storage.frontier import Frontier
from dxlfiletransferclient.storage.journal import Stored
from dxlfiletransferclient.storage.journalfile import JournalFile
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.partfile import PartFile
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.quotas import QuotaLimits
from tests.unit.client.fabric import open_descriptors, sha256

CONTENT = b"0123456789"
MODIFIED = 1_600_000_000 * 10**9


@pytest.fixture
def files(storage_dir: Path) -> Iterator[LocalStore]:
    with LocalStore(storage_dir) as store:
        yield store


def opening(file_id: str = "one", name: str = "d/a", size: int | None = 10) -> OpenRequest:
    return OpenRequest(file_id=file_id, name=name, size=size, modified_ns=MODIFIED)


def overwriting(mode: Overwrite, file_id: str = "one") -> OpenRequest:
    return OpenRequest(file_id=file_id, name="d/a", size=10, modified_ns=MODIFIED, overwrite=mode)


def write(store: LocalStore, offset: int, payload: bytes, file_id: str = "one") -> TransferAnswer:
    return store.write(SegmentRequest(file_id=file_id, offset=offset, payload=payload))


def finish(store: LocalStore, content: bytes = CONTENT, file_id: str = "one") -> TransferAnswer:
    return store.finish(FinishRequest(file_id=file_id, size=len(content), sha256=sha256(content)))


def status(store: LocalStore, file_id: str = "one") -> TransferAnswer:
    return store.status(StatusRequest(file_id=file_id))


def sent(store: LocalStore, request: OpenRequest | None = None) -> TransferAnswer:
    """Open a file, write all of it and finish it."""
    request = request or opening()
    store.open(request)
    write(store, 0, CONTENT, request.file_id)
    return finish(store, file_id=request.file_id)


def let_the_flush_of_names_fail(mocker: MockerFixture) -> None:
    """Have files get their names, and then fail to make those durable."""
    real = Catalogue.publish

    def publish(catalogue: Catalogue, *args: object, **options: object) -> object:
        real(catalogue, *args, **options)  # type: ignore[arg-type]
        raise RefusedError(ErrorCode.STORAGE_FAILED, "cannot store: I/O error")

    mocker.patch.object(Catalogue, "publish", publish)


@contextmanager
def refused(code: ErrorCode) -> Iterator[pytest.ExceptionInfo[RefusedError]]:
    """Expect a refusal."""
    with pytest.raises(RefusedError) as raised:
        yield raised
    assert raised.value.means(code), raised.value


def part_of(storage: Path, file_id: str = "one") -> Path:
    return storage / ".workdir" / f"dxlft-{file_id}.part"


def crashed(store: LocalStore, storage: Path, to: Path) -> LocalStore:
    """Return a store on a copy of what is on the disk: inodes are kept by links."""
    shutil.copytree(storage, to, copy_function=os.link)
    store.close()
    return LocalStore(to)


def test_a_file_in_parts(files: LocalStore, storage_dir: Path) -> None:
    answer = files.open(opening())
    assert (answer.state, answer.held) == (TransferState.RECEIVING, ())
    write(files, 5, CONTENT[5:])
    assert write(files, 0, CONTENT[:5]).held == ((0, 10),)
    assert not (storage_dir / "d").exists()

    answer = finish(files)

    assert answer.state is TransferState.STORED
    assert answer.held == answer.durable == ((0, 10),)
    assert (answer.size, answer.sha256) == (10, sha256(CONTENT))
    assert (storage_dir / "d" / "a").read_bytes() == CONTENT
    assert (storage_dir / "d" / "a").stat().st_mtime_ns == MODIFIED
    assert not part_of(storage_dir).exists()


def test_a_stored_file_is_not_kept_open(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening("other", "b"))
    before = open_descriptors()
    sent(files)
    assert open_descriptors() == before


def test_an_empty_file(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening(size=0))
    answer = finish(files, b"")
    assert (answer.state, answer.held, answer.size) == (TransferState.STORED, (), 0)
    assert (storage_dir / "d" / "a").read_bytes() == b""


def test_a_stream_of_unknown_size(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening(size=None))
    write(files, 0, CONTENT)
    assert finish(files).state is TransferState.STORED


def test_all_may_be_repeated_after_the_file_was_stored(
    files: LocalStore, storage_dir: Path
) -> None:
    first = sent(files)
    for again in (
        finish(files),
        status(files),
        write(files, 3, CONTENT[3:5]),
        files.open(opening()),
    ):
        assert again.state is TransferState.STORED
        assert (again.sha256, again.version) == (first.sha256, first.version)
    assert finish(files, b"other").state is TransferState.MISMATCH


def test_a_stored_file_is_remembered_by_the_next_process(
    files: LocalStore, storage_dir: Path
) -> None:
    first = sent(files)
    files.close()
    with LocalStore(storage_dir) as after:
        assert finish(after).version == first.version
        assert after.open(opening()).state is TransferState.STORED


@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_stored_file_that_is_not_there_any_more_begins_anew(
    files: LocalStore, storage_dir: Path, change: str
) -> None:
    sent(files)
    path = storage_dir / "d" / "a"
    path.unlink()
    if change == "other":
        path.write_bytes(b"other")
    assert finish(files).state is TransferState.STORED, "it was stored, whatever came after"
    answer = files.open(opening())
    assert (answer.state, answer.held) == (TransferState.RECEIVING, ())
    write(files, 0, CONTENT)
    assert finish(files).state is TransferState.STORED
    assert path.read_bytes() == CONTENT


def test_an_aborted_file_is_forgotten(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening())
    write(files, 0, b"012")
    files.abort(AbortRequest(file_id="one", reason="no more"))
    files.abort(AbortRequest(file_id="one"))
    with refused(ErrorCode.UNKNOWN_TRANSFER):
        write(files, 3, b"3")
    assert files.open(opening()).held == ()


def test_an_abort_forgets_that_a_file_was_stored_too(files: LocalStore, storage_dir: Path) -> None:
    sent(files)
    files.abort(AbortRequest(file_id="one"))
    assert files.open(opening()).state is TransferState.RECEIVING
    assert (storage_dir / "d" / "a").read_bytes() == CONTENT


def test_other_metadata(files: LocalStore) -> None:
    files.open(opening())
    for other in (opening(size=11), opening(name="d/b"), overwriting(Overwrite.FAIL)):
        with refused(ErrorCode.OTHER_METADATA):
            files.open(other)
    assert files.open(opening(name="d//./a")).state is TransferState.RECEIVING


@pytest.mark.parametrize("name", ["../a", "/a", ".workdir/a", "", "a/../.."])
def test_names_that_are_not_safe(files: LocalStore, name: str) -> None:
    with refused(ErrorCode.UNSAFE_NAME):
        files.open(opening(name=name))
    with refused(ErrorCode.UNKNOWN_TRANSFER):
        status(files)


def test_what_does_not_fit(files: LocalStore) -> None:
    files.open(opening())
    for offset in (8, 10, 2**62):
        with refused(ErrorCode.INVALID):
            write(files, offset, b"abc")
    assert write(files, 7, b"789").held == ((7, 10),)


def test_a_segment_that_is_too_large(storage_dir: Path) -> None:
    with LocalStore(storage_dir, options=StoreOptions(segment_size=4)) as store:
        answer = store.open(opening())
        assert answer.segment_size == 4
        with refused(ErrorCode.INVALID):
            write(store, 0, b"01234")
        write(store, 0, b"0123")


def test_an_unknown_file(files: LocalStore) -> None:
    for ask in (status, finish):
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            ask(files)


def test_finishing_with_bytes_missing(files: LocalStore) -> None:
    files.open(opening())
    write(files, 2, b"234")
    answer = finish(files)
    assert (answer.state, answer.held) == (TransferState.RECEIVING, ((2, 5),))


@pytest.mark.parametrize("content", [b"012345678", b"0123456789X"])
def test_finishing_with_another_size(files: LocalStore, content: bytes) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    answer = finish(files, content)
    assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ())


def finished(store: LocalStore, content: bytes = CONTENT) -> TransferAnswer:
    """Finish as clients do: ask again while it is being checked."""
    for _ in range(10):
        answer = finish(store, content)
        if answer.state is not TransferState.VERIFYING:
            return answer
    pytest.fail("it is being checked without end")


def test_finishing_what_was_not_sent_as_the_client_says(
    files: LocalStore, storage_dir: Path
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    for _ in range(2):
        answer = finished(files, b"9876543210")
        assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ())
    assert not (storage_dir / "d").exists()
    assert finished(files).state is TransferState.STORED, "what was held is held on"


def test_damage_on_the_disk_is_sent_again(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening())
    write(files, 0, CONTENT[:4])
    write(files, 7, CONTENT[7:])
    files.status(StatusRequest(file_id="one", flush=True))
    with part_of(storage_dir).open("r+b") as part:
        part.seek(8)
        part.write(b"X")
    # What a checkpoint covers is hashed from the disk.
    write(files, 4, CONTENT[4:7])
    answer = finished(files)
    assert (answer.state, answer.damaged) == (TransferState.MISMATCH, ((7, 10),))
    assert answer.held == ((0, 7),)
    write(files, 7, CONTENT[7:])
    assert finished(files).state is TransferState.STORED
    assert (storage_dir / "d" / "a").read_bytes() == CONTENT


def test_a_sha256_that_went_wrong_is_computed_again(
    files: LocalStore, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    right = Frontier.sha256
    answers = iter(["00" * 32])
    mocker.patch.object(Frontier, "sha256", lambda self: next(answers, None) or right(self))
    assert finish(files).state is TransferState.VERIFYING
    assert finish(files).state is TransferState.STORED


def test_a_lot_to_hash_is_done_in_steps(files: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    monkeypatch.setattr(finishing, "HASHED_PER_FINISH", 4)
    with files.working.use("one") as partial:
        partial.hash_again()
    states = [finish(files).state for _ in range(3)]
    assert states == [TransferState.VERIFYING, TransferState.VERIFYING, TransferState.STORED]


def test_one_finishes_and_others_are_told_to_ask_again(
    files: LocalStore, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    publishing, go_on = threading.Event(), threading.Event()
    real = Catalogue.publish

    def publish(catalogue: Catalogue, *args: object, **options: object) -> object:
        publishing.set()
        assert go_on.wait(20)
        return real(catalogue, *args, **options)  # type: ignore[arg-type]

    mocker.patch.object(Catalogue, "publish", publish)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(finish, files)
        assert publishing.wait(20)
        assert finish(files).state is TransferState.VERIFYING
        assert status(files).state is TransferState.VERIFYING
        assert write(files, 2, CONTENT[2:4]).state is TransferState.VERIFYING
        with refused(ErrorCode.BUSY):
            files.abort(AbortRequest(file_id="one"))
        go_on.set()
        assert first.result(20).state is TransferState.STORED
    assert finish(files).state is TransferState.STORED


def test_an_older_file_is_kept(files: LocalStore, storage_dir: Path) -> None:
    (storage_dir / "d").mkdir()
    (storage_dir / "d" / "a").write_bytes(b"old")
    for mode in (Overwrite.KEEP, Overwrite.NEWER):
        answer = files.open(overwriting(mode))
        assert (answer.state, answer.held) == (TransferState.KEPT, ())
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(files)
    with refused(ErrorCode.EXISTS):
        files.open(overwriting(Overwrite.FAIL))


def test_a_file_that_comes_in_between_is_kept(files: LocalStore, storage_dir: Path) -> None:
    files.open(overwriting(Overwrite.KEEP))
    write(files, 0, CONTENT)
    (storage_dir / "d").mkdir()
    (storage_dir / "d" / "a").write_bytes(b"old")
    for _ in range(2):
        assert finish(files).state is TransferState.KEPT
    assert not part_of(storage_dir).exists()
    assert (storage_dir / "d" / "a").read_bytes() == b"old"
    files.close()
    with LocalStore(storage_dir) as after:
        assert finish(after).state is TransferState.KEPT
        (storage_dir / "d" / "a").unlink()
        assert after.open(overwriting(Overwrite.KEEP)).state is TransferState.RECEIVING


@pytest.mark.parametrize("old", [CONTENT, b"other text"])
def test_a_file_that_comes_in_between_and_must_not_differ(
    files: LocalStore, storage_dir: Path, old: bytes
) -> None:
    files.open(overwriting(Overwrite.FAIL))
    write(files, 0, CONTENT)
    (storage_dir / "d").mkdir()
    (storage_dir / "d" / "a").write_bytes(old)
    if old == CONTENT:
        assert finish(files).state is TransferState.STORED
        assert not part_of(storage_dir).exists()
    else:
        for _ in range(2):
            with refused(ErrorCode.EXISTS):
                finish(files)
        assert status(files).held == ((0, 10),)
        (storage_dir / "d" / "a").unlink()
        assert finish(files).state is TransferState.STORED


class CrashError(BaseException):
    """The process ends here."""


def test_a_crash_before_the_file_has_its_name(
    files: LocalStore, storage_dir: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    mocker.patch.object(Catalogue, "publish", side_effect=CrashError)
    mocker.patch.object(Partial, "withdraw")
    with pytest.raises(CrashError):
        finish(files)
    mocker.stopall()
    with crashed(files, storage_dir, tmp_path / "after") as after:
        assert status(after).held == ((0, 10),)
        assert finish(after).state is TransferState.STORED


def test_a_crash_after_the_file_has_its_name(
    files: LocalStore, storage_dir: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    mocker.patch.object(Partial, "end", side_effect=CrashError)
    with pytest.raises(CrashError):
        finish(files)
    mocker.stopall()
    with crashed(files, storage_dir, tmp_path / "after") as after:
        answer = finish(after)
        assert (answer.state, answer.sha256) == (TransferState.STORED, sha256(CONTENT))
        assert after.open(opening()).version == answer.version
        assert finish(after).version == answer.version


@pytest.mark.parametrize("old", [None, b"0123456789"])
def test_a_crash_and_then_another_file_of_that_name(
    files: LocalStore,
    storage_dir: Path,
    tmp_path: Path,
    mocker: MockerFixture,
    old: bytes | None,
) -> None:
    """Nobody may be told that his file is stored because another one is there."""
    files.open(opening())
    write(files, 0, CONTENT)
    mocker.patch.object(Partial, "end", side_effect=CrashError)
    with pytest.raises(CrashError):
        finish(files)
    mocker.stopall()
    named = storage_dir / "d" / "a"
    named.rename(tmp_path / "aside")
    if old is not None:
        named.write_bytes(old)
    with crashed(files, storage_dir, tmp_path / "after") as after:
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            finish(after)
        assert after.open(opening()).state is TransferState.RECEIVING
        write(after, 0, CONTENT)
        assert finish(after).state is TransferState.STORED


def test_a_name_that_cannot_be_flushed_is_no_stored_file_yet(
    files: LocalStore, storage_dir: Path, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    let_the_flush_of_names_fail(mocker)
    with refused(ErrorCode.STORAGE_FAILED):
        finish(files)
    mocker.stopall()
    assert finish(files).state is TransferState.STORED, "the names were flushed at last"


def test_bytes_that_somebody_removed_are_not_stored(files: LocalStore, storage_dir: Path) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    part_of(storage_dir).unlink()
    with refused(ErrorCode.STORAGE_FAILED):
        finish(files)
    with refused(ErrorCode.UNKNOWN_TRANSFER):
        finish(files)
    assert files.open(opening()).held == ()
    write(files, 0, CONTENT)
    assert finish(files).state is TransferState.STORED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails(files: LocalStore, mocker: MockerFixture, number: int) -> None:
    files.open(opening())
    write(files, 0, b"012")
    code = ErrorCode.STORAGE_FULL if number == errno.ENOSPC else ErrorCode.STORAGE_FAILED
    mocker.patch("os.pwrite", side_effect=OSError(number, os.strerror(number), "/srv/secret"))
    with refused(code) as raised:
        write(files, 3, b"3")
    assert "secret" not in str(raised.value)
    with refused(code):
        files.open(opening("two", "b"))
    mocker.stopall()
    assert write(files, 3, b"3").held == ((0, 4),)
    assert files.open(opening("two", "b")).state is TransferState.RECEIVING


def test_a_failing_flush_is_told_to_whoever_asked_for_it(
    files: LocalStore, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    failure = OSError(errno.EIO, os.strerror(errno.EIO))
    mocker.patch("dxlfiletransferclient.storage.partfile.sync_data", side_effect=failure)
    with refused(ErrorCode.STORAGE_FAILED):
        files.status(StatusRequest(file_id="one", flush=True))
    mocker.stopall()
    assert status(files).held == ()
    write(files, 0, CONTENT)
    answer = files.status(StatusRequest(file_id="one", flush=True))
    assert answer.durable == ((0, 10),)


def test_a_failing_flush_while_publishing_trusts_nothing(
    files: LocalStore, mocker: MockerFixture
) -> None:
    """A second flush may succeed although the bytes never came to the disk."""
    files.open(opening())
    write(files, 0, CONTENT)
    mocker.patch("os.fsync", side_effect=OSError(errno.EIO, os.strerror(errno.EIO)))
    mocker.patch.object(JournalFile, "sync")
    with refused(ErrorCode.STORAGE_FAILED):
        finish(files)
    mocker.stopall()
    assert finish(files).state is TransferState.RECEIVING
    write(files, 0, CONTENT)
    assert finish(files).state is TransferState.STORED


def test_a_record_that_cannot_be_written_after_publishing(
    files: LocalStore, storage_dir: Path, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    mocker.patch.object(Partial, "end", side_effect=OSError(errno.EIO, "I/O error"))
    assert finish(files).state is TransferState.STORED


def test_too_many_files(files: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_PARTIAL_FILES", 2)
    sent(files, opening("stored", "s"))
    for number in range(2):
        files.open(opening(str(number), str(number)))
    with refused(ErrorCode.BUSY) as raised:
        files.open(opening("more", "more"))
    assert raised.value.retry_after
    files.open(opening("0", "0"))
    files.abort(AbortRequest(file_id="0"))
    files.open(opening("more", "more"))


def test_only_so_many_stored_files_are_remembered(
    files: LocalStore, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_ENDED_FILES", 2)
    for number in range(4):
        sent(files, opening(str(number), str(number)))
    left = {path.name for path in (storage_dir / ".workdir").glob("*.journal")}
    assert left == {"dxlft-2.journal", "dxlft-3.journal"}
    with refused(ErrorCode.UNKNOWN_TRANSFER):
        status(files, "0")
    assert status(files, "3").state is TransferState.STORED


def test_a_quota_counts_files_under_way(storage_dir: Path) -> None:
    options = StoreOptions(quota=QuotaLimits(total_bytes=25))
    with LocalStore(storage_dir, options=options) as store:
        store.open(opening("one", "a"))
        store.open(opening("two", "b"))
        store.open(opening("one", "a"))
        with refused(ErrorCode.QUOTA):
            store.open(opening("three", "c"))
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(store, "three")
        store.open(opening("stream", "s", None))
        write(store, 0, b"01234", "stream")
        with refused(ErrorCode.QUOTA):
            write(store, 5, b"5", "stream")
        store.abort(AbortRequest(file_id="one"))
        write(store, 5, b"5", "stream")
        store.abort(AbortRequest(file_id="stream"))
        sent(store, opening("two", "b"))
        store.open(opening("three", "c"))
        with refused(ErrorCode.QUOTA):
            store.open(opening("four", "e"))


def test_files_of_version_1_are_not_those_of_version_2(files: LocalStore) -> None:
    with files.working.begin() as partial:
        partial.append(b"abc", 0)
        file_id = partial.file_id
    with refused(ErrorCode.UNKNOWN_TRANSFER):
        status(files, file_id)
    with refused(ErrorCode.OTHER_METADATA):
        files.open(opening(file_id))
    files.abort(AbortRequest(file_id=file_id))
    with files.working.resume(file_id) as partial:
        assert partial.segments == 1


def test_ten_threads_write_one_file(files: LocalStore, storage_dir: Path) -> None:
    content = os.urandom(300_000)
    files.open(opening(size=len(content)))
    pieces = [(at, content[at : at + 5_000]) for at in range(0, len(content), 4_000)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda each: write(files, *each), [*pieces[::-1], *pieces], timeout=60))
    assert finish(files, content).state is TransferState.STORED
    assert (storage_dir / "d" / "a").read_bytes() == content


def test_many_open_the_same_file_at_once(files: LocalStore, storage_dir: Path) -> None:
    for _ in range(20):
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: files.open(opening()), range(6), timeout=60))
        assert {answer.state for answer in answers} == {TransferState.RECEIVING}
        files.abort(AbortRequest(file_id="one"))


def test_segments_while_a_file_is_aborted(files: LocalStore, storage_dir: Path) -> None:
    def work(number: int) -> ErrorCode | None:
        try:
            if number == 7:
                files.abort(AbortRequest(file_id="one"))
            else:
                write(files, number % 10, CONTENT[number % 10 : number % 10 + 1])
        except RefusedError as error:
            return ErrorCode.of(error.code)
        return None

    for _ in range(20):
        files.open(opening())
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(work, range(16), timeout=60))
        assert found <= {None, ErrorCode.UNKNOWN_TRANSFER}
        with refused(ErrorCode.UNKNOWN_TRANSFER):
            status(files)
    assert not list((storage_dir / ".workdir").glob("dxlft-*"))


def test_the_journal_of_a_crash_is_flushed_before_the_name(
    files: LocalStore, mocker: MockerFixture
) -> None:
    """Without its intent, a file that has its name would be unknown after a crash."""
    steps: list[str] = []
    real_sync, real_move = JournalFile.sync, Directory.__subclasses__()

    def sync(journal: JournalFile) -> None:
        steps.append("journal")
        real_sync(journal)

    mocker.patch.object(JournalFile, "sync", sync)
    for kind in real_move:
        mocker.patch.object(kind, "move", _noting(steps, kind.move))
    sent(files)
    assert steps == ["journal", "name"]


def _noting(steps: list[str], move: object) -> object:
    def noting(*args: object) -> None:
        steps.append("name")
        move(*args)  # type: ignore[operator]

    return noting


def test_a_quota_counts_what_a_former_process_left(storage_dir: Path) -> None:
    options = StoreOptions(quota=QuotaLimits(total_bytes=25), partial_lifetime=100.0)
    now = 1_700_000_000.0

    def reopened() -> LocalStore:
        return LocalStore(storage_dir, options=options, clock=lambda: now)

    with reopened() as store:
        store.open(opening("left", "a"))
        write(store, 0, CONTENT, "left")
        store.open(opening("stored", "b"))
        write(store, 0, CONTENT, "stored")
        finish(store, file_id="stored")
    with reopened() as store:
        with refused(ErrorCode.QUOTA):
            store.open(opening("new", "c"))
        store.abort(AbortRequest(file_id="left"))
        store.open(opening("new", "c"))
        write(store, 0, CONTENT, "new")
    with reopened() as store:
        for path in store.layout.working.iterdir():
            os.utime(path, (now - 101, now - 101))
        store.expire(now)
        store.open(opening("other", "d"))
    with reopened() as store:
        assert store.open(opening("other", "d")).state is TransferState.RECEIVING
        write(store, 0, CONTENT, "other")
        assert finish(store, file_id="other").state is TransferState.STORED
        store.open(opening("last", "e", 5))
        with refused(ErrorCode.QUOTA):
            store.open(opening("more", "f", 1))


def test_a_file_whose_name_could_not_be_flushed_counts_once(
    files: LocalStore, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    let_the_flush_of_names_fail(mocker)
    told = mocker.spy(files.quota, "stored")
    with refused(ErrorCode.STORAGE_FAILED):
        finish(files)
    assert finish(files).state is TransferState.STORED
    told.assert_called_once_with("one", grown=10)


def test_the_time_of_the_source_is_not_that_of_the_last_write(storage_dir: Path) -> None:
    """A file whose source claims to be of the future is given up like any other."""
    now = 1_700_000_000.0
    options = StoreOptions(partial_lifetime=100.0)
    with LocalStore(storage_dir, options=options, clock=lambda: now) as store:
        future = 4_000_000_000 * 10**9
        request = OpenRequest(
            file_id="one", name="a", size=10, modified_ns=future, overwrite=Overwrite.FAIL
        )
        store.open(request)
        write(store, 0, CONTENT)
        (storage_dir / "a").write_bytes(b"old")
        with refused(ErrorCode.EXISTS):
            finish(store)
        assert part_of(storage_dir).stat().st_mtime > now
        os.utime(part_of(storage_dir).with_suffix(".journal"), (now - 101, now - 101))
        assert store.expire(now) == 1
        assert not part_of(storage_dir).exists()


def test_bytes_of_a_kept_file_that_outlived_a_crash_are_removed(
    files: LocalStore, storage_dir: Path, tmp_path: Path, mocker: MockerFixture
) -> None:
    (storage_dir / "d").mkdir()
    files.open(overwriting(Overwrite.KEEP))
    write(files, 0, CONTENT)
    (storage_dir / "d" / "a").write_bytes(b"old")
    mocker.patch("dxlfiletransferclient.storage.partfile.remove_one")
    assert finish(files).state is TransferState.KEPT
    mocker.stopall()
    assert part_of(storage_dir).exists()
    files.close()
    with LocalStore(storage_dir) as after:
        assert finish(after).state is TransferState.KEPT
        assert not part_of(storage_dir).exists()


def test_segments_of_a_stream_out_of_order_stay_reserved(
    files: LocalStore, mocker: MockerFixture
) -> None:
    """The one that ends earlier may be looked at later."""
    files.open(opening("stream", "s", None))
    reserve = mocker.spy(files.quota, "reserve")
    write(files, 5, b"56789", "stream")
    reserve.assert_called_once_with("stream", 10, shrink=False)


def test_a_stored_file_is_let_go_of_though_its_journal_fails(
    files: LocalStore, storage_dir: Path, mocker: MockerFixture
) -> None:
    """Whoever removes it wants its bytes back."""
    files.open(opening())
    write(files, 0, CONTENT)
    real = JournalFile.append

    def append(journal: JournalFile, *records: object) -> None:
        if any(isinstance(record, Stored) for record in records):
            raise OSError(errno.EIO, "I/O error")
        real(journal, *records)  # type: ignore[arg-type]

    mocker.patch.object(JournalFile, "append", append)
    assert finish(files).state is TransferState.STORED
    assert part_of(storage_dir).name not in files.working._descriptors._open


def test_bytes_that_come_again_while_the_file_gets_its_name(
    files: LocalStore, mocker: MockerFixture
) -> None:
    files.open(opening())
    write(files, 0, CONTENT)
    real = PartFile.differs

    def differs(part: PartFile, offset: int, view: memoryview) -> int | None:
        mocker.stopall()
        assert finish(files).state is TransferState.STORED
        return real(part, offset, view)

    mocker.patch.object(PartFile, "differs", differs)
    assert write(files, 0, CONTENT).held == ((0, 10),)

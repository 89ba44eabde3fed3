"""One file under way: what it holds, what survives, and what is read again."""

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.digests import short_digest
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage import (
    holdings,
    journalfile,
    opening,
    partfile,
    partialnames,
    turns,
)
from dxlfiletransferclient.storage.checkpoints import CheckpointPolicy
from dxlfiletransferclient.storage.descriptors import Descriptors
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.home import Home
from dxlfiletransferclient.storage.journal import Metadata, Stored
from dxlfiletransferclient.storage.partfile import PartFile
from dxlfiletransferclient.storage.partial import Partial
from dxlfiletransferclient.storage.partialnames import file_id_of
from dxlfiletransferclient.storage.recovery import NoHistoryError
from tests.unit.client.fabric import sha256

PART = "dxlft-one.part"
JOURNAL = "dxlft-one.journal"
V1 = Metadata(version=1)
V2 = Metadata(name="a")
NOW = 1000.0
EIO = OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with open_directory(tmp_path) as directory:
        yield directory


@pytest.fixture
def home(directory: Directory) -> Home:
    return home_in(directory)


def home_in(directory: Directory, **policy: Any) -> Home:
    """Return a home whose checkpoints are made when the test wants them."""
    return Home(
        directory,
        Descriptors(directory),
        CheckpointPolicy(**{"after_bytes": 2**30, "after_seconds": 1e9, **policy}),
    )


def reopened(directory: Directory) -> Partial:
    """Find a file again as another process does."""
    return opening.reopen(home_in(directory), "one")


@pytest.fixture
def recorded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each segment recorded when it comes, as where many wait for a checkpoint."""
    monkeypatch.setattr(journalfile, "MOST_GATHERED", 0)


def write(file: Partial, offset: int, payload: bytes) -> None:
    file.write(offset, payload, NOW)


def sha256_of(file: Partial, size: int) -> str:
    assert file.hash_up_to(size, at_most=2**40)
    return file.sha256


def test_bytes_go_where_they_belong(home: Home, tmp_path: Path) -> None:
    file = opening.create(home, "one", V2)
    write(file, 5, b"fgh")
    write(file, 0, b"abc")
    assert file.ranges() == (((0, 3), (5, 8)), ())
    assert not file.covers(8)
    write(file, 3, b"de")
    assert file.covers(8)
    assert (tmp_path / file.name).read_bytes() == b"abcdefgh"
    assert sha256_of(file, 8) == sha256(b"abcdefgh")


def test_bytes_that_come_again_must_be_the_same(home: Home, tmp_path: Path) -> None:
    file = opening.create(home, "one", V2)
    write(file, 2, b"cdef")
    write(file, 2, b"cdef")
    write(file, 0, b"abcd")
    write(file, 4, b"efgh")
    with pytest.raises(RefusedError, match="other bytes") as raised:
        write(file, 6, b"gXi")
    assert raised.value.means(ErrorCode.OTHER_BYTES)
    assert file.ranges()[0] == ((0, 8),)
    write(file, 6, b"ghi")
    assert (tmp_path / PART).read_bytes() == b"abcdefghi"


def test_any_buffer_is_taken(home: Home, tmp_path: Path) -> None:
    file = opening.create(home, "one", V2)
    file.write(0, bytearray(b"abc"), NOW)
    file.write(3, memoryview(b"xdefx")[1:4], NOW)
    assert (tmp_path / PART).read_bytes() == b"abcdef"
    assert sha256_of(file, 6) == sha256(b"abcdef")


def test_a_checkpoint_makes_durable_what_is_held(home: Home) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    write(file, 5, b"f")
    assert file.ranges() == (((0, 3), (5, 6)), ((0, 3),))


def test_what_arrives_while_it_is_flushed_is_not_durable(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    real = PartFile.sync

    def sync(part: PartFile) -> None:
        real(part)
        write(file, 3, b"de")

    mocker.patch.object(PartFile, "sync", sync)
    file.checkpoint()
    assert file.ranges() == (((0, 5),), ((0, 3),))
    found = reopened(directory)
    assert found.ranges() == (((0, 5),), ((0, 3),))


def test_what_no_checkpoint_has_recorded_is_sent_again_after_a_crash(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    journal = mocker.spy(journalfile.JournalFile, "append")
    write(file, 3, b"de")
    assert journal.call_count == 0
    assert file.ranges() == (((0, 5),), ((0, 3),))
    again = reopened(directory)
    assert again.ranges() == (((0, 3),), ((0, 3),))
    write(again, 3, b"DEF")
    assert sha256_of(again, 6) == sha256(b"abcDEF")


def test_many_small_segments_do_not_wait_for_a_checkpoint(
    home: Home, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journalfile, "MOST_GATHERED", 3)
    file = opening.create(home, "one", V2)
    held = []
    for offset in range(9):
        write(file, offset, b"x")
        held.append(reopened(directory).size)
    assert held == [0, 0, 0, 4, 4, 4, 4, 8, 8]


@pytest.mark.parametrize("whole", [True, False])
def test_a_digest_that_is_known_is_recorded(
    home: Home, directory: Directory, mocker: MockerFixture, whole: bool
) -> None:
    file = opening.create(home, "one", V2)
    if not whole:
        write(file, 1, b"b")
    computed = mocker.spy(partfile, "short_digest")
    file.write(0, b"abc", NOW, short_digest(b"abc"))
    assert computed.call_count == (0 if whole else 2)
    file.checkpoint()
    assert file.drop_damaged() == ()


def test_a_checkpoint_is_made_when_it_is_due(directory: Directory) -> None:
    file = opening.create(home_in(directory, after_bytes=4, after_seconds=10), "one", V2)
    file.write(0, b"abc", NOW)
    assert file.ranges()[1] == ()
    file.write(3, b"d", NOW)
    assert file.ranges()[1] == ((0, 4),)
    file.write(4, b"e", NOW)
    file.checkpoint_if_due(NOW + 9)
    assert file.ranges()[1] == ((0, 4),)
    file.checkpoint_if_due(NOW + 10)
    assert file.ranges()[1] == ((0, 5),)


def test_the_name_is_flushed_with_the_first_checkpoint(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    sync = mocker.spy(type(directory), "sync")
    file = opening.create(home, "one", V2)
    for offset in range(3):
        write(file, offset, b"x")
        file.checkpoint()
    assert sync.call_count == 1


@pytest.mark.usefixtures("recorded_at_once")
def test_a_file_is_found_again(home: Home, directory: Directory) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    write(file, 3, b"de")
    write(file, 7, b"h")

    again = reopened(directory)
    assert again.metadata == V2
    assert again.ranges() == (((0, 5), (7, 8)), ((0, 3),))
    write(again, 5, b"fg")
    assert sha256_of(again, 8) == sha256(b"abcdefgh")
    again.checkpoint()
    assert reopened(directory).ranges() == (((0, 8),), ((0, 8),))


@pytest.mark.usefixtures("recorded_at_once")
def test_nothing_below_the_checkpoint_is_read_again(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    size = 3 * 2**20
    file = opening.create(home, "one", V2)
    write(file, 0, b"a" * size)
    file.checkpoint()
    write(file, size, b"bcd")
    reads = mocker.patch("os.pread", side_effect=os.pread)

    again = reopened(directory)
    write(again, size + 3, b"e")
    assert sha256_of(again, size + 4) == sha256(b"a" * size + b"bcde")

    part = (os.stat(PART, dir_fd=directory.descriptor)).st_ino  # type: ignore[attr-defined]
    offsets = [
        call.args[2] for call in reads.call_args_list if os.fstat(call.args[0]).st_ino == part
    ]
    assert offsets
    assert min(offsets) >= size


@pytest.mark.usefixtures("recorded_at_once")
@pytest.mark.parametrize("damage", [b"abcXX", b"abc", b"abcd"])
def test_what_is_not_as_it_was_recorded_is_not_held(
    home: Home, directory: Directory, tmp_path: Path, damage: bytes
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    write(file, 3, b"de")
    (tmp_path / PART).write_bytes(damage)

    again = reopened(directory)
    assert again.ranges()[0] == ((0, 3),)
    write(again, 3, b"d")
    again.checkpoint()
    # What was lost must not come back, though its record lies before the new checkpoint.
    assert reopened(directory).ranges() == (((0, 4),), ((0, 4),))


@pytest.mark.usefixtures("recorded_at_once")
def test_a_torn_journal_is_gone_on_with(home: Home, directory: Directory, tmp_path: Path) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    write(file, 3, b"de")
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-1])
    again = reopened(directory)
    assert again.ranges()[0] == ((0, 3),)
    write(again, 3, b"xy")
    assert reopened(directory).ranges()[0] == ((0, 5),)


@pytest.mark.parametrize("name", [PART, JOURNAL])
def test_half_a_file_cannot_be_gone_on_with(
    home: Home, directory: Directory, tmp_path: Path, name: str
) -> None:
    write(opening.create(home, "one", V2), 0, b"abc")
    (tmp_path / name).unlink()
    with pytest.raises((NoHistoryError, FileNotFoundError)):
        reopened(directory)


def test_a_journal_without_a_beginning(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(b"abc")
    (tmp_path / JOURNAL).write_bytes(b"\0\0\0\0\0\0\0\3")
    with pytest.raises(NoHistoryError):
        reopened(directory)


def test_without_a_saved_state_it_is_hashed_again(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    mocker.patch("dxlfiletransferclient.digests._loaded", [None])
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    again = reopened(directory)
    assert again.ranges()[1] == ((0, 3),)
    assert sha256_of(again, 3) == sha256(b"abc")


def test_a_failed_flush_takes_back_what_was_not_durable(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.checkpoint()
    write(file, 3, b"def")
    mocker.patch.object(PartFile, "sync", side_effect=EIO)
    with pytest.raises(OSError, match=EIO.strerror or ""):
        file.checkpoint()
    mocker.stopall()

    assert file.ranges() == (((0, 3),), ((0, 3),))
    write(file, 3, b"DEF")
    assert sha256_of(file, 6) == sha256(b"abcDEF")
    file.checkpoint()
    assert reopened(directory).ranges() == (((0, 6),), ((0, 6),))


def test_what_was_written_while_a_flush_failed_does_not_count(
    home: Home, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    real = PartFile.write

    def write_and_fail(part: PartFile, offset: int, view: memoryview, digest: None) -> object:
        segment = real(part, offset, view, digest)
        mocker.patch.object(PartFile, "sync", side_effect=EIO)
        with pytest.raises(OSError, match=EIO.strerror or ""):
            file.checkpoint()
        return segment

    mocker.patch.object(PartFile, "write", write_and_fail)
    with pytest.raises(RefusedError, match="given up") as raised:
        write(file, 3, b"de")
    assert raised.value.means(ErrorCode.BUSY)
    assert file.ranges() == ((), ())


@pytest.mark.usefixtures("recorded_at_once")
@pytest.mark.parametrize("calls_before", [0, 1], ids=["bytes", "record"])
def test_a_full_disk_loses_nothing_that_was_held(
    home: Home, directory: Directory, mocker: MockerFixture, calls_before: int
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    real, left = os.pwrite, calls_before

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal left
        if left == 0:
            # Some bytes still fit.
            real(descriptor, data[:1], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        return real(descriptor, data, offset)

    mocker.patch("os.pwrite", pwrite)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write(file, 3, b"def")
    mocker.stopall()

    assert file.ranges()[0] == ((0, 3),)
    write(file, 3, b"DE")
    assert sha256_of(file, 5) == sha256(b"abcDE")
    assert reopened(directory).ranges()[0] == ((0, 5),)


def test_records_that_cannot_be_written_give_up_nothing(
    home: Home, directory: Directory, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    sync = mocker.spy(PartFile, "sync")
    mocker.patch("os.pwrite", side_effect=full)
    for _ in range(2):
        with pytest.raises(OSError, match=full.strerror or ""):
            file.checkpoint()
    assert file.ranges() == (((0, 3),), ())
    assert sync.call_count == 0
    mocker.stopall()

    write(file, 3, b"de")
    file.checkpoint()
    assert file.ranges() == (((0, 5),), ((0, 5),))
    assert reopened(directory).ranges() == (((0, 5),), ((0, 5),))


def test_short_writes_are_gone_on_with(home: Home, tmp_path: Path, mocker: MockerFixture) -> None:
    real = os.pwrite
    file = opening.create(home, "one", V2)
    mocker.patch("os.pwrite", lambda fd, data, offset: real(fd, bytes(data)[:3], offset))
    write(file, 0, b"abcdefgh")
    mocker.stopall()
    assert (tmp_path / PART).read_bytes() == b"abcdefgh"


def test_the_number_of_gaps_is_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "MAX_GAPS", 3)
    file = opening.create(home, "one", V2)
    for offset in (0, 10, 20):
        write(file, offset, b"x")
    with pytest.raises(RefusedError, match="gaps") as raised:
        write(file, 30, b"x")
    assert raised.value.means(ErrorCode.INVALID)
    write(file, 21, b"x")
    write(file, 9, b"x")


@pytest.mark.parametrize("durable", [True, False])
def test_damaged_segments_are_found_and_dropped(
    home: Home, directory: Directory, tmp_path: Path, durable: bool
) -> None:
    file = opening.create(home, "one", V2)
    for offset in (0, 3, 6):
        write(file, offset, b"abc")
    if durable:
        file.checkpoint()
    (tmp_path / PART).write_bytes(b"abcaXcabc")

    assert file.drop_damaged() == ((3, 6),)
    assert file.ranges() == (((0, 3), (6, 9)), ((0, 3), (6, 9)) if durable else ())
    assert reopened(directory).ranges()[0] == ((0, 3), (6, 9))

    write(file, 3, b"xyz")
    assert sha256_of(file, 9) == sha256(b"abcxyzabc")
    assert file.drop_damaged() == (), "the record of what was dropped counts no more"
    file.checkpoint()
    assert sha256_of(reopened(directory), 9) == sha256(b"abcxyzabc")


def test_it_is_hashed_again_only_once(home: Home) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    assert [file.hash_again(), file.hash_again()] == [True, False]
    assert sha256_of(file, 3) == sha256(b"abc")


def test_hashing_is_done_in_steps(home: Home) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abcdef")
    file.hash_again()
    steps = [file.hash_up_to(6, at_most=2) for _ in range(3)]
    assert steps == [False, False, True]
    assert file.sha256 == sha256(b"abcdef")


def test_publishing_cuts_what_was_never_recorded(home: Home, tmp_path: Path) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    with (tmp_path / PART).open("ab") as part:
        part.write(b"torn")
    assert file.begin_publishing(3, sha256(b"abc"))
    assert (tmp_path / PART).read_bytes() == b"abc"


def test_while_it_is_published_it_is_not_touched(
    home: Home, tmp_path: Path, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    assert file.begin_publishing(3, sha256(b"abc"))
    (tmp_path / PART).rename(tmp_path / "a")
    sync = mocker.spy(PartFile, "sync")

    write(file, 0, b"abc")
    file.checkpoint()
    file.checkpoint_if_due(1e12)
    with pytest.raises(RefusedError) as raised:
        write(file, 3, b"d")
    assert raised.value.means(ErrorCode.BUSY)
    assert sync.call_count == 0
    file.end(Stored(version="v", size=3, sha256=sha256(b"abc")))
    write(file, 0, b"abc")
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_whether_it_was_published_shows_after_a_crash(
    home: Home, directory: Directory, tmp_path: Path
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.begin_publishing(3, sha256(b"abc"))
    before = reopened(directory)
    assert (before.moved, before.ranges()[0]) == (False, ((0, 3),))

    (tmp_path / PART).rename(tmp_path / "a")
    after = reopened(directory)
    assert after.moved
    assert after.intent is not None
    assert after.intent.inode == (tmp_path / "a").stat().st_ino

    file.end(Stored(version="v", size=3, sha256=sha256(b"abc")))
    told = reopened(directory)
    assert told.stored == Stored(version="v", size=3, sha256=sha256(b"abc"))
    assert not told.moved


def test_a_file_that_could_not_be_published_is_under_way_again(
    home: Home, directory: Directory, tmp_path: Path
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.begin_publishing(3, sha256(b"abc"))
    file.withdraw(trusted=True)
    assert reopened(directory).intent is None
    write(file, 3, b"d")
    assert file.ranges()[0] == ((0, 4),)


def test_bytes_that_were_not_used_are_removed_after_that_is_recorded(
    home: Home, directory: Directory, tmp_path: Path, mocker: MockerFixture
) -> None:
    file = opening.create(home, "one", V2)
    write(file, 0, b"abc")
    file.begin_publishing(3, sha256(b"abc"))
    kept = Stored(kept=True, version="v", size=3, sha256=sha256(b"abc"))
    mocker.patch("dxlfiletransferclient.storage.journalfile.sync_data", side_effect=EIO)
    with pytest.raises(OSError, match=EIO.strerror or ""):
        file.end(kept)
    assert (tmp_path / PART).exists()
    mocker.stopall()
    file.end(kept)
    assert not (tmp_path / PART).exists()
    assert reopened(directory).stored == kept


def test_writers_wait_for_a_flush_they_are_far_ahead_of(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    file = opening.create(home_in(directory, after_bytes=4), "one", V2)
    flushing, go_on = threading.Event(), threading.Event()
    real = PartFile.sync

    def sync(part: PartFile) -> None:
        flushing.set()
        assert go_on.wait(20)
        real(part)

    mocker.patch.object(PartFile, "sync", sync)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(write, file, 0, b"abcd")
        assert flushing.wait(20)
        write(file, 4, b"efgh")
        monkeypatch.setattr(turns, "WAIT_TIMEOUT", 0.01)
        with pytest.raises(RefusedError, match="keep up") as raised:
            write(file, 8, b"i")
        assert raised.value.means(ErrorCode.BUSY)
        assert raised.value.retry_after
        monkeypatch.setattr(turns, "WAIT_TIMEOUT", 20.0)
        go_on.set()
        first.result(20)
    write(file, 8, b"i")
    assert file.ranges()[0] == ((0, 9),)


def test_many_threads_write_one_file_out_of_order(directory: Directory, tmp_path: Path) -> None:
    content = os.urandom(400_000)
    file = opening.create(home_in(directory, after_bytes=50_000), "one", V2)
    pieces = [(at, content[at : at + 7_000]) for at in range(0, len(content), 5_000)]

    with ThreadPoolExecutor(10) as pool:
        # Twice, and overlapping: everything comes while others write the same.
        list(pool.map(lambda each: write(file, *each), [*pieces[::-1], *pieces], timeout=60))

    assert file.ranges()[0] == ((0, len(content)),)
    assert (tmp_path / PART).read_bytes() == content
    assert sha256_of(file, len(content)) == sha256(content)
    assert file.drop_damaged() == ()
    again = reopened(directory)
    assert again.ranges()[0] == ((0, len(content)),)
    assert sha256_of(again, len(content)) == sha256(content)


def test_segments_of_version_1_add_up(home: Home, directory: Directory, tmp_path: Path) -> None:
    file = opening.create(home, "one", V1)
    for payload in (b"abc", b"", b"de", b""):
        file.append(payload, NOW)
    assert (file.segments, file.size) == (4, 5)
    assert (tmp_path / PART).read_bytes() == b"abcde"
    again = reopened(directory)
    assert (again.metadata.version, again.segments, again.size) == (1, 4, 5)
    again.append(b"f", NOW)
    assert sha256_of(again, 6) == sha256(b"abcdef")


def test_version_1_goes_on_after_the_last_whole_segment(
    home: Home, directory: Directory, tmp_path: Path
) -> None:
    file = opening.create(home, "one", V1)
    for payload in (b"abc", b"", b"de", b"", b"fg"):
        file.append(payload, NOW)
    (tmp_path / PART).write_bytes(b"abcdXfg")
    again = reopened(directory)
    assert (again.segments, again.size) == (2, 3)
    again.append(b"x", NOW)
    third = reopened(directory)
    assert (third.segments, third.size) == (3, 4)
    assert sha256_of(third, 4) == sha256(b"abcx")
    third.cut()
    assert (tmp_path / PART).read_bytes() == b"abcx"


def test_version_1_cannot_go_on_after_a_failed_flush(home: Home, mocker: MockerFixture) -> None:
    file = opening.create(home, "one", V1)
    file.append(b"abc", NOW)
    mocker.patch.object(PartFile, "sync", side_effect=EIO)
    with pytest.raises(OSError, match=EIO.strerror or ""):
        file.checkpoint()
    with pytest.raises(OSError, match="could not be flushed"):
        file.append(b"de", NOW)


def test_an_id_is_used_once(home: Home) -> None:
    opening.create(home, "one", V2)
    with pytest.raises(FileExistsError):
        opening.create(home, "one", V2)


def test_nothing_is_left_of_a_file_that_could_not_begin(
    home: Home, directory: Directory, tmp_path: Path
) -> None:
    (tmp_path / PART).touch()
    with pytest.raises(FileExistsError):
        opening.create(home, "one", V2)
    assert directory.names() == [PART]


def test_remove(home: Home, directory: Directory) -> None:
    opening.create(home, "one", V2)
    opening.create(home, "two", V2)
    partialnames.remove(directory, "one")
    partialnames.remove(directory, "one")
    assert sorted(directory.names()) == ["dxlft-two.journal", "dxlft-two.part"]


def test_what_cannot_be_removed_is_logged(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PART).mkdir()
    (tmp_path / JOURNAL).touch()
    partialnames.remove(directory, "one")
    assert directory.names() == [PART]
    assert PART in caplog.text


def test_last_write_is_that_of_the_younger_file(directory: Directory, tmp_path: Path) -> None:
    assert partialnames.last_write(directory, "one") is None
    for name, time in ((PART, 100), (JOURNAL, 200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    assert partialnames.last_write(directory, "one") == 200


@pytest.mark.parametrize(
    ("name", "file_id"),
    [
        (PART, "one"),
        (JOURNAL, "one"),
        ("dxlft-a-b_C9.part", "a-b_C9"),
        ("one.part", None),
        ("dxlft-.part", None),
        ("dxlft-a.b.part", None),
        ("dxlft-one.part~", None),
        ("dxlft-one.entry", None),
        ("dxlft-" + "x" * 65 + ".part", None),
        (".lock", None),
    ],
)
def test_whose_a_name_is(name: str, file_id: str | None) -> None:
    assert file_id_of(name) == file_id

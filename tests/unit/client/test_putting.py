"""Batches: many small files, directories and links at once."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import (
    BatchEntry,
    EntryResult,
    Overwrite,
    StatRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.flushing import FileSystem
from dxlfiletransferclient.storage.quotas import Quota, QuotaLimits
from tests.unit.client.cataloguing import PLENTY, Opened, directory, file, link, opened, sha256
from tests.unit.client.fabric import open_descriptors

STORED = EntryResult(state=TransferState.STORED)
KEPT = EntryResult(state=TransferState.KEPT)
SECOND = 1_000_000_000


def codes(results: list[EntryResult]) -> list[int | None]:
    return [result.code for result in results]


def test_files_are_stored_whole(files: Opened) -> None:
    before = open_descriptors()
    results = files.put(
        file("a", b"1", modified_ns=17, executable=True),
        file("d/b", b"22"),
        file("d/e/c"),
        replace(file("d/f", b"333"), payload=memoryview(b"333")),
    )

    assert results == [STORED] * 4
    assert (files.root / "a").read_bytes() == b"1"
    assert (files.root / "a").stat().st_mtime_ns == 17
    assert (files.root / "a").stat().st_mode & 0o100
    assert (files.root / "d" / "b").read_bytes() == b"22"
    assert not (files.root / "d" / "b").stat().st_mode & 0o111
    assert (files.root / "d" / "e" / "c").read_bytes() == b""
    assert (files.root / "d" / "f").read_bytes() == b"333"
    assert files.left_over() == []
    assert open_descriptors() == before


def test_the_failure_of_one_is_none_of_the_others(files: Opened) -> None:
    (files.root / "directory").mkdir()
    (files.root / "file").write_bytes(b"old")
    results = files.put(
        file("good", b"1"),
        file("../bad", b"1"),
        replace(file("wrong", b"1"), sha256=sha256(b"2")),
        file("directory", b"1"),
        file("file/below", b"1"),
        file("file", b"new", overwrite=Overwrite.FAIL),
        file(".workdir/x", b"1"),
        directory("file"),
        link("out", "../.."),
        file("x" * 300, b"1"),
        file("also/good", b"1"),
    )

    assert codes(results) == [
        None,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.CORRUPT,
        ErrorCode.WRONG_KIND,
        ErrorCode.WRONG_KIND,
        ErrorCode.EXISTS,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.WRONG_KIND,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.UNSAFE_NAME,
        None,
    ]
    assert all(result.text for result in results if result.code)
    assert not any("/tmp" in (result.text or "") for result in results)
    assert files.names() == ["also", "also/good", "directory", "file", "good"]
    assert (files.root / "file").read_bytes() == b"old"
    assert files.left_over() == []


def test_overwrite_modes(files: Opened) -> None:
    old = [file(name, b"old", modified_ns=10 * SECOND) for name in "abcdef"]
    assert files.put(*old) == [STORED] * 6

    results = files.put(
        file("a", b"new"),
        file("b", b"new", overwrite=Overwrite.KEEP),
        file("c", b"new", overwrite=Overwrite.NEWER, modified_ns=10 * SECOND),
        file("d", b"new", overwrite=Overwrite.NEWER, modified_ns=10 * SECOND + 1),
        file("e", b"new", overwrite=Overwrite.FAIL),
        file("f", b"old", overwrite=Overwrite.FAIL),
    )

    assert results[:4] == [STORED, KEPT, KEPT, STORED]
    assert codes(results[4:]) == [ErrorCode.EXISTS, None]
    contents = [(files.root / name).read_bytes() for name in "abcdef"]
    assert contents == [b"new", b"old", b"old", b"new", b"old", b"old"]
    assert files.left_over() == []


def test_a_batch_may_be_repeated(files: Opened) -> None:
    entries = [file("a", b"1"), directory("d"), link("d/l", "../a"), file("d/b", b"2")]
    for _ in range(2):
        assert files.put(*entries) == [STORED] * 4
    failing = [replace(entry, overwrite=Overwrite.FAIL) for entry in entries]
    assert files.put(*failing) == [STORED] * 4
    assert files.left_over() == []


def test_the_same_name_twice(files: Opened) -> None:
    results = files.put(
        file("a", b"1"),
        file("a", b"2"),
        file("b", b"1", overwrite=Overwrite.KEEP),
        file("b", b"2", overwrite=Overwrite.KEEP),
        file("c/d", b"1"),
        file("c", b"2"),
    )

    assert results[:4] == [STORED, STORED, STORED, KEPT]
    assert codes(results[4:]) == [None, ErrorCode.WRONG_KIND]
    assert (files.root / "a").read_bytes() == b"2"
    assert (files.root / "b").read_bytes() == b"1"
    assert files.left_over() == []


def test_directories_get_their_time_after_their_content(files: Opened) -> None:
    results = files.put(
        directory("d", modified_ns=17),
        directory("d/e/f", modified_ns=18),
        file("d/a", b"1"),
        file("d/e/f/b", b"1"),
        directory("g"),
    )

    assert results == [STORED] * 5
    assert (files.root / "d").stat().st_mtime_ns == 17
    assert (files.root / "d" / "e" / "f").stat().st_mtime_ns == 18
    assert (files.root / "g").is_dir()


@pytest.mark.parametrize(
    ("overwrite", "modified_ns", "expected"),
    [
        (Overwrite.REPLACE, 5, 5),
        (Overwrite.KEEP, 50, 17),
        (Overwrite.FAIL, 50, 17),
        (Overwrite.NEWER, 5, 17),
        (Overwrite.NEWER, 50, 50),
        (Overwrite.REPLACE, None, 17),
    ],
)
def test_the_time_of_an_existing_directory(
    files: Opened, overwrite: Overwrite, modified_ns: int | None, expected: int
) -> None:
    files.put(directory("d", modified_ns=17))

    again = files.put(directory("d", modified_ns=modified_ns, overwrite=overwrite))

    assert again == [STORED]
    assert (files.root / "d").stat().st_mtime_ns == expected


def test_links_are_stored_and_nothing_goes_through_them(files: Opened) -> None:
    results = files.put(
        file("d/a", b"1"),
        link("l", "d"),
        link("d/up", "../d/a", modified_ns=17),
        link("nowhere", "absent"),
    )
    assert results == [STORED] * 4

    results = files.put(
        file("l/x", b"2"),
        link("out", "../x"),
        link("d/absolute", "/etc"),
        link("work", ".workdir/x"),
        link("d", "a"),
    )

    assert codes(results) == [
        ErrorCode.WRONG_KIND,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.UNSAFE_NAME,
        ErrorCode.WRONG_KIND,
    ]
    assert str((files.root / "l").readlink()) == "d"
    assert str((files.root / "d" / "up").readlink()) == "../d/a"
    if files.working.descriptor_of_its_own.__qualname__.startswith("_Descriptor"):
        assert (files.root / "d" / "up").lstat().st_mtime_ns == 17
    assert not (files.root / "d" / "x").exists()
    assert files.left_over() == []


def test_links_and_the_overwrite_modes(files: Opened) -> None:
    files.put(link("l", "a"), file("f", b"1"))

    results = files.put(
        link("l", "b", overwrite=Overwrite.KEEP),
        link("l", "a", overwrite=Overwrite.FAIL),
        link("l", "b", overwrite=Overwrite.FAIL),
        link("f", "b", overwrite=Overwrite.FAIL),
        link("l", "c"),
        link("f", "c"),
    )

    assert results[:2] == [KEPT, STORED]
    assert codes(results[2:4]) == [ErrorCode.EXISTS] * 2
    assert results[4:] == [STORED] * 2
    assert str((files.root / "l").readlink()) == str((files.root / "f").readlink()) == "c"
    assert files.left_over() == []


def test_links_are_not_stored_unless_they_may_be(tmp_path: Path) -> None:
    with opened(tmp_path) as files:
        results = files.put(link("l", "a"), file("a", b"1"))
        assert codes(results) == [ErrorCode.NOT_ALLOWED, None]
        assert files.names() == ["a"]


def test_many_files_in_many_directories(files: Opened) -> None:
    entries = [file(f"d{number % 150}/{number}", b"%d" % number) for number in range(450)]
    before = open_descriptors()

    assert files.put(*entries) == [STORED] * 450

    assert len(files.names(limit=1000)) == 600
    assert (files.root / "d7" / "157").read_bytes() == b"157"
    assert files.left_over() == []
    assert open_descriptors() == before


def test_without_a_flush_of_everything(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(FileSystem, "flush", return_value=False)
    flushed: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    with opened(tmp_path) as files:
        mocker.patch("os.fsync", fsync)
        assert files.put(*(file(f"d{number}/a", b"1") for number in range(20))) == [STORED] * 20

    assert sum(name.endswith(".entry") for name in flushed) == 20
    assert {f"d{number}" for number in range(20)} | {"storage"} <= set(flushed)


def test_nothing_is_named_before_it_is_flushed(tmp_path: Path, mocker: MockerFixture) -> None:
    steps: list[str] = []
    real_rename = os.rename

    def flush(_self: object, _descriptor: int) -> bool:
        steps.append("flush")
        return True

    def rename(*args: Any, **kwargs: Any) -> None:
        steps.append("rename")
        real_rename(*args, **kwargs)

    with opened(tmp_path) as files:
        mocker.patch.object(FileSystem, "flush", flush)
        mocker.patch("os.rename", rename)
        files.put(*(file(f"d{number}/a", b"1") for number in range(20)))

    assert steps == ["flush", *["rename"] * 20, "flush"]


@pytest.mark.parametrize("at", [0, 1])
def test_nothing_counts_as_stored_if_a_flush_fails(
    tmp_path: Path, mocker: MockerFixture, at: int
) -> None:
    failures = [OSError(errno.EIO, "broken")] if at == 0 else [True, OSError(errno.EIO, "broken")]
    with opened(tmp_path) as files:
        files.put(file("old", b"1"))
        mocker.patch.object(FileSystem, "flush", side_effect=failures)
        results = files.put(
            *(file(f"d{number}/a", b"1") for number in range(20)),
            file("old", b"2", overwrite=Overwrite.KEEP),
        )

        assert codes(results[:20]) == [ErrorCode.STORAGE_FAILED] * 20
        assert results[20] == KEPT
        assert files.left_over() == []
        if at == 0:
            assert not (files.root / "d0" / "a").exists()


def test_a_full_disk_takes_what_it_can(files: Opened, mocker: MockerFixture) -> None:
    real = os.write

    def write(descriptor: int, data: Any) -> int:
        if len(data) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    mocker.patch("os.write", write)
    results = files.put(file("a", b"small"), file("b", b"larger"), file("c", b"small"))

    assert codes(results) == [None, ErrorCode.STORAGE_FULL, None]
    assert results[1].text == "cannot store 'b': No space left on device"
    assert files.names() == ["a", "c"]
    assert files.left_over() == []


def test_the_quota_is_asked_and_told(tmp_path: Path) -> None:
    quota = Quota(QuotaLimits(total_bytes=100, file_bytes=60), free=lambda: PLENTY, used=lambda: 0)
    with opened(tmp_path, quota=quota) as files:
        results = files.put(file("a", b"x" * 60), file("b", b"x" * 61), file("c", b"x" * 41))
        assert codes(results) == [None, ErrorCode.QUOTA, ErrorCode.QUOTA]

        # Replaced, kept and refused files leave nothing behind in the account.
        assert files.put(file("a", b"y" * 20)) == [STORED]
        assert files.put(file("a", b"z" * 50, overwrite=Overwrite.KEEP)) == [KEPT]
        assert codes(files.put(file("a/b", b"z" * 50))) == [ErrorCode.WRONG_KIND]
        assert files.put(file("a", b"y" * 20, overwrite=Overwrite.FAIL)) == [STORED]
        assert files.put(file("d", b"x" * 60), file("e", b"x" * 20)) == [STORED] * 2
        assert codes(files.put(file("f", b"x"))) == [ErrorCode.QUOTA]


def test_digests_of_what_was_put_are_known(files: Opened, mocker: MockerFixture) -> None:
    files.put(file("a", b"1"), file("b", b"2"))
    mocker.patch.object(files.catalogue._reader, "digest", side_effect=AssertionError)
    answer = files.catalogue.stat(StatRequest(name="b", with_sha256=True))
    assert answer.sha256 == sha256(b"2")


def test_batches_in_parallel(files: Opened) -> None:
    """All write the same names at once; each file is one of the versions, and whole."""
    names = [f"d{number % 3}/{number}" for number in range(30)]

    def put(version: int) -> list[EntryResult]:
        return files.put(*(file(name, b"%d" % version * 1000) for name in names))

    with ThreadPoolExecutor(6) as pool:
        assert all(results == [STORED] * 30 for results in pool.map(put, range(6)))

    contents = {(files.root / name).read_bytes() for name in names}
    assert contents <= {b"%d" % version * 1000 for version in range(6)}
    assert files.left_over() == []


def test_a_batch_into_a_tree_that_is_being_removed(files: Opened) -> None:
    """Whatever the order of the steps: what is stored is there, unless it was removed."""
    done = threading.Event()

    def keep_removing() -> None:
        while not done.is_set():
            for path in (files.root / "d" / "e", files.root / "d"):
                try:
                    path.rmdir()
                except OSError:
                    continue

    remover = threading.Thread(target=keep_removing)
    remover.start()
    try:
        for number in range(50):
            result = files.put(file("d/e/a", b"%d" % number))
            # It may lose the race some times in a row, and says so.
            if result == [STORED]:
                assert (files.root / "d" / "e" / "a").read_bytes() == b"%d" % number
                (files.root / "d" / "e" / "a").unlink()
            else:
                assert codes(result) == [ErrorCode.BUSY]
    finally:
        done.set()
        remover.join(10)


def test_leftovers_expire_by_when_they_were_made(files: Opened) -> None:
    token = "0123456789abcdef" * 2
    names = [f"dxlft-{token}-0.entry", f"dxlft-{token}-17.entry"]
    for name in names:
        files.part(b"left", name)
        # As a sender wanted it to look; that says nothing of its age.
        files.working.set_modified(name, 17)
    others = ["dxlft-x.part", "dxlft-x.journal", "other.entry", "dxlft-zz-0.entry"]
    for name in others:
        files.part(b"other", name)
    made = files.working.lstat(names[0]).st_ctime

    assert files.catalogue.expire(made - 10) == 0
    assert files.catalogue.expire(made + 10) == 2
    assert sorted(files.left_over()) == sorted(others)


def test_a_running_batch_does_not_expire(tmp_path: Path, mocker: MockerFixture) -> None:
    expired: list[int] = []
    with opened(tmp_path) as files:

        def flush(_self: object, _descriptor: int) -> bool:
            expired.append(files.catalogue.expire(2**40))
            return True

        mocker.patch.object(FileSystem, "flush", flush)
        results = files.put(*(file(f"{number}", b"1") for number in range(10)))
        assert results == [STORED] * 10
    assert expired == [0]


pieces = st.sampled_from(["a", "b", "c", "..", ".workdir"])
somewhere = st.lists(pieces, min_size=1, max_size=3).map("/".join)
modes = st.sampled_from(Overwrite)
some_entry = st.one_of(
    st.builds(
        lambda name, content, overwrite: file(name, content, overwrite=overwrite),
        somewhere,
        st.binary(max_size=3),
        modes,
    ),
    somewhere.map(directory),
    st.builds(
        lambda name, target, overwrite: link(name, target, overwrite=overwrite),
        somewhere,
        somewhere,
        modes,
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.lists(some_entry, min_size=1, max_size=6), max_size=4))
def test_whatever_is_put_stays_inside_and_whole(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[BatchEntry]]
) -> None:
    path = tmp_path_factory.mktemp("batches")
    with opened(path, links=True) as files:
        for batch in batches:
            results = files.put(*batch)
            assert len(results) == len(batch)
            for entry, result in list(zip(batch, results, strict=True))[-1:]:
                if result == STORED and entry.sha256:
                    stored = files.retrieve(entry.name)
                    assert stored.payload == entry.payload
                    assert stored.sha256 == entry.sha256
        assert files.left_over() == []
        assert sorted(each.name for each in path.iterdir()) == ["storage"]
        for found in files.root.rglob("*"):
            try:
                real = os.path.realpath(found, strict=True)
            except OSError:
                continue
            assert Path(real).is_relative_to(files.root)


def test_a_repeated_batch_tells_that_it_was_stored(files: Opened) -> None:
    """The answer to the first one may have been lost."""
    for mode in (Overwrite.KEEP, Overwrite.NEWER):
        entry = file(f"a-{mode}", b"new", overwrite=mode, modified_ns=10 * SECOND)
        assert files.put(entry) == [STORED]
        assert files.put(entry) == [STORED]
        assert files.put(file(entry.name, b"neu", overwrite=mode, modified_ns=1)) == [KEPT]
        # What has the same bytes by accident is kept.
        (files.root / entry.name).write_bytes(b"own")
        assert files.put(file(entry.name, b"own", overwrite=mode, modified_ns=1)) == [KEPT]
    assert files.left_over() == []


def test_an_equal_link_leaves_the_account_as_it_was(files: Opened, mocker: MockerFixture) -> None:
    files.put(link("l", "somewhere"))
    shrunk = mocker.spy(files.quota, "shrunk")
    assert files.put(link("l", "somewhere", overwrite=Overwrite.FAIL)) == [STORED]
    shrunk.assert_not_called()


def test_who_loses_every_race_for_a_directory_may_come_again(
    files: Opened, mocker: MockerFixture
) -> None:
    real = type(files.working).move

    def move(self: Any, name: str, target: Any, new_name: str) -> None:
        (files.root / "d").rmdir()
        real(self, name, target, new_name)

    mocker.patch.object(type(files.working), "move", move)
    assert codes(files.put(file("d/a", b"1"))) == [ErrorCode.BUSY]
    assert files.left_over() == []


def test_what_is_removed_as_soon_as_it_has_its_name_was_stored(
    files: Opened, mocker: MockerFixture
) -> None:
    real = type(files.working).move

    def move(self: Any, name: str, target: Any, new_name: str) -> None:
        real(self, name, target, new_name)
        (files.root / "a").unlink()

    mocker.patch.object(type(files.working), "move", move)
    assert files.put(file("a", b"1")) == [STORED]


@pytest.mark.parametrize("total", [None, 1000])
def test_a_directory_is_not_replaced_whether_somebody_looks_for_it_or_not(
    tmp_path: Path, total: int | None
) -> None:
    quota = Quota(QuotaLimits(total_bytes=total), free=lambda: PLENTY, used=lambda: 0)
    with opened(tmp_path, quota=quota, links=True) as files:
        (files.root / "d").mkdir()
        results = files.put(file("d", b"1"), link("d", "x"), file("e", b"1"))
        assert codes(results) == [ErrorCode.WRONG_KIND, ErrorCode.WRONG_KIND, None]
        assert results[0].text == "'d' is the name of an existing directory"
        assert (files.root / "d").is_dir()
        assert files.left_over() == []


def test_what_is_reserved_at_once_is_given_back(files: Opened) -> None:
    good, bad = file("a", b"1" * 10), replace(file("b", b"1" * 10), sha256=sha256(b"2"))
    entries = [good, bad, file("../c", b"1"), file("d", b"1", overwrite=Overwrite.KEEP)]
    assert codes(files.put(*entries)) == [None, ErrorCode.CORRUPT, ErrorCode.UNSAFE_NAME, None]
    assert files.quota._reserved == {}
    assert files.quota._reserved_total == 0


def test_a_write_may_take_less_than_all(files: Opened, mocker: MockerFixture) -> None:
    real = os.write
    mocker.patch("os.write", lambda descriptor, data: real(descriptor, data[:3]))
    entry = replace(file("a", b"12345678"), payload=memoryview(b"12345678"))
    assert files.put(entry) == [STORED]
    assert (files.root / "a").read_bytes() == b"12345678"

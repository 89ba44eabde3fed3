"""Reading stored files: parts, versions, and the SHA-256."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import Kind, StatAnswer, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage import contents, hashing
from dxlfiletransferclient.storage.catalogue import HASHED_AT_ONCE
from dxlfiletransferclient.storage.contents import changed_just_now
from dxlfiletransferclient.storage.versions import KnownDigests, version_of
from tests.unit.client.cataloguing import Opened, file, opened, refused, sha256
from tests.unit.client.fabric import open_descriptors
from tests.waiting import wait_until


def stat(files: Opened, name: str) -> StatAnswer:
    return files.catalogue.stat(StatRequest(name=name, with_sha256=True))


def test_a_whole_file_comes_with_its_digest(files: Opened) -> None:
    published = files.publish("d/a", b"0123456789")
    before = open_descriptors()

    answer = files.retrieve("d/a")

    assert answer.payload == b"0123456789"
    assert (answer.offset, answer.size, answer.sha256) == (0, 10, sha256(b"0123456789"))
    assert answer.version == published.version
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("offset", "length", "payload"),
    [(0, 4, b"0123"), (4, 4, b"4567"), (8, 4, b"89"), (10, 4, b""), (99, 4, b""), (1, 99, b"1-9")],
)
def test_parts_of_a_file(files: Opened, offset: int, length: int, payload: bytes) -> None:
    files.publish("a", b"0123456789")

    answer = files.retrieve("a", offset, length)

    assert answer.payload == (b"123456789" if payload == b"1-9" else payload)
    assert (answer.offset, answer.size, answer.sha256) == (offset, 10, None)


def test_an_empty_file(files: Opened) -> None:
    files.publish("a", b"")
    answer = files.retrieve("a")
    assert (answer.payload, answer.size, answer.sha256) == (b"", 0, sha256(b""))


def test_a_largest_part(files: Opened) -> None:
    content = os.urandom(SEGMENT_SIZE + 10)
    files.publish("a", content)
    first = files.retrieve("a", 0, SEGMENT_SIZE)
    second = files.retrieve("a", SEGMENT_SIZE, SEGMENT_SIZE, first.version)
    assert bytes(first.payload) + bytes(second.payload) == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=50), st.integers(0, 60), st.integers(1, 60))
def test_any_part_of_any_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, offset: int, length: int
) -> None:
    with opened(tmp_path_factory.mktemp("parts")) as files:
        files.publish("a", content)
        answer = files.retrieve("a", offset, length)
    assert answer.payload == content[offset : offset + length]
    assert (answer.sha256 == sha256(content)) == (answer.payload == content and offset == 0)


def test_reads_that_return_less_than_they_could(files: Opened, mocker: MockerFixture) -> None:
    files.publish("a", b"0123456789")
    real = os.pread
    mocker.patch.object(contents, "_pread", lambda fd, length, at: real(fd, min(length, 3), at))
    assert files.retrieve("a", 1, 8).payload == b"12345678"


def test_reading_where_there_is_no_pread(files: Opened, mocker: MockerFixture) -> None:
    files.publish("a", b"0123456789")
    mocker.patch.object(contents, "_pread", contents._pread_by_seeking)
    assert files.retrieve("a", 3, 4).payload == b"3456"


def test_another_version_is_refused(files: Opened) -> None:
    old = files.publish("a", b"0123456789").version
    assert files.retrieve("a", 5, 5, old).payload == b"56789"

    files.publish("a", b"9876543210")

    with refused(ErrorCode.CHANGED, "'a' was changed"):
        files.retrieve("a", 5, 5, old)


@pytest.mark.parametrize("way", ["replaced", "written", "cut"])
def test_a_file_that_changes_while_it_is_read(
    files: Opened, mocker: MockerFixture, way: str
) -> None:
    """Never bytes of two versions; without a version asked for, it is read again."""
    version = files.publish("a", b"a" * 1000).version
    real = os.pread
    changed = threading.Event()

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        data = real(descriptor, min(length, 500), offset)
        if not changed.is_set():
            changed.set()
            if way == "replaced":
                files.publish("a", b"b" * 1000)
            elif way == "written":
                (files.root / "a").write_bytes(b"b" * 1000)
                os.utime(files.root / "a", ns=(1, 1))
            else:
                os.truncate(files.root / "a", 600)
        return data

    mocker.patch.object(contents, "_pread", pread)
    with refused(ErrorCode.CHANGED):
        files.retrieve("a", 0, 1000, version)
    changed.clear()
    answer = files.retrieve("a", 0, 1000)
    assert set(bytes(answer.payload)) in ({ord("b")}, {ord("a")})
    assert answer.sha256 == sha256(bytes(answer.payload))


def test_what_cannot_be_retrieved(files: Opened, tmp_path: Path) -> None:
    files.publish("a", b"1")
    (files.root / "d").mkdir()
    (files.root / "l").symlink_to("a")
    (files.root / "ld").symlink_to("d")
    os.mkfifo(files.root / "pipe")
    (tmp_path / "secret").write_bytes(b"secret")
    (files.root / "out").symlink_to(tmp_path)

    for name in ("d", "l", "ld", "pipe", "out"):
        with refused(ErrorCode.WRONG_KIND):
            files.retrieve(name)
    for name in ("absent", "absent/a", "a/below", "ld/x", "out/secret"):
        with refused(ErrorCode.NOT_FOUND):
            files.retrieve(name)
    for name in ("", ".", "..", "../secret", ".workdir/x", "/etc/passwd"):
        with refused(ErrorCode.UNSAFE_NAME):
            files.retrieve(name)


def test_a_disk_that_fails(files: Opened, mocker: MockerFixture) -> None:
    files.publish("a", b"1")
    mocker.patch.object(contents, "_pread", side_effect=OSError(errno.EIO, "broken", "/x"))
    with refused(ErrorCode.STORAGE_FAILED, "^cannot read 'a': broken$"):
        files.retrieve("a")


def test_stat_tells_what_is_there(files: Opened) -> None:
    version = files.publish("d/a", b"123", modified_ns=17, executable=True).version
    (files.root / "l").symlink_to("d/a")

    (entry,) = files.catalogue.stat(StatRequest(name="d/a")).entry
    assert (entry.name, entry.kind, entry.size, entry.modified_ns) == ("d/a", Kind.FILE, 3, 17)
    assert (entry.executable, entry.version, entry.target) == (True, version, None)
    (entry,) = files.catalogue.stat(StatRequest(name="./d/")).entry
    assert (entry.name, entry.kind, entry.size, entry.version) == ("d", Kind.DIRECTORY, 0, "")
    (entry,) = files.catalogue.stat(StatRequest(name="l")).entry
    assert (entry.name, entry.kind, entry.target, entry.version) == ("l", Kind.LINK, "d/a", "")
    (entry,) = files.catalogue.stat(StatRequest(name="")).entry
    assert (entry.name, entry.kind) == ("", Kind.DIRECTORY)
    assert stat(files, "d") == files.catalogue.stat(StatRequest(name="d"))


def test_stat_of_what_is_not_there(files: Opened, tmp_path: Path) -> None:
    os.mkfifo(files.root / "pipe")
    (files.root / "out").symlink_to(tmp_path)
    for name in ("absent", "a/b", "pipe", "out/storage"):
        with refused(ErrorCode.NOT_FOUND):
            stat(files, name)
    for name in ("..", ".workdir"):
        with refused(ErrorCode.UNSAFE_NAME):
            stat(files, name)


def test_the_digest_of_a_small_file_is_computed_at_once(files: Opened) -> None:
    (files.root / "a").write_bytes(b"not by us")
    assert stat(files, "a").sha256 == sha256(b"not by us")
    (files.root / "a").write_bytes(b"changed..")
    assert stat(files, "a").sha256 == sha256(b"changed..")


def test_the_digest_of_a_large_file_is_computed_in_the_background(files: Opened) -> None:
    content = os.urandom(HASHED_AT_ONCE + 1)
    (files.root / "a").write_bytes(content)

    first = stat(files, "a")
    assert (first.sha256, first.pending) == (None, True)
    wait_until(lambda: not stat(files, "a").pending)

    assert stat(files, "a").sha256 == sha256(content)


def large(files: Opened, name: str) -> None:
    with (files.root / name).open("wb") as opened_file:
        opened_file.truncate(HASHED_AT_ONCE + 1)


def test_too_many_files_to_be_hashed(files: Opened, mocker: MockerFixture) -> None:
    go_on = threading.Event()
    mocker.patch.object(hashing, "MAX_WAITING", 2)
    real = files.catalogue._reader.digest

    def digest(*args: Any) -> str | None:
        assert go_on.wait(30)
        return real(*args)

    mocker.patch.object(files.catalogue._reader, "digest", digest)
    for name in "abc":
        large(files, name)
    try:
        for name in "abab":
            assert stat(files, name).pending
        with refused(ErrorCode.BUSY, "2 other files wait"):
            stat(files, "c")
    finally:
        go_on.set()
    wait_until(lambda: not (stat(files, "a").pending or stat(files, "b").pending))
    assert stat(files, "c").pending
    wait_until(lambda: not stat(files, "c").pending)


def test_a_large_file_that_cannot_be_read(files: Opened, mocker: MockerFixture) -> None:
    large(files, "a")
    answers = iter([OSError(errno.EIO, "broken")])
    real = files.catalogue._reader.digest

    def digest(*args: Any) -> str | None:
        for error in answers:
            raise error
        return real(*args)

    mocker.patch.object(files.catalogue._reader, "digest", digest)
    assert stat(files, "a").pending
    wait_until(lambda: not files.catalogue._background._waiting)
    with refused(ErrorCode.STORAGE_FAILED, "cannot look at 'a': broken"):
        stat(files, "a")
    # It may have been a passing thing.
    assert stat(files, "a").pending
    wait_until(lambda: not stat(files, "a").pending)


def test_a_large_file_that_vanishes_or_changes(files: Opened, mocker: MockerFixture) -> None:
    started, go_on = threading.Event(), threading.Event()
    real = files.catalogue._reader.digest

    def digest(*args: Any) -> str | None:
        started.set()
        assert go_on.wait(30)
        return real(*args)

    mocker.patch.object(files.catalogue._reader, "digest", digest)
    large(files, "gone")
    large(files, "changed")
    assert stat(files, "gone").pending
    assert stat(files, "changed").pending
    assert started.wait(30)
    (files.root / "gone").unlink()
    content = os.urandom(HASHED_AT_ONCE + 2)
    (files.root / "changed").write_bytes(content)
    go_on.set()

    with refused(ErrorCode.NOT_FOUND):
        stat(files, "gone")
    wait_until(lambda: not stat(files, "changed").pending)
    assert stat(files, "changed").sha256 == sha256(content)


def test_a_file_that_changes_while_it_is_hashed_has_no_digest(
    files: Opened, mocker: MockerFixture
) -> None:
    (files.root / "a").write_bytes(b"x" * 1000)
    reader = files.catalogue._reader
    version = files.catalogue.version_of(("a",))
    assert version is not None
    real = reader._pieces

    def pieces(descriptor: int) -> Iterator[memoryview]:
        yield from real(descriptor)
        with (files.root / "a").open("ab") as appended:
            appended.write(b"y")

    mocker.patch.object(reader, "_pieces", pieces)
    assert reader.digest(("a",), version) is None
    assert reader.digest(("a",), "other") is None
    assert stat(files, "a").pending


def test_closing_ends_what_is_being_hashed(files: Opened, mocker: MockerFixture) -> None:
    reading, go_on = threading.Event(), threading.Event()
    mocker.patch.object(contents, "READ_SIZE", 1000)
    reader = files.catalogue._reader
    real = reader._pieces

    def pieces(descriptor: int) -> Iterator[memoryview]:
        for piece in real(descriptor):
            reading.set()
            assert go_on.wait(30)
            yield piece

    mocker.patch.object(reader, "_pieces", pieces)
    large(files, "a")
    large(files, "b")
    assert stat(files, "a").pending
    assert stat(files, "b").pending
    assert reading.wait(30)
    reader.close()
    go_on.set()
    files.catalogue.close()

    assert files.catalogue._background._thread is not None
    assert not files.catalogue._background._thread.is_alive()


def test_versions_change_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    status = path.stat()
    versions = {version_of(status)}
    # The kernel's clock may not have moved on between two changes, but the size has.
    for content in (b"22", b"333"):
        path.write_bytes(content)
        versions.add(version_of(path.stat()))
    os.utime(path, ns=(17, 17))
    versions.add(version_of(path.stat()))
    assert len(versions) == 4
    assert all(len(version) == 24 for version in versions)


def test_only_so_many_digests_are_known() -> None:
    known = KnownDigests(limit=3)
    for number in range(3):
        known.remember(f"v{number}", f"d{number}")
    assert known.get("v0") == "d0"
    known.remember("v3", "d3")
    known.remember("v0", "d4")

    assert [known.get(f"v{number}") for number in range(4)] == ["d4", None, "d2", "d3"]


def test_what_changed_just_now(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    now = path.stat().st_ctime
    # The time that a sender sets says nothing.
    os.utime(path, ns=(17, 17))
    assert changed_just_now(path.stat(), path.stat().st_ctime)
    assert not changed_just_now(path.stat(), now + 10)


def test_a_batch_is_read_as_it_was_put(files: Opened) -> None:
    files.put(file("d/a", b"12"), file("b", b"3"))
    assert files.retrieve("d/a").sha256 == sha256(b"12")
    assert files.retrieve("b").payload == b"3"


def test_a_fault_ends_the_hashing_of_one_file_only(
    files: Opened, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    large(files, "a")
    large(files, "b")
    real = files.catalogue._reader.digest

    def digest(parts: Any, version: str) -> str | None:
        if parts == ("a",):
            raise RuntimeError("a fault")
        return real(parts, version)

    mocker.patch.object(files.catalogue._reader, "digest", digest)
    assert stat(files, "a").pending
    wait_until(lambda: not stat(files, "b").pending)
    assert "a fault" in caplog.text

"""Giving finished files their names: the overwrite modes, attributes, and who wins."""

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import Overwrite, StatRequest, TransferState
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.publishing import ATTEMPTS
from dxlfiletransferclient.storage.quotas import Quota, QuotaLimits
from tests.unit.client.cataloguing import PLENTY, Opened, opened, refused, sha256

SECOND = 1_000_000_000


@pytest.fixture(params=["descriptors", "paths"])
def files(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Opened]:
    if request.param == "paths":
        monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    with opened(tmp_path) as catalogue:
        yield catalogue


def test_a_file_gets_its_name(files: Opened) -> None:
    published = files.publish("a/b", b"abc")

    assert (files.root / "a" / "b").read_bytes() == b"abc"
    assert published.state is TransferState.STORED
    assert (published.size, published.sha256) == (3, sha256(b"abc"))
    assert published.version == files.catalogue.version_of(("a", "b"))
    assert files.left_over() == []


def test_attributes_are_set_to_the_nanosecond(files: Opened) -> None:
    files.publish("a", b"abc", modified_ns=1_600_000_000_123_456_789, executable=True)
    files.publish("b", b"abc")

    status = (files.root / "a").stat()
    assert status.st_mtime_ns == 1_600_000_000_123_456_789
    assert status.st_mode & 0o100
    # Who may not read it may not run it either.
    assert status.st_mode & 0o111 == (status.st_mode & 0o444) >> 2
    assert not (files.root / "b").stat().st_mode & 0o111


def test_the_umask_takes_its_share(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with opened(tmp_path) as files:
            files.publish("a", b"abc", executable=True)
    finally:
        os.umask(before)
    assert (tmp_path / "storage" / "a").stat().st_mode & 0o777 == 0o750


def test_replace(files: Opened) -> None:
    first = files.publish("a", b"old")
    second = files.publish("a", b"new")

    assert (files.root / "a").read_bytes() == b"new"
    assert first.version != second.version


@pytest.mark.parametrize(
    ("modified_ns", "state"),
    [
        (10 * SECOND + 1, TransferState.STORED),
        (None, TransferState.STORED),
        (10 * SECOND, TransferState.KEPT),
        (10 * SECOND - 1, TransferState.KEPT),
    ],
)
def test_newer(files: Opened, modified_ns: int | None, state: TransferState) -> None:
    old = files.publish("a", b"old", modified_ns=10 * SECOND)

    published = files.publish("a", b"new", Overwrite.NEWER, modified_ns=modified_ns)

    assert published.state is state
    kept = state is TransferState.KEPT
    assert (files.root / "a").read_bytes() == (b"old" if kept else b"new")
    assert (published.version == old.version) is kept
    assert bool(files.left_over()) is kept


def test_keep(files: Opened) -> None:
    assert files.publish("a", b"old", Overwrite.KEEP).state is TransferState.STORED
    assert files.publish("a", b"new", Overwrite.KEEP).state is TransferState.KEPT

    assert (files.root / "a").read_bytes() == b"old"
    assert files.left_over() == ["dxlft-x.part"]


def test_fail(files: Opened) -> None:
    old = files.publish("a", b"old", Overwrite.FAIL)

    with refused(ErrorCode.EXISTS, "'a' exists"):
        files.publish("a", b"new", Overwrite.FAIL)
    with refused(ErrorCode.EXISTS, "'a' exists"):
        files.publish("a", b"longer", Overwrite.FAIL)
    same = files.publish("a", b"old", Overwrite.FAIL)

    assert same.state is TransferState.STORED
    assert same.version == old.version
    assert files.left_over() == ["dxlft-x.part"]


def test_fail_reads_a_file_that_somebody_else_put_there(files: Opened) -> None:
    (files.root / "a").write_bytes(b"same")

    assert files.publish("a", b"same", Overwrite.FAIL).state is TransferState.STORED
    with refused(ErrorCode.EXISTS):
        files.publish("a", b"diff", Overwrite.FAIL)


def test_an_older_file_that_keeps_changing_is_given_up(
    files: Opened, mocker: MockerFixture
) -> None:
    (files.root / "a").write_bytes(b"0000")
    reader = files.catalogue._reader
    reads: list[str] = []

    def changed(_parts: object, version: str) -> str | None:
        reads.append(version)
        (files.root / "a").write_bytes(b"%04d" % len(reads))
        os.utime(files.root / "a", ns=(0, len(reads) * SECOND))
        return None

    mocker.patch.object(reader, "digest", changed)
    with refused(ErrorCode.BUSY, "keeps being changed"):
        files.publish("a", b"same", Overwrite.FAIL)
    assert len(reads) == ATTEMPTS


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_a_directory_is_never_replaced(files: Opened, overwrite: Overwrite) -> None:
    (files.root / "a").mkdir()
    with refused(ErrorCode.WRONG_KIND, "existing directory"):
        files.publish("a", b"new", overwrite)


def test_a_link_is_replaced_and_not_followed(files: Opened, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    (files.root / "a").symlink_to(victim)

    with refused(ErrorCode.EXISTS):
        files.publish("a", b"safe", Overwrite.FAIL)
    assert files.publish("a", b"new", Overwrite.KEEP).state is TransferState.KEPT
    files.publish("a", b"new")

    assert victim.read_bytes() == b"safe"
    assert not (files.root / "a").is_symlink()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_nothing_is_stored_below_a_file_or_link(files: Opened, tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (files.root / "a").touch()
    else:
        (files.root / "a").symlink_to(tmp_path)
    with refused(ErrorCode.WRONG_KIND, f"'a', which is a {kind}"):
        files.publish("a/b", b"new")
    assert not (tmp_path / "b").exists()


def test_the_working_directory_is_no_place_for_files(files: Opened) -> None:
    for name in (".workdir", ".workdir/a", "x/../.workdir/a"):
        with refused(ErrorCode.UNSAFE_NAME, "reserved"):
            files.catalogue.parse(name)


def test_a_file_of_another_size_than_was_checked_is_not_published(files: Opened) -> None:
    with refused(ErrorCode.STORAGE_FAILED, "3 bytes in the working directory and not 4"):
        files.catalogue.publish(
            files.part(b"abc"),
            ("a",),
            size=4,
            sha256=sha256(b"abc"),
            attributes=Attributes(),
            overwrite=Overwrite.REPLACE,
        )
    assert not (files.root / "a").exists()


def test_a_part_file_that_became_a_link_is_not_followed(files: Opened, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    (files.layout.working / "part").symlink_to(tmp_path / "secret")
    with refused(ErrorCode.STORAGE_FAILED, "cannot store 'a'"):
        files.catalogue.publish(
            "part",
            ("a",),
            size=3,
            sha256=sha256(b"abc"),
            attributes=Attributes(),
            overwrite=Overwrite.REPLACE,
        )
    assert not os.path.lexists(files.root / "a")


def test_another_file_system_is_named(files: Opened, mocker: MockerFixture) -> None:
    error = OSError(errno.EXDEV, "Invalid cross-device link")
    mocker.patch.object(type(files.working), "move", side_effect=error)
    with refused(ErrorCode.STORAGE_FAILED, "another file system than the working directory"):
        files.publish("a", b"abc")


def test_a_missing_part_file_is_no_missing_directory(files: Opened) -> None:
    with refused(ErrorCode.STORAGE_FAILED, "cannot store 'a': No such file"):
        files.catalogue.publish(
            "absent",
            ("a",),
            size=0,
            sha256="",
            attributes=Attributes(),
            overwrite=Overwrite.REPLACE,
        )


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, ErrorCode.STORAGE_FULL), (errno.EIO, ErrorCode.STORAGE_FAILED)],
)
@pytest.mark.parametrize("step", ["flush", "move"])
def test_the_older_file_outlives_a_failure(
    files: Opened, mocker: MockerFixture, number: int, code: ErrorCode, step: str
) -> None:
    files.publish("a", b"old")
    error = OSError(number, "broken", "/secret")
    if step == "flush":
        mocker.patch("os.fsync", side_effect=error)
    else:
        mocker.patch.object(type(files.working), "move", side_effect=error)

    with refused(code, "cannot store 'a': broken$"):
        files.publish("a", b"new")

    assert (files.root / "a").read_bytes() == b"old"
    assert files.left_over() == ["dxlft-x.part"]


def test_a_directory_that_is_removed_meanwhile_is_made_again(
    files: Opened, mocker: MockerFixture
) -> None:
    real = type(files.working).move
    removed: list[Path] = []

    def move(self: Any, name: str, target: Any, new_name: str) -> None:
        if len(removed) < ATTEMPTS - 1:
            (files.root / "d" / "e").rmdir()
            removed.append(files.root)
        real(self, name, target, new_name)

    mocker.patch.object(type(files.working), "move", move)
    files.publish("d/e/a", b"abc")

    assert (files.root / "d" / "e" / "a").read_bytes() == b"abc"


@pytest.mark.parametrize("overwrite", [Overwrite.KEEP, Overwrite.FAIL])
def test_only_one_of_many_wins(files: Opened, overwrite: Overwrite) -> None:
    count = 12
    barrier = threading.Barrier(count)

    def publish(number: int) -> str:
        barrier.wait(10)
        try:
            content = b"%02d" % number
            return files.publish("d/a", content, overwrite, part=f"dxlft-{number}.part").state
        except RefusedError as error:
            return "exists" if error.means(ErrorCode.EXISTS) else str(error)

    with ThreadPoolExecutor(count) as pool:
        states = list(pool.map(publish, range(count)))

    winner = states.index("stored")
    loser = "kept" if overwrite is Overwrite.KEEP else "exists"
    assert sorted(set(states)) == sorted({"stored", loser})
    assert states.count("stored") == 1
    assert (files.root / "d" / "a").read_bytes() == b"%02d" % winner
    assert len(files.left_over()) == count - 1


def test_check_tells_at_the_beginning(files: Opened) -> None:
    check = files.catalogue.check
    files.publish("a", b"old", modified_ns=10 * SECOND)
    (files.root / "d").mkdir()

    for overwrite in Overwrite:
        assert check(("new", "x"), overwrite=overwrite, modified_ns=1, size=1)
        assert check(("y",), overwrite=overwrite, modified_ns=None, size=None)
        with refused(ErrorCode.WRONG_KIND):
            check(("d",), overwrite=overwrite, modified_ns=1, size=3)
        with refused(ErrorCode.WRONG_KIND):
            check(("a", "x"), overwrite=overwrite, modified_ns=1, size=3)
    assert check(("a",), overwrite=Overwrite.REPLACE, modified_ns=1, size=9)
    assert not check(("a",), overwrite=Overwrite.KEEP, modified_ns=1, size=9)
    assert not check(("a",), overwrite=Overwrite.NEWER, modified_ns=10 * SECOND, size=9)
    assert check(("a",), overwrite=Overwrite.NEWER, modified_ns=11 * SECOND, size=9)
    assert check(("a",), overwrite=Overwrite.NEWER, modified_ns=None, size=9)
    # The content may be the same; that shows at the end.
    assert check(("a",), overwrite=Overwrite.FAIL, modified_ns=1, size=3)
    assert check(("a",), overwrite=Overwrite.FAIL, modified_ns=1, size=None)
    with refused(ErrorCode.EXISTS):
        check(("a",), overwrite=Overwrite.FAIL, modified_ns=1, size=4)
    assert not (files.root / "new").exists()


def test_versions_are_of_files_that_are_there(files: Opened, tmp_path: Path) -> None:
    version_of = files.catalogue.version_of
    first = files.publish("a", b"abc").version
    (files.root / "d").mkdir()
    (files.root / "l").symlink_to("a")

    assert version_of(("a",)) == first
    for name in ("d", "l", "absent", "a/below", "l/below", "absent/below"):
        assert version_of(files.catalogue.parse(name)) is None
    (files.root / "a").write_bytes(b"xyz")
    assert version_of(("a",)) not in (None, first)


def test_what_is_replaced_leaves_the_quota(tmp_path: Path) -> None:
    quota = Quota(QuotaLimits(total_bytes=100), free=lambda: PLENTY, used=lambda: 0)
    with opened(tmp_path, quota=quota) as files:
        for content in (b"x" * 60, b"y" * 30, b"z" * 40):
            quota.reserve("id", len(content))
            assert files.publish("a", content).state is TransferState.STORED
            quota.stored("id", grown=len(content))
        # The same once more is given up, and counts once.
        quota.reserve("id", 40)
        files.publish("a", b"z" * 40, Overwrite.FAIL)
        quota.stored("id", grown=40)
        quota.reserve("other", 60)
        with refused(ErrorCode.QUOTA):
            quota.reserve("third", 1)


def test_the_digest_of_a_fresh_file_is_known(files: Opened, mocker: MockerFixture) -> None:
    files.publish("a", b"abc")
    mocker.patch.object(files.catalogue._reader, "digest", side_effect=AssertionError)

    answer = files.catalogue.stat(StatRequest(name="a", with_sha256=True))

    assert answer.sha256 == sha256(b"abc")
    assert not answer.pending


def test_bytes_attributes_name_and_directory_are_flushed_in_this_order(
    tmp_path: Path, mocker: MockerFixture
) -> None:
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        time = path.stat().st_mtime_ns if path.is_file() else ""
        steps.append(f"fsync {path.name} {time}".strip())
        real_fsync(descriptor)

    def rename(source: Any, target: Any, **kwargs: Any) -> None:
        steps.append(f"rename {source} {target}")
        real_rename(source, target, **kwargs)

    with opened(tmp_path) as files:
        (files.root / "d").mkdir()
        mocker.patch("os.fsync", fsync)
        mocker.patch("os.rename", rename)
        files.publish("d/a", b"abc", modified_ns=17)

    assert steps == ["fsync dxlft-x.part 17", "rename dxlft-x.part a", "fsync d"]

"""On which terms a new file takes the place of an older one: same size, backups, times."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import (
    FinishRequest,
    OpenRequest,
    Overwrite,
    SegmentRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage import directory as directory_module
from dxlfiletransferclient.storage.attributes import Attributes
from dxlfiletransferclient.storage.catalogue import Published
from dxlfiletransferclient.storage.journal import Metadata, Reader, Writer
from dxlfiletransferclient.storage.local import LocalStore
from dxlfiletransferclient.storage.overwriting import (
    BACKUP_SUFFIX,
    Decision,
    NameLocks,
    Newcomer,
    Terms,
    decide,
    folded,
)
from dxlfiletransferclient.storage.quotas import QuotaLimits, quota_of
from tests.unit.client.cataloguing import Opened, file, opened, refused, sha256

SAME_SIZE = Terms(same_size=True)
BACKUP = Terms(backup=True)
SECOND = 1_000_000_000


@pytest.fixture(params=["descriptors", "paths"])
def files(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Opened]:
    if request.param == "paths":
        monkeypatch.setattr(directory_module, "_HAS_DESCRIPTORS", False)
    with opened(tmp_path) as catalogue:
        yield catalogue


def publish(
    files: Opened,
    name: str,
    content: bytes,
    terms: Terms,
    *,
    overwrite: Overwrite = Overwrite.REPLACE,
    modified_ns: int | None = None,
) -> Published:
    return files.catalogue.publish(
        files.part(content),
        files.catalogue.parse(name),
        size=len(content),
        sha256=sha256(content),
        attributes=Attributes(modified_ns if terms.sets_modified else None),
        source_modified_ns=modified_ns,
        overwrite=overwrite,
        terms=terms,
    )


def status(tmp_path: Path, content: bytes, modified_ns: int = 0) -> os.stat_result:
    path = tmp_path / "old"
    path.write_bytes(content)
    os.utime(path, ns=(modified_ns, modified_ns))
    return path.stat()


# Decisions


@pytest.mark.parametrize(("old", "size"), [(b"", 7), (b"abc", 3), (b"abc", None)])
def test_what_fits_takes_the_place(tmp_path: Path, old: bytes, size: int | None) -> None:
    new = Newcomer(("a",), size, None, terms=SAME_SIZE)

    assert decide(Overwrite.REPLACE, new, status(tmp_path, old)) is Decision.TAKE


def test_another_size_does_not(tmp_path: Path) -> None:
    new = Newcomer(("a",), 4, None, terms=SAME_SIZE)

    with refused(ErrorCode.EXISTS, "'a' exists"):
        decide(Overwrite.REPLACE, new, status(tmp_path, b"abc"))


def test_a_link_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("abc")
    new = Newcomer(("a",), 3, None, terms=SAME_SIZE)

    with refused(ErrorCode.EXISTS):
        decide(Overwrite.REPLACE, new, (tmp_path / "link").lstat())


@pytest.mark.parametrize(
    ("later_ns", "decision"),
    [
        (-1, Decision.KEEP),
        (0, Decision.KEEP),
        (2 * SECOND, Decision.KEEP),
        (2 * SECOND + 1, Decision.TAKE),
    ],
)
def test_times_may_differ(tmp_path: Path, later_ns: int, decision: Decision) -> None:
    terms = Terms(resolution_ns=2 * SECOND)
    new = Newcomer(("a",), 3, SECOND + later_ns, terms=terms)

    assert decide(Overwrite.NEWER, new, status(tmp_path, b"abc", SECOND)) is decision


def test_what_is_newer_must_fit_too(tmp_path: Path) -> None:
    old = status(tmp_path, b"abc", SECOND)

    older = Newcomer(("a",), 4, SECOND, terms=SAME_SIZE)
    assert decide(Overwrite.NEWER, older, old) is Decision.KEEP
    newer = Newcomer(("a",), 4, 2 * SECOND, terms=SAME_SIZE)
    with refused(ErrorCode.EXISTS):
        decide(Overwrite.NEWER, newer, old)


def test_a_name_without_room_for_a_backup(tmp_path: Path) -> None:
    new = Newcomer(("d", "a" * 250), 3, None, terms=BACKUP)

    assert decide(Overwrite.REPLACE, new, None) is Decision.TAKE
    with refused(ErrorCode.UNSAFE_NAME, "too long"):
        decide(Overwrite.REPLACE, new, status(tmp_path, b"abc"))


# Backups


def test_the_old_one_stays_beside_the_new_one(files: Opened) -> None:
    publish(files, "d/a", b"old", BACKUP)
    assert [path.name for path in (files.root / "d").iterdir()] == ["a"]

    published = publish(files, "d/a", b"newer", BACKUP)

    assert published.state is TransferState.STORED
    assert (files.root / "d" / "a").read_bytes() == b"newer"
    assert (files.root / "d" / f"a{BACKUP_SUFFIX}").read_bytes() == b"old"
    assert files.left_over() == []


def test_the_last_old_one_is_kept(files: Opened) -> None:
    for content in (b"1", b"2", b"3"):
        publish(files, "a", content, BACKUP)

    assert (files.root / "a").read_bytes() == b"3"
    assert (files.root / f"a{BACKUP_SUFFIX}").read_bytes() == b"2"


def test_what_comes_again_pushes_nothing_out(files: Opened) -> None:
    publish(files, "a", b"old", BACKUP)
    publish(files, "a", b"new", BACKUP)

    # As after a restart, when it is not known any more what is there.
    files.catalogue._digests._digests.clear()
    publish(files, "a", b"new", BACKUP, modified_ns=5 * SECOND)

    assert (files.root / "a").stat().st_mtime_ns == 5 * SECOND
    assert (files.root / f"a{BACKUP_SUFFIX}").read_bytes() == b"old"


def test_a_batch_that_comes_again_pushes_nothing_out(files: Opened) -> None:
    files.put(file("a", b"old"))

    for _ in range(2):
        (result,) = files.catalogue.put([file("a", b"new")], BACKUP)
        assert result.state is TransferState.STORED

    assert (files.root / "a").read_bytes() == b"new"
    assert (files.root / f"a{BACKUP_SUFFIX}").read_bytes() == b"old"
    assert files.left_over() == []


def test_a_link_is_backed_up_as_a_link(files: Opened) -> None:
    (files.root / "a").symlink_to("somewhere")

    publish(files, "a", b"new", BACKUP)

    assert (files.root / "a").read_bytes() == b"new"
    assert str((files.root / f"a{BACKUP_SUFFIX}").readlink()) == "somewhere"


def test_a_directory_in_the_place_of_the_backup(files: Opened) -> None:
    publish(files, "a", b"old", BACKUP)
    (files.root / f"a{BACKUP_SUFFIX}").mkdir()

    with refused(ErrorCode.WRONG_KIND, "backup"):
        publish(files, "a", b"new", BACKUP)

    assert (files.root / "a").read_bytes() == b"old"


def test_a_file_system_without_second_names(files: Opened, mocker: MockerFixture) -> None:
    publish(files, "a", b"old", BACKUP)
    error = OSError(errno.EPERM, "Operation not permitted")
    mocker.patch.object(os, "link", side_effect=error)

    with refused(ErrorCode.STORAGE_FAILED, "no backup"):
        publish(files, "a", b"new", BACKUP)

    assert (files.root / "a").read_bytes() == b"old"


class Killed(BaseException):
    """The process has ended here."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the process end before a certain change of a directory, and tell which there were."""
    done: list[str] = []
    kind = directory_module._DescriptorDirectory
    for name in ("link", "move", "sync", "unlink"):
        original = getattr(kind, name)

        def counted(*arguments: object, _name: str = name, _original: object = original) -> object:
            if len(done) == step:
                raise Killed
            done.append(_name)
            return _original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(kind, name, counted)
    return done


@pytest.mark.parametrize("step", range(5))
def test_killed_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    root = tmp_path / "storage"
    backup = root / f"a{BACKUP_SUFFIX}"
    with opened(tmp_path) as files:
        publish(files, "a", b"older", BACKUP)
        publish(files, "a", b"old", BACKUP)
    with opened(tmp_path) as files, monkeypatch.context() as patch:
        done = killed_at(step, patch)
        with suppress(Killed):
            publish(files, "a", b"brand new", BACKUP)
        assert done == ["link", "move", "sync", "move", "sync"][:step]

    # Whatever has the name is whole, and the old one is not lost.
    assert (root / "a").read_bytes() in (b"old", b"brand new")
    assert b"old" in ((root / "a").read_bytes(), backup.read_bytes())
    assert backup.read_bytes() in (b"older", b"old")

    with opened(tmp_path) as files:
        publish(files, "a", b"brand new", BACKUP)
        assert (root / "a").read_bytes() == b"brand new"
        assert backup.read_bytes() == b"old"
        files.catalogue.expire(older_than=2**40)
        assert not [name for name in files.left_over() if name.endswith(".entry")]


def test_the_quota_counts_backups(tmp_path: Path) -> None:
    layout = tmp_path / "storage"
    layout.mkdir()
    quota = quota_of(QuotaLimits(total_bytes=100), storage=layout, working=tmp_path)

    def room(count: int) -> bool:
        with suppress(Exception):
            quota.reserve("probe", count)
            quota.release("probe")
            return True
        return False

    with opened(tmp_path, quota=quota) as files:
        for size in (10, 20, 40):
            (result,) = files.catalogue.put([file("a", b"x" * size)], BACKUP)
            assert result.state is TransferState.STORED
        # 40 under the name, 20 as the backup; the 10 before are gone.
        assert room(40)
        assert not room(41)


# Files under way


def test_terms_are_kept_in_the_journal() -> None:
    terms = Terms(same_size=True, backup=True, resolution_ns=5, sets_modified=False)
    data, _ = Writer().encoded(Metadata(name="a", terms=terms), Metadata(name="b"))

    found = [record for _, record in Reader().read(data)]

    assert found == [Metadata(name="a", terms=terms), Metadata(name="b")]
    # Without any, it is as programs know it that know no terms.
    plain, _ = Writer().encoded(Metadata(name="b"))
    assert b"terms" not in plain


def test_a_file_in_parts_on_terms(tmp_path: Path) -> None:
    terms = Terms(backup=True, sets_modified=False)
    (tmp_path / "a").write_bytes(b"old")
    request = OpenRequest(file_id="f", name="a", size=3, modified_ns=SECOND)
    with LocalStore(tmp_path) as store:
        store.open(request, terms)
        store.write(SegmentRequest(file_id="f", offset=0, payload=b"new"))

    with LocalStore(tmp_path) as store:
        with refused(ErrorCode.OTHER_METADATA):
            store.open(request)
        assert store.open(request, terms).held == ((0, 3),)
        done = store.finish(FinishRequest(file_id="f", size=3, sha256=sha256(b"new")))

    assert done.state is TransferState.STORED
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mtime_ns > SECOND
    assert (tmp_path / f"a{BACKUP_SUFFIX}").read_bytes() == b"old"


def test_what_does_not_fit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with LocalStore(tmp_path) as store, refused(ErrorCode.EXISTS):
        store.open(OpenRequest(file_id="f", name="a", size=4), SAME_SIZE)


def test_times_that_are_compared_and_not_set(tmp_path: Path) -> None:
    terms = Terms(sets_modified=False)
    (tmp_path / "a").write_bytes(b"old")
    os.utime(tmp_path / "a", ns=(10 * SECOND, 10 * SECOND))
    older = file("a", b"new", overwrite=Overwrite.NEWER, modified_ns=9 * SECOND)
    newer = file("a", b"new", overwrite=Overwrite.NEWER, modified_ns=11 * SECOND)
    with LocalStore(tmp_path) as store:
        assert store.put([older], terms)[0].state is TransferState.KEPT
        assert store.put([newer], terms)[0].state is TransferState.STORED

    assert (tmp_path / "a").stat().st_mtime_ns > 11 * SECOND


def test_locks_of_several_names_do_not_wait_for_each_other() -> None:
    locks = NameLocks()
    with locks.held(("a",), ("b",), ("a",)):
        pass
    with locks.held(("b",), ("a",)):
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/B.txt", "A/b.TXT"), ("K", "\u212a"), ("d/\u00e9", "D/e\u0301"), ("s", "\u017f")],
)
def test_names_that_may_be_the_same_have_one_lock(one: str, other: str) -> None:
    assert folded(tuple(one.split("/"))) == folded(tuple(other.split("/")))

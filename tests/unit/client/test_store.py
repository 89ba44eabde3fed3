"""The store by the requests that it takes."""

import os
import shutil
from pathlib import Path

import pytest
from dxlclient.message import Request

from dxlfiletransferclient import (
    FileStoreManager,
    FileStoreResultProp,
    FileStoreSegmentResult,
    FileTransferError,
    StoreClosedError,
    UnknownFileError,
    UnsafeNameError,
    WorkingDirectoryInUseError,
)
from dxlfiletransferclient import store as store_module
from dxlfiletransferclient.storage import places as places_module
from tests.unit.client.fabric import last_request, left_in, request_of, sha256

FIRST, SECOND = b"first ", b"second"
CONTENT = FIRST + SECOND


def begin(store: FileStoreManager, payload: bytes = FIRST) -> str:
    return store.store_segment(request_of(payload, segment_number="1")).file_id


def test_a_file_of_one_request(
    store: FileStoreManager, storage_dir: Path, working_dir: Path
) -> None:
    result = store.store_segment(last_request("a", CONTENT, CONTENT))

    assert result.to_dict() == {
        "file_id": result.file_id,
        "segments_received": 1,
        "result": "store",
    }
    assert (storage_dir / "a").read_bytes() == CONTENT
    assert left_in(working_dir) == set()


def test_an_empty_file(store: FileStoreManager, storage_dir: Path) -> None:
    store.store_segment(last_request("a", b""))
    assert (storage_dir / "a").read_bytes() == b""


def test_a_file_of_several_requests(
    store: FileStoreManager, storage_dir: Path, working_dir: Path
) -> None:
    first = store.store_segment(request_of(FIRST, segment_number="1"))
    assert first.to_dict() == {"file_id": first.file_id, "segments_received": 1}
    second = store.store_segment(request_of(SECOND, segment_number="2", file_id=first.file_id))
    assert second == FileStoreSegmentResult(first.file_id, 2, FileStoreResultProp.NONE)
    assert not (storage_dir / "d").exists()

    last = store.store_segment(last_request("d/a", CONTENT, number=3, file_id=first.file_id))

    assert last == FileStoreSegmentResult(first.file_id, 3, FileStoreResultProp.STORE)
    assert (storage_dir / "d" / "a").read_bytes() == CONTENT
    assert left_in(working_dir) == set()


def test_the_older_file_stays_until_the_new_one_is_whole(
    store: FileStoreManager, storage_dir: Path
) -> None:
    store.store_segment(last_request("a", b"old", b"old"))
    file_id = begin(store)
    assert (storage_dir / "a").read_bytes() == b"old"
    store.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert (storage_dir / "a").read_bytes() == CONTENT


def test_a_stored_file_has_usual_permissions(store: FileStoreManager, storage_dir: Path) -> None:
    store.store_segment(last_request("a", b"x", b"x"))
    umask = os.umask(0)
    os.umask(umask)
    assert (storage_dir / "a").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (storage_dir / ".workdir").stat().st_mode & 0o077 == 0


def test_a_cancelled_file(store: FileStoreManager, working_dir: Path) -> None:
    file_id = begin(store)

    result = store.store_segment(request_of(file_id=file_id, result="cancel"))

    assert result.to_dict() == {"file_id": file_id, "segments_received": 1, "result": "cancel"}
    assert left_in(working_dir) == set()
    with pytest.raises(UnknownFileError):
        store.store_segment(request_of(SECOND, segment_number="2", file_id=file_id))


def test_a_cancel_may_be_repeated(store: FileStoreManager) -> None:
    file_id = begin(store)
    cancel = request_of(file_id=file_id, result="cancel")
    assert store.store_segment(cancel) == store.store_segment(cancel)


def test_a_cancel_after_a_failed_store_is_no_error(store: FileStoreManager) -> None:
    """Senders of version 0.1 would report the failing cancel and not what went wrong before."""
    file_id = begin(store)
    with pytest.raises(ValueError, match="size"):
        store.store_segment(last_request("a", b"other", SECOND, 2, file_id))
    result = store.store_segment(request_of(file_id=file_id, result="cancel", name="a"))
    assert result.file_result == FileStoreResultProp.CANCEL


def test_only_so_many_dropped_files_are_remembered(
    store: FileStoreManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "DROPPED_FILES_KNOWN", 2)
    cancels = [request_of(file_id=begin(store), result="cancel") for _ in range(3)]
    for cancel in cancels:
        store.store_segment(cancel)
    for cancel in cancels[1:]:
        store.store_segment(cancel)
    with pytest.raises(UnknownFileError):
        store.store_segment(cancels[0])


def test_a_cancel_after_the_store_is_one(store: FileStoreManager, storage_dir: Path) -> None:
    stored = store.store_segment(last_request("a", b"x", b"x"))
    with pytest.raises(UnknownFileError):
        store.store_segment(request_of(file_id=stored.file_id, result="cancel"))
    assert (storage_dir / "a").read_bytes() == b"x"


def changed(request: Request, **fields: object) -> Request:
    """Return a request with other fields; those that become ``None`` are left out."""
    return request_of(request.payload, **{**request.other_fields, **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": None}, "'name'"),
        ({"name": ""}, "'name'"),
        ({"name": "../a"}, "leads out"),
        ({"name": "/a"}, "absolute"),
        ({"name": ".workdir/a"}, "working directory"),
        ({"name": ".workdir"}, "working directory"),
        ({"name": "."}, "names no file"),
        ({"name": "directory"}, "existing directory"),
        ({"name": "link/a"}, "link"),
        ({"name": "a\0b"}, "NUL"),
        ({"name": "x" * 5000}, "4096"),
        ({"name": 5}, "'name'"),
        ({"size": None}, "'size'"),
        ({"size": "many"}, "'size'.*integer"),
        ({"size": "11"}, "11 bytes were expected, 12 were received"),
        ({"size": "-1"}, "-1 bytes were expected"),
        ({"hash_sha256": None}, "'hash_sha256'"),
        ({"hash_sha256": ""}, "'hash_sha256'"),
        ({"hash_sha256": "00"}, f"'00' was expected, '{sha256(CONTENT)}' was received"),
        ({"hash_sha256": 5}, "'hash_sha256'"),
    ],
)
@pytest.mark.parametrize("several", [False, True], ids=["one request", "two requests"])
def test_a_store_that_fails_leaves_nothing(
    store: FileStoreManager,
    storage_dir: Path,
    working_dir: Path,
    tmp_path: Path,
    fields: dict[str, object],
    message: str,
    several: bool,
) -> None:
    (storage_dir / "directory").mkdir()
    (storage_dir / "link").symlink_to(tmp_path)
    before = sorted(storage_dir.rglob("*"))
    if several:
        request = last_request("a", CONTENT, SECOND, 2, begin(store))
    else:
        request = last_request("a", CONTENT, CONTENT)

    with pytest.raises(ValueError, match=message) as raised:
        store.store_segment(changed(request, **fields))

    assert isinstance(raised.value, FileTransferError)
    assert str(storage_dir) not in str(raised.value)
    assert sorted(storage_dir.rglob("*")) == before
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("number", ["0", "1", "3", "-1", "999999999999", None, 10**50])
def test_a_segment_out_of_turn_harms_nothing(
    store: FileStoreManager, storage_dir: Path, number: object
) -> None:
    file_id = begin(store)
    for result in (None, "store"):
        with pytest.raises(ValueError, match="out of turn: segment 2 was expected"):
            store.store_segment(
                request_of(SECOND, segment_number=number, file_id=file_id, result=result)
            )
    store.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert (storage_dir / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("number", ["0", "2", "-1", None])
def test_only_the_first_segment_begins_a_file(
    store: FileStoreManager, working_dir: Path, number: str | None
) -> None:
    with pytest.raises(ValueError, match="without a 'file_id'"):
        store.store_segment(request_of(FIRST, segment_number=number))
    assert left_in(working_dir) == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"segment_number": "1", "file_id": "unknown"},
        {"segment_number": "2", "file_id": "unknown"},
        {"file_id": "unknown", "result": "cancel"},
        {"segment_number": "2", "file_id": "unknown", "result": "store"},
    ],
)
def test_an_unknown_file(
    store: FileStoreManager, working_dir: Path, fields: dict[str, str]
) -> None:
    with pytest.raises(UnknownFileError, match="'unknown'"):
        store.store_segment(request_of(b"x", **fields))
    assert left_in(working_dir) == set()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"segment_number": "one"}, "integer"),
        ({"segment_number": "1", "file_id": "../a"}, "'file_id'"),
        ({"segment_number": "1", "file_id": "a.b"}, "'file_id'"),
        ({"segment_number": "1", "file_id": "a\\b"}, "'file_id'"),
        ({"segment_number": "1", "result": "delete"}, "'result'"),
        ({"result": "cancel"}, "'file_id'"),
        ({}, "without a 'file_id'"),
    ],
)
def test_requests_that_make_no_sense(
    store: FileStoreManager, working_dir: Path, fields: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.store_segment(request_of(b"x", **fields))
    assert left_in(working_dir) == set()


def test_an_unknown_result_harms_nothing(store: FileStoreManager, storage_dir: Path) -> None:
    file_id = begin(store)
    with pytest.raises(ValueError, match="'result'"):
        store.store_segment(
            request_of(SECOND, segment_number="2", file_id=file_id, result="delete")
        )
    store.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert (storage_dir / "a").read_bytes() == CONTENT


def test_a_hash_in_capitals(store: FileStoreManager, storage_dir: Path) -> None:
    request = last_request("a", b"x", b"x")
    store.store_segment(changed(request, hash_sha256=sha256(b"x").upper()))
    assert (storage_dir / "a").read_bytes() == b"x"


def test_numbers_may_be_numbers(store: FileStoreManager, storage_dir: Path) -> None:
    store.store_segment(changed(last_request("a", b"x", b"x"), segment_number=1, size=1))
    assert (storage_dir / "a").read_bytes() == b"x"


def test_a_restart_goes_on_with_the_file(storage_dir: Path) -> None:
    with FileStoreManager(storage_dir) as before:
        file_id = begin(before)
    with FileStoreManager(storage_dir) as after:
        result = after.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert result.segments_received == 2
    assert (storage_dir / "a").read_bytes() == CONTENT


def test_a_crash_in_the_middle_of_a_segment(storage_dir: Path, working_dir: Path) -> None:
    with FileStoreManager(storage_dir) as before:
        file_id = begin(before)
    with (working_dir / f"dxlft-{file_id}.part").open("ab") as part:
        part.write(SECOND[:2])
    with FileStoreManager(storage_dir) as after:
        after.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert (storage_dir / "a").read_bytes() == CONTENT


def test_a_part_that_was_tampered_with_is_not_published(storage_dir: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    with FileStoreManager(storage_dir) as before:
        file_id = begin(before)
        shutil.copytree(storage_dir, crashed)
    (crashed / ".workdir" / f"dxlft-{file_id}.part").write_bytes(b"other!")
    with (
        FileStoreManager(crashed) as after,
        pytest.raises(ValueError, match="segment 1 was expected"),
    ):
        after.store_segment(last_request("a", CONTENT, SECOND, 2, file_id))
    assert not (crashed / "a").exists()


def test_expire_uses_the_clock(storage_dir: Path, working_dir: Path) -> None:
    now = 0.0
    with FileStoreManager(storage_dir, partial_lifetime=60, clock=lambda: now) as store:
        file_id = begin(store)
        written = max(path.stat().st_mtime for path in working_dir.glob(f"*{file_id}*"))
        now = written + 60
        assert store.expire() == 0
        assert store.expire(written + 61) == 1
        with pytest.raises(UnknownFileError):
            store.store_segment(request_of(SECOND, segment_number="2", file_id=file_id))


def test_a_working_directory_elsewhere(storage_dir: Path, tmp_path: Path) -> None:
    with FileStoreManager(str(storage_dir), str(tmp_path / "work")) as store:
        file_id = begin(store)
        assert len(left_in(tmp_path / "work")) == 2
        store.store_segment(last_request(".workdir/a", CONTENT, SECOND, 2, file_id))
    assert (storage_dir / ".workdir" / "a").read_bytes() == CONTENT


def test_a_working_directory_deep_in_the_storage_directory(storage_dir: Path) -> None:
    with FileStoreManager(storage_dir, storage_dir / "x" / "parts") as store:
        store.store_segment(last_request("x/a", b"x", b"x"))
        with pytest.raises(UnsafeNameError, match="working directory"):
            store.store_segment(last_request("x/parts/a", b"x", b"x"))


def test_one_store_per_working_directory(store: FileStoreManager, storage_dir: Path) -> None:
    with pytest.raises(WorkingDirectoryInUseError, match=r"\.workdir"):
        FileStoreManager(storage_dir)
    store.close()
    FileStoreManager(storage_dir).close()


def test_a_store_that_nobody_holds_lets_go(storage_dir: Path) -> None:
    for _ in range(3):
        begin(FileStoreManager(storage_dir))


def test_a_closed_store(store: FileStoreManager) -> None:
    file_id = begin(store)
    store.close()
    store.close()
    for request in (
        request_of(FIRST, segment_number="1"),
        request_of(SECOND, segment_number="2", file_id=file_id),
        request_of(file_id=file_id, result="cancel"),
    ):
        with pytest.raises(StoreClosedError):
            store.store_segment(request)


def test_too_many_files(
    store: FileStoreManager, monkeypatch: pytest.MonkeyPatch, storage_dir: Path
) -> None:
    monkeypatch.setattr(places_module, "MAX_PARTIAL_FILES", 2)
    first, _second = begin(store), begin(store)
    with pytest.raises(OSError, match="too many files"):
        begin(store)
    store.store_segment(last_request("a", CONTENT, SECOND, 2, first))
    begin(store)

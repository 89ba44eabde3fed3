"""The whole store: its name, its limits, what it does by itself, and how it ends."""

import math
import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import WorkingDirectoryInUseError
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchEntry,
    FinishRequest,
    HelloAnswer,
    HelloRequest,
    ListRequest,
    OpenRequest,
    RemoveRequest,
    RetrieveRequest,
    SegmentRequest,
    StatRequest,
    StatusRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.storage.catalogue import Catalogue
from dxlfiletransferclient.storage.identity import IDENTITY_NAME
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferclient.storage.partfile import PartFile
from tests.unit.client.fabric import open_descriptors, sha256

CONTENT = b"0123456789"
NOW = time.time()


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(storage_dir: Path, clock: Clock) -> Iterator[LocalStore]:
    with LocalStore(storage_dir, clock=clock) as store:
        yield store


def begin(store: LocalStore, file_id: str = "one", payload: bytes = CONTENT) -> None:
    store.open(OpenRequest(file_id=file_id, name=f"d/{file_id}"))
    store.write(SegmentRequest(file_id=file_id, offset=0, payload=payload))


def finish(store: LocalStore, file_id: str = "one") -> TransferState:
    request = FinishRequest(file_id=file_id, size=len(CONTENT), sha256=sha256(CONTENT))
    return store.finish(request).state


def durable(store: LocalStore, file_id: str = "one") -> object:
    return store.status(StatusRequest(file_id=file_id)).durable


def age(directory: Path, time: float) -> None:
    for path in directory.iterdir():
        os.utime(path, (time, time))


def test_it_is_a_store(files: LocalStore) -> None:
    desk = Desk(files)
    answer = decode(HelloAnswer, desk.answer(Verb.HELLO, encode(HelloRequest())))
    assert (answer.store_id, answer.segment_size) == (files.store_id, SEGMENT_SIZE)


def test_its_name_is_kept(files: LocalStore, storage_dir: Path, tmp_path: Path) -> None:
    name = files.store_id
    assert str(uuid.UUID(name)) == name
    assert files.store_id == name
    files.close()
    with LocalStore(storage_dir) as again, LocalStore(tmp_path / "other") as other:
        assert again.store_id == name
        assert other.store_id != name


def test_its_name_is_made_once(files: LocalStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: files.store_id, range(8), timeout=30))
    assert len(names) == 1


@pytest.mark.parametrize("content", [b"", b"no uuid", b"\xff\xff"])
def test_a_damaged_name_is_replaced(
    files: LocalStore, working_dir: Path, storage_dir: Path, content: bytes
) -> None:
    (working_dir / IDENTITY_NAME).write_bytes(content)
    name = files.store_id
    files.close()
    with LocalStore(storage_dir) as again:
        assert again.store_id == name


def test_a_name_that_cannot_be_written(files: LocalStore, mocker: MockerFixture) -> None:
    mocker.patch("os.fsync", side_effect=OSError(5, "Input/output error"))
    with pytest.raises(RefusedError) as raised:
        _ = files.store_id
    assert raised.value.means(ErrorCode.STORAGE_FAILED)
    mocker.stopall()
    assert str(uuid.UUID(files.store_id)) == files.store_id


def test_clients_share_the_window(storage_dir: Path, clock: Clock) -> None:
    options = StoreOptions(window_total=1000, window_each=600, segment_size=10)
    with LocalStore(storage_dir, options=options, clock=clock) as store:
        assert store.limits.window == 600
        opened = [store.open(OpenRequest(file_id=each, name=each)).window for each in "abcd"]
        assert opened == [600, 500, 333, 250]
        assert store.status(StatusRequest(file_id="a")).window == 250
        store.abort(AbortRequest(file_id="b"))
        clock.now += 31
        assert store.status(StatusRequest(file_id="a")).window == 600


def test_a_checkpoint_after_some_seconds(files: LocalStore, clock: Clock) -> None:
    begin(files)
    files.maintain(clock.now + 1)
    assert durable(files) == ()
    files.maintain(clock.now + 2)
    assert durable(files) == ((0, 10),)


def test_a_checkpoint_after_some_bytes(storage_dir: Path) -> None:
    with LocalStore(storage_dir, options=StoreOptions(checkpoint_bytes=10)) as store:
        begin(store, payload=CONTENT[:9])
        assert durable(store) == ()
        store.write(SegmentRequest(file_id="one", offset=9, payload=b"9"))
        assert durable(store) == ((0, 10),)


def test_one_file_that_cannot_be_flushed_harms_no_other(
    files: LocalStore, clock: Clock, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    for file_id in ("one", "two"):
        begin(files, file_id)
    real = PartFile.sync

    def sync(part: PartFile) -> None:
        if "one" in part.name:
            raise OSError(5, "Input/output error")
        real(part)

    mocker.patch.object(PartFile, "sync", sync)
    files.maintain(clock.now + 60)
    assert durable(files, "two") == ((0, 10),)
    assert files.status(StatusRequest(file_id="one")).held == ()
    assert "Could not flush file one" in caplog.text


def test_what_is_abandoned_expires(files: LocalStore, working_dir: Path, clock: Clock) -> None:
    begin(files, "old")
    begin(files, "stored")
    finish(files, "stored")
    (working_dir / "dxlft-0123456789abcdef0123456789abcdef-0.entry").touch()
    age(working_dir, NOW)
    clock.now = NOW + files.options.partial_lifetime + 1000
    begin(files, "young")
    os.utime(working_dir / "dxlft-young.journal", (clock.now, clock.now))

    files.maintain(clock.now)

    assert {path.name for path in working_dir.glob("dxlft-*")} == {
        "dxlft-young.part",
        "dxlft-young.journal",
    }
    for gone in ("old", "stored"):
        with pytest.raises(RefusedError) as raised:
            files.status(StatusRequest(file_id=gone))
        assert raised.value.means(ErrorCode.UNKNOWN_TRANSFER)
    assert files.status(StatusRequest(file_id="young")).held == ((0, 10),)


def test_nothing_expires_at_the_start(storage_dir: Path, working_dir: Path) -> None:
    with LocalStore(storage_dir) as before:
        begin(before)
    age(working_dir, 0)
    with LocalStore(storage_dir) as after:
        after.maintain(time.time())
        assert after.status(StatusRequest(file_id="one")).held == ((0, 10),)
        assert after.expire() == 1


def test_nothing_expires_if_the_lifetime_is_infinite(storage_dir: Path, working_dir: Path) -> None:
    with LocalStore(storage_dir, options=StoreOptions(partial_lifetime=math.inf)) as store:
        begin(store)
        age(working_dir, 0)
        assert store.expire() == 0


def test_a_quota_is_given_back_by_what_expires(files: LocalStore, mocker: MockerFixture) -> None:
    release = mocker.spy(files.quota, "release")
    files.working._on_gone = files.quota.release
    begin(files)
    age(files.layout.working, 0)
    files.expire()
    release.assert_called_with("one")


def test_closing_makes_a_last_checkpoint(storage_dir: Path) -> None:
    with LocalStore(storage_dir) as before:
        begin(before)
        assert durable(before) == ()
    with LocalStore(storage_dir) as after:
        assert durable(after) == ((0, 10),)
        assert finish(after) is TransferState.STORED


def test_closing_lets_go_of_everything(storage_dir: Path) -> None:
    before = open_descriptors()
    store = LocalStore(storage_dir)
    for number in range(20):
        begin(store, str(number))
    with pytest.raises(WorkingDirectoryInUseError):
        LocalStore(storage_dir)
    store.close()
    store.close()
    assert open_descriptors() == before
    LocalStore(storage_dir).close()


def test_a_closed_store_says_so(files: LocalStore) -> None:
    begin(files)
    files.close()
    entry = BatchEntry(name="b", payload=b"x", sha256=sha256(b"x"))
    calls: list[Any] = [
        lambda: begin(files),
        lambda: begin(files, "two"),
        lambda: files.write(SegmentRequest(file_id="one", offset=0, payload=b"x")),
        lambda: durable(files),
        lambda: finish(files),
        lambda: files.abort(AbortRequest(file_id="one")),
        lambda: files.put([entry]),
        lambda: files.retrieve(RetrieveRequest(name="a", offset=0, length=1)),
        lambda: files.list(ListRequest()),
        lambda: files.stat(StatRequest(name="a")),
        lambda: files.remove(RemoveRequest(name="a")),
        lambda: files.maintain(NOW),
    ]
    for call in calls:
        with pytest.raises(RefusedError) as raised:
            call()
        assert raised.value.means(ErrorCode.CLOSING)


def test_closing_waits_for_a_file_that_is_being_stored(
    files: LocalStore, storage_dir: Path, mocker: MockerFixture
) -> None:
    begin(files)
    publishing, go_on = threading.Event(), threading.Event()
    real = Catalogue.publish

    def publish(catalogue: Catalogue, *args: Any, **options: Any) -> object:
        publishing.set()
        assert go_on.wait(20)
        return real(catalogue, *args, **options)

    mocker.patch.object(Catalogue, "publish", publish)
    with ThreadPoolExecutor(2) as pool:
        finishing = pool.submit(finish, files)
        assert publishing.wait(20)
        closing = pool.submit(files.close)
        go_on.set()
        assert finishing.result(20) is TransferState.STORED
        closing.result(20)
    assert (storage_dir / "d" / "one").read_bytes() == CONTENT


def test_a_file_of_every_way(files: LocalStore) -> None:
    """What one room stores, the others know."""
    begin(files)
    finish(files)
    entry = BatchEntry(name="d/two", payload=b"abc", sha256=sha256(b"abc"))
    assert files.put([entry])[0].state is TransferState.STORED
    listed = files.list(ListRequest(name="d")).entries
    assert [(each.name, each.size) for each in listed] == [("d/one", 10), ("d/two", 3)]
    answer = files.retrieve(RetrieveRequest(name="d/one", offset=2, length=3))
    assert bytes(answer.payload) == b"234"
    assert files.stat(StatRequest(name="d/one")).entry[0].version == answer.version
    assert files.open(OpenRequest(file_id="one", name="d/one")).version == answer.version
    assert files.remove(RemoveRequest(name="d/one")).removed == 1


def test_a_store_that_cannot_be_made_lets_go(storage_dir: Path, mocker: MockerFixture) -> None:
    before = open_descriptors()
    mocker.patch(
        "dxlfiletransferclient.storage.local.Catalogue", side_effect=OSError(28, "No space left")
    )
    with pytest.raises(OSError, match="No space left"):
        LocalStore(storage_dir)
    mocker.stopall()
    assert open_descriptors() == before
    LocalStore(storage_dir).close()


@pytest.mark.parametrize(
    "options",
    [
        {"partial_lifetime": 0},
        {"checkpoint_bytes": 0},
        {"checkpoint_seconds": -1},
        {"window_total": 0},
        {"window_each": 0},
        {"segment_size": 0},
        {"segment_size": SEGMENT_SIZE + 1},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        StoreOptions(**options)

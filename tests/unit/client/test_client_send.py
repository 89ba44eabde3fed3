"""Trees and streams from a client, by version 2 where the service speaks it, else by version 1."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dxlclient.exceptions import WaitTimeoutException
from dxlclient.message import ErrorResponse, Request, Response

from dxlfiletransferclient import (
    FileStoreManager,
    NoAnswerError,
    ServiceError,
    SourceChangedError,
)
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.outcomes import FileOutcome, Result
from dxlfiletransferclient.progress import Phase, Progress
from dxlfiletransferclient.protocol.desk import Desk
from dxlfiletransferclient.protocol.messages import Overwrite, StatRequest
from dxlfiletransferclient.sending.options import Links, SendOptions
from dxlfiletransferclient.sending.version1 import SEGMENT_SIZE, Version1Error
from dxlfiletransferclient.testing import MemoryStore
from tests.unit.client.fabric import (
    NOBODY,
    FakeDxlClient,
    client_of,
    left_in,
    open_descriptors,
    sha256,
    stored_by,
)

Answered = Response


def no_version_1(_request: Request) -> Response:
    raise AssertionError("version 1 is not to be used")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, content in {"a": b"", "b/c": b"abc", "b/d": bytes(25)}.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tree


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


CONTENTS = {"x/tree/a": b"", "x/tree/b/c": b"abc", "x/tree/b/d": bytes(25)}


def contents_of(storage_dir: Path) -> dict[str, bytes]:
    return {
        path.relative_to(storage_dir).as_posix(): path.read_bytes()
        for path in storage_dir.rglob("*")
        if path.is_file() and ".workdir" not in path.parts
    }


# Version 2


def test_a_tree_by_version_2(tree: Path) -> None:
    store = MemoryStore()
    dxl_client = FakeDxlClient(no_version_1, Desk(store))
    heard: list[Progress] = []
    outcomes: list[FileOutcome] = []

    report = client_of(dxl_client).send(
        tree, "x", progress=heard.append, on_outcome=outcomes.append
    )

    assert store.stored == CONTENTS
    assert (report.files, report.stored, report.bytes) == (3, 3, 28)
    assert {each.name for each in outcomes} == set(CONTENTS)
    assert heard[-1].done == 28
    assert dxl_client._listeners == []


def test_a_stream_by_version_2() -> None:
    store = MemoryStore()
    client = client_of(FakeDxlClient(no_version_1, Desk(store)))
    heard: list[Progress] = []
    outcome = client.send_stream(
        io.BytesIO(b"abc"), "s", size=3, modified=1.5e9, progress=heard.append
    )
    assert store.stored == {"s": b"abc"}
    assert (outcome.result, outcome.sha256) == (Result.STORED, sha256(b"abc"))
    assert store.stat(StatRequest(name="s")).entry[0].modified_ns == 1_500_000_000_000_000_000
    assert (heard[-1].done, heard[-1].total, heard[-1].phase) == (3, 3, Phase.STORED)


@pytest.mark.parametrize(("size", "error"), [(-1, ValueError), ("3", TypeError), (True, TypeError)])
def test_sizes_that_make_no_sense(size: object, error: type[Exception]) -> None:
    client = client_of(FakeDxlClient(no_version_1, Desk(MemoryStore())))
    with pytest.raises(error, match="size"):
        client.send_stream(io.BytesIO(b"abc"), "s", size=size)  # type: ignore[arg-type]


# Version 1


def test_a_tree_by_version_1(tree: Path, storage_dir: Path, dxl_client: FakeDxlClient) -> None:
    heard: list[Progress] = []
    outcomes: list[FileOutcome] = []

    report = client_of(dxl_client).send(
        tree,
        "x",
        options=SendOptions(segment_size=10),
        progress=heard.append,
        on_outcome=outcomes.append,
    )

    assert contents_of(storage_dir) == CONTENTS
    assert [each.name for each in outcomes] == list(CONTENTS)
    assert [each.sha256 for each in outcomes] == [sha256(each) for each in CONTENTS.values()]
    assert (report.files, report.stored, report.bytes, report.sent) == (3, 3, 28, 28)
    assert (heard[-1].done, heard[-1].total, heard[-1].files_done) == (28, 28, 3)
    assert [len(payload) for payload in dxl_client.payloads] == [0, 3, 10, 10, 5]


def test_segments_are_large_by_default(tmp_path: Path, dxl_client: FakeDxlClient) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(SEGMENT_SIZE + 1))
    client_of(dxl_client).send(path).raise_for_failure()
    assert [len(payload) for payload in dxl_client.payloads] == [SEGMENT_SIZE, 1]


def test_what_version_1_cannot_express_is_reported(
    tree: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    (tree / "empty").mkdir()
    (tree / "link").symlink_to("a")
    (tree / "nowhere").symlink_to("nowhere/at/all")
    client = client_of(dxl_client)

    report = client.send(tree, "x", options=SendOptions(links=Links.KEEP))

    failures = {each.name: str(each.error) for each in report.outcomes if each.error}
    assert set(failures) == {"x/tree/empty", "x/tree/link", "x/tree/nowhere"}
    assert "speaks version 1 only, which stores no directory" in failures["x/tree/empty"]
    assert "stores no link" in failures["x/tree/link"]
    assert (report.files, report.stored, report.failed) == (6, 3, 3)
    assert contents_of(storage_dir) == CONTENTS

    report = client.send(tree, "x")
    assert {each.name for each in report.outcomes if each.result is Result.FAILED} == {
        "x/tree/empty",
        "x/tree/nowhere",
    }


@pytest.mark.parametrize("overwrite", [Overwrite.KEEP, Overwrite.NEWER, Overwrite.FAIL])
def test_version_1_always_replaces(
    tree: Path, dxl_client: FakeDxlClient, overwrite: Overwrite
) -> None:
    with pytest.raises(Version1Error, match=f"replaces older files always.*'{overwrite}'"):
        client_of(dxl_client).send(tree, options=SendOptions(overwrite=overwrite))
    assert dxl_client.requests == []


def test_a_file_that_fails_does_not_stop_the_others(
    tree: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    store = dxl_client.answer

    def answer(request: Request) -> Answered:
        if request.other_fields.get("name") == "x/tree/b/c":
            return ErrorResponse(request, 0, "out of paper")
        return store(request)

    dxl_client.answer = answer
    heard: list[Progress] = []
    report = client_of(dxl_client).send(tree, "x", progress=heard.append)
    (failed,) = [each for each in report.outcomes if each.result is Result.FAILED]
    assert (failed.name, failed.path) == ("x/tree/b/c", tree / "b" / "c")
    assert isinstance(failed.error, ServiceError)
    assert "out of paper" in str(failed.error)
    assert set(contents_of(storage_dir)) == set(CONTENTS) - {"x/tree/b/c"}
    assert (heard[-1].done, heard[-1].total) == (25, 25)


def test_a_service_that_does_not_answer_ends_the_call(
    tree: Path, dxl_client: FakeDxlClient
) -> None:
    def answer(_request: Request) -> Answered:
        raise WaitTimeoutException("nothing came")

    dxl_client.answer = answer
    with pytest.raises(NoAnswerError):
        client_of(dxl_client).send(tree, "x")
    assert len(dxl_client.requests) == 1


def test_a_service_that_is_gone_ends_the_call(tree: Path, dxl_client: FakeDxlClient) -> None:
    dxl_client.answer = lambda request: ErrorResponse(request, NOBODY, "unable to locate service")
    with pytest.raises(ServiceError, match="is it running"):
        client_of(dxl_client).send(tree, "x")
    assert len(dxl_client.requests) == 1


def test_a_cancelled_call_drops_the_file_under_way(
    tree: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    cancel = Cancellation()
    store = dxl_client.answer

    def answer(request: Request) -> Answered:
        if len(dxl_client.requests) == 4:
            cancel.cancel()
        return store(request)

    dxl_client.answer = answer
    with pytest.raises(TransferCancelledError):
        client_of(dxl_client).send(tree, "x", options=SendOptions(segment_size=10), cancel=cancel)
    assert dxl_client.fields[-1]["result"] == "cancel"
    assert left_in(storage_dir / ".workdir") == set()
    assert set(contents_of(storage_dir)) == {"x/tree/a", "x/tree/b/c"}


def test_a_pipe_by_version_1_can_be_cancelled(
    tmp_path: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cancel = Cancellation()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(b"content")
            cancel.cancel()

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(TransferCancelledError):
        client_of(dxl_client).send([pipe, tmp_path], cancel=cancel)
    writer.join(10)
    assert contents_of(storage_dir) == {}
    assert left_in(storage_dir / ".workdir") == set()


def test_an_exception_of_the_progress_callback_ends_the_call(
    tree: Path, dxl_client: FakeDxlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_progress: Progress) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("dxlfiletransferclient.progress.REPORT_INTERVAL", 0.0)
    with pytest.raises(BrokenPipeError):
        client_of(dxl_client).send(tree, "x", progress=refuse)
    assert len(dxl_client.requests) == 1


def test_a_file_that_changes_by_version_1(
    tree: Path, storage_dir: Path, dxl_client: FakeDxlClient
) -> None:
    store = dxl_client.answer

    def answer(request: Request) -> Answered:
        if len(dxl_client.requests) == 3:
            os.truncate(tree / "b" / "d", 12)
        return store(request)

    dxl_client.answer = answer
    report = client_of(dxl_client).send(tree, "x", options=SendOptions(segment_size=10))
    (failed,) = [each for each in report.outcomes if each.result is Result.FAILED]
    assert failed.name == "x/tree/b/d"
    assert isinstance(failed.error, SourceChangedError)
    assert "x/tree/b/d" not in contents_of(storage_dir)


def test_a_stream_by_version_1(storage_dir: Path, dxl_client: FakeDxlClient) -> None:
    heard: list[Progress] = []
    outcome = client_of(dxl_client).send_stream(
        io.BytesIO(bytes(25)),
        "s",
        options=SendOptions(segment_size=10),
        modified=5.0,
        progress=heard.append,
    )
    assert contents_of(storage_dir) == {"s": bytes(25)}
    assert (outcome.name, outcome.size, outcome.sha256) == ("s", 25, sha256(bytes(25)))
    assert [len(payload) for payload in dxl_client.payloads] == [10, 10, 5, 0]
    assert heard[-1].phase is Phase.STORED


def test_a_stream_that_fails_by_version_1(storage_dir: Path, dxl_client: FakeDxlClient) -> None:
    with pytest.raises(SourceChangedError):
        client_of(dxl_client).send_stream(io.BytesIO(bytes(25)), "s", size=26)
    assert contents_of(storage_dir) == {}


def test_the_time_out_of_the_client_is_used(tree: Path, dxl_client: FakeDxlClient) -> None:
    client = client_of(dxl_client)
    client.response_timeout = 45
    client.send(tree / "a")
    assert dxl_client.timeouts == [45]


def test_a_store_that_changed_its_version_in_between(tree: Path, storage_dir: Path) -> None:
    with FileStoreManager(storage_dir) as store:
        dxl_client = FakeDxlClient(stored_by(store))
        client = client_of(dxl_client)
        client.send(tree / "b" / "c").raise_for_failure()
        dxl_client.answer = lambda request: ErrorResponse(request, NOBODY, "nobody")
        with pytest.raises(ServiceError):
            client.send(tree / "b" / "c")
        newer = MemoryStore()
        dxl_client.desk = Desk(newer)
        client.send(tree / "b" / "c").raise_for_failure()
    assert newer.stored == {"c": b"abc"}

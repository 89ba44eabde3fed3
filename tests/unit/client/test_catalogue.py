"""The catalogue as a whole: closing, and what its files look like to others."""

import os
import stat as stat_module
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.protocol.messages import Overwrite, RemoveRequest, StatRequest
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage import catalogue as catalogue_module
from dxlfiletransferclient.storage.gate import Gate
from tests.unit.client.cataloguing import file, opened, refused
from tests.unit.client.fabric import open_descriptors


def test_nothing_is_done_after_closing(tmp_path: Path) -> None:
    with opened(tmp_path) as files:
        files.put(file("a", b"1"))
        part = files.part(b"2")
        files.catalogue.close()
        files.catalogue.close()

        calls = (
            lambda: files.put(file("b")),
            files.page,
            lambda: files.retrieve("a"),
            lambda: files.publish("c", b"2", part=part),
            lambda: files.catalogue.stat(StatRequest(name="a")),
            lambda: files.catalogue.remove(RemoveRequest(name="a")),
            lambda: files.catalogue.version_of(("a",)),
            lambda: files.catalogue.expire(0),
            lambda: files.catalogue.check(
                ("a",), overwrite=Overwrite.KEEP, modified_ns=None, size=None
            ),
        )
        for call in calls:
            with refused(ErrorCode.CLOSING):
                call()
        assert (files.root / "a").read_bytes() == b"1"
        assert sorted(path.name for path in files.root.iterdir()) == [".workdir", "a"]


def test_closing_waits_for_what_is_being_done(tmp_path: Path, mocker: MockerFixture) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        reached.set()
        assert go_on.wait(30)
        real(descriptor)

    with opened(tmp_path) as files, ThreadPoolExecutor(2) as pool:
        mocker.patch("os.fsync", fsync)
        mocker.patch.object(catalogue_module, "CLOSE_TIMEOUT", 0.05)
        publishing = pool.submit(files.publish, "a", b"1")
        assert reached.wait(30)
        with pytest.raises(TimeoutError, match="still running"):
            files.catalogue.close()
        go_on.set()
        publishing.result(30)
        mocker.patch.object(catalogue_module, "CLOSE_TIMEOUT", 30.0)
        files.catalogue.close()
    assert (tmp_path / "storage" / "a").read_bytes() == b"1"


def test_a_gate_lets_nobody_in_once_closed() -> None:
    gate = Gate()
    with gate.passed():
        gate.close()
        assert not gate.wait_until_empty(0)
        with refused(ErrorCode.CLOSING), gate.passed():
            pass
    assert gate.wait_until_empty(0)


def test_making_one_leaves_nothing_behind(tmp_path: Path) -> None:
    before = open_descriptors()
    threads = threading.active_count()
    with opened(tmp_path) as files:
        assert files.left_over() == []
    assert open_descriptors() == before
    assert threading.active_count() == threads


def test_a_storage_directory_that_is_gone_is_no_missing_file(tmp_path: Path) -> None:
    with opened(tmp_path, working=tmp_path / "work") as files:
        files.root.rmdir()
        for call in (lambda: files.retrieve("a"), files.page, lambda: files.publish("a", b"1")):
            with refused(ErrorCode.STORAGE_FAILED, "the storage directory is not there"):
                call()


def test_messages_survive_any_name(tmp_path: Path) -> None:
    name = "a\n\x1b[31m" + "x" * 200
    with opened(tmp_path) as files, refused(ErrorCode.NOT_FOUND) as _:
        files.retrieve(name)
    with opened(tmp_path) as files:
        files.put(file(name, b"1"))
        assert files.retrieve(name).payload == b"1"


def test_readers_and_writers_see_whole_files_only(tmp_path: Path) -> None:
    """Publish, batch, retrieve, stat, list and remove at once; no bytes of two files together."""
    with opened(tmp_path) as files:
        done = threading.Event()

        def write(number: int) -> None:
            content = bytes([number]) * (20_000 + number)
            for _ in range(15):
                files.publish("d/a", content, part=f"dxlft-{number}.part")
                files.put(file("d/a", content[:100]))

        def read(_number: int) -> int:
            seen = 0
            while not done.is_set():
                answer = files.retrieve("d/a", 0, 100_000)
                payload = bytes(answer.payload)
                assert len(set(payload)) == 1
                assert len(payload) in (100, 20_000 + payload[0])
                assert [entry.name for entry in files.page(recursive=True).entries] == ["d", "d/a"]
                seen += 1
            return seen

        files.publish("d/a", b"\1" * 20_001)
        with ThreadPoolExecutor(6) as pool:
            readers = [pool.submit(read, number) for number in range(2)]
            writers = [pool.submit(write, number) for number in range(1, 4)]
            try:
                for writer in writers:
                    writer.result(60)
            finally:
                done.set()
            assert all(reader.result(30) for reader in readers)
        mode = (files.root / "d" / "a").stat().st_mode
        assert stat_module.S_ISREG(mode)

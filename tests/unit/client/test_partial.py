import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfiletransferclient.storage import partial
from dxlfiletransferclient.storage.directory import Directory, open_directory
from dxlfiletransferclient.storage.partial import Partial, file_id_of, whole_segments
from tests.unit.client.fabric import open_descriptors, sha256

PART = "dxlft-one.part"
JOURNAL = "dxlft-one.journal"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with open_directory(tmp_path) as directory:
        yield directory


def records(*ends: int) -> bytes:
    return struct.pack(f">{len(ends)}Q", *ends)


def put(path: Path, content: bytes, ends: list[int]) -> None:
    """Leave a partial file as a service does that ended."""
    (path / PART).write_bytes(content)
    (path / JOURNAL).write_bytes(records(*ends))


def test_segments_add_up(directory: Directory, tmp_path: Path) -> None:
    file = Partial.create(directory, "one")
    assert (file.segments, file.size, file.sha256) == (0, 0, sha256(b""))

    for payload in (b"abc", b"", b"de"):
        file.append(payload)

    assert (file.segments, file.size, file.sha256) == (3, 5, sha256(b"abcde"))
    assert (tmp_path / file.name).read_bytes() == b"abcde"
    assert (tmp_path / JOURNAL).read_bytes() == records(3, 3, 5)


def test_a_file_is_gone_on_with(directory: Directory, tmp_path: Path) -> None:
    file = Partial.create(directory, "one")
    file.append(b"abc")
    file.append(b"de")

    again = Partial.reopen(directory, "one")
    assert (again.segments, again.size, again.sha256) == (2, 5, sha256(b"abcde"))
    again.append(b"f")
    assert (tmp_path / again.name).read_bytes() == b"abcdef"


@pytest.mark.parametrize(
    ("content", "ends", "tail", "segments", "whole"),
    [
        (b"abcXX", [3], b"", 1, b"abc"),
        (b"abcde", [3], b"\0\0\0", 1, b"abc"),
        (b"abcd", [3, 6], b"", 1, b"abc"),
        (b"ab", [3, 6], b"", 0, b""),
        (b"abc", [], b"", 0, b""),
        (b"abcdef", [3, 2, 6], b"", 1, b"abc"),
        (b"abc", [3, 2**64 - 1], b"\xff", 1, b"abc"),
        (b"", [0, 0], b"", 2, b""),
    ],
)
def test_what_is_torn_is_cut_off(
    directory: Directory,
    tmp_path: Path,
    content: bytes,
    ends: list[int],
    tail: bytes,
    segments: int,
    whole: bytes,
) -> None:
    put(tmp_path, content, ends)
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(tail)

    file = Partial.reopen(directory, "one")
    assert (file.segments, file.size, file.sha256) == (segments, len(whole), sha256(whole))

    file.append(b"next")
    assert (tmp_path / PART).read_bytes() == whole + b"next"
    assert (tmp_path / JOURNAL).read_bytes() == records(*ends[:segments], len(whole) + 4)


def test_a_file_without_its_journal_begins_again(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(b"abc")

    file = Partial.reopen(directory, "one")

    assert (file.segments, file.size) == (0, 0)
    file.append(b"x")
    assert Partial.reopen(directory, "one").segments == 1


def test_a_journal_without_its_file_cannot_be_gone_on_with(
    directory: Directory, tmp_path: Path
) -> None:
    (tmp_path / JOURNAL).write_bytes(records(3))
    with pytest.raises(FileNotFoundError):
        Partial.reopen(directory, "one")


def test_an_id_is_used_once(directory: Directory) -> None:
    Partial.create(directory, "one")
    with pytest.raises(FileExistsError):
        Partial.create(directory, "one")


def test_nothing_is_left_of_a_file_that_could_not_begin(
    directory: Directory, tmp_path: Path
) -> None:
    (tmp_path / JOURNAL).touch()
    with pytest.raises(FileExistsError):
        Partial.create(directory, "one")
    assert directory.names() == [JOURNAL]


def test_remove(directory: Directory) -> None:
    Partial.create(directory, "one")
    Partial.create(directory, "two")
    partial.remove(directory, "one")
    partial.remove(directory, "one")
    assert sorted(directory.names()) == ["dxlft-two.journal", "dxlft-two.part"]


def test_what_cannot_be_removed_is_logged(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PART).mkdir()
    (tmp_path / JOURNAL).touch()
    partial.remove(directory, "one")
    assert directory.names() == [PART]
    assert PART in caplog.text


def test_no_descriptor_stays_open_between_segments(directory: Directory) -> None:
    before = open_descriptors()
    files = [Partial.create(directory, f"file-{number}") for number in range(20)]
    for file in files:
        file.append(b"abc")
    assert open_descriptors() == before


def test_short_writes_are_gone_on_with(
    directory: Directory, tmp_path: Path, mocker: MockerFixture
) -> None:
    real = os.write
    file = Partial.create(directory, "one")
    mocker.patch("os.write", lambda fd, data: real(fd, bytes(data)[:3]))
    file.append(b"abcdefgh")
    mocker.stopall()
    assert (tmp_path / PART).read_bytes() == b"abcdefgh"
    assert (tmp_path / JOURNAL).read_bytes() == records(8)


def test_a_growing_file_is_flushed_now_and_then(
    directory: Directory, mocker: MockerFixture
) -> None:
    flush = mocker.patch.object(partial, "_sync_data")
    mocker.patch.object(partial, "FLUSH_EVERY", 10)
    file = Partial.create(directory, "one")
    counts = []
    for size in (4, 5, 1, 9, 25, 1):
        file.append(bytes(size))
        counts.append(flush.call_count)
    assert counts == [0, 0, 1, 1, 2, 2]


def test_last_write_is_that_of_the_younger_file(directory: Directory, tmp_path: Path) -> None:
    assert partial.last_write(directory, "one") is None
    put(tmp_path, b"", [])
    os.utime(tmp_path / PART, (100, 100))
    os.utime(tmp_path / JOURNAL, (200, 200))
    assert partial.last_write(directory, "one") == 200


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
        ("dxlft-" + "x" * 65 + ".part", None),
        (".lock", None),
    ],
)
def test_whose_a_name_is(name: str, file_id: str | None) -> None:
    assert file_id_of(name) == file_id


@given(
    st.lists(st.integers(0, 50), max_size=20).map(sorted),
    st.integers(0, 60),
    st.integers(0, 200),
    st.integers(1, 30),
)
def test_whole_segments_of_any_torn_journal(
    ends: list[int], part_size: int, kept: int, step: int
) -> None:
    """However much of the journal and of the file survived: what is counted is whole."""
    journal = records(*ends)[:kept]
    pieces = iter([journal[at : at + step] for at in range(0, len(journal), step)])

    segments, size = whole_segments(pieces, part_size)

    survived = [end for end in ends[: len(journal) // 8] if end <= part_size]
    assert segments == len(survived)
    assert size == max(survived, default=0)


@given(st.binary(max_size=100), st.integers(0, 2**64))
def test_whole_segments_of_garbage(journal: bytes, part_size: int) -> None:
    segments, size = whole_segments(iter([journal]), part_size)
    assert 0 <= segments <= len(journal) // 8
    assert 0 <= size <= part_size

"""The SHA-256 of a file under way: from memory where it can be, and right in any order."""

import hashlib
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.intervals import IntervalSet
from dxlfiletransferclient.storage import frontier as frontier_module
from dxlfiletransferclient.storage.frontier import HASHED_PER_SEGMENT, MOST_FRESH, Fresh, Frontier

KIB = 1024


class Disk:
    """A file that comes in segments, and what was read of it."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.there = IntervalSet()
        self.reads: list[tuple[int, int]] = []

    def prefix(self) -> int:
        """Bytes that are there without a gap."""
        return next((end for start, end in self.there.ranges if start == 0), 0)

    def read(self, size: int, offset: int) -> bytes:
        self.reads.append((offset, size))
        assert offset + size <= self.prefix()
        return bytes(self.content[offset : offset + size])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def arrive(
    frontier: Frontier, disk: Disk, start: int, end: int, *, at_most: int = HASHED_PER_SEGMENT
) -> None:
    """Write a segment and help on, as a file under way does."""
    disk.there.add(start, end)
    data = bytes(disk.content[start:end])
    frontier.help_on(disk.prefix, disk.read, at_most=at_most, fresh=Fresh(start, data))


def finish(frontier: Frontier, disk: Disk) -> str:
    size = len(disk.content)
    while not frontier.go_on(size, disk.read, at_most=10 * KIB):
        pass
    assert frontier.hashed == size
    return frontier.sha256()


def content(size: int) -> bytes:
    return bytes(itertools.islice(itertools.cycle(range(251)), size))


def segments(size: int, length: int) -> list[tuple[int, int]]:
    return [(start, min(start + length, size)) for start in range(0, size, length)]


def test_in_order_nothing_is_read_again() -> None:
    disk, frontier = Disk(content(100_000)), Frontier()
    for start, end in segments(100_000, 7_000):
        arrive(frontier, disk, start, end)
        assert frontier.hashed == end
    assert (frontier.sha256(), disk.reads) == (disk.sha256, [])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_in_another_order_nothing_is_read_again_either(order: Sequence[int]) -> None:
    disk, frontier = Disk(content(40_000)), Frontier()
    parts = segments(40_000, 10_000)
    for number in order:
        arrive(frontier, disk, *parts[number])
    assert frontier.hashed == 40_000
    assert (frontier.sha256(), disk.reads) == (disk.sha256, [])


def test_what_comes_while_another_thread_hashes_is_hashed_from_memory() -> None:
    disk, frontier = Disk(content(80_000)), Frontier()
    parts = segments(80_000, 10_000)
    hashing, others_came = threading.Event(), threading.Event()

    def first_prefix() -> int:
        if not hashing.is_set():
            hashing.set()
            assert others_came.wait(30)
        return disk.prefix()

    disk.there.add(*parts[0])
    first = Fresh(0, bytes(disk.content[:10_000]))
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.submit(
            frontier.help_on, first_prefix, disk.read, at_most=HASHED_PER_SEGMENT, fresh=first
        )
        assert hashing.wait(30)
        for start, end in reversed(parts[1:]):
            arrive(frontier, disk, start, end)  # and returns, though it cannot hash
        assert frontier.hashed == 0
        others_came.set()
        hashed.result(30)
    assert frontier.hashed == 80_000
    assert (frontier.sha256(), disk.reads) == (disk.sha256, [])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier_module, "MOST_FRESH", 25_000)
    disk, frontier = Disk(content(60_000)), Frontier()
    parts = segments(60_000, 10_000)
    for start, end in parts[1:]:
        arrive(frontier, disk, start, end)
        assert frontier._waiting._bytes <= 25_000
    arrive(frontier, disk, *parts[0])
    assert frontier.sha256() == disk.sha256
    # Two were kept, and the first was hashed as it came. The last three had to be read.
    assert sum(size for _, size in disk.reads) == 30_000
    assert all(offset >= 30_000 for offset, _ in disk.reads)
    assert frontier._waiting._bytes == 0
    assert MOST_FRESH >= 8 * 1_048_576


def test_nothing_is_kept_after_it_was_let_go() -> None:
    disk, frontier = Disk(content(30_000)), Frontier()
    arrive(frontier, disk, 10_000, 30_000)
    assert frontier._waiting._bytes == 20_000
    frontier.let_go()
    assert frontier._waiting._bytes == 0
    arrive(frontier, disk, 0, 10_000)
    assert frontier.sha256() == disk.sha256
    assert disk.reads == [(10_000, 20_000)]


def test_what_came_later_counts() -> None:
    disk, frontier = Disk(content(30_000)), Frontier()
    arrive(frontier, disk, 10_000, 20_000)
    disk.content[10_000:25_000] = bytes(15_000)
    arrive(frontier, disk, 10_000, 25_000)
    assert frontier._waiting._bytes == 15_000
    arrive(frontier, disk, 25_000, 30_000)
    arrive(frontier, disk, 0, 10_000)
    assert (frontier.sha256(), disk.reads) == (disk.sha256, [])


def test_what_is_hashed_already_is_not_kept() -> None:
    disk, frontier = Disk(content(20_000)), Frontier()
    arrive(frontier, disk, 0, 20_000)
    arrive(frontier, disk, 5_000, 15_000)
    assert frontier._waiting._bytes == 0
    assert frontier.sha256() == disk.sha256


def test_a_restart_forgets_what_is_in_memory() -> None:
    disk, frontier = Disk(content(30_000)), Frontier()
    arrive(frontier, disk, 0, 10_000)
    saved = frontier.saved()
    arrive(frontier, disk, 20_000, 30_000)
    frontier.restart(*saved)
    assert frontier.hashed in (0, 10_000)  # where states cannot be saved
    assert frontier._waiting._bytes == 0
    disk.there.remove(20_000, 30_000)
    disk.content[20_000:] = b"!" * 10_000
    arrive(frontier, disk, 10_000, 20_000)
    arrive(frontier, disk, 20_000, 30_000)
    assert frontier.sha256() == disk.sha256


def test_no_request_hashes_much_for_others() -> None:
    disk, frontier = Disk(content(50_000)), Frontier()
    disk.there.add(0, 40_000)
    arrive(frontier, disk, 40_000, 50_000, at_most=15_000)
    assert frontier.hashed == 25_000
    assert finish(frontier, disk) == disk.sha256
    assert max(offset + size for offset, size in disk.reads) == 40_000


def test_a_file_that_is_shorter_than_it_was() -> None:
    frontier = Frontier()
    with pytest.raises(OSError, match="ends after 0 bytes and not after 10"):
        frontier.go_on(10, lambda _size, _offset: b"", at_most=10)


@given(
    cuts=st.sets(st.integers(1, 59_999), max_size=12),
    data=st.data(),
    at_most=st.sampled_from([0, 3_000, HASHED_PER_SEGMENT]),
    room=st.sampled_from([0, 10_000, MOST_FRESH]),
)
def test_any_order_with_anything_in_between(
    cuts: set[int], data: st.DataObject, at_most: int, room: int
) -> None:
    disk = Disk(content(60_000))
    bounds = [0, *sorted(cuts), 60_000]
    parts = data.draw(st.permutations(list(itertools.pairwise(bounds))))
    again = data.draw(st.lists(st.sampled_from(parts), max_size=4))
    between = st.sampled_from(["nothing", "let go", "checkpoint", "crash", "again"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontier_module, "MOST_FRESH", room)
        frontier = Frontier()
        saved = (0, b"")
        for start, end in [*parts, *again]:
            arrive(frontier, disk, start, end, at_most=at_most)
            assert frontier._waiting._bytes <= room
            match data.draw(between):
                case "let go":
                    frontier.let_go()
                case "checkpoint":
                    saved = frontier.saved()
                    frontier.let_go()
                    assert saved[0] <= disk.prefix()
                case "crash":
                    frontier = Frontier(*saved)
                case "again":
                    frontier.restart()
        assert frontier.hashed <= 60_000
        assert finish(frontier, disk) == disk.sha256

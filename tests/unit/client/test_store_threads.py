"""The store with several threads at once, on different files and on one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from dxlfiletransferclient import FileStoreManager, FileStoreSegmentResult, UnknownFileError
from tests.unit.client.fabric import last_request, left_in, request_of

FIRST = b"first "


def begin(store: FileStoreManager, payload: bytes = FIRST) -> str:
    return store.store_segment(request_of(payload, segment_number="1")).file_id


def test_files_in_parallel_threads(
    store: FileStoreManager, storage_dir: Path, working_dir: Path
) -> None:
    def send(number: int) -> None:
        payloads = [bytes([number, segment]) * 1000 for segment in range(20)]
        file_id = begin(store, payloads[0])
        for segment, payload in enumerate(payloads[1:], 2):
            store.store_segment(request_of(payload, segment_number=str(segment), file_id=file_id))
        content = b"".join(payloads)
        store.store_segment(
            last_request(f"deep/{number % 3}/{number}", content, number=21, file_id=file_id)
        )
        assert (storage_dir / "deep" / str(number % 3) / str(number)).read_bytes() == content

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(24), timeout=60))
    assert left_in(working_dir) == set()


def outcomes(threads: int, work: Callable[[], object]) -> list[object]:
    """Do the same in several threads at once; return results and errors."""

    def attempt(_number: int) -> object:
        try:
            return work()
        except ValueError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(attempt, range(threads), timeout=60))


def test_one_of_many_wins_the_turn(store: FileStoreManager, storage_dir: Path) -> None:
    file_id = begin(store)
    for number in range(2, 12):
        found = outcomes(
            6,
            partial(
                store.store_segment,
                request_of(b"x", segment_number=str(number), file_id=file_id),
            ),
        )
        assert sum(isinstance(outcome, FileStoreSegmentResult) for outcome in found) == 1
    content = FIRST + b"x" * 10
    found = outcomes(6, lambda: store.store_segment(last_request("a", content, b"", 12, file_id)))
    assert sum(isinstance(outcome, FileStoreSegmentResult) for outcome in found) == 1
    assert (storage_dir / "a").read_bytes() == content


def test_a_cancel_while_segments_arrive(store: FileStoreManager, working_dir: Path) -> None:
    file_id = begin(store)
    numbers = iter(range(2, 1000))

    def work() -> object:
        number = next(numbers)
        if number == 20:
            return store.store_segment(request_of(file_id=file_id, result="cancel"))
        return store.store_segment(
            request_of(bytes(10_000), segment_number=str(number), file_id=file_id)
        )

    outcomes(40, work)

    assert left_in(working_dir) == set()
    with pytest.raises(UnknownFileError):
        store.store_segment(request_of(b"", segment_number="2", file_id=file_id))

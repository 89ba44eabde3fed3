"""Memory that is lent to large packets."""

from hypothesis import given
from hypothesis import strategies as st

from dxlfabric.buffers import BUFFER_SIZE, MOST_BUFFERS, SMALLEST, Buffers


def memory(view: memoryview) -> int:
    return id(view.obj)


def test_memory_is_used_again_once_nobody_looks_at_it() -> None:
    buffers = Buffers()
    first = buffers.take(SMALLEST)
    used = memory(first)
    part = first[10:20]
    del first
    assert memory(buffers.take(SMALLEST)) != used, "a view of it is left"
    del part
    held = [buffers.take(SMALLEST) for _ in range(MOST_BUFFERS)]
    assert used in map(memory, held)


def test_what_was_used_last_is_used_first() -> None:
    buffers = Buffers()
    views = [buffers.take(SMALLEST) for _ in range(4)]
    names = [memory(view) for view in views]
    for number in (1, 3):
        views[number].release()
    again = [buffers.take(SMALLEST) for _ in range(2)]
    assert [memory(view) for view in again] == [names[3], names[1]]
    again[1].release()
    assert memory(buffers.take(SMALLEST)) == names[1]


def test_what_is_lent_is_as_long_as_was_asked_for() -> None:
    buffers = Buffers()
    sizes = (0, 1, SMALLEST - 1, SMALLEST, 1_000_000, BUFFER_SIZE, BUFFER_SIZE + 1)
    for _ in range(2):
        assert [len(buffers.take(size)) for size in sizes] == list(sizes)


@given(st.lists(st.tuples(st.booleans(), st.integers(SMALLEST, BUFFER_SIZE)), max_size=60))
def test_nobody_gets_what_somebody_else_has(steps: list[tuple[bool, int]]) -> None:
    buffers = Buffers()
    held: list[tuple[int, memoryview]] = []
    for number, (keep, size) in enumerate(steps):
        view = buffers.take(size)
        mark = number % 256
        view[0] = view[-1] = mark
        if keep:
            held.append((mark, view))
        del view
        assert all(found[0] == found[-1] == expected for expected, found in held)


def test_only_so_much_is_kept() -> None:
    buffers = Buffers()
    views = [buffers.take(SMALLEST) for _ in range(MOST_BUFFERS + 5)]
    known = {memory(view) for view in views[:MOST_BUFFERS]}
    assert len({memory(view) for view in views}) == len(views)
    del views
    again = [buffers.take(SMALLEST) for _ in range(MOST_BUFFERS)]
    assert {memory(view) for view in again} <= known


def test_nobody_holds_much_more_than_was_asked_for() -> None:
    buffers = Buffers()
    held = [buffers.take(size) for size in (1, SMALLEST - 1, SMALLEST, BUFFER_SIZE) * MOST_BUFFERS]
    assert all(memoryview(view.obj).nbytes <= 2 * len(view) + 1 for view in held)
    beyond = buffers.take(SMALLEST)
    assert memoryview(beyond.obj).nbytes == SMALLEST

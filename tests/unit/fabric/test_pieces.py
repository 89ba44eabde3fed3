"""What is encrypted next of the pieces that wait."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from dxlfabric.message import Body  # noqa: TC001 - in the types of variables
from dxlfabric.pieces import SMALL_PIECE, next_piece

pieces = st.lists(st.integers(1, 3 * SMALL_PIECE), min_size=1, max_size=12)


@given(pieces, st.integers(1, 4 * SMALL_PIECE))
def test_everything_comes_out_in_order(sizes: list[int], room: int) -> None:
    contents = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    waiting: deque[Body] = deque(contents)
    found = []
    while waiting:
        piece = next_piece(waiting, room)
        assert 0 < len(piece) <= max(room, SMALL_PIECE)
        found.append(bytes(piece))
    assert b"".join(found) == b"".join(contents)


def test_small_pieces_are_joined_and_large_ones_not_copied() -> None:
    large = bytes(2 * SMALL_PIECE)
    waiting: deque[Body] = deque([b"head", b"more", large, b"tail"])
    assert next_piece(waiting, SMALL_PIECE * 4) == b"headmore"
    assert next_piece(waiting, SMALL_PIECE * 4) is large
    assert next_piece(waiting, SMALL_PIECE * 4) == b"tail"


def test_a_large_piece_is_cut_without_a_copy() -> None:
    large = bytes(range(256)) * 100
    waiting: deque[Body] = deque([large])
    piece = next_piece(waiting, 1000)
    assert isinstance(piece, memoryview)
    assert piece.obj is large
    assert len(waiting[0]) == len(large) - 1000

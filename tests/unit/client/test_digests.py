import array
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient import digests
from dxlfiletransferclient.digests import RunningSha256, short_digest


def saveable() -> bool:
    return RunningSha256().state() is not None


needs_states = pytest.mark.skipif(
    not saveable(), reason="OpenSSL's functions cannot be called directly here"
)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it computed as where OpenSSL's functions cannot be called."""
    monkeypatch.setattr(digests, "_loaded", [None])


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_it_is_the_sha256_of_all_pieces(pieces: list[bytes]) -> None:
    running, expected = RunningSha256(), hashlib.sha256()
    for piece in pieces:
        running.update(piece)
        expected.update(piece)
        assert running.hexdigest() == expected.hexdigest()


@needs_states
@given(st.binary(max_size=1000), st.binary(max_size=1000))
def test_a_restored_state_goes_on(first: bytes, second: bytes) -> None:
    running = RunningSha256()
    running.update(first)
    state = running.state()
    assert state is not None
    assert len(state) <= 103
    again = RunningSha256.restored(state)
    assert again.state() == state
    again.update(second)
    assert again.hexdigest() == hashlib.sha256(first + second).hexdigest()
    assert running.hexdigest() == hashlib.sha256(first).hexdigest(), "the first one is untouched"


@needs_states
def test_a_state_after_more_than_four_gigabits() -> None:
    """The count of bits takes two words: what lies beyond the first one must survive."""
    running, expected, block = RunningSha256(), hashlib.sha256(), bytes(2**24)
    for _ in range(33):
        running.update(block)
        expected.update(block)
    state = running.state()
    assert state is not None
    again = RunningSha256.restored(state)
    for each in (again, expected):
        each.update(b"end")
    assert again.hexdigest() == expected.hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind: type) -> None:
    running = RunningSha256()
    running.update(kind(b"abc"))
    running.update(kind(b""))
    running.update(memoryview(kind(b"xdefx"))[1:4])
    assert running.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()


def test_a_buffer_of_wider_items_counts_in_bytes() -> None:
    wide = memoryview(array.array("I", [1, 2, 3]))
    running = RunningSha256()
    running.update(wide)
    assert running.hexdigest() == hashlib.sha256(wide).hexdigest()


def test_a_buffer_with_holes_is_refused() -> None:
    with pytest.raises(BufferError):
        RunningSha256().update(memoryview(b"abcdef")[::2])


def test_a_buffer_is_let_go_of() -> None:
    data = bytearray(b"abc")
    RunningSha256().update(data)
    data.extend(b"d")
    assert data == b"abcd"


@pytest.mark.parametrize("data", ["text", None, 5, [1]])
def test_what_is_no_buffer_is_refused(data: object) -> None:
    with pytest.raises((TypeError, BufferError)):
        RunningSha256().update(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [b"", b"x", bytes(39), bytes(41), bytes(40 + 64), bytes(500)])
def test_a_state_that_is_none(state: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        RunningSha256.restored(state)


@needs_states
@given(st.binary(max_size=120))
def test_no_state_does_harm(state: bytes) -> None:
    """Whatever is on the disk: it is refused, or hashed on from without reading past anything."""
    try:
        running = RunningSha256.restored(state)
    except ValueError:
        return
    running.update(bytes(200))
    assert len(running.hexdigest()) == 64


@pytest.mark.usefixtures("plain")
def test_without_openssl_it_cannot_be_saved() -> None:
    running = RunningSha256()
    running.update(memoryview(b"abc"))
    assert running.hexdigest() == hashlib.sha256(b"abc").hexdigest()
    assert running.state() is None
    with pytest.raises(ValueError, match="cannot be gone on with"):
        RunningSha256.restored(bytes(40))


@needs_states
def test_functions_that_compute_something_else_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = digests._loaded[0]
    assert good is not None

    def wrong(context: object, data: object, length: int) -> int:
        return good.update(context, data, max(0, length - 1))

    assert digests._computes_the_same(good)
    broken = digests._Crypto(good.init, wrong, good.final)
    monkeypatch.setattr(digests, "_loaded_from", lambda _library: broken)
    assert digests._found() is None


def test_libraries_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_hashlib.__file__", "/nowhere/_hashlib.so", raising=False)
    monkeypatch.setattr(digests, "_SYSTEM_LIBRARIES", ("libnowhere.so.9",))
    assert digests._found() is None


@needs_states
def test_other_threads_run_meanwhile() -> None:
    """Two threads that hash at the same time prove nothing about speed, but must not mix."""
    data = [bytes([number]) * 2**20 for number in range(4)]
    start = threading.Barrier(4)

    def hashed(number: int) -> str:
        running = RunningSha256()
        start.wait(10)
        for _ in range(5):
            running.update(data[number])
        return running.hexdigest()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(hashed, range(4), timeout=60))
    assert found == [hashlib.sha256(each * 5).hexdigest() for each in data]


def test_the_digest_of_a_segment_is_xxh3() -> None:
    assert short_digest(memoryview(b"abc")).hex() == xxhash.xxh3_128_hexdigest(b"abc")

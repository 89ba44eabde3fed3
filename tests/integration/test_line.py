"""A client's TLS connection: what is sent arrives whole and in order, and every end is noticed."""

import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from dxlfabric import line as line_module
from dxlfabric import mqtt
from dxlfabric.certificates import Provisioned
from dxlfabric.errors import MalformedPacketError
from dxlfabric.line import RECEIVE_SIZE, SEND_SIZE, Line, LineFullError
from dxlfabric.packets import PacketReader
from dxlfabric.pieces import SMALL_PIECE
from dxlfabric.tls import SecureStream
from tests.integration.mqttpeers import Receiving, linked
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.usefixtures("no_thread_left")

MIB = 2**20

SETTLING = 0.2
"""Seconds in which a system finds more room for a peer that does not read, if it does at all."""

PIECE_SIZES = st.one_of(
    st.integers(0, 40),
    st.sampled_from([SMALL_PIECE - 1, SMALL_PIECE, SMALL_PIECE + 1, 16_384, SEND_SIZE]),
    st.integers(0, 600_000),
)

CONNECTIONS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""For properties of which each example has a connection of its own."""


def read(far: ssl.SSLSocket, count: int) -> bytes:
    """Read so many bytes."""
    data = bytearray()
    while len(data) < count:
        part = far.recv(count - len(data))
        assert part
        data += part
    return bytes(data)


def publish(topic: str, payload: bytes) -> bytes:
    return mqtt.encode(mqtt.Publish(topic, payload))


def told(packets: list[mqtt.Packet]) -> list[tuple[str, bytes]]:
    return [
        (packet.topic, bytes(packet.payload))
        for packet in packets
        if isinstance(packet, mqtt.Publish)
    ]


def fill(line: Line, *, piece: bytes = bytes(256 * 1024)) -> int:
    """Send until the network takes no more, and so much waits that the next sender has to."""
    sent = 0
    while line.waiting <= line._most_waiting:
        while line.waiting <= line._most_waiting:
            assert line.send([piece])
            sent += len(piece)
        assert not line.drain(SETTLING)  # the system may take a little more after a while
    return sent


def assert_closed(line: Line) -> None:
    """Nothing is left of a line: no socket, and nobody may send."""
    line.close()
    assert not line.send([b"too late"])
    assert not line.waiting
    assert line.drain(0)
    sockets = (line._socket, line._wake_receiver, line._wake_sender)
    assert [each.fileno() for each in sockets] == [-1, -1, -1]
    assert line._selector.get_map() is None
    line.wake()
    line.cut()
    line.close(b"twice")


@CONNECTIONS
@given(sends=st.lists(st.lists(PIECE_SIZES, max_size=6), max_size=6), seed=st.integers(0, 2**32))
def test_pieces_of_any_size_arrive_in_order(
    provisioned: Provisioned, sends: list[list[int]], seed: int
) -> None:
    source = random.Random(seed)
    batches = [[source.randbytes(size) for size in sizes] for sizes in sends]
    expected = b"".join(piece for batch in batches for piece in batch)
    with linked(provisioned) as (line, far), Receiving(line), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, far, len(expected))
        for batch in batches:
            kinds: list[bytes | memoryview] = [*batch]
            kinds[::2] = [memoryview(piece) for piece in batch[::2]]
            assert line.send(kinds)
        assert reading.result(TIMEOUT) == expected


@CONNECTIONS
@given(
    sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 100_000), max_size=20),
)
def test_packets_are_received_in_any_pieces(
    provisioned: Provisioned, sizes: list[int], cuts: list[int]
) -> None:
    expected = [(f"/{number}", bytes([number]) * size) for number, size in enumerate(sizes)]
    data = b"".join(publish(*each) for each in expected)
    with linked(provisioned) as (line, far), Receiving(line) as receiving:
        for cut in cuts:
            far.sendall(data[:cut])
            data = data[cut:]
        far.sendall(data)
        wait_until(lambda: len(receiving.packets) == len(expected))
        assert told(receiving.packets) == expected


def test_packets_of_several_threads_do_not_mix(provisioned: Provisioned) -> None:
    threads, each = 4, 60
    sizes = [0, 10, 5_000, 70_000, 300_000]

    def content(thread: int, number: int) -> bytes:
        return bytes([thread * 16 + number % 16]) * sizes[(thread + number) % len(sizes)]

    def send(line: Line, thread: int) -> None:
        for number in range(each):
            body = content(thread, number)
            header = mqtt.publish_header(f"/{thread}/{number}", len(body))
            assert line.send([header, body[: len(body) // 2], body[len(body) // 2 :]])

    arrived: list[tuple[str, bytes]] = []
    with (
        linked(provisioned, most_waiting=MIB) as (line, far),
        Receiving(line),
        ThreadPoolExecutor(threads) as pool,
    ):
        sending = [pool.submit(send, line, thread) for thread in range(threads)]
        reader = PacketReader()
        while len(arrived) < threads * each:
            arrived.extend(told(list(reader.feed(far.recv(RECEIVE_SIZE)))))
        for future in sending:
            future.result(TIMEOUT)
    for thread in range(threads):
        own = [found for found in arrived if found[0].startswith(f"/{thread}/")]
        assert own == [(f"/{thread}/{number}", content(thread, number)) for number in range(each)]


def test_both_directions_at_once(provisioned: Provisioned) -> None:
    there, back = random.Random(1).randbytes(8 * MIB), random.Random(2).randbytes(8 * MIB)

    def converse(far: ssl.SSLSocket) -> None:
        for start in range(0, len(back), 50_000):
            far.sendall(publish("/back", back[start:][:50_000]))

    with (
        linked(provisioned, most_waiting=MIB) as (line, far),
        Receiving(line) as receiving,
        ThreadPoolExecutor(2) as pool,
    ):
        saying, reading = pool.submit(converse, far), pool.submit(read, far, len(there))
        for start in range(0, len(there), 200_000):
            assert line.send([there[start:][:200_000]])
        saying.result(TIMEOUT)
        assert reading.result(TIMEOUT) == there
        wait_until(lambda: sum(len(each) for _, each in told(receiving.packets)) == len(back))
        assert b"".join(each for _, each in told(receiving.packets)) == back


def test_a_peer_that_does_not_read(provisioned: Provisioned, mocker: MockerFixture) -> None:
    mocker.patch.object(line_module, "SEND_TIMEOUT", 0.1)
    with linked(provisioned, most_waiting=MIB) as (line, far):
        sent = fill(line)
        assert line.waiting > MIB
        with pytest.raises(LineFullError, match="the broker takes nothing"):
            line.send([b"one too many"])
        assert not line.drain(0.05)
        with Receiving(line):
            assert read(far, sent) == bytes(sent)
            assert line.drain(TIMEOUT)
            assert line.send([b"now"])
            assert read(far, 3) == b"now"
        assert not line.waiting


def test_a_sender_waits_for_room_and_goes_on(provisioned: Provisioned) -> None:
    """Also without a thread that receives, which may be busy."""
    with linked(provisioned, most_waiting=MIB) as (line, far), ThreadPoolExecutor(1) as pool:
        sent = fill(line)
        sending = pool.submit(line.send, [b"last"])
        assert read(far, sent - MIB // 2) == bytes(sent - MIB // 2)
        assert sending.result(TIMEOUT)
        draining = pool.submit(line.drain, TIMEOUT)
        assert read(far, MIB // 2) == bytes(MIB // 2)
        assert read(far, 4) == b"last"
        assert draining.result(TIMEOUT)


@pytest.mark.parametrize("end", [Line.close, Line.cut])
def test_the_end_frees_a_sender_that_waits(
    provisioned: Provisioned, mocker: MockerFixture, end: Callable[[Line], None]
) -> None:
    waits = threading.Event()
    real = line_module._is_writable

    def is_writable(connection: socket.socket, timeout: float) -> bool:
        waits.set()
        return real(connection, timeout)

    mocker.patch.object(line_module, "_is_writable", is_writable)
    with linked(provisioned, most_waiting=MIB) as (line, _), ThreadPoolExecutor(1) as pool:
        fill(line)
        sending = pool.submit(line.send, [b"never"])
        assert waits.wait(TIMEOUT)
        end(line)
        assert not sending.result(TIMEOUT)
        assert_closed(line)


def test_what_waits_is_forgotten_with_the_connection(provisioned: Provisioned) -> None:
    with linked(provisioned, most_waiting=MIB) as (line, _):
        fill(line)
        line.close(b"a farewell that has to go after all that")
        assert_closed(line)


def test_being_woken_ends_receiving(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, _), ThreadPoolExecutor(1) as pool:
        line.wake()
        assert list(line.receive(None)) == []  # it was woken before
        receiving = pool.submit(list, line.receive(None))
        line.wake()
        assert receiving.result(TIMEOUT) == []
        for _ in range(10_000):  # more than anybody keeps
            line.wake()
        assert list(line.receive(None)) == []
        assert list(line.receive(0)) == []


def test_receiving_ends_in_time(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, _):
        assert list(line.receive(0.01)) == []


def test_goodbye(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, far):
        line.close(b"farewell")
        assert read(far, 8) == b"farewell"
        assert far.recv(1) == b""  # and no end without a notice, which would raise
        assert_closed(line)


def test_end_without_goodbye(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, far):
        line.close()
        with pytest.raises(ssl.SSLEOFError):
            far.recv(1)


def cut_by_us(line: Line, _far: ssl.SSLSocket) -> None:
    line.cut()


def closed_by_peer(_line: Line, far: ssl.SSLSocket) -> None:
    far.shutdown(socket.SHUT_RDWR)


def goodbye_by_peer(_line: Line, far: ssl.SSLSocket) -> None:
    far.settimeout(0.05)  # for our goodbye, which is not said
    with pytest.raises(TimeoutError):
        far.unwrap()


def reset_by_peer(_line: Line, far: ssl.SSLSocket) -> None:
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()


def garbage_by_peer(_line: Line, far: ssl.SSLSocket) -> None:
    with socket.socket(fileno=far.detach()) as plain:
        plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))


@pytest.mark.parametrize(
    "end", [cut_by_us, closed_by_peer, goodbye_by_peer, reset_by_peer, garbage_by_peer]
)
def test_every_end_is_noticed(
    provisioned: Provisioned, end: Callable[[Line, ssl.SSLSocket], None]
) -> None:
    with linked(provisioned) as (line, far), Receiving(line) as receiving:
        far.sendall(publish("/last", b"words"))
        wait_until(lambda: bool(receiving.packets))
        end(line, far)
        receiving.join()
        assert isinstance(receiving.failure, OSError)
        assert told(receiving.packets) == [("/last", b"words")]
        assert_closed(line)


def test_last_words_before_the_end_are_heard(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, far):
        far.sendall(publish("/last", bytes(100_000)))
        closed_by_peer(line, far)
        with Receiving(line) as receiving:
            receiving.join()
        assert told(receiving.packets) == [("/last", bytes(100_000))]
        assert isinstance(receiving.failure, ConnectionError)


def test_whoever_finds_the_connection_lost_is_told_so(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, _):
        line.cut()
        assert not line.send([b"nobody hears it"])
        assert not line.send([b"nor this"])
        assert not line.waiting


def test_a_peer_that_does_not_speak_mqtt(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, far), Receiving(line) as receiving:
        far.sendall(b"\x00\x00")
        receiving.join()
        assert isinstance(receiving.failure, MalformedPacketError)


class Talkative:
    """TLS that has something to say itself whenever it has read."""

    def __init__(self, stream: SecureStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read_into(self, buffer: memoryview) -> int | None:
        found = self._stream.read_into(buffer)
        self._stream.write(b"my own words")
        return found


def test_what_tls_itself_has_to_say_is_sent(provisioned: Provisioned) -> None:
    with linked(provisioned, most_waiting=MIB) as (line, far):
        line._stream = cast("SecureStream", Talkative(line._stream))
        sent = fill(line)
        far.sendall(publish("/a", b""))
        with Receiving(line):
            # Behind what was encrypted before, and before what was not.
            assert read(far, sent + 12).replace(b"my own words", b"", 1) == bytes(sent)
            far.sendall(publish("/a", b""))
            assert read(far, 12) == b"my own words"


def test_small_packets_go_at_once_and_silence_is_noticed(provisioned: Provisioned) -> None:
    with linked(provisioned) as (line, _):
        assert line._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert line._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

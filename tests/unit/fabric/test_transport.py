"""The MQTT layer below our client: reads packets that come in pieces, writes without copies."""

import ssl
from collections.abc import Iterator
from typing import Any

import pahoproxy.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import mqtt
from dxlfabric.transport import Transport


class Line:
    """A TLS connection that has pieces to be read, and sometimes nothing."""

    def __init__(self, pieces: Iterator[bytes | type[Exception]]) -> None:
        self._pieces = pieces
        self._rest = b""

    def recv(self, size: int) -> bytes:
        if not self._rest:
            piece = next(self._pieces, b"")
            if not isinstance(piece, bytes):
                raise piece
            self._rest = piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def close(self) -> None:
        pass

    def recv_into(self, view: memoryview) -> int:
        taken = self.recv(len(view))
        view[: len(taken)] = taken
        return len(taken)


class Reader(Transport):
    def __init__(self, pieces: list[bytes | type[Exception]]) -> None:
        super().__init__()
        self._sock: Any = Line(iter(pieces))
        self.messages: list[tuple[str, bytes]] = []
        self.packets: list[int] = []
        self.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, bytes(message.payload))
        )

    def _packet_handle(self) -> int:
        self.packets.append(self._in_packet["command"])
        return super()._packet_handle()

    def read_all(self) -> int:
        while (code := self._packet_read()) in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_AGAIN, None):
            pass
        return code


def publish(topic: str, payload: bytes) -> bytes:
    return bytes(mqtt.encode(mqtt.Publish(topic=topic, payload=payload)))


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@given(
    st.lists(st.binary(max_size=20_000), min_size=1, max_size=4),
    st.lists(st.integers(1, 9_000), max_size=20),
    st.booleans(),
)
def test_packets_in_any_pieces(payloads: list[bytes], sizes: list[int], waits: bool) -> None:
    data = b"".join(publish(f"/topic/{number}", each) for number, each in enumerate(payloads))
    pieces: list[bytes | type[Exception]] = []
    for piece in cut(data, sizes):
        pieces += [ssl.SSLWantReadError, piece] if waits else [piece]
    reader = Reader(pieces)
    assert reader.read_all() == paho.MQTT_ERR_CONN_LOST
    assert reader.messages == [(f"/topic/{n}", each) for n, each in enumerate(payloads)]


def test_packets_without_a_payload_and_of_other_types() -> None:
    reader = Reader([b"\xd0\x00", publish("/topic", b"")])
    reader.read_all()
    assert reader.packets == [0xD0, 0x30]
    assert reader.messages == [("/topic", b"")]


def test_a_message_of_another_quality_is_left_to_the_base_class() -> None:
    sent: list[int] = []

    def acknowledge(mid: int) -> int:
        sent.append(mid)
        return paho.MQTT_ERR_SUCCESS

    reader = Reader([b"\x32\x0a\x00\x04/a/b\x00\x07ok"])
    reader._send_puback = acknowledge  # type: ignore[attr-defined]
    reader.read_all()
    assert (reader.messages, sent) == ([("/a/b", b"ok")], [7])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x30\xff\xff\xff\xff\x01", paho.MQTT_ERR_PROTOCOL),
        (b"\x30\x03\x00\x00a", paho.MQTT_ERR_PROTOCOL),
        (b"\x30\x03\x00\x05a", paho.MQTT_ERR_PROTOCOL),
        (b"\x30\x05\x00", paho.MQTT_ERR_CONN_LOST),
        (b"\x30", paho.MQTT_ERR_CONN_LOST),
        (b"", paho.MQTT_ERR_CONN_LOST),
    ],
)
def test_what_is_malformed_or_cut_off(data: bytes, code: int) -> None:
    reader = Reader([data] if data else [])
    assert reader.read_all() == code
    assert reader.messages == []


def test_a_broken_connection() -> None:
    assert Reader([ConnectionResetError]).read_all() == paho.MQTT_ERR_CONN_LOST


def test_a_connection_that_wants_to_write_first() -> None:
    registered: list[bool] = []
    reader = Reader([ssl.SSLWantWriteError, publish("/a", b"b")])
    reader._call_socket_register_write = lambda: registered.append(True)  # type: ignore[method-assign]
    reader.read_all()
    assert (registered, reader.messages) == ([True], [("/a", b"b")])


def test_queued_packets_are_not_copied_when_a_part_is_cut_off() -> None:
    transport = Transport()
    packet = bytearray(b"packet")
    transport._packet_queue(0x30, packet, 1, 0)
    queued: Any = transport._current_out_packet["packet"]  # type: ignore[attr-defined]
    assert queued[2:].obj is packet


def test_network_thread_is_woken_when_it_has_to_stop() -> None:
    transport: Any = Transport()
    woken: list[bytes] = []

    class Thread:
        def join(self) -> None:
            assert transport._thread_terminate
            woken.append(transport._sockpairR.recv(16))

    transport._thread = Thread()
    transport.loop_stop()
    assert (woken, transport._thread) == ([b"0"], None)


def test_stopping_without_a_network_thread() -> None:
    assert Transport().loop_stop() == paho.MQTT_ERR_INVAL

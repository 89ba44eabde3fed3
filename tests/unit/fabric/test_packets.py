import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import mqtt
from dxlfabric.errors import MalformedPacketError
from dxlfabric.mqtt import PacketType
from dxlfabric.packets import SCRATCH_SIZE, OversizedPacketError, PacketReader

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
TOPICS = st.text(
    st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40
)
SHORTS = st.integers(0, 0xFFFF)
QOS = st.integers(0, 2)

PACKETS = st.one_of(
    st.builds(mqtt.Connect, TEXTS, SHORTS, st.booleans()),
    st.builds(mqtt.ConnAck, st.integers(0, 5), st.booleans()),
    st.builds(
        mqtt.Publish, TOPICS, st.binary(max_size=40_000), st.just(0), st.booleans(), st.booleans()
    ),
    st.builds(mqtt.Publish, TOPICS, st.binary(max_size=200), st.integers(1, 2), packet_id=SHORTS),
    st.builds(
        mqtt.Subscribe,
        SHORTS,
        st.lists(st.tuples(TEXTS, QOS), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(mqtt.SubAck, SHORTS, st.lists(st.sampled_from([0, 1, 2, 0x80])).map(tuple)),
    st.builds(mqtt.Unsubscribe, SHORTS, st.lists(TEXTS, min_size=1, max_size=4).map(tuple)),
    st.builds(
        mqtt.Acknowledgement,
        st.sampled_from(
            [
                PacketType.PUBACK,
                PacketType.PUBREC,
                PacketType.PUBREL,
                PacketType.PUBCOMP,
                PacketType.UNSUBACK,
            ]
        ),
        SHORTS,
    ),
    st.builds(
        mqtt.Signal,
        st.sampled_from([PacketType.PINGREQ, PacketType.PINGRESP, PacketType.DISCONNECT]),
    ),
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 300), max_size=30))
def test_packets_come_back_from_any_chunking(packets: list[mqtt.Packet], sizes: list[int]) -> None:
    reader = PacketReader()
    stream = b"".join(map(mqtt.encode, packets))
    read = [packet for chunk in cut(stream, sizes) for packet in reader.feed(chunk)]
    assert read == packets


@given(st.lists(PACKETS, min_size=1, max_size=4), st.data())
def test_lent_memory_gives_the_same_packets(
    packets: list[mqtt.Packet], data: st.DataObject
) -> None:
    stream = b"".join(map(mqtt.encode, packets))
    reader = PacketReader()
    read: list[mqtt.Packet] = []
    while stream:
        buffer = reader.buffer()
        count = data.draw(st.integers(1, min(len(buffer), len(stream))))
        buffer[:count] = stream[:count]
        stream = stream[count:]
        read += reader.wrote(count)
    assert read == packets


@given(st.binary(max_size=400))
def test_any_input_is_read_or_refused(data: bytes) -> None:
    reader = PacketReader(limit=1_000)
    try:
        for _ in reader.feed(data):
            pass
    except MalformedPacketError:
        return


@given(PACKETS, st.data())
def test_a_damaged_packet_is_read_or_refused(packet: mqtt.Packet, data: st.DataObject) -> None:
    damaged = bytearray(mqtt.encode(packet))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        list(PacketReader(limit=100_000).feed(damaged))
    except MalformedPacketError:
        return


def test_the_payload_lies_where_it_was_received() -> None:
    size = 10 * SCRATCH_SIZE
    stream = mqtt.publish_header("/example", size)
    reader = PacketReader()
    reader.buffer()[: len(stream)] = stream
    assert list(reader.wrote(len(stream))) == []
    memory = reader.buffer()
    assert len(memory) == size
    memory[:] = b"x" * size
    (packet,) = reader.wrote(size)
    assert isinstance(packet, mqtt.Publish)
    assert isinstance(packet.payload, memoryview)
    assert packet.payload.obj is memory.obj


def test_packets_before_a_malformed_one_are_read() -> None:
    reader = PacketReader()
    ping = mqtt.encode(mqtt.Signal(PacketType.PINGREQ))
    packets = iter(reader.feed(ping + b"\xf0\x00"))
    assert next(packets) == mqtt.Signal(PacketType.PINGREQ)
    with pytest.raises(MalformedPacketError, match="15 is no type"):
        next(packets)


def test_too_long_a_packet_is_refused_before_it_is_stored() -> None:
    reader = PacketReader(limit=1_048_576)
    announced = mqtt.fixed_header(PacketType.PUBLISH, 0, 200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(OversizedPacketError, match="200000000 bytes") as caught:
            list(reader.feed(announced))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.limit == 1_048_576
    assert peak < 1_000_000


def test_a_packet_of_just_the_limit_is_read() -> None:
    body = b"\0\x01t" + bytes(97)
    reader = PacketReader(limit=100)
    (packet,) = reader.feed(mqtt.fixed_header(PacketType.PUBLISH, 0, 100) + body)
    assert isinstance(packet, mqtt.Publish)
    assert len(packet.payload) == 97


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x00\x00", "0 is no type"),
        (b"\xf0\x00", "15 is no type"),
        (b"\xc1\x00", "PINGREQ with flags 1"),
        (b"\xc0\x01a", "1 bytes too many"),
        (b"\x30\xff\xff\xff\xff\x01", "more than four bytes"),
        (b"\x36\x04\0\x01t1", "quality of service 3"),
        (b"\x30\x03\0\x01#", "no name of a topic"),
        (b"\x30\x02\0\0", "no name of a topic"),
        (b"\x30\x03\0\x01\0", "NUL"),
        (b"\x30\x03\0\x01\xff", "not UTF-8"),
        (b"\x30\x03\0\x05t", "ends early"),
        (b"\x30\x00", "ends early, after 0 bytes"),
        (b"\x30\x01\0", "ends early, after 1 bytes"),
        (b"\x32\x04\0\x01t1", "ends early, after 4 bytes"),
        (b"\x32\x03\0\x01#", "no name of a topic"),
        (b"\x82\x02\0\x01", "SUBSCRIBE without a topic"),
        (b"\x82\x06\0\x01\0\x01t\x03", "quality of service 3"),
        (b"\x10\x02\0\x04", "ends early"),
    ],
)
def test_what_is_no_packet(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedPacketError, match=complaint):
        list(PacketReader().feed(data))


def test_a_connect_with_will_and_password_is_read() -> None:
    parts = (b"id", b"will-topic", b"will", b"user", b"password")
    text = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    body = b"\0\x04MQTT\x04" + bytes((0x80 | 0x40 | 0x04 | 0x02,)) + b"\0\x3c" + text
    (packet,) = PacketReader().feed(mqtt.fixed_header(PacketType.CONNECT, 0, len(body)) + body)
    assert packet == mqtt.Connect("id", 60)


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x30\x00"),
        (127, b"\x30\x7f"),
        (128, b"\x30\x80\x01"),
        (16_383, b"\x30\xff\x7f"),
        (16_384, b"\x30\x80\x80\x01"),
        (268_435_455, b"\x30\xff\xff\xff\x7f"),
    ],
)
def test_lengths_on_the_wire(length: int, header: bytes) -> None:
    assert mqtt.fixed_header(PacketType.PUBLISH, 0, length) == header


def test_a_length_that_mqtt_cannot_say() -> None:
    with pytest.raises(ValueError, match="268435456 bytes"):
        mqtt.fixed_header(PacketType.PUBLISH, 0, 268_435_456)


def test_a_topic_that_mqtt_cannot_say() -> None:
    with pytest.raises(ValueError, match="MQTT allows 65535"):
        mqtt.publish_header("t" * 65_536, 0)

"""What a client has to say to its broker: packets with numbers, and pings when it is quiet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfabric import mqtt
from dxlfabric.clientsession import ClientSession, SilentBrokerError
from dxlfabric.errors import MalformedPacketError
from dxlfabric.mqtt import PacketType
from dxlfabric.packets import PacketReader

PINGRESP = mqtt.Signal(PacketType.PINGRESP)
PINGREQ = mqtt.encode(mqtt.Signal(PacketType.PINGREQ))
MOST_IDS = 65_535


def read(data: bytes) -> mqtt.Packet:
    (packet,) = PacketReader().feed(data)
    return packet


@pytest.mark.parametrize("keep_alive", [0, 1, 1800])
def test_introduction(keep_alive: int) -> None:
    session = ClientSession("me", keep_alive=keep_alive)
    assert read(session.begin(0.0)) == mqtt.Connect("me", keep_alive)


def test_subscriptions() -> None:
    session = ClientSession("me", keep_alive=0)
    number, packet = session.subscribe("/a/#")
    assert read(packet) == mqtt.Subscribe(number, (("/a/#", 0),))
    number, packet = session.unsubscribe("/ä")
    assert read(packet) == mqtt.Unsubscribe(number, ("/ä",))


def test_end() -> None:
    assert read(ClientSession("me", keep_alive=0).end()) == mqtt.Signal(PacketType.DISCONNECT)


def test_numbers_come_again_only_after_all_others() -> None:
    session = ClientSession("me", keep_alive=0)
    asks = [session.subscribe, session.unsubscribe]
    numbers = [asks[count % 2]("/a")[0] for count in range(MOST_IDS)]
    assert sorted(numbers) == list(range(1, MOST_IDS + 1))
    assert session.subscribe("/a")[0] == numbers[0]


@pytest.mark.parametrize(
    "packet",
    [
        mqtt.Connect("broker"),
        mqtt.Subscribe(1, (("/a", 0),)),
        mqtt.Unsubscribe(1, ("/a",)),
        mqtt.Signal(PacketType.PINGREQ),
        mqtt.Signal(PacketType.DISCONNECT),
    ],
)
def test_what_only_clients_say(packet: mqtt.Packet) -> None:
    with pytest.raises(MalformedPacketError, match=packet.packet_type.name):
        ClientSession("me", keep_alive=0).heard(packet, 0.0)


def test_ping_after_silence_and_the_end_without_an_answer() -> None:
    session = ClientSession("me", keep_alive=10)
    session.begin(100.0)
    assert (session.due(), session.check(109.9)) == (110.0, b"")
    assert session.check(110.0) == PINGREQ
    session.said(110.0)
    assert (session.due(), session.check(119.9)) == (120.0, b"")
    with pytest.raises(SilentBrokerError, match="10 seconds"):
        session.check(120.0)


@pytest.mark.parametrize("packet", [PINGRESP, mqtt.Publish("/a", b"")])
def test_anything_heard_is_an_answer(packet: mqtt.Packet) -> None:
    session = ClientSession("me", keep_alive=10)
    session.begin(0.0)
    assert session.check(10.0) == PINGREQ
    session.said(10.0)
    session.heard(packet, 15.0)
    assert session.check(19.0) == b""
    assert session.check(session.due() or 0.0) == PINGREQ


def test_a_new_conversation_forgets_the_unanswered_ping() -> None:
    session = ClientSession("me", keep_alive=10)
    session.begin(0.0)
    assert session.check(10.0) == PINGREQ
    session.begin(50.0)
    assert session.check(59.0) == b""
    assert session.check(60.0) == PINGREQ


@given(
    st.integers(0, 5),
    st.lists(st.tuples(st.floats(0, 4), st.sampled_from(["said", "heard", "check"])), max_size=60),
)
def test_keep_alive(keep_alive: int, steps: list[tuple[float, str]]) -> None:
    """Of both directions, neither is silent for longer than agreed without a ping or the end."""
    session = ClientSession("me", keep_alive=keep_alive)
    now = said = heard = 0.0
    pinged: float | None = None
    session.begin(now)
    for passed, step in steps:
        now += passed
        if step == "said":
            session.said(now)
            said = now
        elif step == "heard":
            session.heard(PINGRESP, now)
            heard, pinged = now, None
        elif not keep_alive:
            assert session.due() is None
            assert session.check(now) == b""
        elif pinged is not None and now >= pinged + keep_alive:
            with pytest.raises(SilentBrokerError):
                session.check(now)
            return
        elif pinged is None and now >= min(said, heard) + keep_alive:
            assert session.check(now) == PINGREQ
            session.said(now)
            said = pinged = now
        else:
            assert session.check(now) == b""
            assert (session.due() or 0.0) > now

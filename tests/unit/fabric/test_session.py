import pytest

from dxlfabric import mqtt
from dxlfabric.mqtt import PacketType, ReturnCode
from dxlfabric.session import Reaction, Session
from tests.unit.fabric.fabricfixtures import NOW, Fabric, identity


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def session(fabric: Fabric) -> Session:
    return Session(fabric.router, identity("one"), subscription_limit=3)


def connected(session: Session, keep_alive: int = 0) -> Session:
    reaction = session.receive(mqtt.Connect("me", keep_alive), NOW)
    assert reaction == Reaction(mqtt.encode(mqtt.ConnAck()))
    return session


@pytest.mark.parametrize(("name", "level"), [("MQTT", 4), ("MQIsdp", 3)])
def test_both_versions_are_welcome(session: Session, name: str, level: int) -> None:
    reaction = session.receive(mqtt.Connect("me", 0, True, name, level), NOW)
    assert reaction.reply == mqtt.encode(mqtt.ConnAck())
    assert session.connected


@pytest.mark.parametrize(("name", "level"), [("MQTT", 5), ("MQTT", 3), ("HTTP", 4)])
def test_other_versions_are_refused(session: Session, name: str, level: int) -> None:
    reaction = session.receive(mqtt.Connect("me", 0, True, name, level), NOW)
    assert reaction.reply == mqtt.encode(mqtt.ConnAck(ReturnCode.UNACCEPTABLE_PROTOCOL))
    assert reaction.close is not None
    assert "MQTT 3.1 and 3.1.1" in reaction.close


def test_a_session_to_be_kept_is_hung_up_on(session: Session) -> None:
    reaction = session.receive(mqtt.Connect("me", 0, clean_session=False), NOW)
    assert reaction.reply == b""
    assert "clean_session=0" in str(reaction.close)


@pytest.mark.parametrize(
    "packet",
    [
        mqtt.Publish("/a", b""),
        mqtt.Subscribe(1, (("/a", 0),)),
        mqtt.Signal(PacketType.PINGREQ),
    ],
)
def test_nothing_comes_before_connect(session: Session, packet: mqtt.Packet) -> None:
    assert "before CONNECT" in str(session.receive(packet, NOW).close)


def test_nobody_connects_twice(session: Session) -> None:
    connected(session)
    assert session.receive(mqtt.Connect("me"), NOW).close == "a second CONNECT"


@pytest.mark.parametrize(
    "packet",
    [mqtt.ConnAck(), mqtt.SubAck(1, (0,)), mqtt.Acknowledgement(PacketType.UNSUBACK, 1)],
)
def test_a_client_is_no_broker(session: Session, packet: mqtt.Packet) -> None:
    assert "only a broker" in str(connected(session).receive(packet, NOW).close)


def test_a_ping_is_answered(session: Session) -> None:
    reaction = connected(session).receive(mqtt.Signal(PacketType.PINGREQ), NOW)
    assert reaction.reply == b"\xd0\x00"


def test_a_goodbye_needs_no_reason(session: Session) -> None:
    assert connected(session).receive(mqtt.Signal(PacketType.DISCONNECT), NOW).close == ""


def test_acknowledgements_of_higher_quality_are_passed_over(session: Session) -> None:
    reaction = connected(session).receive(mqtt.Acknowledgement(PacketType.PUBREL, 1), NOW)
    assert reaction == Reaction()


def test_subscriptions_are_granted_as_asked(session: Session) -> None:
    packet = mqtt.Subscribe(7, (("/a", 0), ("/b/#", 2)))
    assert connected(session).receive(packet, NOW).reply == mqtt.encode(mqtt.SubAck(7, (0, 2)))


def test_what_is_no_filter_is_refused(session: Session) -> None:
    reaction = connected(session).receive(mqtt.Subscribe(7, (("/a#", 0),)), NOW)
    assert "'/a#', which is no filter" in str(reaction.close)


def test_subscriptions_are_limited(session: Session) -> None:
    connected(session)
    for name in ("/a", "/b", "/c"):
        assert session.receive(mqtt.Subscribe(1, ((name, 0),)), NOW).close is None
    assert "more than 3" in str(session.receive(mqtt.Subscribe(1, (("/d", 0),)), NOW).close)


def test_unsubscribing_is_acknowledged(session: Session, fabric: Fabric) -> None:
    connected(session).receive(mqtt.Subscribe(1, (("/a", 0),)), NOW)
    reaction = session.receive(mqtt.Unsubscribe(8, ("/a", "/never")), NOW)
    assert reaction.reply == mqtt.encode(mqtt.Acknowledgement(PacketType.UNSUBACK, 8))
    assert fabric.router.subscription_count(identity("one").instance) == 0


@pytest.mark.parametrize(("keep_alive", "allowed"), [(0, None), (10, 15.0)])
def test_silence(session: Session, keep_alive: int, allowed: float | None) -> None:
    assert connected(session, keep_alive).silence_allowed == allowed


def test_the_end_takes_the_client_out(session: Session, fabric: Fabric) -> None:
    watcher = fabric.join("watcher", "/mcafee/event/dxl/#")
    connected(session).receive(mqtt.Subscribe(1, (("/a", 0),)), NOW)
    assert [delivery.recipient for delivery in session.end()] == [watcher]
    assert session.end() == ()
    assert not session.connected

"""The MQTT layer of our client, against the embedded broker and against brokers made by hand."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfabric import line as line_module
from dxlfabric import mqtt, mqttclient
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.line import LineFullError
from dxlfabric.mqtt import PacketType, ReturnCode
from dxlfabric.mqttclient import CONNECTION_LOST, NO_CONNECTION, SUCCESS, MqttClient
from tests.integration.mqttpeers import Peer, broker_that
from tests.integration.rawclient import RawClient
from tests.tlsservers import unused_port
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.usefixtures("no_thread_left")

HOST = "127.0.0.1"
MIB = 2**20


class Told:
    """Keeps what a client tells by its callbacks."""

    def __init__(self, client: MqttClient) -> None:
        self._told: dict[str, queue.Queue[tuple[Any, ...]]] = {}
        for name in ("connect", "disconnect", "message", "subscribe", "unsubscribe"):
            self._told[name] = queue.Queue()
            setattr(client, f"on_{name}", self._keeper(name))

    def next(self, name: str) -> tuple[Any, ...]:
        """Wait for a callback, and return what it got after the client."""
        return self._told[name].get(timeout=TIMEOUT)

    def is_quiet(self, name: str) -> bool:
        """Whether no further callback came."""
        return self._told[name].empty()

    def _keeper(self, name: str) -> Callable[..., None]:
        return lambda _client, *arguments: self._told[name].put(arguments)


@pytest.fixture
def client(provisioned: Provisioned) -> Iterator[MqttClient]:
    """A client that is not connected yet."""
    client = MqttClient("me", "data")
    set_up(client, provisioned)
    yield client
    client.loop_stop()
    client.disconnect()
    assert client._line is None
    assert client._thread is None


@pytest.fixture
def told(client: MqttClient) -> Told:
    return Told(client)


def set_up(client: MqttClient, provisioned: Provisioned) -> None:
    files = provisioned.client.credentials
    client.tls_set(str(files.authority), str(files.certificate), str(files.private_key), x="paho's")


def join(client: MqttClient, told: Told, port: int, **settings: Any) -> None:
    """Connect and wait for the broker's welcome."""
    assert client.connect(HOST, port, **settings) == SUCCESS
    client.loop_start()
    assert told.next("connect") == ("data", {}, SUCCESS)


def keep_open(peer: Peer) -> None:
    """Listen until the client goes."""
    while True:
        peer.receive()


def test_a_conversation(
    client: MqttClient, told: Told, broker: EmbeddedBroker, provisioned: Provisioned
) -> None:
    join(client, told, broker.port)
    code, number = client.subscribe("/some/topic")
    assert (code, told.next("subscribe")) == (SUCCESS, ("data", number, (0,)))
    with RawClient(broker.port, provisioned.service.credentials).connect() as other:
        other.subscribe("/other/topic")
        assert client.post("/other/topic", [b"\x02\x02", b"", memoryview(b"no message")]) == 0
        code, number = client.unsubscribe("/some/topic")
        assert (code, told.next("unsubscribe")) == (SUCCESS, ("data", number))
    assert client.disconnect() == SUCCESS
    assert told.next("disconnect") == ("data", SUCCESS)
    assert client.disconnect() == NO_CONNECTION
    assert told.is_quiet("disconnect")


def test_messages_arrive_with_a_payload_of_their_own(
    client: MqttClient, told: Told, provisioned: Provisioned
) -> None:
    contents = [b"", b"a", bytes(100_000)]

    def converse(peer: Peer) -> None:
        peer.welcome()
        peer.send(*(mqtt.Publish("/a", content) for content in contents))
        keep_open(peer)

    with broker_that(provisioned, converse) as port:
        join(client, told, port)
        packets = [told.next("message") for _ in contents]
        assert [(data, packet.topic) for data, packet in packets] == [("data", "/a")] * 3
        assert [bytes(packet.payload) for _, packet in packets] == contents
        client.disconnect()


def test_introduction_and_order_of_what_is_said(
    client: MqttClient, told: Told, provisioned: Provisioned
) -> None:
    said: list[mqtt.Packet] = []

    def converse(peer: Peer) -> None:
        said.append(peer.welcome())
        while True:
            said.append(peer.receive())

    with broker_that(provisioned, converse) as port:
        join(client, told, port, keepalive=77)
        number = client.subscribe("/a")[1]
        client.post("/b", [b"12", b"345"])
        assert number is not None
        client.disconnect()
    assert said == [
        mqtt.Connect("me", 77),
        mqtt.Subscribe(number, (("/a", 0),)),
        mqtt.Publish("/b", b"12345"),
        mqtt.Signal(PacketType.DISCONNECT),
    ]


def test_what_cannot_be_done_without_a_connection(client: MqttClient) -> None:
    assert client.waiting == 0
    assert client.post("/a", [b"lost"]) == NO_CONNECTION
    assert client.subscribe("/a") == (NO_CONNECTION, None)
    assert client.unsubscribe("/a") == (NO_CONNECTION, None)
    assert client.disconnect() == NO_CONNECTION
    client.cut()
    client.loop_stop()
    client.loop_start()  # the official client does so where it could not connect
    with pytest.raises(ConnectionRefusedError):
        client.connect(HOST, unused_port())


def test_whom_to_trust_has_to_be_said() -> None:
    client = MqttClient("me", None)
    client.tls_insecure_set(True)
    with pytest.raises(RuntimeError, match="tls_set"):
        client.connect(HOST, unused_port())


def test_files_that_cannot_be_used(provisioned: Provisioned) -> None:
    with pytest.raises(OSError, match=r"No such file|PEM|certificate"):
        MqttClient("me", None).tls_set("nowhere.crt", "nowhere.crt", "nowhere.key")


def test_a_broker_that_refuses(
    client: MqttClient, told: Told, provisioned: Provisioned, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(peer: Peer) -> None:
        peer.expect(PacketType.CONNECT)
        peer.send(mqtt.ConnAck(ReturnCode.NOT_AUTHORIZED))
        keep_open(peer)

    with broker_that(provisioned, refuse) as port, caplog.at_level(logging.INFO):
        client.connect(HOST, port)
        client.loop_start()
        assert told.next("disconnect") == ("data", CONNECTION_LOST)
    assert told.is_quiet("connect")
    assert "it refuses the client, with code 5" in caplog.text


def vanish(_peer: Peer) -> None:
    pass


def begin_a_packet(peer: Peer) -> None:
    peer.socket.sendall(mqtt.encode(mqtt.Publish("/a", bytes(1000)))[:500])


def speak_as_a_client(peer: Peer) -> None:
    peer.send(mqtt.Signal(PacketType.PINGREQ))
    keep_open(peer)


def speak_garbage(peer: Peer) -> None:
    peer.socket.sendall(b"\x00\x00")
    keep_open(peer)


@pytest.mark.parametrize("end", [vanish, begin_a_packet, speak_as_a_client, speak_garbage])
def test_a_connection_that_is_lost(
    client: MqttClient, told: Told, provisioned: Provisioned, end: Callable[[Peer], None]
) -> None:
    def converse(peer: Peer) -> None:
        peer.welcome()
        peer.expect(PacketType.SUBSCRIBE)
        end(peer)

    with broker_that(provisioned, converse) as port:
        join(client, told, port)
        client.subscribe("/a")
        assert told.next("disconnect") == ("data", CONNECTION_LOST)
        assert client.post("/a", [b"lost"]) == NO_CONNECTION
        client.loop_stop()
        join(client, told, port)  # and again, with the same client
        client.disconnect()
        assert told.next("disconnect") == ("data", SUCCESS)
    assert told.is_quiet("message")


def test_a_connection_that_is_cut(client: MqttClient, told: Told, broker: EmbeddedBroker) -> None:
    join(client, told, broker.port)
    client.cut()
    assert told.next("disconnect") == ("data", CONNECTION_LOST)


def test_connecting_anew_ends_what_was_there(
    client: MqttClient, told: Told, provisioned: Provisioned
) -> None:
    """As the official client does where a broker has not answered in time."""
    came: list[Peer] = []

    def converse(peer: Peer) -> None:
        came.append(peer)
        if len(came) == 2:
            peer.welcome()
        keep_open(peer)

    with broker_that(provisioned, converse) as port:
        client.connect(HOST, port)
        client.loop_start()
        wait_until(lambda: bool(came))
        join(client, told, port)
        client.disconnect()


def test_what_waits_is_sent_before_the_end(
    client: MqttClient, told: Told, provisioned: Provisioned
) -> None:
    content, arrived, full = bytes(MIB), [], threading.Event()

    def converse(peer: Peer) -> None:
        peer.welcome()
        assert full.wait(TIMEOUT)
        while True:
            arrived.append(peer.receive())

    with broker_that(provisioned, converse) as port:
        join(client, told, port)
        sent = 0
        while client.waiting < MIB:
            assert client.post("/a", [content]) == SUCCESS
            sent += 1
        full.set()
        client.disconnect()
        wait_until(lambda: len(arrived) == sent + 1)
    assert arrived[:-1] == [mqtt.Publish("/a", content)] * sent
    assert arrived[-1] == mqtt.Signal(PacketType.DISCONNECT)


def test_the_end_does_not_wait_for_a_broker_that_takes_nothing(
    client: MqttClient, told: Told, provisioned: Provisioned, mocker: MockerFixture
) -> None:
    mocker.patch.object(mqttclient, "DRAIN_TIMEOUT", 0.05)
    over = threading.Event()

    def converse(peer: Peer) -> None:
        peer.welcome()
        assert over.wait(TIMEOUT)

    with broker_that(provisioned, converse) as port:
        join(client, told, port)
        while client.waiting < MIB:
            client.post("/a", [bytes(MIB)])
        client.disconnect()
        assert told.next("disconnect") == ("data", SUCCESS)
        assert client.waiting == 0
        over.set()


def test_a_broker_that_takes_nothing_for_long(
    provisioned: Provisioned, mocker: MockerFixture
) -> None:
    mocker.patch.object(mqttclient, "DRAIN_TIMEOUT", 0.05)
    mocker.patch.object(line_module, "SEND_TIMEOUT", 0.05)
    client = MqttClient("me", "data", most_waiting=MIB)
    set_up(client, provisioned)
    over = threading.Event()

    def converse(peer: Peer) -> None:
        peer.welcome()
        assert over.wait(TIMEOUT)

    def post_for_ever() -> None:
        while True:
            client.post("/a", [bytes(MIB)])

    with broker_that(provisioned, converse) as port:
        join(client, Told(client), port)
        with pytest.raises(LineFullError):
            post_for_ever()
        client.disconnect()
        over.set()


def test_a_callback_that_fails_ends_nothing(
    client: MqttClient, told: Told, provisioned: Provisioned, caplog: pytest.LogCaptureFixture
) -> None:
    keep = client.on_message
    assert keep is not None

    def stumble(client: MqttClient, data: object, packet: mqtt.Publish) -> None:
        if not packet.payload:
            raise RuntimeError("a callback that stumbles")
        keep(client, data, packet)

    client.on_message = stumble

    def converse(peer: Peer) -> None:
        peer.welcome()
        peer.send(mqtt.Publish("/a", b""), mqtt.Publish("/a", b"next"))
        keep_open(peer)

    with broker_that(provisioned, converse) as port:
        join(client, told, port)
        assert bytes(told.next("message")[1].payload) == b"next"
        client.disconnect()
    assert "a callback that stumbles" in caplog.text


def test_a_callback_that_is_not_set(client: MqttClient, provisioned: Provisioned) -> None:
    def converse(peer: Peer) -> None:
        peer.welcome()
        peer.send(mqtt.Publish("/a", b"nobody minds"), mqtt.SubAck(1, (0,)))

    with broker_that(provisioned, converse) as port:
        client.connect(HOST, port)
        client.loop_start()
        wait_until(lambda: client._line is None)
        client.loop_stop()


def test_silence_is_broken_by_pings(
    client: MqttClient, told: Told, provisioned: Provisioned
) -> None:
    pings = threading.Semaphore(0)

    def converse(peer: Peer) -> None:
        peer.welcome()
        while True:
            peer.expect(PacketType.PINGREQ)
            pings.release()
            peer.send(mqtt.Signal(PacketType.PINGRESP))

    with broker_that(provisioned, converse) as port:
        join(client, told, port, keepalive=1)
        assert pings.acquire(timeout=TIMEOUT)
        client.disconnect()
        assert told.next("disconnect") == ("data", SUCCESS)


def test_a_broker_that_falls_silent(
    client: MqttClient, told: Told, provisioned: Provisioned, caplog: pytest.LogCaptureFixture
) -> None:
    def converse(peer: Peer) -> None:
        peer.welcome()
        keep_open(peer)

    with broker_that(provisioned, converse) as port, caplog.at_level(logging.INFO):
        join(client, told, port, keepalive=1)
        assert told.next("disconnect") == ("data", CONNECTION_LOST)
    assert "it has not answered for 1 seconds" in caplog.text


def test_callbacks_get_the_data_that_was_set_last(
    client: MqttClient, told: Told, broker: EmbeddedBroker
) -> None:
    client.user_data_set("other data")
    client.connect(HOST, broker.port)
    client.loop_start()
    client.loop_start()  # once is enough
    assert told.next("connect") == ("other data", {}, SUCCESS)


def test_the_thread_that_receives_does_not_wait_for_itself(
    client: MqttClient, told: Told, broker: EmbeddedBroker
) -> None:
    ended = threading.Event()

    def end(client: MqttClient, *_: object) -> None:
        client.loop_stop()
        ended.set()

    client.on_subscribe = end
    join(client, told, broker.port)
    client.subscribe("/a")
    assert ended.wait(TIMEOUT)

"""The embedded broker over real TLS connections."""

import asyncio
import logging
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from pytest_mock import MockerFixture

from dxlfabric import mqtt
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.channel import BrokerLimits, Channel
from dxlfabric.credentials import Credentials
from dxlfabric.errors import BrokerError, CertificateError
from dxlfabric.message import Event, Request, decode, encode
from dxlfabric.routing import SERVICE_NOT_FOUND
from tests.integration.rawclient import RawClient
from tests.waiting import TIMEOUT, wait_until

MESSAGE_LIMIT = 1_048_576


@pytest.fixture
def credentials(provisioned: Provisioned) -> Credentials:
    return provisioned.client.credentials


@pytest.fixture
def client(broker: EmbeddedBroker, credentials: Credentials) -> Iterator[RawClient]:
    with RawClient(broker.port, credentials) as connected:
        yield connected.connect()


def test_tls_1_2_with_the_old_clients_only_cipher(
    broker: EmbeddedBroker, credentials: Credentials
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256")
    context.load_verify_locations(credentials.authority)
    context.load_cert_chain(credentials.certificate, credentials.private_key)
    with (
        socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as plain,
        context.wrap_socket(plain) as connection,
    ):
        assert connection.cipher() == ("AES128-SHA256", "TLSv1.2", 128)
        connection.sendall(mqtt.encode(mqtt.Connect("old")))
        assert connection.recv(100) == mqtt.encode(mqtt.ConnAck())


def test_small_packets_do_not_wait_for_acknowledgements(
    broker: EmbeddedBroker, credentials: Credentials, mocker: MockerFixture
) -> None:
    made = mocker.spy(Channel, "connection_made")
    with RawClient(broker.port, credentials) as client:
        client.connect()
        ((_, transport),) = (call.args for call in made.call_args_list)
        accepted = transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_modern_clients_get_tls_1_3(client: RawClient) -> None:
    assert client.socket.version() == "TLSv1.3"


@pytest.mark.parametrize("which", ["none", "of another CA"])
def test_a_client_without_a_certificate_of_the_ca_is_refused(
    which: str,
    broker: EmbeddedBroker,
    provisioned: Provisioned,
    foreign: Provisioned,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(provisioned.broker.authority)
    if which != "none":
        stranger = foreign.client.credentials
        context.load_cert_chain(stranger.certificate, stranger.private_key)
    with (
        socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as plain,
        context.wrap_socket(plain) as connection,
        pytest.raises(ssl.SSLError, match=r"(?i)alert (certificate required|unknown ca)"),
    ):
        connection.recv(100)
    wait_until(lambda: "refused: 127.0.0.1" in caplog.text)


def test_a_message_of_just_the_limit_passes_and_one_more_does_not(
    broker: EmbeddedBroker, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    room = MESSAGE_LIMIT - len("/t") - 2
    with (
        RawClient(broker.port, credentials).connect() as listener,
        RawClient(broker.port, credentials).connect() as sender,
    ):
        listener.subscribe("/t")
        sender.send(mqtt.Publish("/t", bytes(room)))
        received = listener.receive()
        assert isinstance(received, mqtt.Publish)
        assert len(received.payload) == room
        try:
            sender.send(mqtt.Publish("/t", bytes(room + 1)))
        except OSError as error:
            assert not isinstance(error, TimeoutError)  # noqa: PT017 - hung up on while sending
        sender.wait_closed()
    assert "a message of 1048577 bytes; the limit is 1048576" in caplog.text


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"GET / HTTP/1.1\r\nHost: " + b"x" * 100, "it does not speak MQTT"),
        (mqtt.encode(mqtt.Connect("kept", clean_session=False)), "clean_session=0"),
        (mqtt.encode(mqtt.Connect("x")) + b"\x82\x06\0\x01\0\x01#\x03", "quality of service 3"),
    ],
)
def test_who_misbehaves_is_disconnected_with_a_reason(
    data: bytes,
    complaint: str,
    broker: EmbeddedBroker,
    credentials: Credentials,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RawClient(broker.port, credentials) as client:
        client.socket.sendall(data)
        client.wait_closed()
    assert complaint in caplog.text


def test_requests_to_nobody_are_answered_at_once(client: RawClient) -> None:
    client.subscribe("/mcafee/client/me")
    request = Request(message_id="{1}", reply_to_topic="/mcafee/client/me")
    client.send(mqtt.Publish("/nobody", encode(request).join()))
    answer = client.receive()
    assert isinstance(answer, mqtt.Publish)
    assert getattr(decode(answer.payload), "error_code", None) == SERVICE_NOT_FOUND


def test_a_slow_subscriber_holds_up_its_publisher_and_nobody_else(
    provisioned: Provisioned, credentials: Credentials
) -> None:
    limits = BrokerLimits(waiting=256 * 1024, drained=64 * 1024)
    payload = bytes(64 * 1024)
    count = 2_000
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(provisioned.broker, limits=limits))
        slow = stack.enter_context(RawClient(broker.port, credentials, receive_buffer=16 * 1024))
        slow.connect().subscribe("/slow")
        publisher = stack.enter_context(RawClient(broker.port, credentials)).connect()
        other = stack.enter_context(RawClient(broker.port, credentials)).connect()
        other.subscribe("/other")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def publish() -> int:
            for _ in range(count):
                publisher.send(mqtt.Publish("/slow", payload))
            return count

        publisher.socket.settimeout(60)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        publishing = pool.submit(publish)
        channel = next(iter(broker._channels.values()))
        wait_until(lambda: channel.congested)
        for number in range(50):
            other.send(mqtt.Publish("/other", str(number).encode()))
            received = other.receive()
            assert isinstance(received, mqtt.Publish)
            assert bytes(received.payload) == str(number).encode()
        assert not publishing.done()
        for _ in range(count):
            received = slow.receive()
            assert isinstance(received, mqtt.Publish)
            assert len(received.payload) == len(payload)
        assert publishing.result(TIMEOUT) == count
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"{grown} KiB more for {count * len(payload) // 1024} KiB sent"


def test_a_slow_client_that_says_goodbye_holds_up_nobody(
    provisioned: Provisioned, credentials: Credentials
) -> None:
    limits = BrokerLimits(waiting=256 * 1024, drained=64 * 1024, stall_seconds=10 * TIMEOUT)
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(provisioned.broker, limits=limits))
        slow = stack.enter_context(RawClient(broker.port, credentials, receive_buffer=16 * 1024))
        slow.connect().subscribe("/slow")
        channel = next(iter(broker._channels.values()))
        publisher = stack.enter_context(RawClient(broker.port, credentials)).connect()
        publisher.subscribe("/done")

        enough = threading.Event()

        def publish() -> None:
            while not enough.is_set():
                publisher.send(mqtt.Publish("/slow", bytes(64 * 1024)))
            publisher.send(mqtt.Publish("/done", b"x"))

        pool = stack.enter_context(ThreadPoolExecutor(1))
        publishing = pool.submit(publish)
        wait_until(lambda: channel.congested)
        enough.set()
        slow.send(mqtt.Signal(mqtt.PacketType.DISCONNECT))
        received = publisher.receive()
        assert isinstance(received, mqtt.Publish)
        assert received.topic == "/done"
        publishing.result(TIMEOUT)


def test_a_client_that_takes_nothing_is_disconnected(
    provisioned: Provisioned, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    limits = BrokerLimits(waiting=256 * 1024, drained=64 * 1024, stall_seconds=0.1)
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(provisioned.broker, limits=limits))
        hung = stack.enter_context(RawClient(broker.port, credentials, receive_buffer=16 * 1024))
        hung.connect().subscribe("/t")
        publisher = stack.enter_context(RawClient(broker.port, credentials)).connect()
        publisher.subscribe("/done")
        for _ in range(200):
            publisher.send(mqtt.Publish("/t", bytes(64 * 1024)))
        publisher.send(mqtt.Publish("/done", b"x"))
        received = publisher.receive()
        assert isinstance(received, mqtt.Publish)
        assert received.topic == "/done"
    assert "it has taken none of" in caplog.text


def test_a_silent_client_is_disconnected(
    broker: EmbeddedBroker, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    with RawClient(broker.port, credentials).connect(keep_alive=1) as client:
        client.wait_closed()
    assert "nothing was heard of it for 1.5 seconds" in caplog.text


def test_who_says_nothing_at_all_is_disconnected(
    provisioned: Provisioned, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    limits = BrokerLimits(handshake_seconds=0.5)
    with (
        EmbeddedBroker(provisioned.broker, limits=limits) as broker,
        RawClient(broker.port, credentials) as client,
        socket.create_connection(("127.0.0.1", broker.port), TIMEOUT) as without_tls,
    ):
        client.wait_closed()
        assert without_tls.recv(1) == b""
    assert "no CONNECT within 0.5 seconds" in caplog.text


def test_connections_are_limited(
    provisioned: Provisioned, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(
            EmbeddedBroker(provisioned.broker, limits=BrokerLimits(connections=5))
        )
        for _ in range(5):
            stack.enter_context(RawClient(broker.port, credentials)).connect()
        with pytest.raises(OSError, match=r".*"):
            stack.enter_context(RawClient(broker.port, credentials)).connect()
    assert "5 clients are connected" in caplog.text


@pytest.mark.slow
def test_several_hundred_clients(broker: EmbeddedBroker, credentials: Credentials) -> None:
    count = 300
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(broker.port, credentials)).connect(f"client-{number}")
            for number in range(count)
        ]
        for client in clients:
            client.subscribe("/all")
        event = encode(Event(message_id="{1}", payload=b"hello")).join()
        for client in clients[:10]:
            client.send(mqtt.Publish("/all", event))
        for client in clients:
            for _ in range(10):
                received = client.receive()
                assert isinstance(received, mqtt.Publish)
                assert bytes(decode(received.payload).payload) == b"hello"


def test_a_reset_connection_leaves_the_others_alone(
    broker: EmbeddedBroker, client: RawClient, credentials: Credentials
) -> None:
    RawClient(broker.port, credentials).connect().reset()
    wait_until(lambda: len(broker._channels) == 1)
    client.subscribe("/t")
    client.send(mqtt.Publish("/t", b"x"))
    assert isinstance(client.receive(), mqtt.Publish)


def test_it_runs_in_an_event_loop_too(provisioned: Provisioned, credentials: Credentials) -> None:
    def talk(port: int) -> None:
        with RawClient(port, credentials).connect() as client:
            client.subscribe("/t")

    async def main() -> None:
        async with EmbeddedBroker(provisioned.broker) as broker:
            await asyncio.to_thread(talk, broker.port)

    asyncio.run(main())


def test_stopping_ends_all_connections(provisioned: Provisioned, credentials: Credentials) -> None:
    with EmbeddedBroker(provisioned.broker) as broker:
        client = RawClient(broker.port, credentials).connect()
    client.wait_closed()
    client.socket.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port), TIMEOUT)


def test_a_port_that_is_taken_is_named(provisioned: Provisioned, broker: EmbeddedBroker) -> None:
    with (
        pytest.raises(BrokerError, match=f"port {broker.port}.*choose another port"),
        EmbeddedBroker(provisioned.broker, port=broker.port),
    ):
        pass


def test_unusable_certificates_are_named(provisioned: Provisioned) -> None:
    mixed = Credentials(
        provisioned.broker.authority,
        provisioned.broker.certificate,
        provisioned.client.credentials.private_key,
    )
    with pytest.raises(CertificateError, match=r"broker\.crt.*client\.key"), EmbeddedBroker(mixed):
        pass


def test_probing_connections_are_not_worth_a_warning(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dxlfabric")
    socket.create_connection(("127.0.0.1", broker.port), TIMEOUT).close()
    wait_until(lambda: "connection ended" in caplog.text)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]

"""TLS between bytes and bytes: what both sides agree on, and what comes out."""

import itertools
import ssl
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dxlfabric.certificates import Credentials, Provisioned
from dxlfabric.errors import CertificateError
from dxlfabric.tls import SecureStream, client_context, server_context

OLD_CIPHER = "AES128-SHA256"
"""The only cipher of the official client and of old brokers."""


def agree(client: SecureStream, server: SecureStream) -> tuple[bytes, bytes]:
    """Go through the handshake; return the certificates that client and server have seen."""
    seen_by_client = seen_by_server = None
    while seen_by_client is None or seen_by_server is None:
        if seen_by_client is None:
            seen_by_client = client.handshake()
        server.feed(client.take())
        if seen_by_server is None:
            seen_by_server = server.handshake()
        client.feed(server.take())
    return seen_by_client, seen_by_server


def streams(
    provisioned: Provisioned,
    *,
    client: Callable[[ssl.SSLContext], object] = lambda _context: None,
    server: Callable[[ssl.SSLContext], object] = lambda _context: None,
    host: str = "localhost",
) -> tuple[SecureStream, SecureStream]:
    """Both ends of a connection, before the handshake."""
    near, far = client_context(provisioned.client.credentials), server_context(provisioned.broker)
    client(near)
    server(far)
    return SecureStream(near, host=host), SecureStream(far)


def agreed(stream: SecureStream) -> tuple[str | None, str]:
    version, cipher = stream._stream.version(), stream._stream.cipher()
    assert cipher is not None
    return version, cipher[0]


def as_old_brokers(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(OLD_CIPHER)


def without_tls_1_3(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


def asking_for_a_name(context: ssl.SSLContext) -> None:
    context.check_hostname = True


def test_the_newest_version_is_taken(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    seen = agree(client, server)
    assert agreed(client)[0] == agreed(server)[0] == "TLSv1.3"
    files = (provisioned.broker.certificate, provisioned.client.credentials.certificate)
    assert seen == tuple(
        ssl.PEM_cert_to_DER_cert(first_certificate(name.read_text())) for name in files
    )


def first_certificate(text: str) -> str:
    end = "-----END CERTIFICATE-----\n"
    return text.partition(end)[0] + end


def test_with_version_1_2_keys_are_forgotten_afterwards(provisioned: Provisioned) -> None:
    client, server = streams(provisioned, server=without_tls_1_3)
    agree(client, server)
    version, cipher = agreed(client)
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")


def test_old_brokers_and_old_clients(provisioned: Provisioned) -> None:
    for pair in (
        streams(provisioned, client=as_old_brokers),
        streams(provisioned, server=as_old_brokers),
    ):
        client, server = pair
        agree(client, server)
        assert agreed(client) == agreed(server) == ("TLSv1.2", OLD_CIPHER)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(provisioned: Provisioned) -> None:
    def outdated(context: ssl.SSLContext) -> None:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")

    for pair in (streams(provisioned, client=outdated), streams(provisioned, server=outdated)):
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"):
            agree(*pair)


def test_any_name_will_do_unless_it_is_asked_for(provisioned: Provisioned) -> None:
    for host, prepare in [
        ("no-such-name.example", lambda _context: None),
        ("localhost", asking_for_a_name),
        ("127.0.0.1", asking_for_a_name),
        ("::1", asking_for_a_name),
    ]:
        agree(*streams(provisioned, client=prepare, host=host))


@pytest.mark.parametrize("host", ["no-such-name.example", "127.0.0.2"])
def test_a_wrong_name_is_refused_where_it_is_asked_for(provisioned: Provisioned, host: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=host):
        agree(*streams(provisioned, client=asking_for_a_name, host=host))


def test_a_name_that_cannot_be_announced(provisioned: Provisioned) -> None:
    with pytest.raises(ValueError, match=r"idna|hostname"):
        streams(provisioned, host=".broker")


def test_clients_without_a_certificate_are_refused(provisioned: Provisioned) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(provisioned.client.credentials.authority)
    client, server = SecureStream(context, host="localhost"), streams(provisioned)[1]
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        agree(client, server)
    assert server.pending  # what tells the client so


def test_bytes_in_both_directions(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    agree(client, server)
    buffer = memoryview(bytearray(100_000))
    assert server.read_into(buffer) is None
    client.write(bytes(40_000))
    client.write(memoryview(b"more")[1:])
    encrypted = client.take()
    assert client.pending == 0
    server.feed(encrypted[:20_000])
    first = server.read_into(buffer)
    assert first is not None
    server.feed(memoryview(encrypted)[20_000:])
    second = server.read_into(buffer[first:])
    assert second is not None
    assert bytes(buffer[: first + second]) == bytes(40_000) + b"ore"
    server.write(b"back")
    client.feed(server.take())
    assert client.read_into(buffer[:3]) == 3  # as much as there is room for
    assert client.read_into(buffer[3:]) == 1
    assert bytes(buffer[:4]) == b"back"


@pytest.mark.parametrize("prepare", [lambda _context: None, as_old_brokers], ids=["1.3", "1.2"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 90_000), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 90_000), max_size=8),
    buffers=st.lists(st.one_of(st.integers(1, 200_000), st.just(16_384)), min_size=1, max_size=8),
)
def test_once_it_is_drained_nothing_more_comes_out(
    provisioned: Provisioned,
    prepare: Callable[[ssl.SSLContext], object],
    sizes: list[int],
    cuts: list[int],
    buffers: list[int],
) -> None:
    client, server = streams(provisioned, server=prepare)
    agree(client, server)
    content = [bytes([number]) * size for number, size in enumerate(sizes)]
    for each in content:
        client.write(each)
    encrypted = client.take()
    found = bytearray()
    room = itertools.cycle(buffers)
    while encrypted:
        cut = cuts.pop() if cuts else len(encrypted)
        server.feed(encrypted[:cut])
        encrypted = encrypted[cut:]
        server.drained = False
        while not server.drained:
            buffer = bytearray(next(room))
            count = server.read_into(memoryview(buffer))
            assert count is None or count > 0
            found += buffer[: count or 0]
        assert server.read_into(memoryview(bytearray(1))) is None
    assert found == b"".join(content)


def test_goodbye(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    agree(client, server)
    buffer = memoryview(bytearray(100))
    client.write(b"last")
    client.say_goodbye()
    server.feed(client.take())
    assert (server.read_into(buffer), server.read_into(buffer)) == (4, 0)
    assert server.read_into(buffer) == 0


def test_what_comes_behind_a_goodbye_is_not_read(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    agree(client, server)
    buffer = memoryview(bytearray(200_000))
    client.write(b"x" * 50_000)
    client.say_goodbye()
    server.feed(client.take() + bytes(100_000))
    assert server.read_into(buffer) == 50_000
    assert server.read_into(buffer) == 0


def test_a_row_of_large_records_that_ends_in_a_small_one(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    agree(client, server)
    buffer = memoryview(bytearray(300_000))
    client.write(b"x" * 262_144)
    client.write(b"y")
    server.feed(client.take())
    assert server.read_into(buffer) == 262_145
    assert server.drained
    assert bytes(buffer[:262_145]) == b"x" * 262_144 + b"y"


def test_what_was_changed_on_the_way(provisioned: Provisioned) -> None:
    client, server = streams(provisioned)
    agree(client, server)
    client.write(b"content")
    encrypted = bytearray(client.take())
    encrypted[-1] ^= 1
    server.feed(encrypted)
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        server.read_into(memoryview(bytearray(100)))


def test_files_that_cannot_be_used(provisioned: Provisioned) -> None:
    files = provisioned.broker
    mixed = Credentials(
        files.authority, files.certificate, provisioned.client.credentials.private_key
    )
    with pytest.raises(CertificateError, match="the broker cannot use"):
        server_context(mixed)
    with pytest.raises(ssl.SSLError):
        client_context(mixed)

"""Finds out why a broker cannot be reached, and says so in one sentence.

The official client retries for ever and keeps the reasons to its log. Here, one connection is made
by hand, step by step up to the broker's answer to an MQTT connect packet, so that the step that
fails tells what is wrong.
"""

import socket
import ssl
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from dxlclient.broker import Broker
from dxlclient.client_config import DxlClientConfig

from dxlfabric.errors import MalformedPacketError
from dxlfabric.mqtt import ConnAck, Connect, Packet, PacketType, ReturnCode, Signal, encode
from dxlfabric.packets import PacketReader

_LARGEST_ANSWER = 1024
_RECEIVED_AT_ONCE = 4096
# With less than this, a socket would be in non-blocking mode, or fail before it has begun.
_SHORTEST_WAIT = 0.001

_NO_BROKER = "what listens there is no MQTT broker"
_REFUSALS: dict[int, str] = {
    ReturnCode.UNACCEPTABLE_PROTOCOL: "it does not speak MQTT 3.1.1",
    ReturnCode.IDENTIFIER_REJECTED: "it refuses the client's identifier",
    ReturnCode.SERVER_UNAVAILABLE: "it is not available at present",
    ReturnCode.BAD_CREDENTIALS: "it refuses the client's name and password",
    ReturnCode.NOT_AUTHORIZED: "it does not allow this client to connect",
}
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_NOTHING_IN_COMMON = ("HANDSHAKE_FAILURE", "PROTOCOL_VERSION", "INSUFFICIENT_SECURITY")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no connection to a broker comes about.

    Attributes:
        broker: The broker, as host and port.
        reason: What happened and what may help, in one sentence.
        passing: Whether it may go away by itself, so that another attempt makes sense.
    """

    broker: str
    reason: str
    passing: bool = False

    def __str__(self) -> str:
        return f"broker {self.broker}: {self.reason}"


class _StepFailedError(Exception):
    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


def find_obstacle(
    broker: Broker, config: DxlClientConfig, context: ssl.SSLContext, *, timeout: float
) -> Obstacle | None:
    """Make one connection to a broker and end it.

    Args:
        broker: Where to connect to; its IP address is tried if its host name does not work.
        config: The client's configuration: files to name in the reason, kind of transport.
        context: TLS context made from the configuration.
        timeout: Seconds for everything, the look-up of the host name aside.

    Returns:
        What is in the way, or None if the broker takes this client.
    """
    deadline = time.monotonic() + timeout
    place = f"{_bracketed(broker.host_name)}:{broker.port}"
    try:
        with _reach(broker, deadline, timeout) as connection:
            _converse(connection, broker.host_name, config, context, deadline)
    except _StepFailedError as failure:
        return Obstacle(place, failure.reason, failure.passing)
    except TimeoutError:
        reason = f"it accepts connections but has not answered within {round(timeout, 1):g} s"
        return Obstacle(place, reason, passing=True)
    return None


def open_socket(host: str, port: int, *, timeout: float) -> socket.socket:
    """Return a TCP connection, tried at all addresses of a host within one time-out.

    Small packets are sent at once (``TCP_NODELAY``): requests and responses would otherwise wait
    for each other's acknowledgements, 44 ms each time on a loopback interface.

    Args:
        host: Host name or IP address.
        port: TCP port.
        timeout: Seconds for all addresses together; the look-up of the name is not counted.

    Raises:
        OSError: The name cannot be resolved (``socket.gaierror``), or no address took the
            connection in time.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from error
    deadline = time.monotonic() + timeout
    failure: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - position)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(share, _SHORTEST_WAIT))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            failure = failure or error
        else:
            return connection
    raise failure or OSError(f"{host} has no address")


def _reach(broker: Broker, deadline: float, timeout: float) -> socket.socket:
    hosts = dict.fromkeys((broker.host_name, broker.ip_address or broker.host_name))
    failure: OSError | None = None
    for host in hosts:
        try:
            return open_socket(host, broker.port, timeout=deadline - time.monotonic())
        except OSError as error:
            failure = failure or error
    raise _tcp_failure(failure, broker.host_name, timeout) from failure


def _tcp_failure(error: OSError | None, host: str, timeout: float) -> _StepFailedError:
    match error:
        case socket.gaierror():
            temporary = error.errno == socket.EAI_AGAIN
            reason = f"the host name {host} cannot be resolved ({error.strerror})"
            return _StepFailedError(reason, passing=temporary)
        case ConnectionRefusedError():
            reason = "nobody listens there; is the broker running, and is this its port?"
        case TimeoutError():
            reason = (
                f"no answer within {round(timeout, 1):g} s; a wrong address, or a firewall between?"
            )
        case _:
            reason = f"it cannot be reached ({error.strerror or error})" if error else "no address"
    return _StepFailedError(reason, passing=True)


def _converse(
    connection: socket.socket,
    host: str,
    config: DxlClientConfig,
    context: ssl.SSLContext,
    deadline: float,
) -> None:
    with _wrapped(connection, host, context) as secured:
        try:
            _allow(secured, deadline)
            secured.do_handshake()
        except TimeoutError:
            raise
        except OSError as error:
            raise _tls_failure(error, config) from error
        # WebSockets begin with another conversation than MQTT's.
        if not config.use_websockets:
            _greet(secured, config, deadline)


def _wrapped(connection: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    except ValueError:
        # A host that cannot be announced to the server (its name begins with a dot, say).
        return context.wrap_socket(connection, do_handshake_on_connect=False)


def _greet(connection: ssl.SSLSocket, config: DxlClientConfig, deadline: float) -> None:
    failure: OSError | None = None
    try:
        connection.sendall(encode(Connect(client_id=str(uuid.uuid4()))))
    except OSError as error:
        failure = error  # what the broker has sent before it closed says more
    answer = _first_packet(connection, config, deadline, failure)
    if not isinstance(answer, ConnAck):
        raise _StepFailedError(_NO_BROKER)
    if answer.return_code != ReturnCode.ACCEPTED:
        passing = answer.return_code == ReturnCode.SERVER_UNAVAILABLE
        unknown = f"it refuses, with code {answer.return_code}"
        raise _StepFailedError(_REFUSALS.get(answer.return_code, unknown), passing=passing)
    connection.sendall(encode(Signal(PacketType.DISCONNECT)))


def _first_packet(
    connection: ssl.SSLSocket, config: DxlClientConfig, deadline: float, failure: OSError | None
) -> Packet:
    reader = PacketReader(limit=_LARGEST_ANSWER)
    received = False
    while True:
        try:
            _allow(connection, deadline)
            data = connection.recv(_RECEIVED_AT_ONCE)
        except TimeoutError:
            raise
        except OSError as error:
            raise _tls_failure(error, config, after_handshake=True) from error
        if not data and not received:
            raise _tls_failure(failure, config, after_handshake=True)
        try:
            packets = list(reader.feed(data))
        except MalformedPacketError as error:
            raise _StepFailedError(_NO_BROKER) from error
        if packets:
            return packets[0]
        if not data:
            raise _StepFailedError(_NO_BROKER)
        received = True


def _tls_failure(
    error: OSError | None, config: DxlClientConfig, *, after_handshake: bool = False
) -> _StepFailedError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _StepFailedError(
            f"its certificate is not accepted ({error.verify_message}); the CA that is trusted is "
            f"{config.broker_ca_bundle}; is the client configuration one of this broker's fabric?"
        )
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "ALERT" in reason and not _holds(reason, _NOTHING_IN_COMMON):
        alert = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return _StepFailedError(
            f"it refuses the client certificate {config.cert_file} ({alert}); was it issued by "
            "the broker's CA?"
        )
    if _holds(reason, _NOTHING_IN_COMMON) or "UNSUPPORTED_PROTOCOL" in reason:
        words = reason.replace("_", " ").lower()
        return _StepFailedError(f"it has no TLS version or cipher in common with us ({words})")
    if _holds(reason, _NO_TLS):
        return _StepFailedError("what listens there does not speak TLS")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return _StepFailedError(f"the TLS connection failed ({reason or error})")
    step = "before it answered" if after_handshake else "during the TLS handshake"
    return _StepFailedError(
        f"it closed the connection {step}; it is no DXL broker, or it refuses the client "
        f"certificate {config.cert_file}",
        passing=True,
    )


def _holds(text: str, parts: Iterable[str]) -> bool:
    return any(part in text for part in parts)


def _allow(connection: socket.socket, deadline: float) -> None:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    connection.settimeout(remaining)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

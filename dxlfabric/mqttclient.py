"""The MQTT layer of our client: what the official client asks of its own, made of our parts.

It offers the methods and callbacks of a paho client that the official client uses, and no others.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from ssl import SSLContext  # noqa: TC003 - in the types of attributes
from typing import Any, Final

from dxlfabric import mqtt
from dxlfabric.clientsession import ClientSession
from dxlfabric.credentials import Credentials
from dxlfabric.errors import MalformedPacketError
from dxlfabric.line import MOST_WAITING, Line
from dxlfabric.message import Body
from dxlfabric.mqtt import PacketType, ReturnCode
from dxlfabric.opening import open_line
from dxlfabric.tls import client_context

logger = logging.getLogger(__name__)

SUCCESS: Final = 0
NO_CONNECTION: Final = 4
"""What paho's methods return where there is no connection."""

CONNECTION_LOST: Final = 7
"""What paho tells of the end of a connection that nobody wanted to end."""

DRAIN_TIMEOUT: Final = 2.0
"""Seconds at the end for what still waits to be sent."""

Callback = Callable[..., object]


class MqttClient:
    """A client's side of MQTT over TLS, with a thread that receives.

    Args:
        client_id: The client's name for itself.
        userdata: What callbacks get as their second argument.
        most_waiting: Bytes that may wait to be sent before :meth:`post` waits.

    Attributes:
        on_connect: Called with this, the user data, flags and a code of 0 once the broker has
            accepted the client.
        on_disconnect: Called with this, the user data and a code when the connection has ended; 0
            where that was asked for.
        on_message: Called with this, the user data and a :class:`~.mqtt.Publish` for each message,
            whose payload nobody else refers to. As long as it does not return, nothing is received.
        on_subscribe: Called with this, the user data, the number that :meth:`subscribe` has
            returned, and what was granted.
        on_unsubscribe: Called with this, the user data and the number.
        on_log: Is never called; the log has what is worth it.
    """

    def __init__(
        self, client_id: str, userdata: object, *, most_waiting: float = MOST_WAITING
    ) -> None:
        self._client_id = client_id
        self._most_waiting = most_waiting
        self._userdata = userdata
        self._context: SSLContext | None = None
        self._line: Line | None = None
        self._session = ClientSession(client_id, keep_alive=0)
        self._closing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.on_connect: Callback | None = None
        self.on_disconnect: Callback | None = None
        self.on_message: Callback | None = None
        self.on_subscribe: Callback | None = None
        self.on_unsubscribe: Callback | None = None
        self.on_log: Callback | None = None

    @property
    def waiting(self) -> int:
        """Bytes that wait to be taken by the network."""
        line = self._line
        return 0 if line is None else line.waiting

    def tls_set(self, ca_certs: str, certfile: str, keyfile: str, **_settings: object) -> None:
        """Set whom to trust and who the client is; what else is asked for is ours to choose.

        Raises:
            OSError: A file cannot be read or used.
        """
        files = (Path(name) for name in (ca_certs, certfile, keyfile))
        self._context = client_context(Credentials(*files))

    def tls_insecure_set(self, value: bool) -> None:  # noqa: FBT001 - paho's
        """Say whether any name of a broker will do, if its certificate is right."""
        if self._context is not None:
            self._context.check_hostname = not value

    def user_data_set(self, userdata: object) -> None:
        """Set what callbacks get as their second argument."""
        self._userdata = userdata

    def connect(self, host: str, port: int, keepalive: int = 60, **proxy: Any) -> int:
        """Connect and introduce the client; :meth:`loop_start` is to follow.

        Args:
            host: Host name or IP address of the broker.
            port: Its port.
            keepalive: Seconds of silence after which the broker is asked whether it is there.
            proxy: What ``socks`` needs to know of a proxy, if there is one.

        Raises:
            OSError: There is no connection.
            RuntimeError: It was not said before whom to trust.
        """
        if self._context is None:
            raise RuntimeError("tls_set was not called")
        self.loop_stop()  # there is an old connection where its broker has never answered
        self._close()
        line = open_line(
            host,
            port,
            self._context,
            proxy=proxy if proxy.get("proxy_type") else None,
            most_waiting=self._most_waiting,
        )
        self._session = ClientSession(self._client_id, keep_alive=keepalive)
        line.send([self._session.begin(time.monotonic())])
        self._line = line
        return SUCCESS

    def loop_start(self) -> None:
        """Begin to receive, in a thread of its own."""
        if self._thread is not None:
            return
        self._stopping = False
        name = f"mqtt-{self._client_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def loop_stop(self, force: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - paho's
        """Send what still waits, receive no more, and wait until the thread has ended."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        line = self._line
        if line is not None:
            line.drain(DRAIN_TIMEOUT)
        self._stopping = True
        if line is not None:
            line.wake()
        thread.join()
        self._thread = None

    def disconnect(self) -> int:
        """End the connection in order, if there is one."""
        line = self._line
        if line is None:
            return NO_CONNECTION
        self.loop_stop()
        if self._close(self._session.end()):
            self._tell(self.on_disconnect, SUCCESS)
        return SUCCESS

    def cut(self) -> None:
        """Have the connection end as if it had been lost; from any thread."""
        line = self._line
        if line is not None:
            line.cut()

    def subscribe(self, topic: str, qos: int = 0) -> tuple[int, int | None]:  # noqa: ARG002 - 0
        """Ask for the messages of a topic filter.

        Returns:
            A code, 0 for success, and the number that the broker's answer will bear.
        """
        return self._asked(*self._session.subscribe(topic))

    def unsubscribe(self, topic: str) -> tuple[int, int | None]:
        """End a subscription; returns what :meth:`subscribe` does."""
        return self._asked(*self._session.unsubscribe(topic))

    def post(self, topic: str, pieces: Iterable[Body]) -> int:
        """Send a message with quality of service 0, from any thread.

        Args:
            topic: Where to.
            pieces: The payload, to be written one piece after the other. They must not change
                afterwards.

        Returns:
            A code: 0, or :data:`NO_CONNECTION`; then it is lost.

        Raises:
            LineFullError: The broker takes nothing.
        """
        body = list(pieces)
        header = mqtt.publish_header(topic, sum(map(len, body)))
        return self._send([header, *body])

    def _asked(self, packet_id: int, packet: bytes) -> tuple[int, int | None]:
        code = self._send([packet])
        return code, packet_id if code == SUCCESS else None

    def _send(self, pieces: list[Body]) -> int:
        line = self._line
        if line is None or not line.send(pieces):
            return NO_CONNECTION
        self._session.said(time.monotonic())
        return SUCCESS

    def _run(self) -> None:
        line = self._line
        if line is None:
            return
        try:
            self._receive(line)
        except (OSError, MalformedPacketError) as error:
            logger.info("the connection to the broker was lost: %s", error)
        except Exception:
            logger.exception("the connection to the broker is given up")
        if not self._stopping and self._close():
            self._tell(self.on_disconnect, CONNECTION_LOST)

    def _receive(self, line: Line) -> None:
        while not self._stopping:
            now = time.monotonic()
            due = self._session.due()
            if due is not None and now >= due:
                line.send([self._session.check(now)])
                self._session.said(now)
                due = self._session.due()
            for each in line.receive(None if due is None else max(0.0, due - now)):
                self._session.heard(each, time.monotonic())
                self._hear(each)

    def _hear(self, packet: mqtt.Packet) -> None:
        match packet:
            case mqtt.Publish():
                self._tell(self.on_message, packet)
            case mqtt.SubAck(packet_id, granted):
                self._tell(self.on_subscribe, packet_id, granted)
            case mqtt.Acknowledgement(PacketType.UNSUBACK, packet_id):
                self._tell(self.on_unsubscribe, packet_id)
            case mqtt.ConnAck(ReturnCode.ACCEPTED):
                self._tell(self.on_connect, {}, SUCCESS)
            case mqtt.ConnAck(code):
                raise ConnectionRefusedError(f"it refuses the client, with code {code}")

    def _tell(self, callback: Callback | None, *arguments: object) -> None:
        if callback is None:
            return
        try:
            callback(self, self._userdata, *arguments)
        except Exception:
            logger.exception("a callback of the client failed")

    def _close(self, farewell: bytes = b"") -> bool:
        """Close the connection; return whether there was one."""
        with self._closing:
            line, self._line = self._line, None
        if line is None:
            return False
        line.close(farewell)
        return True

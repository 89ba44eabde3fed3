"""The official client with another transport and codec, and with bounds on what it waits for."""

import copy
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException, WaitTimeoutException
from dxlclient.message import Event, Message, Request, Response
from pahoproxy.client import MQTTMessage

from dxlfabric import message as codec
from dxlfabric.configuration import checks_host_name
from dxlfabric.errors import ConfigurationError
from dxlfabric.lightmessages import new_response, received
from dxlfabric.line import MOST_WAITING, LineFullError
from dxlfabric.messageids import MessageIds
from dxlfabric.mqtt import Publish
from dxlfabric.mqttclient import MqttClient
from dxlfabric.translation import content_of, from_bytes, read, to_pieces
from dxlfabric.websockets import WebSocketTransport

logger = logging.getLogger(__name__)

GOODBYE_TIMEOUT = 2.0
"""Seconds that the end of a client waits for each of the broker's answers, when it unregisters its
services and ends its subscriptions. Left alone, the official client waits a minute and more for a
broker that has just vanished."""

_DEFAULT_REQUEST_TIMEOUT = 3600.0
_NUDGE_SECONDS = 0.1

ResponseListener = Callable[[codec.Response | Response], bool]
"""Takes responses on the thread that receives, so it must not wait for anything; returns whether
the response was its own. It gets them as the codec reads them, and as the official client does
where only that can read them."""


class FabricClient(DxlClient):
    """The official client with another transport and codec, and with bounds on what it waits for.

    It reads and writes messages with this package's codec and its own connection: what a thread
    sends is encrypted and written from where it lies, what comes is received into the buffer that
    its payload is read from, and small packets go at once (``TCP_NODELAY``). TLS is as new as the
    broker takes. The broker has to prove its host name where the configuration says
    ``VerifyBrokerHostName``. Through WebSockets it goes by the official client's own transport.

    It gives up an attempt to connect after ten seconds, also when it has to reconnect, and can be
    destroyed at any time, also while it tries to connect; its end takes seconds even where the
    broker has vanished. Whoever sends more than a slow connection takes has to wait, and gets a
    ``DxlException`` after a minute in which nothing could be sent.
    ``dxlfabric.connection.connect`` returns one; in all else it is used as its base class is.

    Args:
        config: How to reach the fabric. The client works with a copy.
    """

    _client: MqttClient | WebSocketTransport
    _most_waiting: float = MOST_WAITING

    def __init__(self, config: DxlClientConfig) -> None:
        self._ending = False
        self._ending_lock = threading.Lock()
        self._ended = False
        self._disconnect_lock = threading.Lock()
        self._longest_wait = math.inf
        self._ids = MessageIds()
        self._listeners: tuple[ResponseListener, ...] = ()
        self._settings = copy.copy(config)
        super().__init__(self._settings)
        try:
            self._client.tls_insecure_set(not checks_host_name(config))
        except ConfigurationError:
            self.destroy()
            raise

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were sent and wait for the network to take them."""
        return self._client.waiting

    def cut(self) -> None:
        """End the connection without a word, as if it had been lost."""
        self._client.cut()

    @property
    def config(self) -> DxlClientConfig:
        """The client's copy of its configuration; unlike the base class's, it outlives the end."""
        return self._settings

    def is_ready(self, patience: float) -> bool:
        """Whether it is connected and has subscribed to its topics.

        Args:
            patience: Seconds to wait while it still subscribes, which takes minutes at worst.
        """
        # Held for as long as that takes.
        if not self._connected_lock.acquire(timeout=patience):
            return False
        connected: bool = self._connected
        self._connected_lock.release()
        return connected

    def connect_once(self, brokers: Sequence[Broker], deadline: float) -> None:
        """Make one attempt to connect; afterwards, the client behaves as its configuration says.

        Args:
            brokers: Brokers to try, of those in the configuration.
            deadline: When to give up, on the clock of ``time.monotonic``.

        Raises:
            dxlclient.exceptions.DxlException: There is no connection. The client has to be
                destroyed; it cannot be used any more.
        """
        wanted = copy.copy(self.config)
        self.config.connect_retries = 0
        # A client that reconnects cannot say that it failed; it may do so once it is handed over.
        self.config.reconnect_when_disconnected = False
        self._set_brokers(brokers)
        remaining = max(deadline - time.monotonic(), 0.0)
        self._DEFAULT_CONNECT_WAIT = self._MAX_PACKET_ACK_WAIT = remaining
        self.connect()
        del self._DEFAULT_CONNECT_WAIT, self._MAX_PACKET_ACK_WAIT
        self._set_brokers(wanted.brokers)
        self.config.connect_retries = wanted.connect_retries
        self.config.reconnect_when_disconnected = wanted.reconnect_when_disconnected
        if not self.connected:
            # It was lost before reconnecting was allowed, so nobody would make a new one.
            self.config.reconnect_when_disconnected = False
            raise DxlException("the broker closed the connection at once")

    def connect(self) -> None:
        """Connect as the base class does; :meth:`destroy` in another thread ends the attempt.

        Raises:
            dxlclient.exceptions.DxlException: There is no connection.
        """
        try:
            super().connect()
        except AttributeError as error:
            # The base class stumbles over a thread that destroy() has taken away.
            if not self._ending:
                raise
            raise DxlException("the client was destroyed while it tried to connect") from error

    def sync_request(self, request: Request, timeout: float = _DEFAULT_REQUEST_TIMEOUT) -> Response:
        """Send a request and wait for its answer as the base class does; not for long at the end.

        Raises:
            dxlclient.exceptions.WaitTimeoutException: No answer came within ``timeout`` seconds.
        """
        return super().sync_request(request, min(timeout, self._longest_wait))

    def subscribe(self, topic: str) -> None:
        """Subscribe as the base class does.

        Raises:
            DxlException: The broker takes nothing any more, or does not confirm it.
        """
        try:
            super().subscribe(topic)
        except LineFullError as error:
            raise DxlException(str(error)) from error

    def unsubscribe(self, topic: str) -> None:
        """End a subscription as the base class does.

        Raises:
            dxlclient.exceptions.WaitTimeoutException: The broker does not confirm it; not raised
                while the client is being destroyed, where nothing follows from it.
        """
        try:
            super().unsubscribe(topic)
        except LineFullError as error:
            raise DxlException(str(error)) from error
        except WaitTimeoutException as error:
            if not self._ending:
                raise
            logger.info("the broker did not confirm: %s", error)

    def destroy(self) -> None:
        """End the connection, or the attempts to make one, and all threads.

        Services are unregistered first; a broker that does not answer any more delays that by a few
        times :data:`GOODBYE_TIMEOUT`.
        """
        with self._ending_lock:
            self._ending = True
        self._longest_wait = self._MAX_PACKET_ACK_WAIT = GOODBYE_TIMEOUT
        if not self.connected:
            self._DEFAULT_CONNECT_WAIT = 0.0  # a call of connect need not wait any more
        thread = self._thread
        while thread is not None and thread.is_alive():
            self._thread_terminate = True
            with self._connect_wait_lock:
                self._connect_wait_condition.notify_all()
            thread.join(_NUDGE_SECONDS)
        if not self._destroyed and not self.connected:
            self._disconnect()  # the base class would leave the network thread running
        super().destroy()

    def _start_connect_thread(self, connect_retries: int = -1) -> None:
        with self._ending_lock:
            if not self._ending:
                super()._start_connect_thread(connect_retries)

    def _connect_thread_main(self, connect_retries: int) -> None:
        with self._ending_lock:
            if self._ending:
                return
            self._thread_terminate = False
        self._loop_until_connected(connect_retries)

    def _disconnect(self) -> None:
        # The base class also calls this in a thread of its own when a connection is lost. After the
        # end it would wait there for ever, for workers that are gone.
        with self._disconnect_lock:
            if not self._ended:
                self._disconnect_once()
                self._ended = self._ending

    def _disconnect_once(self) -> None:
        try:
            super()._disconnect()
        except AttributeError:
            # The base class stumbled over a thread that connect() took away at that moment; now
            # that it is gone, nothing is left to stumble over.
            if self._thread is not None:
                raise
            super()._disconnect()

    def _set_brokers(self, brokers: Sequence[Broker]) -> None:
        if self.config.use_websockets:
            self.config.websocket_brokers = list(brokers)
        else:
            self.config.brokers = list(brokers)

    def new_message_id(self) -> str:
        """Return an identifier that no other message has."""
        return self._ids.next()

    def new_response(self, request: Request) -> Response:
        """Return the response to a request as ``Response(request)`` does, with less work."""
        return new_response(request, self._ids.next())

    def post_request(
        self,
        topic: str,
        message_id: str,
        payload: codec.Body,
        *,
        other_fields: Mapping[str, str],
        service_id: str = "",
    ) -> None:
        """Send a request whose response a listener will take; see :meth:`add_response_listener`.

        Args:
            topic: Where to.
            message_id: What :meth:`new_message_id` has returned.
            payload: Its payload, which must not change afterwards.
            other_fields: What goes with it.
            service_id: The instance that it goes to; empty for whichever the broker chooses.

        Raises:
            ValueError: A text cannot be written.
            DxlException: The broker takes nothing any more.
        """
        request = codec.Request(
            message_id=message_id,
            payload=content_of(payload),
            other_fields=dict(other_fields),
            reply_to_topic=self._reply_to_topic,
            service_id=service_id,
        )
        self._post(topic, codec.encode(request))

    def add_response_listener(self, listener: ResponseListener) -> None:
        """Let a listener see each response before everybody else.

        What it takes goes to nobody else, no pool of threads is used for it, and it may come before
        what was received earlier.
        """
        self._listeners = (*self._listeners, listener)

    def remove_response_listener(self, listener: ResponseListener) -> None:
        """End what :meth:`add_response_listener` has begun."""
        self._listeners = tuple(each for each in self._listeners if each != listener)

    def _send_request(self, request: Request) -> None:
        if not isinstance(request, Request):
            raise ValueError("only a Request can be sent as a request")
        request.reply_to_topic = self._reply_to_topic
        self._post(request.destination_topic, to_pieces(request))

    def send_response(self, response: Response) -> None:
        """Send the answer to a request as the base class does.

        Raises:
            ValueError: It is no response.
            DxlException: The broker takes nothing any more.
        """
        if not isinstance(response, Response):
            raise ValueError("only a Response can be sent as a response")
        self._post(response.destination_topic, to_pieces(response))

    def send_event(self, event: Event) -> None:
        """Send an event as the base class does.

        Raises:
            ValueError: It is no event.
            DxlException: The broker takes nothing any more.
        """
        if not isinstance(event, Event):
            raise ValueError("only an Event can be sent as an event")
        self._post(event.destination_topic, to_pieces(event))

    def _post(self, topic: str, message: codec.Encoded) -> None:
        # As with the official client, what is sent without a connection is lost.
        try:
            self._client.post(topic, message)
        except LineFullError as error:
            raise DxlException(str(error)) from error

    def _take(self, _client: object, _userdata: object, packet: Publish | MQTTMessage) -> None:
        """Take a message on the thread that receives."""
        if self._listeners and packet.topic == self._reply_to_topic:
            found = read(packet.payload)
            if isinstance(found, (codec.Response, Response)):
                for take in self._listeners:
                    if take(found):
                        return
            message = received(found) if isinstance(found, codec.Message) else found
            message.destination_topic = packet.topic
            self._thread_pool.add_task(self._fire, message)
        else:
            self._thread_pool.add_task(self._handle_message, packet.topic, packet.payload)

    def _handle_message(self, channel: str, payload: codec.Body) -> None:
        message = from_bytes(payload)
        message.destination_topic = channel
        self._fire(message)

    def _fire(self, message: Message) -> None:
        if isinstance(message, Request):
            self._fire_request(message)
        elif isinstance(message, Response):
            self._fire_response(message)
        elif isinstance(message, Event):
            self._fire_event(message)

    def _set_mqtt_client_callbacks(self) -> None:
        super()._set_mqtt_client_callbacks()
        self._client.on_message = self._take

    def _get_mqtt_client(self) -> MqttClient | WebSocketTransport:
        client_id = self.config._client_id  # noqa: SLF001 - a seam of the official client
        if self.config.use_websockets:
            return WebSocketTransport(client_id, self)
        return MqttClient(client_id, self, most_waiting=self._most_waiting)

"""The official client, with bounds on what it waits for."""

import copy
import logging
import math
import threading
import time
from collections.abc import Sequence

import pahoproxy.client as paho
from dxlclient.broker import Broker
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException, WaitTimeoutException
from dxlclient.message import Event, Request, Response

from dxlfabric.translation import from_bytes, to_bytes
from dxlfabric.transport import Transport

logger = logging.getLogger(__name__)

GOODBYE_TIMEOUT = 2.0
"""Seconds that the end of a client waits for each of the broker's answers, when it unregisters its
services and ends its subscriptions. Left alone, the official client waits a minute and more for a
broker that has just vanished."""

_DEFAULT_REQUEST_TIMEOUT = 3600.0
_NUDGE_SECONDS = 0.1


class FabricClient(DxlClient):
    """The official client, with bounds on what it waits for.

    It writes and reads messages with this package's codec and transport, which spare most of the
    work that a large payload makes. It sends small packets at once (``TCP_NODELAY``), also after it
    has reconnected by itself, gives up an attempt to connect after ten seconds, and can be
    destroyed at any time, also while it tries to connect; its end takes seconds even where the
    broker has vanished.
    ``dxlfabric.connection.connect`` returns one; in all else it is used as its base class is.

    Args:
        config: How to reach the fabric. The client works with a copy.
    """

    def __init__(self, config: DxlClientConfig) -> None:
        self._ending = False
        self._ending_lock = threading.Lock()
        self._ended = False
        self._disconnect_lock = threading.Lock()
        self._longest_wait = math.inf
        self._settings = copy.copy(config)
        super().__init__(self._settings)

    @property
    def config(self) -> DxlClientConfig:
        """The client's copy of its configuration; unlike the base class's, it outlives the end."""
        return self._settings

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

    def unsubscribe(self, topic: str) -> None:
        """End a subscription as the base class does.

        Raises:
            dxlclient.exceptions.WaitTimeoutException: The broker does not confirm it; not raised
                while the client is being destroyed, where nothing follows from it.
        """
        try:
            super().unsubscribe(topic)
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

    def _send_request(self, request: Request) -> None:
        if not isinstance(request, Request):
            raise ValueError("only a Request can be sent as a request")
        request.reply_to_topic = self._reply_to_topic
        self._publish_message(request.destination_topic, to_bytes(request), self._qos)

    def send_response(self, response: Response) -> None:
        """Send the answer to a request as the base class does, with less work for a large one.

        Raises:
            ValueError: It is no response.
        """
        if not isinstance(response, Response):
            raise ValueError("only a Response can be sent as a response")
        self._publish_message(response.destination_topic, to_bytes(response), self._qos)

    def send_event(self, event: Event) -> None:
        """Send an event as the base class does, with less work for a large one.

        Raises:
            ValueError: It is no event.
        """
        if not isinstance(event, Event):
            raise ValueError("only an Event can be sent as an event")
        self._publish_message(event.destination_topic, to_bytes(event), self._qos)

    def _handle_message(self, channel: str, payload: bytes | memoryview) -> None:
        message = from_bytes(payload)
        message.destination_topic = channel
        if isinstance(message, Event):
            self._fire_event(message)
        elif isinstance(message, Request):
            self._fire_request(message)
        elif isinstance(message, Response):
            self._fire_response(message)

    def _get_mqtt_client(self) -> paho.Client:
        return Transport(
            client_id=self.config._client_id,  # noqa: SLF001 - a seam of the official client
            clean_session=True,
            userdata=self,
            protocol=paho.MQTTv311,
            transport="websockets" if self.config.use_websockets else "tcp",
        )

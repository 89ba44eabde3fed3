"""The service's client of the fabric: bounded in what waits to be sent, and orderly at the end."""

import json
import logging
import os
import socket
from queue import Queue
from threading import Condition
from typing import Final, Protocol, cast

from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException
from dxlclient.message import Request, Response

from dxlfabric.client import FabricClient
from dxlfabric.topics import SERVICE_UNREGISTER
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.outbox import Outbox, Sent

CROWDED_BYTES: Final = 64 * 1024 * 1024
"""Bytes of answers that wait to be sent, above which there should be no more large ones.

As much as the service takes in by default. Without a bound, a client that asks faster than the
connection carries the answers away would fill the memory.
"""

FULL_BYTES: Final = 2 * CROWDED_BYTES
"""Bytes of answers that wait to be sent, above which further ones are dropped, small ones too."""

UNREGISTER_TIMEOUT: Final = 5.0
"""Seconds at the end for the broker's confirmation, which comes after all requests before it."""

DRAIN_TIMEOUT: Final = 5.0
"""Seconds at the end for carrying out what has come; what is not begun by then is not answered."""

CUT_TIMEOUT: Final = 2.0
"""Seconds for the client to notice that its connection was cut."""

_logger = logging.getLogger(__name__)


class _Transport(Protocol):
    """What is needed of paho's client."""

    def publish(self, topic: str, payload: bytes, qos: int) -> "_Handed": ...

    def socket(self) -> socket.socket | None: ...


class _Handed(Sent, Protocol):
    """A message that was handed over, unless its code says otherwise."""

    rc: int


class _Pool(Protocol):
    """The official client's pool of threads."""

    _tasks: Queue[object]


class ServiceClient(FabricClient):
    """A client that answers requests, for a service of many topics.

    Answers are dropped, as any bus may do, when too many wait to be sent already.

    Args:
        config: How to reach the fabric. The client works with a copy.
    """

    _thread_pool: _Pool
    _connected_wait_condition: Condition

    def __init__(self, config: DxlClientConfig) -> None:
        self._outbox = Outbox()
        self._dropped = BoundedLog(_logger)
        super().__init__(config)

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that there should be no more large answers."""
        return self._waiting > CROWDED_BYTES

    def send_response(self, response: Response) -> None:
        """Send an answer as the base class does, unless too many wait already."""
        waiting = self._waiting
        if waiting > FULL_BYTES:
            text = "Dropped the answer to request %s: %d bytes of answers wait to be sent"
            self._dropped.write(logging.WARNING, text, response.request_message_id, waiting)
            return
        super().send_response(response)

    def retire(self, service_id: str) -> None:
        """Take a service off the fabric and wait until all requests that have come are answered.

        The client is to be destroyed then. A broker that does not answer is left at once, so that
        the end does not wait for it at every topic again.

        Args:
            service_id: The registered service.
        """
        if not self.connected:
            return
        request = Request(SERVICE_UNREGISTER)
        request.payload = json.dumps({"serviceGuid": service_id})
        try:
            self.sync_request(request, timeout=UNREGISTER_TIMEOUT)
        except DxlException as error:
            _logger.warning("the broker did not confirm the end of the service: %s", error)
            self._cut()
            return
        # Of what the broker sent before its answer, everything is in the pool now or done.
        tasks = self._thread_pool._tasks  # noqa: SLF001 - a seam of the official client
        with tasks.all_tasks_done:
            if not tasks.all_tasks_done.wait_for(
                lambda: not tasks.unfinished_tasks, timeout=DRAIN_TIMEOUT
            ):
                _logger.warning("Some requests that came before the end are not answered")

    def _cut(self) -> None:
        """End the connection without a word."""
        self.config.reconnect_when_disconnected = False
        connection = self._transport.socket()
        if connection is None:
            return
        try:
            # Another handle of the same connection: the network thread goes on to use this one.
            with socket.socket(fileno=os.dup(connection.fileno())) as handle:
                handle.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            _logger.debug("the connection was lost already: %s", error)
        with self._connected_wait_condition:
            self._connected_wait_condition.wait_for(lambda: not self.connected, CUT_TIMEOUT)

    @property
    def _transport(self) -> _Transport:
        return cast("_Transport", self._client)

    @property
    def _waiting(self) -> int:
        return self._outbox.waiting(self._transport.socket())

    def _publish_message(self, channel: str, payload: bytes, qos: int) -> None:
        # The seam through which the official client hands over everything that it sends.
        connection = self._transport.socket()
        handed = self._transport.publish(channel, payload, qos)
        if not handed.rc:
            self._outbox.add(handed, len(payload), connection)

"""The service's client of the fabric: bounded in what waits to be sent, and orderly at the end."""

import json
import logging
import math
from threading import Condition
from typing import Final

from dxlclient.client_config import DxlClientConfig
from dxlclient.exceptions import DxlException
from dxlclient.message import Request, Response

from dxlfabric.client import FabricClient
from dxlfabric.topics import SERVICE_UNREGISTER
from dxlfiletransferservice.boundedlog import BoundedLog

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


class ServiceClient(FabricClient):
    """A client that answers requests, for a service of many topics.

    Answers are dropped, as any bus may do, when too many wait to be sent already.

    Args:
        config: How to reach the fabric. The client works with a copy.
    """

    _most_waiting = math.inf  # what is too much is dropped, so that nobody waits
    _connected_wait_condition: Condition

    def __init__(self, config: DxlClientConfig) -> None:
        self._dropped = BoundedLog(_logger)
        super().__init__(config)

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that there should be no more large answers."""
        return self.waiting_bytes > CROWDED_BYTES

    def send_response(self, response: Response) -> None:
        """Send an answer as the base class does, unless too many wait already."""
        waiting = self.waiting_bytes
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
            self._leave()
            return
        # Of what the broker sent before its answer, everything is in the pool now or done.
        tasks = self._thread_pool._tasks  # noqa: SLF001 - a seam of the official client
        with tasks.all_tasks_done:
            if not tasks.all_tasks_done.wait_for(
                lambda: not tasks.unfinished_tasks, timeout=DRAIN_TIMEOUT
            ):
                _logger.warning("Some requests that came before the end are not answered")

    def _leave(self) -> None:
        """End the connection without a word, and for good."""
        self.config.reconnect_when_disconnected = False
        self.cut()
        with self._connected_wait_condition:
            self._connected_wait_condition.wait_for(lambda: not self.connected, CUT_TIMEOUT)

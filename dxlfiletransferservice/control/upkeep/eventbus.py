"""The server's events as DXL events, for programs on the fabric.

Everybody who may receive events of the topic reads them, so they tell what is under way and nothing
about what is sent: ids, statuses, times and owners. Who wants to know more asks the control API,
and is shown what is his own.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from dxlclient.exceptions import DxlException
from dxlclient.message import Event as DxlEvent

from dxlfiletransferclient.control.names import EVENT_TOPIC
from dxlfiletransferservice.boundedlog import BoundedLog
from dxlfiletransferservice.control.upkeep.backgroundqueue import BackgroundQueue
from dxlfiletransferservice.control.upkeep.events import Event

MAX_WAITING: Final = 1000
"""Events that may wait to be sent, while the connection is slow; the newest are left out."""

STOP_TIMEOUT: Final = 2.0
"""Seconds that the end waits for what is still to be sent."""

PUBLIC_FIELDS: Final = frozenset(
    {
        "connectionId",
        "destinationId",
        "endTime",
        "lastRecvTime",
        "manifestId",
        "owner",
        "processing",
        "queueTime",
        "receptionId",
        "requestTime",
        "startTime",
        "status",
        "transferId",
    }
)
"""Fields of structures that everybody on the fabric may know."""

_logger = logging.getLogger(__name__)


class EventBus:
    """Sends events to the fabric; an :class:`~.events.EventLog` listener.

    Events are sent at most once, as on any bus: those of a time without a connection are lost.

    Args:
        send: Sends a DXL event, as ``DxlClient.send_event`` does.
        server_id: Service id of the server.
        server_uid: Its persistent id.

    Example:
        >>> sent = []
        >>> bus = EventBus(sent.append, server_id="{1}", server_uid="2")
        >>> bus.start()
        >>> bus.put(Event("manifestDeleted", 0, {"manifestId": "7", "userData": {"a": "b"}}, "ann"))
        >>> bus.close()
        >>> json.loads(sent[0].payload)["manifestId"]
        '7'
    """

    def __init__(
        self, send: Callable[[DxlEvent], None], *, server_id: str, server_uid: str
    ) -> None:
        self._send = send
        self._server = {"serverId": server_id, "serverUid": server_uid}
        self._log = BoundedLog(_logger)
        self._queue: BackgroundQueue[Event] = BackgroundQueue(
            self._send_one, name="DXL events", most=MAX_WAITING, logger=_logger
        )

    def start(self) -> None:
        """Begin to send."""
        self._queue.start()

    def put(self, event: Event) -> None:
        """Let an event be sent; returns at once."""
        self._queue.put(event)

    def close(self) -> None:
        """Send what waits, for a short time, and end."""
        self._queue.close(STOP_TIMEOUT, drain=True)

    def _send_one(self, event: Event) -> None:
        message = DxlEvent(f"{EVENT_TOPIC}/{event.name}")
        message.payload = json.dumps({**public_part(event), **self._server}).encode()
        try:
            self._send(message)
        except (DxlException, OSError) as error:
            text = "Cannot send the event %s to the fabric: %s"
            self._log.write(logging.WARNING, text, event.name, error)


def public_part(event: Event) -> dict[str, Any]:
    """Return what everybody on the fabric may know of an event.

    Example:
        >>> public_part(Event("transferDeleted", 5, {"transferId": "7", "destinationPath": "x"}))
        {'event': 'transferDeleted', 'timestamp': 5, 'owner': None, 'transferId': '7'}
    """
    shown = {name: value for name, value in event.data.items() if name in PUBLIC_FIELDS}
    return {"event": event.name, "timestamp": event.time, "owner": event.owner, **shown}

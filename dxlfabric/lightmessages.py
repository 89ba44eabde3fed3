"""The official client's messages, made without what their constructors cost.

Those draw an identifier from the system for each message, also for one that was received with its
own, and keep the payload as ``bytes``, which means a copy of what lies in the receiving buffer.
"""

from typing import TypeVar

import dxlclient.message as official

from dxlfabric import message as codec
from dxlfabric.message import Body

M = TypeVar("M", bound=official.Message)


def payload_of(message: official.Message) -> Body | str:
    """Return a message's payload without copying it; a view where our client has received it.

    Args:
        message: Any message. Its payload may be something else than bytes if somebody has set it
            to that, or has sent it so.
    """
    view: Body | None = getattr(message, "payload_view", None)
    return message.payload if view is None else view


def new_response(request: official.Request, message_id: str) -> official.Response:
    """Return the response to a request, with an identifier of its own."""
    service_id = request.service_id
    client, broker = request.source_client_id, request.source_broker_id
    values = {
        "_version": official.Message.MESSAGE_VERSION,
        "_message_id": message_id,
        "_source_client_id": "",
        "_source_broker_id": "",
        "_destination_topic": request.reply_to_topic,
        "_payload": b"",
        "_broker_ids": [broker] if broker else [],
        "_client_ids": [client] if client else [],
        "_other_fields": {},
        "_source_tenant_guid": "",
        "_destination_tenant_guids": [],
        "_request": request,
        "_request_message_id": request.message_id,
        "_service_id": service_id,
    }
    return _made(official.Response, values)


def received(found: codec.Message) -> official.Message:
    """Return a message that was received as the official client has it."""
    values = {
        "_version": found.version,
        "_message_id": found.message_id,
        "_source_client_id": found.source_client_id,
        "_source_broker_id": found.source_broker_id,
        "_destination_topic": "",
        "_payload": None,
        "_broker_ids": list(found.broker_ids),
        "_client_ids": list(found.client_ids),
        "_other_fields": found.other_fields,
        "_source_tenant_guid": found.source_tenant_id,
        "_destination_tenant_guids": list(found.destination_tenant_ids),
        "payload_view": found.payload,
    }
    if isinstance(found, codec.Request):
        values["_reply_to_topic"] = found.reply_to_topic
        values["_service_id"] = found.service_id
        return _made(_Request, values)
    if not isinstance(found, codec.Response):
        return _made(_Event, values)
    values["_request"] = None
    values["_request_message_id"] = found.request_message_id
    values["_service_id"] = found.service_id
    if not isinstance(found, codec.ErrorResponse):
        return _made(_Response, values)
    values["_error_code"] = found.error_code
    values["_error_message"] = found.error_message
    return _made(_ErrorResponse, values)


class _Viewed:
    """A message whose payload is a view until somebody wants it as bytes."""

    payload_view: Body | None
    _payload: object

    @property
    def payload(self) -> object:
        """The bytes of the payload, or whatever it was set to."""
        if self._payload is None and self.payload_view is not None:
            self._payload = bytes(self.payload_view)
        return self._payload

    @payload.setter
    def payload(self, payload: object) -> None:
        self._payload = payload
        self.payload_view = None


class _Event(_Viewed, official.Event):  # type: ignore[misc]
    pass


class _Request(_Viewed, official.Request):  # type: ignore[misc]
    pass


class _Response(_Viewed, official.Response):  # type: ignore[misc]
    pass


class _ErrorResponse(_Viewed, official.ErrorResponse):  # type: ignore[misc]
    pass


def _made(kind: type[M], values: dict[str, object]) -> M:
    """Return a message with what the official classes let only themselves set."""
    message = kind.__new__(kind)
    super(official.Message, message).__init__()  # counts objects, where somebody wants that
    message.__dict__ = values
    return message
